import { type Figure, verdictOf } from "./figure.js";
import type { Machine } from "./machine.js";

export interface Report {
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  /** True: smaller tables and fewer rounds, no measurement. */
  readonly quick: boolean;
  readonly rows: number;
  readonly batch: number;
  /** One for each figure that is held to a target. */
  readonly results: readonly Figure[];
  /** Figures beside them: other peers, Zipf, huge pages, table sizes. */
  readonly shown: readonly Figure[];
  readonly notes: readonly string[];
}

/** The report as text for people: machine, versions, notes, two tables. */
export function formatReport(report: Report): string {
  const { machine, versions, results, shown, notes, quick, rows, batch } = report;
  const lines = [
    `machine   ${machine.cpu}, ${machine.cores} cores, ${scaled(machine.memoryBytes, "bytes")}, ${machine.system}, huge pages: ${machine.hugePages}, load before: ${machine.loadBefore.toFixed(1)}`,
    `versions  ${Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(", ")}`,
    `tables    ${rows.toLocaleString("en")} rows, batches of ${batch.toLocaleString("en")} keys`,
    ...(quick ? ["", "quick: small tables and few rounds. These figures are no measurement."] : []),
  ];
  if (results.length > 0) lines.push("", ...table(results.map(row), HEADINGS));
  if (shown.length > 0) lines.push("", "beside them", ...table(shown.map(row), HEADINGS));
  const remarks = [
    ...notes,
    ...[...results, ...shown].filter(({ note }) => note).map(({ name, note }) => `${name}: ${note}`),
  ];
  if (remarks.length > 0) lines.push("", ...remarks.map((remark) => `- ${remark}`));
  return lines.join("\n");
}

const HEADINGS = ["figure", "value", "peer", "", "ratio", "spread", "must", "goal", ""];

function row(figure: Figure): string[] {
  const { name, value, unit, peer, peerName, ratio, spread, must, goal } = figure;
  return [
    name,
    scaled(value, unit),
    peer === null ? "" : scaled(peer, unit),
    peerName ?? "",
    ratio === null ? "" : ratio.toFixed(2),
    spread === null || spread[0] === spread[1] ? "" : `${spread[0].toFixed(2)}-${spread[1].toFixed(2)}`,
    must === null ? "" : String(must),
    goal === null ? "" : String(goal),
    verdictOf(figure),
  ];
}

/** `value` with its unit, in the prefix that reads best. */
export function scaled(value: number, unit: string): string {
  if (unit === "ms") return `${value.toFixed(value < 10 ? 2 : 1)} ms`;
  if (unit === "ns") return `${value.toFixed(0)} ns`;
  const shortUnit = unit.replace("bytes", "B");
  for (const [size, prefix] of [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const) {
    if (value >= size) return `${(value / size).toFixed(2)} ${prefix}${shortUnit}`;
  }
  return `${value.toFixed(value < 10 && !Number.isInteger(value) ? 2 : 0)} ${shortUnit}`;
}

function table(rows: readonly string[][], headings: readonly string[]): string[] {
  const all = [[...headings], ...rows];
  const widths = headings.map((_, column) => Math.max(...all.map((cells) => cells[column].length)));
  return all.map((cells) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column]))
      .join("  ")
      .trimEnd(),
  );
}
