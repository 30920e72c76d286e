// Rows as frames have them.
import type { RowBatch, ScanBatch } from "../api/row-batches.js";
import { EmbershardError } from "../base/errors.js";
import type { ArenaTable } from "../table/arena-table.js";
import { Column, type RowBatchInput } from "../wire/generated/frame-types.js";

/** Bytes of a frame that are not rows. */
const restBytes = 1024;

export const noRows: RowBatchInput = { count: 0, keys: new BigUint64Array(0), data: new Uint8Array(0) };

/** How many rows of so many bytes fit a frame. @throws TOO_LARGE where not even one does */
export function rowsFitting(rowBytes: number, frameBytes: number): number {
  const fitting = Math.floor((frameBytes - restBytes) / rowBytes);
  if (fitting >= 1) return fitting;
  throw new EmbershardError(
    "TOO_LARGE",
    `a row of ${rowBytes} bytes does not fit the client's frames of ${frameBytes} bytes`,
  );
}

/** Bytes of a row in a frame, at most: with key, numbers and times. */
export function rowBytesOf({ dim, stateFloats, counters }: ArenaTable): number {
  return 32 + 4 * (dim + stateFloats + counters);
}

/** Rows with all that is known of them; arrays are borrowed until the frame has been written. */
export function rowsInColumns(table: ArenaTable, batch: RowBatch | ScanBatch): RowBatchInput {
  const { keys, rows, state, frequency, lastStep, counters } = batch;
  const writtenAt = "writtenAt" in batch ? batch.writtenAt : undefined;
  const names = table.definition.counters?.names ?? [];
  const counted = names.map((name) => counters?.[name]).filter((column) => column !== undefined);
  const withState = table.stateFloats > 0;
  return {
    count: keys.length,
    dim: table.dim,
    stateFloats: table.stateFloats,
    columns:
      Column.Values |
      (withState ? Column.State : 0) |
      Column.Counts |
      Column.LastStep |
      (counted.length > 0 ? Column.FirstCounter : 0) |
      (counted.length > 1 ? Column.SecondCounter : 0) |
      (writtenAt ? Column.WrittenAt : 0),
    keys,
    data: [
      rows,
      ...(withState ? [state] : []),
      frequency,
      lastStep,
      ...counted,
      ...(writtenAt ? [writtenAt] : []),
    ],
  };
}
