import type { Output } from "./output.js";
import type { NodePart, RingReport } from "./ring-report.js";
import { type Column, countText, plural, textTable } from "./text-table.js";

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/** Backgrounds of 256 colours that letters can be read on, and neighbours told apart by. */
const colours = [33, 160, 36, 172, 98, 244, 168, 75, 106, 203, 30, 137];
const pictureRows = 8;
const mostMoves = 20;

/** A cluster for people: a table, a picture, and what moves. */
export function ringText(report: RingReport, { out, heading }: Output): string {
  const { slots, nodes, fingerprint, epoch } = report;
  const title = `${plural(nodes.length, "node")}, ${countText(slots)} slots, epoch ${epoch}, placement ${fingerprint}`;
  const marks = nodes.length <= letters.length;
  const columns: Column<NodePart & { readonly mark: string }>[] = [
    ...(marks ? [{ title: "", text: ({ mark }: { mark: string }) => mark }] : []),
    { title: "node", text: ({ node }) => node },
    { title: "zone", text: ({ zone }) => zone || "-" },
    { title: "weight", align: "right", text: ({ weight }) => String(weight) },
    { title: "shards", align: "right", text: ({ shards }) => String(shards) },
    { title: "slots", align: "right", text: (node) => countText(node.slots) },
    { title: "share", align: "right", text: ({ share }) => share.toFixed(1) },
    { title: "off by", align: "right", text: (node) => signed(node.slots - node.share) },
    { title: "slots a shard", align: "right", text: ({ shardSlots }) => [...new Set(shardSlots)].join("-") },
  ];
  const [titles, ...rows] = textTable(
    columns,
    nodes.map((node, i) => ({ ...node, mark: letters[i] ?? "" })),
  );
  const parts = [title, "", heading(titles), ...rows];
  // Where headings are emphasized, colours are wanted.
  const coloured = heading("x") !== "x";
  if (marks) parts.push("", ...pictureOf(report, Math.min(out.columns ?? 100, 132), coloured));
  if (report.moves) parts.push("", ...movesText(report, heading));
  return `${parts.join("\n")}\n`;
}

/** All slots in order, row by row; each column shows who has most of its slots. */
function pictureOf({ slots, runs }: RingReport, width: number, coloured: boolean): string[] {
  const owners = runs.flatMap(([node, count]) => new Array<number>(count).fill(node));
  const labelWidth = countText(slots - 1).length + 2;
  const columns = Math.max(16, 2 ** Math.floor(Math.log2(width - labelWidth)));
  const cell = Math.max(1, slots / (columns * pictureRows));
  const lines: string[] = [];
  for (let from = 0; from < slots; from += cell * columns) {
    let line = "";
    for (let at = from; at < Math.min(slots, from + cell * columns); at += cell) {
      const owner = mostFrequent(owners.slice(at, at + cell));
      const letter = letters[owner];
      line += coloured ? `\x1b[48;5;${colours[owner % colours.length]};38;5;231m${letter}\x1b[0m` : letter;
    }
    lines.push(`${countText(from).padStart(labelWidth - 2)}  ${line}`);
  }
  return lines;
}

function mostFrequent(owners: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const owner of owners) counts.set(owner, (counts.get(owner) ?? 0) + 1);
  return [...counts].reduce((best, one) => (one[1] > best[1] ? one : best))[0];
}

function movesText(
  { moves = [], moved = 0, ideal = 0, slots }: RingReport,
  heading: (text: string) => string,
): string[] {
  const percent = (count: number) => `${((100 * count) / slots).toFixed(2)} %`;
  const between = moves.filter(({ from, to }) => from !== to);
  const title = `${plural(moved, "slot")} of ${countText(slots)} (${percent(moved)}) would move; the ideal is ${ideal.toFixed(1)} (${percent(ideal)})`;
  if (between.length === 0) return [title];
  const [titles, ...rows] = textTable(
    [
      { title: "from", text: ({ from }) => from },
      { title: "to", text: ({ to }) => to },
      { title: "slots", align: "right", text: (move) => countText(move.slots) },
    ],
    between.slice(0, mostMoves),
  );
  const more = between.length - mostMoves;
  return [
    title,
    "",
    heading(titles),
    ...rows,
    ...(more > 0 ? [`and ${countText(more)} more: --json has all`] : []),
  ];
}

function signed(number: number): string {
  const text = number.toFixed(1);
  return number > 0 ? `+${text}` : text === "-0.0" ? "0.0" : text;
}
