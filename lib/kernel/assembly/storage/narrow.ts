// Rows as a narrower type than float32, and back: what messages carry. A type is one of codes.ts; rows of int8 have their scales beside them.
import { copyFloats } from "../floats";
import { R_WEIGHTS } from "../layout";
import { readBytes, scaleOf, writeBytes } from "./bytes";
import { BF16, F16, INT8 } from "./codes";
import { readBfloats, readHalves, writeBfloats, writeHalves } from "./columns";
import { scaleAt } from "./values";

/** Bytes of `n` numbers. */
export function numberBytes(n: u32, type: u32): usize {
  return type == INT8 ? <usize>n : (<usize>n) << 1;
}

/** Writes f32[dim] as the nearest numbers; of int8 the row's scale to `scale`. */
export function narrowRow(from: usize, dim: u32, into: usize, scale: usize, type: u32): void {
  if (type == F16) writeHalves(from, into, dim);
  else if (type == BF16) writeBfloats(from, into, dim);
  else if (type == INT8) {
    const own = scaleOf(from, dim);
    store<f32>(scale, own);
    writeBytes(from, into, dim, own);
  } else unreachable();
}

/** Writes the numbers of a record that is stored as `type` as they lie. */
export function copyRow(t: usize, record: usize, dim: u32, into: usize, scale: usize, type: u32): void {
  const bytes = numberBytes(dim, type);
  const whole = bytes & ~3;
  const from = record + R_WEIGHTS;
  copyFloats(from, into, whole);
  for (let at = whole; at < bytes; at++) store<u8>(into + at, load<u8>(from + at));
  if (type == INT8) store<f32>(scale, load<f32>(scaleAt(t, record)));
}

/**
 * Writes f32[n * dim] as the nearest numbers. Of int8 `scales`, f32[n], has the scale that a row is to have, or a negative number,
 * which the row's own is put in place of.
 */
export function narrowRows(from: usize, n: i32, dim: u32, into: usize, scales: usize, type: u32): void {
  if (type != INT8) return narrowRow(from, <u32>n * dim, into, 0, type);
  for (; n > 0; n--, from += (<usize>dim) << 2, into += <usize>dim, scales += 4) {
    const scale = load<f32>(scales);
    if (scale < 0) narrowRow(from, dim, into, scales, type);
    else writeBytes(from, into, dim, scale);
  }
}

/**
 * Reads rows of a type, of int8 with their scales f32[n], into f32[n * dim]. They may lie at the end of that room: they are read from
 * the first on, and none is overwritten before.
 */
export function widenRows(from: usize, scales: usize, n: i32, dim: u32, into: usize, type: u32): void {
  if (type == F16) return readHalves(from, into, <u32>n * dim);
  if (type == BF16) return readBfloats(from, into, <u32>n * dim);
  if (type != INT8) unreachable();
  for (; n > 0; n--, from += <usize>dim, into += (<usize>dim) << 2, scales += 4)
    readBytes(from, load<f32>(scales), into, dim);
}
