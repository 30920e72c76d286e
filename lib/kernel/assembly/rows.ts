// Writing rows: creating, updating and removing records, in blocks.
import { countExtras, touch, touchRows } from "./extras";
import { entryFor, fillEntry, insert, recordAt, remove, tagOf } from "./index";
import { R_WEIGHTS, T_COUNTER_COUNT, T_DIM, T_RECORD, T_STATE } from "./layout";
import { BLOCK, lookUp, RECORDS, TAGS } from "./look-up";
import { allocate, stamp, tableAt, vacate } from "./places";
import { addOccurrences, beginRecord, CREATED, setHistory, writeValues } from "./record";
import { updateRows } from "./storage/staged";

/** Makes the record of a key that has been looked up and has none, and marks that in its count. */
function makeRow(t: usize, table: u32, keys: usize, i: i32, counts: usize, given: u32 = 0): usize {
  const key = load<u64>(keys + ((<usize>i) << 3));
  const tag = load<u64>(TAGS + ((<usize>i) << 3));
  const entry = entryFor(t, table, key, tag);
  // The same key may have come earlier in this block (assign and create allow it).
  let record = recordAt(entry);
  if (record != 0) return record;
  record = allocate(t, table);
  beginRecord(t, key, record, given);
  fillEntry(entry, tag, record);
  const count = counts + ((<usize>i) << 2);
  store<u32>(count, load<u32>(count) | CREATED);
  return record;
}

/**
 * Applies a block's summed gradients to the rows of keys that have been looked up, making those that are missing.
 * `positions` and `counts` as in pushRows; `counters` are those of the block, or anything where the table has none.
 */
export function pushBlock(
  t: usize,
  table: u32,
  keys: usize,
  counts: usize,
  gradients: usize,
  n: i32,
  positions: usize,
  counters: usize,
  learningRate: f32,
  step: u32,
  lsn: u64,
): void {
  for (let i = 0; i < n; i++) {
    let record = <usize>load<u32>(RECORDS + ((<usize>i) << 2));
    if (record == 0) record = makeRow(t, table, keys, i, counts);
    store<u32>(positions + ((<usize>i) << 2), <u32>(record >> 3));
    stamp(record, lsn);
    addOccurrences(record, load<u32>(counts + ((<usize>i) << 2)), step);
  }
  touchRows(t, positions, n);
  countExtras(t, positions, counts, n, counters);
  updateRows(t, positions, gradients, n, learningRate, step);
}

/**
 * Applies summed gradients f32[n * dim] of distinct keys u64[n], creating rows that do not exist. `counts` u32[n] are
 * occurrences in, occurrences with CREATED out; `positions` u32[n] out; `counters` f32[n * counters], or 0. Cannot fail after commitPages(pagesFor(table, n)).
 */
export function pushRows(
  table: u32,
  keys: usize,
  counts: usize,
  gradients: usize,
  n: i32,
  positions: usize,
  counters: usize,
  learningRate: f32,
  step: u32,
  lsn: u64,
): void {
  const t = tableAt(table);
  const counterBytes = counters == 0 ? 0 : (<usize>load<u32>(t, T_COUNTER_COUNT)) << 2;
  const bytes = (<usize>load<u32>(t, T_DIM)) << 2;
  const span = <usize>load<u32>(t, T_RECORD);
  for (let from = 0; from < n; from += BLOCK) {
    const block = min(BLOCK, n - from);
    const four = (<usize>from) << 2;
    lookUp(t, keys + ((<usize>from) << 3), block, span);
    pushBlock(
      t,
      table,
      keys + ((<usize>from) << 3),
      counts + four,
      gradients + <usize>from * bytes,
      block,
      positions + four,
      counters + <usize>from * counterBytes,
      learningRate,
      step,
      lsn,
    );
  }
}

/** Creates the rows of keys that have none, and notes a write to all; `counts` and `positions` as in pushRows, with counts 0 in. */
export function createRows(table: u32, keys: usize, counts: usize, n: i32, positions: usize, lsn: u64): void {
  const t = tableAt(table);
  for (let from = 0; from < n; from += BLOCK) {
    const block = min(BLOCK, n - from);
    const four = (<usize>from) << 2;
    const blockKeys = keys + ((<usize>from) << 3);
    lookUp(t, blockKeys, block, R_WEIGHTS);
    for (let i = 0; i < block; i++) {
      let record = <usize>load<u32>(RECORDS + ((<usize>i) << 2));
      if (record == 0) record = makeRow(t, table, blockKeys, i, counts + four);
      store<u32>(positions + four + ((<usize>i) << 2), <u32>(record >> 3));
      stamp(record, lsn);
      touch(t, record);
    }
  }
}

