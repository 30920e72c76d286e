// Scanning cold rows: those of the page store as of the scan's beginning, then those that moved past the scan.

import type { ScanBatch } from "../api/row-batches.js";
import type { ArenaSet } from "./arena-set.js";
import { columnsOf } from "./cold-columns.js";
import { lookUpCold } from "./cold-lookup.js";
import { restored } from "./cold-restoring.js";
import type { ColdRows } from "./cold-rows.js";
import { checkColdValues, coldKeysOf, damaged, decodeColdKey, valueHeaderBytes } from "./cold-values.js";
import { containsRows } from "./reading.js";
import type { ScanPlace } from "./scan-place.js";
import { type ScanSource, withoutKeys } from "./scanning.js";

/**
 * Reads the cold rows in the order of their keys. The page store gives what it had at the first call: a row that has moved
 * since, or was deleted, is not taken from there.
 */
export async function* scanCold(
  { state, demandThere }: ScanSource,
  cold: ColdRows,
  at: ScanPlace,
  batchRows: number,
): AsyncGenerator<ScanBatch> {
  if (state.keeping.restore) await restored(state);
  const gone = new Set<bigint>();
  cold.watches.add(gone);
  try {
    for await (const entries of state.pages.entries(coldKeysOf(cold.table.definition.number))) {
      for (let from = 0; from < entries.length; from += batchRows) {
        demandThere();
        const some = entries.slice(from, from + batchRows);
        const keys = BigUint64Array.from(some, ({ key }) => decodeColdKey(key)!.key);
        const values = joinValues(cold, keys, some);
        const left = remainsAmong(cold, state.arenas, keys);
        for (const key of keys) if (gone.has(key) || at.stirred.has(key)) left.add(key);
        checkColdValues(state.arenas.front, cold, keys, values);
        const batch = withoutKeys(columnsOf(state.arenas.front, cold, keys, values), left, cold.table);
        at.coldKey = keys[keys.length - 1];
        if (batch.keys.length > 0) yield batch;
      }
    }
  } finally {
    cold.watches.delete(gone);
  }
}

/** Reads the rows that moved past the scan, wherever each is now. */
export async function* scanOwed(
  { state, demandThere }: ScanSource,
  cold: ColdRows,
  at: ScanPlace,
  batchRows: number,
): AsyncGenerator<ScanBatch> {
  const { arenas } = state;
  at.end();
  while (at.owed.size > 0) {
    demandThere();
    const keys = BigUint64Array.from([...at.owed].slice(0, batchRows)).sort();
    for (const key of keys) at.owed.delete(key);
    const resident = copyResident(arenas, cold, keys);
    const inArenas = new Set(resident.keys);
    const others = keys.filter((key) => !inArenas.has(key));
    const found = await lookUpCold(state, cold, others);
    const there = others.filter((_, i) => found.slots[i] >= 0);
    demandThere();
    const residentBatch = columnsOf(arenas.front, cold, resident.keys, resident.values);
    if (residentBatch.keys.length > 0) yield residentBatch;
    if (there.length === 0) continue;
    const values = new Uint8Array(there.length * cold.valueBytes);
    for (let i = 0, j = 0; i < others.length; i++) {
      if (found.slots[i] < 0) continue;
      const begin = found.slots[i] * cold.valueBytes;
      values.set(found.bytes.subarray(begin, begin + cold.valueBytes), j++ * cold.valueBytes);
    }
    yield columnsOf(arenas.front, cold, there, values);
  }
}

/** The values of entries one behind the other. @throws CORRUPT where one has another length */
export function joinValues(
  cold: ColdRows,
  keys: BigUint64Array,
  entries: readonly { readonly value: Uint8Array }[],
): Uint8Array {
  const values = new Uint8Array(keys.length * cold.valueBytes);
  for (const [i, { value }] of entries.entries()) {
    if (value.length !== cold.valueBytes) throw damaged(cold, keys[i]);
    values.set(value, i * cold.valueBytes);
  }
  return values;
}

/** Keys whose values count for nothing: those of rows that are resident, or deleted. */
export function remainsAmong(cold: ColdRows, arenas: ArenaSet, keys: BigUint64Array): Set<bigint> {
  const resident = new Uint8Array(keys.length);
  containsRows(arenas, cold.table, keys, resident);
  return new Set(keys.filter((key, i) => resident[i] === 1 || cold.deleted.has(key)));
}

/** Rows of keys that are in an arena, as values. */
function copyResident(
  arenas: ArenaSet,
  cold: ColdRows,
  keys: BigUint64Array,
): { keys: BigUint64Array; values: Uint8Array } {
  const { index, recordBytes } = cold.table;
  const n = keys.length;
  const found: bigint[] = [];
  const records: Uint8Array[] = [];
  for (const arena of arenas.all) {
    arena.beginScratch(n * (9 + recordBytes) + 4 * 64);
    const at = arena.takeScratch(8 * n);
    const into = arena.takeScratch(n * recordBytes);
    const flags = arena.takeScratch(n);
    arena.u64.set(keys, at / 8);
    arena.kernel.copyRecords(index, at, n, into, flags);
    for (let i = 0; i < n; i++) {
      if (arena.bytes[flags + i] === 0) continue;
      found.push(keys[i]);
      records.push(arena.bytes.slice(into + i * recordBytes, into + (i + 1) * recordBytes));
    }
  }
  const values = new Uint8Array(found.length * cold.valueBytes);
  for (const [i, record] of records.entries()) values.set(record, i * cold.valueBytes + valueHeaderBytes);
  return { keys: BigUint64Array.from(found), values };
}
