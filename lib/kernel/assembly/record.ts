// Beginning a record, the same for a push and for its replay.
import { initialRow } from "./initialize";
import {
  LIVE,
  R_FREQUENCY,
  R_STEP,
  R_WEIGHTS,
  T_EXTRAS_BYTES,
  T_EXTRAS_OFFSET,
  T_STATE_OFFSET,
} from "./layout";
import { initialState } from "./optimize";

/** Writes the record of a key as it begins: initial weights and state, frequency 0, step 0, extras 0. */
export function beginRecord(t: usize, key: u64, record: usize): void {
  store<u64>(record, key);
  store<u32>(record, LIVE, R_FREQUENCY);
  store<u32>(record, 0, R_STEP);
  initialRow(t, key, record + R_WEIGHTS);
  initialState(t, record + <usize>load<u32>(t, T_STATE_OFFSET));
  let extra = record + <usize>load<u32>(t, T_EXTRAS_OFFSET);
  for (const end = extra + <usize>load<u32>(t, T_EXTRAS_BYTES); extra < end; extra += 4) store<u32>(extra, 0);
}
