// A cluster's state as tables.
import type { NodeStatus } from "../node/node-status.js";
import type { ShardFigures } from "../node/shard-figures.js";
import { bytesText, countText, durationText, plural, textTable } from "./text-table.js";

/** What is known of one node: its status, or why there is none. */
export interface NodeReport {
  readonly name: string;
  readonly address: string;
  readonly status?: NodeStatus;
  readonly problem?: string;
}

interface ShardRow {
  readonly node: string;
  readonly figures: ShardFigures;
}

/** Nodes, shards and tables, as lines; figures that lines of `width` have no room for are left out. */
export function statusText(
  reports: readonly NodeReport[],
  heading: (text: string) => string,
  width?: number,
): string {
  const up = reports.flatMap(({ status }) => (status ? [status] : []));
  const shards = up.flatMap(({ node, shards }) => shards.map((figures): ShardRow => ({ node, figures })));
  const lines = [...titled(nodeLines(reports), heading), ""];
  if (shards.length > 0) lines.push(...titled(shardLines(shards, width), heading), "");
  const tables = tableLines(shards);
  if (tables.length > 1) lines.push(...titled(tables, heading), "");
  const read = sum(shards, ({ rates }) => rates.rowsRead);
  const written = sum(shards, ({ rates }) => rates.rowsWritten);
  lines.push(
    `${plural(up.length, "node")} of ${reports.length} up, ${plural(sum(shards, rowsOf), "row")}, ${countText(read)} rows/s read, ${countText(written)} rows/s written`,
  );
  return `${lines.join("\n")}\n`;
}

function titled([first, ...rest]: readonly string[], heading: (text: string) => string): string[] {
  return [heading(first), ...rest];
}

function sum(rows: readonly ShardRow[], of: (figures: ShardFigures) => number): number {
  return rows.reduce((all, { figures }) => all + of(figures), 0);
}

function rowsOf({ store }: ShardFigures): number {
  return store?.tables.reduce((all, { rows }) => all + rows, 0) ?? 0;
}

function nodeLines(reports: readonly NodeReport[]): string[] {
  return textTable<NodeReport>(
    [
      { title: "node", text: ({ name }) => name },
      { title: "address", text: ({ address }) => address },
      { title: "state", text: ({ status }) => status?.state ?? "down" },
      { title: "up", text: ({ status }) => (status ? durationText(status.uptimeMs) : "") },
      { title: "pid", text: ({ status }) => (status ? `${status.pid}` : ""), align: "right" },
      { title: "", text: ({ status, problem }) => problem ?? status?.reason ?? "" },
    ],
    reports,
  );
}

function shardLines(shards: readonly ShardRow[], width: number | undefined): string[] {
  const number = (title: string, of: (figures: ShardFigures) => string, spare = 0) => ({
    title,
    text: ({ figures }: ShardRow) => of(figures),
    align: "right" as const,
    spare,
  });
  return textTable<ShardRow>(
    [
      { title: "shard", text: ({ node, figures }) => `${node}/${figures.shard}` },
      { title: "state", text: ({ figures }) => figures.state },
      number("rows", (figures) => countText(rowsOf(figures))),
      number("memory", ({ store }) => (store ? bytesText(store.memory.bytes) : ""), 1),
      number("read/s", ({ rates }) => countText(rates.rowsRead)),
      number("written/s", ({ rates }) => countText(rates.rowsWritten)),
      number("requests/s", ({ rates }) => countText(rates.requests), 2),
      number("in/s", ({ rates }) => bytesText(rates.bytesIn), 3),
      number("out/s", ({ rates }) => bytesText(rates.bytesOut), 3),
      number("clients", ({ connections }) => countText(connections)),
      number("refused", ({ counts }) =>
        countText(Object.values(counts.refused).reduce((all, one) => all + one, 0)),
      ),
      number("repeated", ({ counts }) => countText(counts.repeated)),
      number("rebuilt", ({ rebuilds }) => countText(rebuilds)),
    ],
    shards,
    width,
  );
}

function tableLines(shards: readonly ShardRow[]): string[] {
  const tables = new Map<
    string,
    { name: string; rows: number; bytes: number; dim: number; optimizer: string }
  >();
  for (const { figures } of shards)
    for (const { name, rows, bytes, dim, optimizer } of figures.store?.tables ?? []) {
      const table = tables.get(name) ?? { name, rows: 0, bytes: 0, dim, optimizer };
      tables.set(name, { ...table, rows: table.rows + rows, bytes: table.bytes + bytes });
    }
  return textTable(
    [
      { title: "table", text: ({ name }) => name },
      { title: "rows", text: ({ rows }) => countText(rows), align: "right" },
      { title: "memory", text: ({ bytes }) => bytesText(bytes), align: "right" },
      { title: "dim", text: ({ dim }) => `${dim}`, align: "right" },
      { title: "optimizer", text: ({ optimizer }) => optimizer },
    ],
    [...tables.values()],
  );
}
