// Beginning a record, the same for a push and for its replay.
import { initialExtras } from "./extras";
import { LIVE, R_FREQUENCY, R_STEP } from "./layout";
import { beginValues } from "./storage/staged";

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
