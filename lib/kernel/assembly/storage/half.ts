// IEEE 754 binary16, four numbers at a time. A number lies in the low 16 bits of an i32 lane.
import { eitherSide } from "./chance";

/** The largest finite half: what is finite and beyond it becomes it. */
const MAX_HALF: f32 = 65504;
/** The least normal half, 2^-14. */
const MIN_NORMAL: f32 = 0.00006103515625;
const MAGNITUDE: i32 = 0x7fffffff;
const INFINITE: i32 = 0x7f800000;

/** Halves whose sign fills the upper half of their lanes, as float32: exact. */
export function halfToFloat(halves: v128): v128 {
  const magnitude = v128.and(halves, i32x4.splat(0x7fff));
  const moved = i32x4.add(i32x4.shl(magnitude, 13), i32x4.splat(112 << 23));
  // An exponent of all ones stays one: infinities and NaN.
  const beyond = v128.and(i32x4.gt_s(magnitude, i32x4.splat(0x7bff)), i32x4.splat(112 << 23));
  // Below the normal ones a half counts 2^-24: 2^-14 + m 2^-24 is a normal float32, from which 2^-14 is taken off exactly.
  const small = i32x4.lt_s(magnitude, i32x4.splat(0x400));
  const least = f32x4.splat(MIN_NORMAL);
  const counted = f32x4.sub(i32x4.add(moved, i32x4.splat(1 << 23)), least);
  const value = v128.bitselect(counted, i32x4.add(moved, beyond), small);
  return v128.or(value, v128.and(halves, i32x4.splat(<i32>0x80000000)));
}

/** Whether eight halves are all finite. `magnitude` and `most` are 0x7fff and 0x7bff in each. */
export function areFinite(halves: v128, magnitude: v128, most: v128): bool {
  return !v128.any_true(i16x8.gt_s(v128.and(halves, magnitude), most));
}

/** As `halfToFloat`, of finite halves only. The others are in each lane: 2^28 - 1, 112 << 23, 1 << 23, MIN_NORMAL and the sign. */
export function finiteToFloat(
  halves: v128,
  kept: v128,
  bias: v128,
  one: v128,
  least: v128,
  sign: v128,
): v128 {
  const moved = i32x4.shl(halves, 13);
  // What a normal half is, which of others is more than what they are; these are counted as in halfToFloat.
  const normal = i32x4.add(v128.and(moved, kept), bias);
  const counted = f32x4.sub(i32x4.add(normal, one), least);
  return v128.or(i32x4.min_s(normal, counted), v128.and(moved, sign));
}

/** Four of eight 16-bit numbers, as the upper halves of lanes. */
export function lowTops(numbers: v128): v128 {
  return v128.shuffle<i16>(i32x4.splat(0), numbers, 0, 8, 1, 9, 2, 10, 3, 11);
}

export function highTops(numbers: v128): v128 {
  return v128.shuffle<i16>(i32x4.splat(0), numbers, 4, 12, 5, 13, 6, 14, 7, 15);
}

/**
 * How many times 2^-10 of its power of two, or 2^-24 where that is more, a magnitude is, to the nearest, ties to even. `unit` is 2^13
 * times that power: a sum with it has no finer steps, and its low bits count them.
 */
export function unitsOf(magnitudes: v128, unit: v128): v128 {
  return i32x4.sub(f32x4.add(magnitudes, unit), unit);
}

/** To the nearest half, ties to even. */
export function floatToHalf(values: v128): v128 {
  const size = f32x4.pmin(f32x4.splat(MAX_HALF), magnitudeOf(values));
  const odd = v128.and(i32x4.shr_u(size, 13), i32x4.splat(1));
  const normal = i32x4.shr_u(i32x4.add(i32x4.add(size, i32x4.splat(0xfff)), odd), 13);
  // 0.5 + x rounds x to a multiple of 2^-24, and its low bits count them.
  const small = i32x4.sub(f32x4.add(size, f32x4.splat(0.5)), i32x4.splat(0x3f000000));
  return assembled(values, size, i32x4.sub(normal, i32x4.splat(112 << 10)), small);
}

/** To one of the two halves beside it, so that the mean over all `bits` is the value. */
export function floatToHalfByChance(values: v128, bits: v128): v128 {
  const size = f32x4.pmin(f32x4.splat(MAX_HALF), magnitudeOf(values));
  // Goes over to the next half where the 13 bits that are cut off are above the first 13 of `bits`: as eitherSide.
  const normal = i32x4.shr_u(i32x4.add(size, i32x4.shr_u(v128.not(bits), 19)), 13);
  const count = eitherSide(f32x4.mul(f32x4.pmin(f32x4.splat(MIN_NORMAL), size), f32x4.splat(16777216)), bits);
  // 2^23 + a whole number has that number in its low bits.
  const small = i32x4.sub(f32x4.add(count, f32x4.splat(8388608)), i32x4.splat(0x4b000000));
  return assembled(values, size, i32x4.sub(normal, i32x4.splat(112 << 10)), small);
}

function magnitudeOf(values: v128): v128 {
  return v128.and(values, i32x4.splat(MAGNITUDE));
}

function assembled(values: v128, size: v128, normal: v128, small: v128): v128 {
  const finite = v128.bitselect(small, normal, f32x4.lt(size, f32x4.splat(MIN_NORMAL)));
  const sign = v128.and(i32x4.shr_u(values, 16), i32x4.splat(0x8000));
  return withSpecials(values, v128.or(finite, sign), sign);
}

function withSpecials(values: v128, finite: v128, sign: v128): v128 {
  const magnitude = magnitudeOf(values);
  const endless = i32x4.ge_s(magnitude, i32x4.splat(INFINITE));
  if (!v128.any_true(endless)) return finite;
  const nan = i32x4.gt_s(magnitude, i32x4.splat(INFINITE));
  const special = v128.bitselect(i32x4.splat(0x7e00), v128.or(i32x4.splat(0x7c00), sign), nan);
  return v128.bitselect(special, finite, endless);
}
