export interface Column<Row> {
  readonly title: string;
  readonly text: (row: Row) => string;
  /** Numbers stand at the right. */
  readonly align?: "right";
  /** Left out where lines would be too long, the highest first; 0 and unless given: never. */
  readonly spare?: number;
}

/** Rows under their titles, as lines. A column is as wide as its widest text; those that can be spared go where `width` is less. */
export function textTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width = Number.POSITIVE_INFINITY,
): string[] {
  const lines = wholeTable(columns, rows);
  const spare = Math.max(...columns.map(({ spare = 0 }) => spare));
  if (spare === 0 || lines.every(({ length }) => length <= width)) return lines;
  return textTable(
    columns.filter((column) => (column.spare ?? 0) !== spare),
    rows,
    width,
  );
}

function wholeTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string[] {
  const cells = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map(({ text }) => text(row))),
  ];
  const widths = columns.map((_, c) => Math.max(...cells.map((line) => line[c].length)));
  return cells.map((line) => {
    const padded = line.map((text, c) =>
      columns[c].align === "right" ? text.padStart(widths[c]) : text.padEnd(widths[c]),
    );
    return padded.join("  ").trimEnd();
  });
}

/** A count with its digits in groups: 12,345. */
export function countText(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** A count with its noun: 1 row, 2 rows. */
export function plural(count: number, noun: string): string {
  return `${countText(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** Bytes in the unit of 1,024 that suits them: 1.5 MiB. */
export function bytesText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** A time span in the unit that suits it: 3 s, 2 min, 5 h, 9 days. */
export function durationText(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}
