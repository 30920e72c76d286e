// Rows of answers, in arrays of the caller's own.
import type { ScanBatch } from "../api/row-batches.js";
import { columnPlaces, float32Column, float64Column, uint32Column } from "../wire/columns.js";
import { Column, type RowBatch } from "../wire/generated/frame-types.js";

/** All columns that a frame has of rows; `counters` are the names of the table's counters. */
export function receivedRows(counters: readonly string[], rows: RowBatch): ScanBatch {
  const { count: n, dim, stateFloats, columns, data } = rows;
  const places = columnPlaces(rows, 0);
  const floats = (at: number, length: number) =>
    at < 0 ? new Float32Array(length) : float32Column(data, at, length).slice();
  const numbers = (at: number) => (at < 0 ? new Uint32Array(n) : uint32Column(data, at, n).slice());
  return {
    keys: rows.keys.slice(),
    rows: floats(places.values, n * dim),
    state: floats(places.state, n * stateFloats),
    frequency: numbers(places.counts),
    lastStep: numbers(places.lastStep),
    ...((columns & Column.FirstCounter) !== 0 && {
      counters: Object.fromEntries(
        counters.map((name, c) => [name, floats(c === 0 ? places.firstCounter : places.secondCounter, n)]),
      ),
    }),
    ...((columns & Column.WrittenAt) !== 0 && {
      writtenAt: float64Column(data, places.writtenAt, n).slice(),
    }),
  };
}
