// Beginning a record, the same for a push and for its replay.
import { LIVE, R_FREQUENCY, R_STEP, T_EXTRAS_BYTES, T_EXTRAS_OFFSET } from "./layout";
import { beginValues } from "./storage/staged";

/** Writes the record of a key as it begins: initial weights and state, frequency 0, step 0, extras 0. */
export function beginRecord(t: usize, key: u64, record: usize): void {
  store<u64>(record, key);
  store<u32>(record, LIVE, R_FREQUENCY);
  store<u32>(record, 0, R_STEP);
  beginValues(t, key, record);
  let extra = record + <usize>load<u32>(t, T_EXTRAS_OFFSET);
  for (const end = extra + <usize>load<u32>(t, T_EXTRAS_BYTES); extra < end; extra += 4) store<u32>(extra, 0);
}
