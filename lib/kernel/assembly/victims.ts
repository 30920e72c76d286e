// Victims: rows with the lowest scores, found by going over pages. A score is a u32 that orders as what it stands for.
import { decayedCounter } from "./extras";
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
  T_COUNTER_COUNT,
  T_DIM,
  T_RECORD,
  T_SCORE,
  T_TOUCHED,
} from "./layout";
import { metaOf } from "./pages";
import { tableAt } from "./places";
import { weightsOf } from "./storage/staged";

/** What rows are compared by. */
export const BY_FREQUENCY: u32 = 0;
export const BY_TOUCHED: u32 = 1;
export const BY_STEP: u32 = 2;
export const BY_NORM: u32 = 3;
export const BY_COUNTERS: u32 = 4;

/** The score of a row that is never a victim. */
const NEVER: u32 = 0xffffffff;

function scoreOf(t: usize, record: usize, by: u32): u32 {
  const frequency = load<u32>(record, R_FREQUENCY) & MAX_FREQUENCY;
  if (by == BY_FREQUENCY) return frequency;
  if (by == BY_TOUCHED) return load<u32>(record + <usize>load<u32>(t, T_TOUCHED));
  // A row that nobody has pushed has no step to be old by.
  if (by == BY_STEP) return frequency == 0 ? NEVER : load<u32>(record, R_STEP);
  if (by == BY_NORM) return orderedBits(normOf(t, record));
  return orderedBits(counterScore(t, record));
}

/** The bits of a float32, turned so that they order as floats do; NaN comes first. */
function orderedBits(value: f32): u32 {
  if (value != value) return 0;
  const bits = reinterpret<u32>(value);
  return (bits & 0x80000000) != 0 ? ~bits : bits | 0x80000000;
}

/** The Euclidean norm of the weights, summed in float64. */
function normOf(t: usize, record: usize): f32 {
  let at = weightsOf(t, record);
  let sum: f64 = 0;
  for (const end = at + ((<usize>load<u32>(t, T_DIM)) << 2); at < end; at += 4) {
    const weight = <f64>load<f32>(at);
    sum += weight * weight;
  }
  return <f32>Math.sqrt(sum);
}

function counterScore(t: usize, record: usize): f32 {
  let score: f32 = 0;
  for (let i: u32 = 0; i < load<u32>(t, T_COUNTER_COUNT); i++)
    score += load<f32>(t + ((<usize>i) << 2), T_SCORE) * decayedCounter(t, record, i);
  return score;
}

/**
 * Writes scores of live rows of every `every`-th page of a table to u32[] at `into`, `perPage` of each at most, taken at
 * even distances. Returns how many.
 */
export function sampleScores(
  table: u32,
  by: u32,
  first: u32,
  end: u32,
  every: u32,
  perPage: u32,
  into: usize,
): u32 {
  const t = tableAt(table);
  const bytes = load<u32>(t, T_RECORD);
  let count: u32 = 0;
  let seen: u32 = 0;
  for (let page = first; page < end; page++) {
    const meta = metaOf(page);
    if (load<u16>(meta, M_KIND) != KIND_ROWS || load<u16>(meta, M_TABLE) != <u16>table) continue;
    if (seen++ % every != 0) continue;
    const places = <u32>load<u16>(meta, M_BUMP);
    const step = max<u32>(1, (places + perPage - 1) / perPage);
    for (let place = seen % step; place < places; place += step) {
      const record = ((<usize>page) << PAGE_SHIFT) + <usize>(place * bytes);
      if ((load<u32>(record, R_FREQUENCY) & LIVE) == 0) continue;
      store<u32>(into + ((<usize>count) << 2), scoreOf(t, record, by));
      count++;
    }
  }
  return count;
}

/** Writes the scores of `n` whole records that lie `stride` bytes apart from `records` on to u32[n] at `into`. */
export function scoreRecords(table: u32, by: u32, records: usize, n: i32, stride: u32, into: usize): void {
  const t = tableAt(table);
  for (let i = 0; i < n; i++)
    store<u32>(into + ((<usize>i) << 2), scoreOf(t, records + <usize>i * <usize>stride, by));
}

/**
 * Goes over a table's rows from a place on and writes keys (u64[limit]) and addresses >>> 3 (u32[limit]) of those whose score
 * is at most `threshold`, until there are `limit`, or `places` places have been looked at (to the end of the page), or
 * page `end` is reached. `cursor` is u32[3]: page and place to begin at, in and out, and places looked at, out. Returns how many.
 */
export function findVictims(
  table: u32,
  by: u32,
  threshold: u32,
  cursor: usize,
  end: u32,
  places: u32,
  limit: u32,
  keys: usize,
  positions: usize,
): u32 {
  const t = tableAt(table);
  const bytes = <usize>load<u32>(t, T_RECORD);
  let page = load<u32>(cursor);
  let place = load<u32>(cursor, 4);
  let looked: u32 = 0;
  let count: u32 = 0;
  for (; page < end && looked < places && count < limit; page++, place = 0) {
    const meta = metaOf(page);
    if (load<u16>(meta, M_KIND) != KIND_ROWS || load<u16>(meta, M_TABLE) != <u16>table) continue;
    const last = <u32>load<u16>(meta, M_BUMP);
    let record = ((<usize>page) << PAGE_SHIFT) + <usize>place * bytes;
    for (; place < last && count < limit; place++, record += bytes) {
      looked++;
      if ((load<u32>(record, R_FREQUENCY) & LIVE) == 0 || scoreOf(t, record, by) > threshold) continue;
      store<u64>(keys + ((<usize>count) << 3), load<u64>(record));
      store<u32>(positions + ((<usize>count) << 2), <u32>(record >> 3));
      count++;
    }
    // The page goes on where the limit was reached within it.
    if (place < last) break;
  }
  store<u32>(cursor, page);
  store<u32>(cursor, place, 4);
  store<u32>(cursor, looked, 8);
  return count;
}
