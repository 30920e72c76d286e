// Reading rows as a narrower type than float32, for messages. Nothing changes.
import { fillFloats } from "./floats";
import { R_WEIGHTS, T_DIM, T_STATE, T_STATE_BYTES, T_STATE_OFFSET, T_STORAGE } from "./layout";
import { BLOCK, lookUp, RECORDS } from "./look-up";
import { tableAt } from "./places";
import { F16, F32, INT8 } from "./storage/codes";
import { writeHalves } from "./storage/columns";
import { copyRow, narrowRow, numberBytes } from "./storage/narrow";
import { keptRecord, keptState, keptWeights, ROW, weightsOf } from "./storage/staged";
import { readState, scaleAt } from "./storage/values";

/**
 * As pullRows, but weights are written as `type`, each row as a table of that type would store it, and of int8 the rows' scales to
 * f32[n] at `scales`. Rows that are stored so are copied.
 */
export function pullNarrow(
  table: u32,
  keys: usize,
  n: i32,
  into: usize,
  scales: usize,
  states: usize,
  found: usize,
  useFallback: i32,
  fallback: f32,
  type: u32,
): void {
  const t = tableAt(table);
  const dim = load<u32>(t, T_DIM);
  const weights = numberBytes(dim, type);
  const state = (<usize>load<u32>(t, T_STATE)) << 2;
  const storage = <u32>load<u8>(t, T_STORAGE);
  const stored = storage == type;
  const halves = storage == F32 && type == F16;
  const span = <usize>load<u32>(t, T_STATE_OFFSET) + (states != 0 ? <usize>load<u32>(t, T_STATE_BYTES) : 0);
  for (let from = 0; from < n; from += BLOCK) {
    const block = min(BLOCK, n - from);
    lookUp(t, keys + ((<usize>from) << 3), block, span);
    for (let i = 0; i < block; i++) {
      const record = <usize>load<u32>(RECORDS + ((<usize>i) << 2));
      if (record != 0) {
        if (halves) writeHalves(record + R_WEIGHTS, into, dim);
        else if (stored) copyRow(t, record, dim, into, scales, type);
        else narrowRow(weightsOf(t, record), dim, into, scales, type);
        if (states != 0) readState(t, record, states);
      } else {
        const key = load<u64>(keys + ((<usize>(from + i)) << 3));
        if (useFallback) {
          fillFloats(ROW, (<usize>dim) << 2, fallback);
          narrowRow(ROW, dim, into, scales, type);
        } else if (stored) {
          copyRow(t, keptRecord(t, key), dim, into, scales, type);
        } else {
          keptWeights(t, key, ROW);
          narrowRow(ROW, dim, into, scales, type);
        }
        if (states != 0) keptState(t, states);
      }
      into += weights;
      scales += 4;
      if (states != 0) states += state;
      if (found != 0) store<u8>(found + <usize>(from + i), record != 0 ? 1 : 0);
    }
  }
}

/**
 * Writes the scales of a table of int8, f32[n], of the keys that have rows; where there is none, and `initial` is set, that of its
 * initial value in place of a negative number, and nothing else.
 */
export function pullScales(table: u32, keys: usize, n: i32, into: usize, initial: i32): void {
  const t = tableAt(table);
  if (<u32>load<u8>(t, T_STORAGE) != INT8) unreachable();
  const span = <usize>load<u32>(t, T_STATE_OFFSET);
  for (let from = 0; from < n; from += BLOCK) {
    const block = min(BLOCK, n - from);
    lookUp(t, keys + ((<usize>from) << 3), block, span);
    for (let i = 0; i < block; i++, into += 4) {
      let record = <usize>load<u32>(RECORDS + ((<usize>i) << 2));
      if (record == 0) {
        if (!initial || !(load<f32>(into) < 0)) continue;
        record = keptRecord(t, load<u64>(keys + ((<usize>(from + i)) << 3)));
      }
      store<f32>(into, load<f32>(scaleAt(t, record)));
    }
  }
}
