// int8 with one float32 scale for a row: a weight is q scale, q a whole number in [-127, 127].
import { bitsOf, countersOf, eitherSide, keyOf, nextCounters } from "./chance";
import { takeFloats } from "./columns";

/** The largest scale of which 127 are finite. */
const MAX_SCALE: f32 = 2.6793883890187504e36;
/** 127 less two units of its last place: division and the rounding of the scale take no more. */
const ALMOST_FULL: f32 = 126.9999847412109375;
const REST = memory.data(16, 16);

export function readBytes(from: usize, scale: f32, into: usize, n: u32): void {
  const scales = f32x4.splat(scale);
  for (let end = into + ((<usize>(n & ~7)) << 2); into < end; into += 32, from += 8) {
    const words = v128.load_ext<i8>(from);
    v128.store(into, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(words)), scales));
    v128.store(into, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(words)), scales), 16);
  }
  for (let rest = n & 7; rest > 0; rest--, into += 4, from++) store<f32>(into, <f32>load<i8>(from) * scale);
}

/** The scale of f32[n]: the largest magnitude over 127. NaN, in which all of the row then reads, where one is not finite. */
export function scaleOf(from: usize, n: u32): f32 {
  let largest = i32x4.splat(0);
  const magnitude = i32x4.splat(0x7fffffff);
  let at = from;
  for (const end = from + ((<usize>(n & ~3)) << 2); at < end; at += 16)
    largest = i32x4.max_u(largest, v128.and(v128.load(at), magnitude));
  if (n & 3) largest = i32x4.max_u(largest, v128.and(takeFloats(at, n & 3), magnitude));
  // The order of magnitudes is that of their bits.
  const bits = max(
    max(<u32>i32x4.extract_lane(largest, 0), <u32>i32x4.extract_lane(largest, 1)),
    max(<u32>i32x4.extract_lane(largest, 2), <u32>i32x4.extract_lane(largest, 3)),
  );
  if (bits >= 0x7f800000) return reinterpret<f32>(0x7fc00000);
  return min<f32>(reinterpret<f32>(bits) / 127, MAX_SCALE);
}

/** Writes i8[n]: the nearest multiples of the scale, ties to even. */
export function writeBytes(from: usize, into: usize, n: u32, scale: f32): void {
  if (!(scale > 0)) return fillZeros(into, n);
  const scales = f32x4.splat(scale);
  for (let end = from + ((<usize>(n & ~3)) << 2); from < end; from += 16, into += 4)
    storeFour(into, f32x4.nearest(multiplesOf(v128.load(from), scales)));
  if (n & 3) giveRest(into, n & 3, f32x4.nearest(multiplesOf(takeFloats(from, n & 3), scales)));
}

/** Writes i8[n]: one of the two multiples beside each value, so that the mean is the value. */
export function writeBytesByChance(from: usize, into: usize, n: u32, scale: f32, chance: u64): void {
  if (!(scale > 0)) return fillZeros(into, n);
  const scales = f32x4.splat(scale);
  const key = keyOf(chance);
  let counters = countersOf(chance, 0);
  for (let end = from + ((<usize>(n & ~3)) << 2); from < end; from += 16, into += 4) {
    storeFour(into, eitherSide(fullMultiplesOf(v128.load(from), scales), bitsOf(counters, key)));
    counters = nextCounters(counters);
  }
  if (n & 3) {
    const values = fullMultiplesOf(takeFloats(from, n & 3), scales);
    giveRest(into, n & 3, eitherSide(values, bitsOf(counters, key)));
  }
}

/** How many scales each value is. Rounding can take the largest beyond 127, and a tiny scale by more than that. */
function multiplesOf(values: v128, scales: v128): v128 {
  const limit = f32x4.splat(127);
  return f32x4.max(f32x4.min(f32x4.div(values, scales), limit), f32x4.neg(limit));
}

/**
 * The same, but the row's largest is 127 scales: division can give a little less, which chance would take to 126 now and then,
 * and then the row would have another scale when what it reads as is stored again.
 */
function fullMultiplesOf(values: v128, scales: v128): v128 {
  const multiples = multiplesOf(values, scales);
  const full = f32x4.ge(f32x4.abs(multiples), f32x4.splat(ALMOST_FULL));
  return v128.bitselect(f32x4.nearest(multiples), multiples, full);
}

/** Stores four whole numbers in [-127, 127]: 1.5 * 2^23 + a whole number has that number in its low bits. */
function storeFour(into: usize, values: v128): void {
  const words = i32x4.sub(f32x4.add(values, f32x4.splat(12582912)), i32x4.splat(0x4b400000));
  const halves = i16x8.narrow_i32x4_s(words, words);
  v128.store32_lane(into, i8x16.narrow_i16x8_s(halves, halves), 0);
}

function giveRest(into: usize, n: u32, values: v128): void {
  storeFour(REST, values);
  for (let i: usize = 0; i < <usize>n; i++) store<u8>(into + i, load<u8>(REST + i));
}

function fillZeros(into: usize, n: u32): void {
  for (const end = into + <usize>n; into < end; into++) store<u8>(into, 0);
}
