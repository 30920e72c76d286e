// Rows: finding, creating, reading and updating records, in blocks.
//
// A block's cache lines are touched (loaded into a sink) before they are used, first the index entries, then the
// records, so that their misses overlap; WebAssembly has no prefetch instruction.
import { countExtras, decayedCounter, touchRows } from "./extras";
import { copyFloats } from "./floats";
import { hashKey } from "./hash";
import {
  candidate,
  createIndex,
  directoryShift,
  find,
  homeUnder,
  insert,
  overflows,
  remove,
  tagOf,
  tagUnder,
} from "./index";
import {
  CLEAN,
  DIRTY,
  KIND_ROWS,
  LIVE,
  M_BUMP,
  M_FREE,
  M_KIND,
  M_LIVE,
  M_NEXT,
  M_TABLE,
  MAX_FREQUENCY,
  PAGE_BYTES,
  PAGE_LSNS,
  PAGE_SHIFT,
  R_FREQUENCY,
  R_STEP,
  R_WEIGHTS,
  T_COUNTER_COUNT,
  T_DIM,
  T_DIRECTORY,
  T_PAGES,
  T_PLACEMENT,
  T_RECORD,
  T_ROWS,
  T_ROWS_PER_PAGE,
  T_SEGMENTS,
  T_SLOT_KEYS,
  T_SPACE,
  T_STATE,
  T_STATE_BYTES,
  T_STATE_OFFSET,
  TABLE_BYTES,
  TABLES,
} from "./layout";
import { metaOf, takePage } from "./pages";
import { beginRecord } from "./record";
import { keptState, keptWeights, updateRows } from "./storage/staged";
import { isPlain, readState, readWeights, writeState, writeWeights } from "./storage/values";

/** Keys that are worked on at once. */
export const BLOCK: i32 = 256;
/** Of the keys of a block: their tags, and, from lookUp on, their records. */
export const TAGS = memory.data(256 * 8, 16);
export const RECORDS = memory.data(256 * 4, 16);
const HOMES = memory.data(256 * 4, 16);
const SINK = memory.data(8, 16);

/** Bit of an occurrence count that says that this request created the row. */
export const CREATED: u32 = 0x80000000;

export function tableAt(table: u32): usize {
  return TABLES + <usize>table * TABLE_BYTES;
}

/** A bound of the pages that creating `rows` rows takes, those that the index then needs included. */
export function pagesFor(table: u32, rows: u32): u32 {
  const t = tableAt(table);
  const perPage = load<u32>(t, T_ROWS_PER_PAGE);
  const unused = load<u32>(t, T_PAGES) * perPage - load<u32>(t, T_ROWS);
  const rowPages = rows > unused ? (rows - unused + perPage - 1) / perPage : 0;
  return rowPages + load<u32>(t, T_SEGMENTS) + (rows >> 12) + 16;
}

export function allocate(t: usize, table: u32): usize {
  let page = load<u32>(t, T_SPACE);
  if (page == 0) {
    page = takePage(KIND_ROWS, table);
    store<u32>(t, page, T_SPACE);
    store<u32>(t, load<u32>(t, T_PAGES) + 1, T_PAGES);
  }
  const meta = metaOf(page);
  const base = (<usize>page) << PAGE_SHIFT;
  const free = <u32>load<u16>(meta, M_FREE);
  let record: usize;
  if (free != 0) {
    record = base + <usize>((free - 1) * load<u32>(t, T_RECORD));
    store<u16>(meta, load<u16>(record), M_FREE);
  } else {
    const bump = <u32>load<u16>(meta, M_BUMP);
    record = base + <usize>(bump * load<u32>(t, T_RECORD));
    store<u16>(meta, <u16>(bump + 1), M_BUMP);
  }
  store<u32>(meta, load<u32>(meta, M_LIVE) + 1, M_LIVE);
  store<u32>(t, load<u32>(t, T_ROWS) + 1, T_ROWS);
  if (!hasSpace(t, meta)) store<u32>(t, load<u32>(meta, M_NEXT), T_SPACE);
  return record;
}

