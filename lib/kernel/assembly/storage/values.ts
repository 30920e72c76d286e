// A record's weights and state as float32, whatever they are stored as. docs/storage-types.md has the contract.
import { copyFloats } from "../floats";
import {
  R_WEIGHTS,
  T_DIM,
  T_ROUNDING,
  T_SCALARS_OFFSET,
  T_STATE,
  T_STATE_ELEMENTS,
  T_STATE_OFFSET,
  T_STATE_STORAGE,
  T_STORAGE,
} from "../layout";
import { readBytes, scaleOf, writeBytes, writeBytesByChance } from "./bytes";
import { chanceOf } from "./chance";
import { BF16, F16, F32, INT8, STOCHASTIC } from "./codes";
import {
  readBfloats,
  readHalves,
  writeBfloats,
  writeBfloatsByChance,
  writeHalves,
  writeHalvesByChance,
} from "./columns";

/** Whether a table's records hold weights and state as f32[dim] and f32[T_STATE], one behind the other. */
export function isPlain(t: usize): bool {
  return load<u16>(t, T_STORAGE) == 0;
}

/** Reads weights into f32[dim]. */
export function readWeights(t: usize, record: usize, into: usize): void {
  const storage = <u32>load<u8>(t, T_STORAGE);
  const dim = load<u32>(t, T_DIM);
  const from = record + R_WEIGHTS;
  if (storage == F32) copyFloats(from, into, (<usize>dim) << 2);
  else if (storage == F16) readHalves(from, into, dim);
  else if (storage == BF16) readBfloats(from, into, dim);
  else if (storage == INT8) readBytes(from, load<f32>(scaleAt(t, record)), into, dim);
  else unreachable();
}

/** Reads state into f32[T_STATE]. */
export function readState(t: usize, record: usize, into: usize): void {
  const from = record + <usize>load<u32>(t, T_STATE_OFFSET);
  const floats = load<u32>(t, T_STATE);
  if (<u32>load<u8>(t, T_STATE_STORAGE) == F32) return copyFloats(from, into, (<usize>floats) << 2);
  const elements = load<u32>(t, T_STATE_ELEMENTS);
  readBfloats(from, into, elements);
  const scalars = record + <usize>load<u32>(t, T_SCALARS_OFFSET);
  copyFloats(scalars, into + ((<usize>elements) << 2), (<usize>(floats - elements)) << 2);
}

/** Stores weights from f32[dim], each as the nearest that can be stored. */
export function writeWeights(t: usize, record: usize, from: usize): void {
  const storage = <u32>load<u8>(t, T_STORAGE);
  const dim = load<u32>(t, T_DIM);
  const into = record + R_WEIGHTS;
  if (storage == F32) copyFloats(from, into, (<usize>dim) << 2);
  else if (storage == F16) writeHalves(from, into, dim);
  else if (storage == BF16) writeBfloats(from, into, dim);
  else if (storage == INT8) writeBytes(from, into, dim, newScale(t, record, from, dim));
  else unreachable();
}

/** Stores state from f32[T_STATE], each as the nearest that can be stored. */
export function writeState(t: usize, record: usize, from: usize): void {
  if (<u32>load<u8>(t, T_STATE_STORAGE) != F32) {
    writeBfloats(from, record + <usize>load<u32>(t, T_STATE_OFFSET), load<u32>(t, T_STATE_ELEMENTS));
  }
  writeWide(t, record, from);
}

/** Stores weights and state as a push leaves them: rounded as the table says. Step and frequency are those after the push. */
export function writePushed(t: usize, record: usize, weights: usize, state: usize): void {
  if (<u32>load<u8>(t, T_ROUNDING) != STOCHASTIC) {
    writeWeights(t, record, weights);
    writeState(t, record, state);
    return;
  }
  const dim = load<u32>(t, T_DIM);
  const chance = chanceOf(t, record);
  const storage = <u32>load<u8>(t, T_STORAGE);
  const into = record + R_WEIGHTS;
  if (storage == F32) copyFloats(weights, into, (<usize>dim) << 2);
  else if (storage == F16) writeHalvesByChance(weights, into, dim, chance, 0);
  else if (storage == BF16) writeBfloatsByChance(weights, into, dim, chance, 0);
  else writeBytesByChance(weights, into, dim, newScale(t, record, weights, dim), chance);
  if (<u32>load<u8>(t, T_STATE_STORAGE) != F32) {
    const elements = load<u32>(t, T_STATE_ELEMENTS);
    writeBfloatsByChance(state, record + <usize>load<u32>(t, T_STATE_OFFSET), elements, chance, dim);
  }
  writeWide(t, record, state);
}

/** Stores what is float32 of state: all of it, or its scalars. */
function writeWide(t: usize, record: usize, from: usize): void {
  const floats = load<u32>(t, T_STATE);
  const narrow = <u32>load<u8>(t, T_STATE_STORAGE) == F32 ? 0 : load<u32>(t, T_STATE_ELEMENTS);
  const offset = narrow == 0 ? load<u32>(t, T_STATE_OFFSET) : load<u32>(t, T_SCALARS_OFFSET);
  copyFloats(from + ((<usize>narrow) << 2), record + <usize>offset, (<usize>(floats - narrow)) << 2);
}

/** Of int8 weights: the scale lies before the state. */
export function scaleAt(t: usize, record: usize): usize {
  return record + <usize>load<u32>(t, T_STATE_OFFSET) - 4;
}

function newScale(t: usize, record: usize, from: usize, dim: u32): f32 {
  const scale = scaleOf(from, dim);
  store<f32>(scaleAt(t, record), scale);
  return scale;
}
