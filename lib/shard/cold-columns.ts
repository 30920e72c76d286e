// Values of cold rows, taken apart into columns.
import { splitCounters } from "../api/counter-columns.js";
import type { ScanBatch } from "../api/row-batches.js";
import type { Arena } from "../table/arena.js";
import type { ArenaTable } from "../table/arena-table.js";
import type { ColdRows } from "./cold-rows.js";
import { valueHeaderBytes } from "./cold-values.js";

/** Columns of keys and their values, which lie one behind the other and have been checked. Counters are as of now. */
export function columnsOf(front: Arena, cold: ColdRows, keys: BigUint64Array, values: Uint8Array): ScanBatch {
  const { index, dim, stateFloats, counters, touchedOffset, definition } = cold.table;
  const n = keys.length;
  front.beginScratch(n * (cold.valueBytes + 4 * (dim + stateFloats + counters) + 16) + 8 * 64);
  const at = front.takeScratch(values.length);
  const rows = front.takeScratch(4 * n * dim);
  const states = front.takeScratch(4 * n * stateFloats);
  const frequencies = front.takeScratch(4 * n);
  const steps = front.takeScratch(4 * n);
  front.bytes.set(values, at);
  const records = at + valueHeaderBytes;
  front.kernel.readRecords(
    index,
    records,
    n,
    cold.valueBytes,
    rows,
    stateFloats > 0 ? states : 0,
    frequencies,
    steps,
  );
  const extras = readExtras(front, cold.table, records, n, cold.valueBytes);
  return {
    keys: keys.slice(),
    rows: front.f32.slice(rows / 4, rows / 4 + n * dim),
    state: front.f32.slice(states / 4, states / 4 + n * stateFloats),
    frequency: front.u32.slice(frequencies / 4, frequencies / 4 + n),
    lastStep: front.u32.slice(steps / 4, steps / 4 + n),
    ...(counters > 0 && {
      counters: splitCounters(
        definition.counters!.names,
        front.f32.subarray(extras.counters / 4, extras.counters / 4 + n * counters),
      ),
    }),
    ...(touchedOffset > 0 && {
      writtenAt: Float64Array.from(
        front.u32.subarray(extras.times / 4, extras.times / 4 + n),
        (tenths) => definition.made! + 100 * tenths,
      ),
    }),
  };
}

/**
 * Reads counters as of now, f32[n * counters], and times, u32[n], of records that lie `stride` bytes apart in scratch. Gives
 * where they are, 0 for what the table does not have. Takes 4 * (counters + 2) bytes of scratch a row, and lines.
 */
export function readExtras(
  front: Arena,
  { index, counters, touchedOffset }: ArenaTable,
  records: number,
  n: number,
  stride: number,
): { counters: number; times: number } {
  const counted = counters > 0 ? front.takeScratch(4 * n * counters) : 0;
  const times = touchedOffset > 0 ? front.takeScratch(4 * n) : 0;
  if (counted === 0 && times === 0) return { counters: 0, times: 0 };
  // A record's address in scratch is as good as that of a row.
  const positions = front.takeScratch(4 * n);
  for (let i = 0; i < n; i++) front.u32[positions / 4 + i] = (records + i * stride) / 8;
  front.kernel.readExtras(index, positions, n, counted, times);
  return { counters: counted, times };
}