function hasSpace(t: usize, meta: usize): bool {
  return load<u16>(meta, M_FREE) != 0 || <u32>load<u16>(meta, M_BUMP) < load<u32>(t, T_ROWS_PER_PAGE);
}

/** Gives a record's place back to its page. Its key is out of the index. */
export function release(t: usize, record: usize): void {
  const page = <u32>(record >> PAGE_SHIFT);
  const meta = metaOf(page);
  const place = <u32>(record & (PAGE_BYTES - 1)) / load<u32>(t, T_RECORD);
  const listed = hasSpace(t, meta);
  store<u16>(record, load<u16>(meta, M_FREE));
  store<u32>(record, 0, R_FREQUENCY);
  store<u16>(meta, <u16>(place + 1), M_FREE);
  store<u32>(meta, load<u32>(meta, M_LIVE) - 1, M_LIVE);
  store<u32>(t, load<u32>(t, T_ROWS) - 1, T_ROWS);
  if (!listed) {
    store<u32>(meta, load<u32>(t, T_SPACE), M_NEXT);
    store<u32>(t, page, T_SPACE);
  }
}

/** Marks a record's page as changed by the log record `lsn`. */
export function stamp(record: usize, lsn: u64): void {
  store<u64>(PAGE_LSNS + ((record >> PAGE_SHIFT) << 3), lsn | DIRTY);
}

/** Writes the records of a block's keys, 0 where there is none, to RECORDS, and touches `span` bytes of each. */
export function lookUp(t: usize, keys: usize, n: i32, span: usize): void {
  const placement = load<u64>(t, T_PLACEMENT);
  const directory = <usize>load<u32>(t, T_DIRECTORY);
  const shift = directoryShift(t);
  const spilled = overflows(t);
  let sink: u64 = 0;
  let other: u64 = 0;
  for (let i = 0; i < n; i++) {
    const tag = tagUnder(placement, load<u64>(keys + ((<usize>i) << 3)));
    const home = homeUnder(directory, shift, tag);
    store<u64>(TAGS + ((<usize>i) << 3), tag);
    store<u32>(HOMES + ((<usize>i) << 2), <u32>home);
    sink ^= load<u64>(home);
  }
  for (let i = 0; i < n; i++) {
    const record = candidate(
      <usize>load<u32>(HOMES + ((<usize>i) << 2)),
      load<u64>(TAGS + ((<usize>i) << 3)),
    );
    store<u32>(RECORDS + ((<usize>i) << 2), <u32>record);
  }
  for (let i = 0; i < n; i++) {
    const record = <usize>load<u32>(RECORDS + ((<usize>i) << 2));
    const last = record + span - 4;
    let line = record;
    for (; line + 256 <= last; line += 256) {
      sink ^= load<u64>(line) ^ load<u64>(line, 64);
      other ^= load<u64>(line, 128) ^ load<u64>(line, 192);
    }
    for (; line + 64 <= last; line += 64) sink ^= load<u64>(line);
    other ^= <u64>load<u32>(last);
  }
  store<u64>(SINK, sink ^ other);
  for (let i = 0; i < n; i++) {
    const record = <usize>load<u32>(RECORDS + ((<usize>i) << 2));
    const key = load<u64>(keys + ((<usize>i) << 3));
    if (record != 0 ? load<u64>(record) != key : spilled) {
      store<u32>(RECORDS + ((<usize>i) << 2), <u32>find(t, key, load<u64>(TAGS + ((<usize>i) << 3))));
    }
  }
}

/**
 * Reads weights into f32[n * dim] at `into` and, where `states` is not 0, state into f32[n * stateFloats] there; `found`
 * (u8[n], or 0) gets 1 where the row exists. A row that does not exist reads as its initial value, or as
 * `fallback` in every element when `useFallback` is set.
 */
