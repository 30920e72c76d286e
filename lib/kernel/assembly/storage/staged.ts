// Optimizers know float32 only. Records that store something else are read, some at a time, into records that lie as those of
// plain tables do, the optimizer works on these, and they are stored again.
import { initialRow } from "../initialize";
import { R_WEIGHTS, T_DIM, T_STATE, T_STATE_OFFSET, T_STORAGE } from "../layout";
import { applyRows, initialState } from "../optimize";
import { F32 } from "./codes";
import { isPlain, readState, readWeights, writePushed, writeState, writeWeights } from "./values";

/** The largest: dim 4,096, Adam with a count. */
export const STAGED_BYTES: u32 = 49184;
/** Bytes of them that are worked on at a time: they stay in the nearest cache beside as many gradients. */
const RUN_BYTES: u32 = 16384;
const RUN_RECORDS: u32 = 256;
const STAGED = memory.data(49184, 16);
/** Of them, behind where the weights of any record end: 4,096 floats, for one row, until the next call of what works on records here. */
export const ROW: usize = STAGED + 32768;
const POSITIONS = memory.data(256 * 4, 16);

/** As applyRows, for records of any storage. Their step and frequency are those after the push. */
export function updateRows(t: usize, rows: usize, grads: usize, n: i32, learningRate: f32, step: u32): void {
  if (isPlain(t)) return applyRows(t, rows, grads, n, learningRate, step);
  const size = (<usize>load<u32>(t, T_DIM)) << 2;
  const bytes = stagedBytes(t);
  const run = <i32>min(RUN_RECORDS, max(1, RUN_BYTES / <u32>bytes));
  for (let i = 0; i < min(n, run); i++)
    store<u32>(POSITIONS + ((<usize>i) << 2), <u32>((STAGED + <usize>i * bytes) >> 3));
  for (let left = n; left > 0; left -= run) {
    const count = min(left, run);
    for (let i = 0; i < count; i++) {
      const record = (<usize>load<u32>(rows + ((<usize>i) << 2))) << 3;
      const weights = STAGED + <usize>i * bytes + R_WEIGHTS;
      readWeights(t, record, weights);
      readState(t, record, weights + size);
    }
    applyRows(t, POSITIONS, grads, count, learningRate, step);
    for (let i = 0; i < count; i++) {
      const record = (<usize>load<u32>(rows + ((<usize>i) << 2))) << 3;
      const weights = STAGED + <usize>i * bytes + R_WEIGHTS;
      writePushed(t, record, weights, weights + size);
    }
    rows += (<usize>count) << 2;
    grads += <usize>count * size;
  }
}

/** Writes a record's initial weights and state, without those that are given (see beginRecord). */
export function beginValues(t: usize, key: u64, record: usize, given: u32): void {
  if (isPlain(t)) {
    if ((given & 1) == 0) initialRow(t, key, record + R_WEIGHTS);
    if ((given & 2) == 0) initialState(t, record + <usize>load<u32>(t, T_STATE_OFFSET));
    return;
  }
  const size = (<usize>load<u32>(t, T_DIM)) << 2;
  if ((given & 1) == 0) {
    initialRow(t, key, STAGED);
    writeWeights(t, record, STAGED);
  }
  if ((given & 2) == 0) {
    initialState(t, STAGED + size);
    writeState(t, record, STAGED + size);
  }
}

/** What a key without a row reads: its initial weights as a record would keep them. */
export function keptWeights(t: usize, key: u64, into: usize): void {
  initialRow(t, key, into);
  if (isPlain(t)) return;
  // A record without a beginning: only its weights and their scale are written and read.
  writeWeights(t, STAGED, into);
  readWeights(t, STAGED, into);
}

/** A record of the weights that a key without a row reads, as the table stores them, until the next call: without a beginning, and without state. */
export function keptRecord(t: usize, key: u64): usize {
  initialRow(t, key, ROW);
  writeWeights(t, STAGED, ROW);
  return STAGED;
}

/** What a key without a row reads as its state. */
export function keptState(t: usize, into: usize): void {
  initialState(t, into);
  if (isPlain(t)) return;
  writeState(t, STAGED, into);
  readState(t, STAGED, into);
}

/** Where a record's weights lie as f32[dim], until the next call: in the record, or read from it. */
export function weightsOf(t: usize, record: usize): usize {
  if (<u32>load<u8>(t, T_STORAGE) == F32) return record + R_WEIGHTS;
  readWeights(t, record, STAGED);
  return STAGED;
}

/** Bytes of a record of float32, a multiple of 16 so that weights lie well. */
function stagedBytes(t: usize): usize {
  return (R_WEIGHTS + ((<usize>(load<u32>(t, T_DIM) + load<u32>(t, T_STATE))) << 2) + 15) & ~15;
}
