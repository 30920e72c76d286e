// Extras: what some records have behind weights and state: when the row was last written, and counters that decay.
import { fillFloats } from "./floats";
import {
  CLEAN,
  LIVE,
  M_BUMP,
  M_TABLE,
  MAX_FREQUENCY,
  PAGE_SHIFT,
  R_FREQUENCY,
  T_COUNTER_COUNT,
  T_COUNTERS,
  T_DECAY,
  T_EPOCH,
  T_EXTRAS_BYTES,
  T_EXTRAS_OFFSET,
  T_NOW,
  T_RECORD,
  T_TOUCHED,
} from "./layout";
import { metaOf } from "./pages";
import { tableAt } from "./places";

/** Writes the extras of a new row: zeros, in a place that another row may have left, but for when it is written and its epoch. */
export function initialExtras(t: usize, record: usize): void {
  fillFloats(record + <usize>load<u32>(t, T_EXTRAS_OFFSET), <usize>load<u32>(t, T_EXTRAS_BYTES), 0);
  touch(t, record);
  const at = <usize>load<u32>(t, T_COUNTERS);
  if (at == 0) return;
  store<u32>(record + at, load<u32>(t, T_EPOCH));
}

/** Notes that a row is written now. */
export function touch(t: usize, record: usize): void {
  const at = <usize>load<u32>(t, T_TOUCHED);
  if (at == 0) return;
  store<u32>(record, load<u32>(record, R_FREQUENCY) & ~CLEAN, R_FREQUENCY);
  store<u32>(record + at, load<u32>(t, T_NOW));
}

/** Notes a write to each of `n` rows, given as addresses >>> 3. */
export function touchRows(t: usize, positions: usize, n: i32): void {
  if (load<u32>(t, T_TOUCHED) == 0) return;
  for (let i = 0; i < n; i++) touch(t, (<usize>load<u32>(positions + ((<usize>i) << 2))) << 3);
}

/**
 * Brings the counters of `n` distinct rows up to date and adds to them: f32[n * counters] at `added`, or, where that is 0,
 * the occurrences in `counts` (u32[n]) to the first.
 */
export function countExtras(t: usize, positions: usize, counts: usize, n: i32, added: usize): void {
  const at = <usize>load<u32>(t, T_COUNTERS);
  if (at == 0) return;
  const counters = load<u32>(t, T_COUNTER_COUNT);
  const epoch = load<u32>(t, T_EPOCH);
  for (let i = 0; i < n; i++) {
    const record = (<usize>load<u32>(positions + ((<usize>i) << 2))) << 3;
    for (let c: u32 = 0; c < counters; c++) {
      const place = (<usize>c) << 2;
      let more: f32 = 0;
      if (added != 0) more = load<f32>(added + ((<usize>i * <usize>counters) << 2) + place);
      else if (c == 0) more = <f32>(load<u32>(counts + ((<usize>i) << 2)) & MAX_FREQUENCY);
      store<f32>(record + at + 4 + place, decayedCounter(t, record, c) + more);
    }
    store<u32>(record + at, epoch);
  }
}

/** Sets the counters of `n` rows, given as addresses >>> 3, as of now: f32[n * counters] at `given`. The last of a row stays. */
export function writeCounters(table: u32, positions: usize, n: i32, given: usize): void {
  const t = tableAt(table);
  for (let i = 0; i < n; i++)
    setCounters(t, (<usize>load<u32>(positions + ((<usize>i) << 2))) << 3, given, <usize>i);
}

/** Sets the counters of a row to the `i`-th of those at `given`, as of now. */
export function setCounters(t: usize, record: usize, given: usize, i: usize): void {
  const at = <usize>load<u32>(t, T_COUNTERS);
  const bytes = (<usize>load<u32>(t, T_COUNTER_COUNT)) << 2;
  memory.copy(record + at + 4, given + i * bytes, bytes);
  store<u32>(record + at, load<u32>(t, T_EPOCH));
}

/** Counter `i` of a row as of now: for each decay since it was brought up to date one float32 multiplication. */
export function decayedCounter(t: usize, record: usize, i: u32): f32 {
  const at = record + <usize>load<u32>(t, T_COUNTERS);
  const rate = load<f32>(t, T_DECAY);
  let value = load<f32>(at + 4 + ((<usize>i) << 2));
  for (let missed = load<u32>(t, T_EPOCH) - load<u32>(at); missed > 0; missed--) {
    const next = value * rate;
    if (next == value) break;
    value = next;
  }
  return value;
}

/**
 * Reads extras of rows at addresses >>> 3 (u32[n]): counters as of now into f32[n * counters], times into u32[n]; either may
 * be 0.
 */
export function readExtras(table: u32, positions: usize, n: i32, counters: usize, times: usize): void {
  const t = tableAt(table);
  for (let i = 0; i < n; i++) {
    const record = (<usize>load<u32>(positions + ((<usize>i) << 2))) << 3;
    readRecord(t, record, <usize>i, counters, times);
  }
}

/** Reads extras of the rows that scanPage reads with the same `page`, `from` and `limit`, `n` of them. */
export function scanExtras(page: u32, from: u32, n: u32, counters: usize, times: usize): void {
  const meta = metaOf(page);
  const t = tableAt(load<u16>(meta, M_TABLE));
  const bytes = <usize>load<u32>(t, T_RECORD);
  const end = <u32>load<u16>(meta, M_BUMP);
  let record = ((<usize>page) << PAGE_SHIFT) + <usize>from * bytes;
  let count: u32 = 0;
  for (; from < end && count < n; from++, record += bytes) {
    if ((load<u32>(record, R_FREQUENCY) & LIVE) == 0) continue;
    readRecord(t, record, count, counters, times);
    count++;
  }
}

function readRecord(t: usize, record: usize, i: usize, counters: usize, times: usize): void {
  if (times != 0) store<u32>(times + (i << 2), load<u32>(record + <usize>load<u32>(t, T_TOUCHED)));
  if (counters == 0) return;
  const count = load<u32>(t, T_COUNTER_COUNT);
  for (let c: u32 = 0; c < count; c++)
    store<f32>(counters + ((i * count + c) << 2), decayedCounter(t, record, c));
}