export function pullRows(
  table: u32,
  keys: usize,
  n: i32,
  into: usize,
  states: usize,
  found: usize,
  useFallback: i32,
  fallback: f32,
): void {
  const t = tableAt(table);
  const weights = (<usize>load<u32>(t, T_DIM)) << 2;
  const state = (<usize>load<u32>(t, T_STATE)) << 2;
  const plain = isPlain(t);
  const span = <usize>load<u32>(t, T_STATE_OFFSET) + (states != 0 ? <usize>load<u32>(t, T_STATE_BYTES) : 0);
  for (let from = 0; from < n; from += BLOCK) {
    const block = min(BLOCK, n - from);
    lookUp(t, keys + ((<usize>from) << 3), block, span);
    for (let i = 0; i < block; i++) {
      const record = <usize>load<u32>(RECORDS + ((<usize>i) << 2));
      if (record != 0) {
        if (plain) copyFloats(record + R_WEIGHTS, into, weights);
        else readWeights(t, record, into);
        if (states != 0) readState(t, record, states);
      } else {
        if (useFallback) fillFloats(into, weights, fallback);
        else keptWeights(t, load<u64>(keys + ((<usize>(from + i)) << 3)), into);
        if (states != 0) keptState(t, states);
      }
      into += weights;
      if (states != 0) states += state;
      if (found != 0) store<u8>(found + <usize>(from + i), record != 0 ? 1 : 0);
    }
  }
}

/** Writes counters as of now, f32[n * counters], of the keys that have rows; where there is none `into` stays as it is. */
export function pullCounters(table: u32, keys: usize, n: i32, into: usize): void {
  const t = tableAt(table);
  const count = load<u32>(t, T_COUNTER_COUNT);
  for (let from = 0; from < n; from += BLOCK) {
    const block = min(BLOCK, n - from);
    lookUp(t, keys + ((<usize>from) << 3), block, R_WEIGHTS);
    for (let i = 0; i < block; i++) {
      const record = <usize>load<u32>(RECORDS + ((<usize>i) << 2));
      if (record == 0) continue;
      for (let c: u32 = 0; c < count; c++)
        store<f32>(into + ((<usize>(from + i) * count + c) << 2), decayedCounter(t, record, c));
    }
  }
}

function fillFloats(into: usize, bytes: usize, value: f32): void {
  for (const end = into + bytes; into < end; into += 4) store<f32>(into, value);
}

/** Writes 1 (u8[n]) for each key that has a row. Returns how many have. */
export function containsRows(table: u32, keys: usize, n: i32, found: usize): i32 {
  const t = tableAt(table);
  let count = 0;
  for (let from = 0; from < n; from += BLOCK) {
    const block = min(BLOCK, n - from);
    lookUp(t, keys + ((<usize>from) << 3), block, R_WEIGHTS);
    for (let i = 0; i < block; i++) {
      const is = load<u32>(RECORDS + ((<usize>i) << 2)) != 0 ? 1 : 0;
      store<u8>(found + <usize>(from + i), <u8>is);
      count += is;
    }
  }
  return count;
}

/** Turns RECORDS into addresses >>> 3 at `positions`, creating what is missing and marking it in `counts`. */
export function reserveBlock(
  t: usize,
  table: u32,
  keys: usize,
  n: i32,
  positions: usize,
  counts: usize,
  lsn: u64,
  given: u32 = 0,
): void {
  for (let i = 0; i < n; i++) {
    let record = <usize>load<u32>(RECORDS + ((<usize>i) << 2));
    if (record == 0) {
      const key = load<u64>(keys + ((<usize>i) << 3));
      const tag = load<u64>(TAGS + ((<usize>i) << 3));
      // The same key may have come earlier in this block (assign and create allow it).
      record = find(t, key, tag);
      if (record == 0) {
        record = allocate(t, table);
        beginRecord(t, key, record, given);
        insert(t, table, tag, record);
        const count = counts + ((<usize>i) << 2);
        store<u32>(count, load<u32>(count) | CREATED);
      }
    }
    store<u32>(positions + ((<usize>i) << 2), <u32>(record >> 3));
    stamp(record, lsn);
  }
}