/**
 * Writes weights f32[n * dim] and, where `states` is not 0, state f32[n * stateFloats], creating and touching rows as createRows does.
 * A key that comes twice ends with its last value.
 */
export function assignRows(
  table: u32,
  keys: usize,
  counts: usize,
  n: i32,
  positions: usize,
  weights: usize,
  states: usize,
  lsn: u64,
): void {
  const t = tableAt(table);
  const bytes = (<usize>load<u32>(t, T_DIM)) << 2;
  const stateBytes = (<usize>load<u32>(t, T_STATE)) << 2;
  const given: u32 = states != 0 ? 3 : 1;
  for (let from = 0; from < n; from += BLOCK) {
    const block = min(BLOCK, n - from);
    const four = (<usize>from) << 2;
    const blockKeys = keys + ((<usize>from) << 3);
    lookUp(t, blockKeys, block, R_WEIGHTS);
    // Row by row, so that those of a new table are written from end to end.
    for (let i = 0; i < block; i++) {
      let record = <usize>load<u32>(RECORDS + ((<usize>i) << 2));
      if (record == 0) record = makeRow(t, table, blockKeys, i, counts + four, given);
      store<u32>(positions + four + ((<usize>i) << 2), <u32>(record >> 3));
      stamp(record, lsn);
      touch(t, record);
      const at = <usize>(from + i);
      writeValues(t, record, weights + at * bytes, states != 0 ? states + at * stateBytes : 0);
    }
  }
}

/**
 * Sets frequencies, u32[n] at `counts` below their bit CREATED, and last steps u32[n] of rows that assignRows has made
 * sure of. A key that comes twice ends with its last values.
 */
export function writeHistory(positions: usize, n: i32, counts: usize, steps: usize): void {
  for (let i = 0; i < n; i++) {
    const four = (<usize>i) << 2;
    setHistory((<usize>load<u32>(positions + four)) << 3, load<u32>(counts + four), load<u32>(steps + four));
  }
}

/** Deletes rows. Writes where they were to `positions` and their keys to `removed`; returns how many existed. */
export function deleteRows(table: u32, keys: usize, n: i32, positions: usize, removed: usize, lsn: u64): i32 {
  const t = tableAt(table);
  let count = 0;
  for (let i = 0; i < n; i++) {
    const key = load<u64>(keys + ((<usize>i) << 3));
    const record = remove(t, key, tagOf(t, key));
    if (record == 0) continue;
    vacate(t, record, lsn, positions + ((<usize>count) << 2));
    store<u64>(removed + ((<usize>count) << 3), key);
    count++;
  }
  return count;
}

/**
 * Copies whole records of the keys that have rows to `into`, one behind the other, and deletes them; `positions` gets
 * where they were. Returns how many. The moving side of handing slots to another arena.
 */
export function extractRows(table: u32, keys: usize, n: i32, positions: usize, into: usize, lsn: u64): i32 {
  const t = tableAt(table);
  const bytes = <usize>load<u32>(t, T_RECORD);
  let count = 0;
  for (let i = 0; i < n; i++) {
    const key = load<u64>(keys + ((<usize>i) << 3));
    const record = remove(t, key, tagOf(t, key));
    if (record == 0) continue;
    memory.copy(into + <usize>count * bytes, record, bytes);
    vacate(t, record, lsn, positions + ((<usize>count) << 2));
    count++;
  }
  return count;
}

/** Takes in whole records from another arena, whose keys this one does not hold. `positions` gets where they now are. */
export function adoptRows(table: u32, records: usize, n: i32, positions: usize, lsn: u64): void {
  const t = tableAt(table);
  const bytes = <usize>load<u32>(t, T_RECORD);
  for (let i = 0; i < n; i++) {
    const from = records + <usize>i * bytes;
    const record = allocate(t, table);
    memory.copy(record, from, bytes);
    insert(t, table, tagOf(t, load<u64>(from)), record);
    stamp(record, lsn);
    store<u32>(positions + ((<usize>i) << 2), <u32>(record >> 3));
  }
}
