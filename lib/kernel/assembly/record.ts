// What happens to one record, the same for a write and for its replay.
import { initialExtras } from "./extras";
import { CLEAN, LIVE, MAX_FREQUENCY, R_FREQUENCY, R_STEP } from "./layout";
import { beginValues } from "./storage/staged";
import { writeState, writeWeights } from "./storage/values";

/** Bit of an occurrence count that says that this request created the row. */
export const CREATED: u32 = 0x80000000;

/**
 * Writes the record of a key as it begins: initial weights and state, frequency 0, step 0, and its extras. `given` has
 * bit 1 where weights and bit 2 where state will be written at once: they are left out.
 */
export function beginRecord(t: usize, key: u64, record: usize, given: u32 = 0): void {
  store<u64>(record, key);
  store<u32>(record, LIVE, R_FREQUENCY);
  store<u32>(record, 0, R_STEP);
  beginValues(t, key, record, given);
  initialExtras(t, record);
}

/** Adds `count`, whatever its bit CREATED, to a record's frequency, and sets its last step. */
export function addOccurrences(record: usize, count: u32, step: u32): void {
  const frequency = load<u32>(record, R_FREQUENCY) & MAX_FREQUENCY;
  store<u32>(record, LIVE | min(frequency + (count & MAX_FREQUENCY), MAX_FREQUENCY), R_FREQUENCY);
  store<u32>(record, step, R_STEP);
}

/** Sets weights f32[dim] and, where `state` is not 0, state f32[stateFloats]. */
export function writeValues(t: usize, record: usize, weights: usize, state: usize): void {
  store<u32>(record, load<u32>(record, R_FREQUENCY) & ~CLEAN, R_FREQUENCY);
  writeWeights(t, record, weights);
  if (state != 0) writeState(t, record, state);
}

/** A frequency beyond the largest that is kept is that one. */
export function setHistory(record: usize, count: u32, step: u32): void {
  store<u32>(record, LIVE | min(count & ~CREATED, MAX_FREQUENCY), R_FREQUENCY);
  store<u32>(record, step, R_STEP);
}