export function countRows(positions: usize, counts: usize, n: i32, step: u32): void {
  for (let i = 0; i < n; i++) {
    const record = (<usize>load<u32>(positions + ((<usize>i) << 2))) << 3;
    const frequency = load<u32>(record, R_FREQUENCY) & MAX_FREQUENCY;
    const count = load<u32>(counts + ((<usize>i) << 2)) & MAX_FREQUENCY;
    store<u32>(record, LIVE | min(frequency + count, MAX_FREQUENCY), R_FREQUENCY);
    store<u32>(record, step, R_STEP);
  }
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
    reserveBlock(t, table, keys + ((<usize>from) << 3), block, positions + four, counts + four, lsn);
    countRows(positions + four, counts + four, block, step);
    touchRows(t, positions + four, block);
    countExtras(t, positions + four, counts + four, block, counters + <usize>from * counterBytes);
    updateRows(t, positions + four, gradients + <usize>from * bytes, block, learningRate, step);
  }
}

/** Creates the rows of keys that have none, and notes a write to all; `counts` and `positions` as in pushRows, with counts 0 in. */
export function createRows(table: u32, keys: usize, counts: usize, n: i32, positions: usize, lsn: u64): void {
  const t = tableAt(table);
  for (let from = 0; from < n; from += BLOCK) {
    const block = min(BLOCK, n - from);
    const four = (<usize>from) << 2;
    lookUp(t, keys + ((<usize>from) << 3), block, R_WEIGHTS);
    reserveBlock(t, table, keys + ((<usize>from) << 3), block, positions + four, counts + four, lsn);
    touchRows(t, positions + four, block);
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
    lookUp(t, keys + ((<usize>from) << 3), block, R_WEIGHTS);
    reserveBlock(t, table, keys + ((<usize>from) << 3), block, positions + four, counts + four, lsn, given);
    touchRows(t, positions + four, block);
    const at = <usize>from;
    writeRows(
      table,
      positions + four,
      block,
      weights + at * bytes,
      states != 0 ? states + at * stateBytes : 0,
    );
  }
}

/**
 * Writes weights f32[n * dim] and, where `states` is not 0, state to the records at `positions`. One that comes twice
 * ends with its last value.
 */
