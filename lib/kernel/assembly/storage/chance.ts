// Random bits of stochastic rounding: a function of (table seed, key, step, frequency, element), and nothing else, so that a
// replay rounds as the push did. docs/storage-types.md has it in words.
import { hashKey } from "../hash";
import { MAX_FREQUENCY, R_FREQUENCY, R_STEP, T_SEED_LO } from "../layout";

/** 2^32 divided by the golden ratio, odd. */
const GOLDEN: i32 = <i32>0x9e3779b9;

/** What the bits of a record's elements are made of, when its step and its frequency are those after the push. */
export function chanceOf(t: usize, record: usize): u64 {
  const moment =
    <u64>load<u32>(record, R_STEP) | ((<u64>(load<u32>(record, R_FREQUENCY) & MAX_FREQUENCY)) << 32);
  return hashKey(moment, hashKey(load<u64>(record), load<u64>(t, T_SEED_LO)));
}

/** The counters of four elements from number `element` on. */
export function countersOf(chance: u64, element: u32): v128 {
  const first = i32x4.splat(<i32>(<u32>chance + element * <u32>GOLDEN));
  return i32x4.add(first, i32x4.mul(i32x4(0, 1, 2, 3), i32x4.splat(GOLDEN)));
}

/** The counters of the four elements that follow. */
export function nextCounters(counters: v128): v128 {
  return i32x4.add(counters, i32x4.splat(4 * GOLDEN));
}

/** The upper half of `chance`, for `bitsOf`. */
export function keyOf(chance: u64): v128 {
  return i32x4.splat(<i32>(chance >> 32));
}

/** 32 random bits for each of four counters: lowbias32 (Chris Wellons), with a key between its two multiplications. */
export function bitsOf(counters: v128, key: v128): v128 {
  let x = v128.xor(counters, i32x4.shr_u(counters, 16));
  x = i32x4.mul(x, i32x4.splat(0x7feb352d));
  x = v128.xor(v128.xor(x, i32x4.shr_u(x, 15)), key);
  x = i32x4.mul(x, i32x4.splat(<i32>0x846ca68b));
  return v128.xor(x, i32x4.shr_u(x, 16));
}

/** floor(x), or one more where x - floor(x) is above the first 24 of `bits` as a fraction: with that probability. */
export function eitherSide(x: v128, bits: v128): v128 {
  const low = f32x4.floor(x);
  const part = f32x4.mul(f32x4.convert_i32x4_s(i32x4.shr_u(bits, 8)), f32x4.splat(5.9604644775390625e-8));
  const up = f32x4.lt(part, f32x4.sub(x, low));
  return f32x4.add(low, v128.and(up, f32x4.splat(1)));
}
