// Reading rows that may be cold. What is resident is read at once, as of the call; cold rows are read as of the call,
// too: the page store answers so, and changes a row's value only while the row is resident.
import { arrayLost } from "../api/arguments.js";
import { MAX_FREQUENCY, R_FREQUENCY } from "../kernel/layout.js";
import type { Arena } from "../table/arena.js";
import { readExtras } from "./cold-columns.js";
import { lookUpCold, type MissingKeys, missingKeys } from "./cold-lookup.js";
import type { ColdRows } from "./cold-rows.js";
import { type ColdValues, valueHeaderBytes } from "./cold-values.js";
import { containsRows, pullRows, type RowRead } from "./reading.js";
import type { ShardState } from "./shard-state.js";

/** Bytes of values that are taken apart at once in scratch. */
const pieceBytes = 2 << 20;

/** Reads rows, resident and cold. Returns a promise when the page store is asked. @throws CORRUPT, IO, INVALID_ARGUMENT */
export function pullColdRows(state: ShardState, cold: ColdRows, read: RowRead): Promise<void> | undefined {
  const { keys } = read;
  const found = read.found ?? new Uint8Array(keys.length);
  pullRows(state.arenas, { ...read, found });
  if (cold.rows === 0 || found.indexOf(0) < 0) {
    cold.hits += keys.length;
    return undefined;
  }
  const missing = missingKeys(state.arenas.front, keys, found);
  cold.hits += keys.length - missing.places.length;
  const values = lookUpCold(state, cold, missing.keys);
  // That of now: a rollback gives the shard others.
  const { front } = state.arenas;
  const deliver = (given: ColdValues) => {
    demandThere(read);
    deliverRows(front, cold, { ...read, found }, missing, given);
  };
  if (values instanceof Promise) return values.then(deliver);
  deliver(values);
  return undefined;
}

/** Writes 1 to u8[n] where the key has a row, resident or cold. Returns a promise when the page store is asked. */
export function containsColdRows(
  state: ShardState,
  cold: ColdRows,
  keys: BigUint64Array,
  found: Uint8Array,
): Promise<void> | undefined {
  containsRows(state.arenas, cold.table, keys, found);
  if (cold.rows === 0 || found.indexOf(0) < 0) return undefined;
  const missing = missingKeys(state.arenas.front, keys, found);
  const values = lookUpCold(state, cold, missing.keys);
  const deliver = ({ slots }: ColdValues) => {
    missing.places.forEach((place, j) => {
      if (slots[missing.ranks[j]] >= 0) found[place] = 1;
    });
  };
  if (values instanceof Promise) return values.then(deliver);
  deliver(values);
  return undefined;
}

/** Writes how often each key that has a cold row was pushed to u32[n]. Returns a promise when the page store is asked. */
export function coldOccurrences(
  state: ShardState,
  cold: ColdRows,
  keys: BigUint64Array,
  into: Uint32Array,
): Promise<void> | undefined {
  if (cold.rows === 0) return undefined;
  const found = new Uint8Array(keys.length);
  containsRows(state.arenas, cold.table, keys, found);
  const missing = missingKeys(state.arenas.front, keys, found);
  const values = lookUpCold(state, cold, missing.keys);
  const deliver = ({ slots, bytes }: ColdValues) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let j = 0; j < missing.places.length; j++) {
      const slot = slots[missing.ranks[j]];
      if (slot < 0) continue;
      const at = slot * cold.valueBytes + valueHeaderBytes + R_FREQUENCY;
      into[missing.places[j]] = view.getUint32(at, true) & MAX_FREQUENCY;
    }
  };
  if (values instanceof Promise) return values.then(deliver);
  deliver(values);
  return undefined;
}

function demandThere({ table, keys, into, state, found, counters }: RowRead): void {
  const { length } = keys;
  const whole =
    into.length === length * table.dim &&
    (state === undefined || state.length === length * table.stateFloats) &&
    (found === undefined || found.length === length) &&
    (counters === undefined || counters.length === length * table.counters);
  if (!whole) throw arrayLost("the pull that borrows it waited for cold rows");
}

function deliverRows(
  front: Arena,
  cold: ColdRows,
  read: RowRead,
  { places, ranks }: MissingKeys,
  { slots, count, bytes }: ColdValues,
): void {
  if (count === 0) return;
  const { table, valueBytes } = cold;
  const { index, dim, stateFloats, counters, layout } = table;
  // Where a value's record has the scale of a row of int8.
  const scaleAt = valueHeaderBytes + layout.stateOffset - 4;
  const given = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const piece = Math.max(1, Math.floor(pieceBytes / valueBytes));
  for (let from = 0; from < count; from += piece) {
    const n = Math.min(piece, count - from);
    front.beginScratch(n * (valueBytes + 4 * (dim + stateFloats + counters + 3)) + 8 * 64);
    const values = front.takeScratch(n * valueBytes);
    const rows = front.takeScratch(4 * n * dim);
    const states = read.state && stateFloats > 0 ? front.takeScratch(4 * n * stateFloats) : 0;
    const frequencies = front.takeScratch(4 * n);
    front.bytes.set(bytes.subarray(from * valueBytes, (from + n) * valueBytes), values);
    const records = values + valueHeaderBytes;
    front.kernel.readRecords(index, records, n, valueBytes, rows, states, frequencies, 0);
    const counted = read.counters ? readExtras(front, table, records, n, valueBytes).counters : 0;
    const { f32 } = front;
    for (let j = 0; j < places.length; j++) {
      const slot = slots[ranks[j]] - from;
      if (slot < 0 || slot >= n) continue;
      const place = places[j];
      read.into.set(f32.subarray(rows / 4 + slot * dim, rows / 4 + (slot + 1) * dim), place * dim);
      if (states) copyFloats(f32, states / 4 + slot * stateFloats, read.state!, place, stateFloats);
      if (counted) copyFloats(f32, counted / 4 + slot * counters, read.counters!, place, counters);
      if (read.scales) read.scales[place] = given.getFloat32((from + slot) * valueBytes + scaleAt, true);
      read.found![place] = 1;
      cold.misses++;
    }
    noteHot(cold, front.u32.subarray(frequencies / 4, frequencies / 4 + n), front.u64, records);
  }
}

function copyFloats(from: Float32Array, at: number, into: Float32Array, place: number, width: number): void {
  into.set(from.subarray(at, at + width), place * width);
}

/** How much more often than a row that was demoted one must have been pushed to be promoted by a pull: hysteresis. */
const promoteFactor = 2;
const mostWanted = 4096;

/** Notes the keys of rows that are well above those that were demoted. */
function noteHot(cold: ColdRows, frequencies: Uint32Array, words: BigUint64Array, records: number): void {
  if (cold.threshold === undefined) return;
  const least = promoteFactor * (cold.threshold + 1);
  for (let i = 0; i < frequencies.length; i++)
    if (frequencies[i] >= least && cold.wanted.size < mostWanted)
      cold.wanted.add(words[(records + i * cold.valueBytes) / 8]);
}
