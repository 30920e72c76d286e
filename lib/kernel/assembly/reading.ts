// Reading rows: by their keys, by the page, and out of whole records. Nothing changes.
import { decayedCounter } from "./extras";
import { copyFloats, fillFloats } from "./floats";
import { hashKey } from "./hash";
import {
  KIND_ROWS,
  LIVE,
  M_BUMP,
  M_KIND,
  M_TABLE,
  MAX_FREQUENCY,
  PAGE_SHIFT,
  R_FREQUENCY,
  R_STEP,
  R_WEIGHTS,
  T_COUNTER_COUNT,
  T_DIM,
  T_RECORD,
  T_SLOT_KEYS,
  T_STATE,
  T_STATE_BYTES,
  T_STATE_OFFSET,
} from "./layout";
import { BLOCK, lookUp, RECORDS } from "./look-up";
import { metaOf } from "./pages";
import { tableAt } from "./places";
import { keptState, keptWeights } from "./storage/staged";
import { isPlain, readState, readWeights } from "./storage/values";

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
    lookUp(t, keys + ((<usize>from) << 3), block, 8);
    for (let i = 0; i < block; i++) {
      const record = <usize>load<u32>(RECORDS + ((<usize>i) << 2));
      if (record == 0) continue;
      for (let c: u32 = 0; c < count; c++)
        store<f32>(into + ((<usize>(from + i) * count + c) << 2), decayedCounter(t, record, c));
    }
  }
}

/** Writes 1 (u8[n]) for each key that has a row. Returns how many have. */
export function containsRows(table: u32, keys: usize, n: i32, found: usize): i32 {
  const t = tableAt(table);
  let count = 0;
  for (let from = 0; from < n; from += BLOCK) {
    const block = min(BLOCK, n - from);
    lookUp(t, keys + ((<usize>from) << 3), block, 8);
    for (let i = 0; i < block; i++) {
      const is = load<u32>(RECORDS + ((<usize>i) << 2)) != 0 ? 1 : 0;
      store<u8>(found + <usize>(from + i), <u8>is);
      count += is;
    }
  }
  return count;
}

/** Writes the keys of whole records that lie one behind the other. */
export function keysOfRecords(records: usize, n: i32, bytes: u32, keys: usize): void {
  for (let i = 0; i < n; i++)
    store<u64>(keys + ((<usize>i) << 3), load<u64>(records + <usize>i * <usize>bytes));
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
    if ((load<u32>(record, R_FREQUENCY) & LIVE) == 0) continue;
    store<u64>(keys + ((<usize>count) << 3), load<u64>(record));
    const at = <usize>count;
    count++;
    if (weights != 0) readWeights(t, record, weights + at * weightBytes);
    if (states != 0) readState(t, record, states + at * stateBytes);
    readHistory(record, at, frequencies, steps);
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
    readHistory(record, <usize>i, frequencies, steps);
  }
}

/** Writes frequency and last step of a record to element `at` of columns, each of which may be 0. */
function readHistory(record: usize, at: usize, frequencies: usize, steps: usize): void {
  if (frequencies != 0) store<u32>(frequencies + (at << 2), load<u32>(record, R_FREQUENCY) & MAX_FREQUENCY);
  if (steps != 0) store<u32>(steps + (at << 2), load<u32>(record, R_STEP));
}

/** The first page of `table`'s rows at or after `page`, 0 when there is none. */
export function nextPageOf(table: u32, page: u32, end: u32): u32 {
  for (; page < end; page++) {
    const meta = metaOf(page);
    if (load<u16>(meta, M_KIND) == KIND_ROWS && load<u16>(meta, M_TABLE) == <u16>table) return page;
  }
  return 0;
}
