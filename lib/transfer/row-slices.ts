// Rows that were read at once are written in slices.
import type { RowColumns } from "./row-file.js";

/** Bytes of rows that are written at once, about: a write copies them three times, and all copies stay in the nearer caches. */
const WRITTEN_AT_ONCE = 256 << 10;

/** Rows in slices as an import writes them, each whole or not at all. */
export function* slicesOf(all: RowColumns): Generator<RowColumns> {
  const n = all.keys.length;
  // Of one size, so that none of a few rows is left over.
  const rowsAtOnce = Math.ceil(n / Math.max(1, Math.round(bytesOf(all) / WRITTEN_AT_ONCE)));
  for (let from = 0; from < n; from += rowsAtOnce) yield sliceOf(all, from, Math.min(n, from + rowsAtOnce));
}

function bytesOf({ keys, rows, state, frequency, lastStep, counters }: RowColumns): number {
  let bytes = keys.byteLength + rows.byteLength;
  for (const column of [state, frequency, lastStep, counters]) bytes += column?.byteLength ?? 0;
  return bytes;
}

/** Rows [from, to), as views. */
function sliceOf(all: RowColumns, from: number, to: number): RowColumns {
  const n = all.keys.length;
  const part = <T extends Float32Array | Uint32Array>(column: T): T => {
    const width = column.length / n;
    return column.subarray(from * width, to * width) as T;
  };
  const { state, frequency, lastStep, counters } = all;
  const slice: { -readonly [Name in keyof RowColumns]: RowColumns[Name] } = {
    keys: all.keys.subarray(from, to),
    rows: part(all.rows),
  };
  if (state) slice.state = part(state);
  if (frequency) slice.frequency = part(frequency);
  if (lastStep) slice.lastStep = part(lastStep);
  if (counters) slice.counters = part(counters);
  return slice;
}