export function writeRows(table: u32, positions: usize, n: i32, weights: usize, states: usize): void {
  const t = tableAt(table);
  const bytes = (<usize>load<u32>(t, T_DIM)) << 2;
  const stateBytes = (<usize>load<u32>(t, T_STATE)) << 2;
  for (let i = 0; i < n; i++) {
    const record = (<usize>load<u32>(positions + ((<usize>i) << 2))) << 3;
    store<u32>(record, load<u32>(record, R_FREQUENCY) & ~CLEAN, R_FREQUENCY);
    writeWeights(t, record, weights + <usize>i * bytes);
    if (states != 0) writeState(t, record, states + <usize>i * stateBytes);
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

/** A frequency beyond the largest that is kept is that one. */
export function setHistory(record: usize, count: u32, step: u32): void {
  store<u32>(record, LIVE | min(count & ~CREATED, MAX_FREQUENCY), R_FREQUENCY);
  store<u32>(record, step, R_STEP);
}

/** Deletes rows. Writes where they were to `positions` and their keys to `removed`; returns how many existed. */
export function deleteRows(table: u32, keys: usize, n: i32, positions: usize, removed: usize, lsn: u64): i32 {
  const t = tableAt(table);
  let count = 0;
  for (let i = 0; i < n; i++) {
    const key = load<u64>(keys + ((<usize>i) << 3));
    const record = remove(t, key, tagOf(t, key));
    if (record == 0) continue;
    release(t, record);
    stamp(record, lsn);
    store<u32>(positions + ((<usize>count) << 2), <u32>(record >> 3));
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
    release(t, record);
    stamp(record, lsn);
    store<u32>(positions + ((<usize>count) << 2), <u32>(record >> 3));
    count++;
  }
  return count;
}

/** Writes the keys of whole records that lie one behind the other. */
export function keysOfRecords(records: usize, n: i32, bytes: u32, keys: usize): void {
  for (let i = 0; i < n; i++)
    store<u64>(keys + ((<usize>i) << 3), load<u64>(records + <usize>i * <usize>bytes));
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

/** The keys of a page whose slot's byte in `slots` (u8[16384]) is 1, written to `keys`. Returns how many. */
export function keysOfPage(page: u32, slots: usize, placement: u64, keys: usize): i32 {
  const meta = metaOf(page);
  const t = tableAt(load<u16>(meta, M_TABLE));
  const bytes = <usize>load<u32>(t, T_RECORD);
  const slotKeys = load<u32>(t, T_SLOT_KEYS) != 0;
  let record = (<usize>page) << PAGE_SHIFT;
  let count = 0;
  for (let place = <u32>load<u16>(meta, M_BUMP); place > 0; place--, record += bytes) {
    if ((load<u32>(record, R_FREQUENCY) & LIVE) == 0) continue;
    const key = load<u64>(record);
    const slot = slotKeys ? key : hashKey(key, placement) >> 50;
    if (load<u8>(slots + <usize>slot) == 0) continue;
    store<u64>(keys + ((<usize>count) << 3), key);
    count++;
  }
  return count;
}

/**
 * Reads the rows of a page from place `from` on into columns (each may be 0 except keys): at most `limit` rows. Returns
 * rows written in the low 32 bits and the place to go on from in the high ones (0 = the page is done).
 */
export function scanPage(
  page: u32,
  from: u32,
  limit: u32,
  keys: usize,
  weights: usize,
  states: usize,
  frequencies: usize,
  steps: usize,
): u64 {
  const meta = metaOf(page);
  const t = tableAt(load<u16>(meta, M_TABLE));
  const bytes = <usize>load<u32>(t, T_RECORD);
  const weightBytes = (<usize>load<u32>(t, T_DIM)) << 2;
  const stateBytes = (<usize>load<u32>(t, T_STATE)) << 2;
  const end = <u32>load<u16>(meta, M_BUMP);
  let record = ((<usize>page) << PAGE_SHIFT) + <usize>from * bytes;
  let count: u32 = 0;
  for (; from < end && count < limit; from++, record += bytes) {
    const frequency = load<u32>(record, R_FREQUENCY);
    if ((frequency & LIVE) == 0) continue;
    store<u64>(keys + ((<usize>count) << 3), load<u64>(record));
    if (weights != 0) readWeights(t, record, weights + <usize>count * weightBytes);
    if (states != 0) readState(t, record, states + <usize>count * stateBytes);
    if (frequencies != 0) store<u32>(frequencies + ((<usize>count) << 2), frequency & MAX_FREQUENCY);
    if (steps != 0) store<u32>(steps + ((<usize>count) << 2), load<u32>(record, R_STEP));
    count++;
  }
  return <u64>count | ((<u64>(from < end ? from : 0)) << 32);
}

/**
 * Reads `n` whole records that lie `stride` bytes apart from `records` on into columns, as scanPage does; each column may
 * be 0.
 */
export function readRecords(
  table: u32,
  records: usize,
  n: i32,
  stride: u32,
  weights: usize,
  states: usize,
  frequencies: usize,
  steps: usize,
): void {
  const t = tableAt(table);
  const weightBytes = (<usize>load<u32>(t, T_DIM)) << 2;
  const stateBytes = (<usize>load<u32>(t, T_STATE)) << 2;
  for (let i = 0; i < n; i++) {
    const record = records + <usize>i * <usize>stride;
    if (weights != 0) readWeights(t, record, weights + <usize>i * weightBytes);
    if (states != 0) readState(t, record, states + <usize>i * stateBytes);
    if (frequencies != 0)
      store<u32>(frequencies + ((<usize>i) << 2), load<u32>(record, R_FREQUENCY) & MAX_FREQUENCY);
    if (steps != 0) store<u32>(steps + ((<usize>i) << 2), load<u32>(record, R_STEP));
  }
}

/** The first page of `table`'s rows at or after `page`, 0 when there is none. */
export function nextPageOf(table: u32, page: u32, end: u32): u32 {
  for (; page < end; page++) {
    const meta = metaOf(page);
    if (load<u16>(meta, M_KIND) == KIND_ROWS && load<u16>(meta, M_TABLE) == <u16>table) return page;
  }
  return 0;
}

/** Prepares an empty table, whose descriptor has been written, for `rows` rows. */
export function openTable(table: u32, rows: u32): void {
  createIndex(tableAt(table), table, rows);
}
