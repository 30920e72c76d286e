// Rows of answers, in arrays of the caller's own.
import type { ScanBatch } from "../api/row-batches.js";
import { EmbershardError } from "../base/errors.js";
import { columnPlaces, elementName, float32Column, float64Column, uint32Column } from "../wire/columns.js";
import { Column, ElementType, type RowBatch } from "../wire/generated/frame-types.js";

/** All columns that a frame has of rows; `counters` are the names of the table's counters. @throws BAD_FRAME where they are not float32 */
export function receivedRows(counters: readonly string[], rows: RowBatch): ScanBatch {
  const { count: n, dim, stateFloats, columns, data, element } = rows;
  if (element !== ElementType.F32)
    throw new EmbershardError("BAD_FRAME", `found rows of a scan as ${elementName(element)}, expected f32`);
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
