// Extras: what some records have behind weights and state: when the row was last written, and counters that decay.
import { MAX_FREQUENCY, T_COUNTER_COUNT, T_COUNTERS, T_DECAY, T_EPOCH, T_NOW, T_TOUCHED } from "./layout";

/** Writes the extras of a new row. */
export function initialExtras(t: usize, record: usize): void {
  touch(t, record);
  const at = <usize>load<u32>(t, T_COUNTERS);
  if (at == 0) return;
  store<u32>(record + at, load<u32>(t, T_EPOCH));
  for (let i: u32 = 0; i < load<u32>(t, T_COUNTER_COUNT); i++)
    store<f32>(record + at + 4 + ((<usize>i) << 2), 0);
}

/** Notes that a row is written now. */
export function touch(t: usize, record: usize): void {
  const at = <usize>load<u32>(t, T_TOUCHED);
  if (at != 0) store<u32>(record + at, load<u32>(t, T_NOW));
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
