// Runs of numbers of 16 bits from and to float32. `n` is any number; pointers have any alignment.
import { bfloatToFloat, floatToBfloat, floatToBfloatByChance } from "./bfloat";
import { bitsOf, countersOf, keyOf, nextCounters } from "./chance";
import {
  areFinite,
  finiteToFloat,
  floatToHalf,
  floatToHalfByChance,
  halfToFloat,
  highTops,
  lowTops,
  unitsOf,
} from "./half";

/** Where the last one to three numbers are worked on, so that nothing beyond them is read or written. */
const REST = memory.data(32, 16);
/** What each lane is given of, by readHalves and by writeHalves. */
const READING = memory.data<u32>([
  0x7fff7fff, 0x7bff7bff, 0x0fffffff, 0x38000000, 0x00800000, 0x38800000, 0x80000000,
]);
/** Of writing, behind the magnitude, upper halves: exponents, those of 2^14, 2^-14 and 0.5, the sign. */
const WRITING = memory.data<u32>([0x7fffffff, 0x7f807f80, 0x46804680, 0x38803880, 0x3f003f00, 0x80008000]);

/**
 * Of eight numbers most often all are finite, for which less is to be done. What is compared and added comes from memory, once: where there
 * is a branch the engine makes constants anew each time, of four instructions each.
 */
export function readHalves(from: usize, into: usize, n: u32): void {
  const magnitude = v128.load32_splat(READING);
  const most = v128.load32_splat(READING, 4);
  const kept = v128.load32_splat(READING, 8);
  const bias = v128.load32_splat(READING, 12);
  const one = v128.load32_splat(READING, 16);
  const least = v128.load32_splat(READING, 20);
  const sign = v128.load32_splat(READING, 24);
  for (let end = into + wholeEights(n); into < end; into += 32, from += 16) {
    const low = v128.load_ext<i16>(from);
    const high = v128.load_ext<i16>(from, 8);
    if (areFinite(v128.load(from), magnitude, most)) {
      v128.store(into, finiteToFloat(low, kept, bias, one, least, sign));
      v128.store(into, finiteToFloat(high, kept, bias, one, least, sign), 16);
    } else {
      v128.store(into, halfToFloat(low));
      v128.store(into, halfToFloat(high), 16);
    }
  }
  n &= 7;
  for (let end = into + wholeBytes(n); into < end; into += 16, from += 8)
    v128.store(into, halfToFloat(v128.load_ext<i16>(from)));
  if (n & 3) {
    takeNumbers(from, n & 3);
    v128.store(REST, halfToFloat(v128.load_ext<i16>(REST)));
    giveFloats(into, n & 3);
  }
}

export function readBfloats(from: usize, into: usize, n: u32): void {
  for (let end = into + wholeBytes(n); into < end; into += 16, from += 8)
    v128.store(into, bfloatToFloat(v128.load_ext<u16>(from)));
  if (n & 3) {
    takeNumbers(from, n & 3);
    v128.store(REST, bfloatToFloat(v128.load_ext<u16>(REST)));
    giveFloats(into, n & 3);
  }
}

/** As `readHalves`, of eight numbers that are below 2^15. */
export function writeHalves(from: usize, into: usize, n: u32): void {
  const magnitude = v128.load32_splat(WRITING);
  const exponent = v128.load32_splat(WRITING, 4);
  const most = v128.load32_splat(WRITING, 8);
  const least = v128.load32_splat(WRITING, 12);
  const unit = v128.load32_splat(WRITING, 16);
  const sign = v128.load32_splat(WRITING, 20);
  for (let end = from + wholeEights(n); from < end; from += 32, into += 16) {
    const low = v128.load(from);
    const high = v128.load(from, 16);
    const tops = i16x8.narrow_i32x4_s(i32x4.shr_s(low, 16), i32x4.shr_s(high, 16));
    const exponents = v128.and(tops, exponent);
    if (!v128.any_true(i16x8.gt_s(exponents, most))) {
      const above = i16x8.sub_sat_u(exponents, least);
      const units = i16x8.add(above, unit);
      const sizes = i16x8.narrow_i32x4_u(
        unitsOf(v128.and(low, magnitude), lowTops(units)),
        unitsOf(v128.and(high, magnitude), highTops(units)),
      );
      v128.store(into, v128.or(i16x8.add(sizes, i16x8.shl(above, 3)), v128.and(tops, sign)));
    } else {
      storeFour(into, floatToHalf(low));
      storeFour(into + 8, floatToHalf(high));
    }
  }
  n &= 7;
  for (let end = from + wholeBytes(n); from < end; from += 16, into += 8)
    storeFour(into, floatToHalf(v128.load(from)));
  if (n & 3) {
    storeFour(REST, floatToHalf(takeFloats(from, n & 3)));
    giveNumbers(into, n & 3);
  }
}

export function writeBfloats(from: usize, into: usize, n: u32): void {
  for (let end = from + wholeBytes(n); from < end; from += 16, into += 8)
    storeFour(into, floatToBfloat(v128.load(from)));
  if (n & 3) {
    storeFour(REST, floatToBfloat(takeFloats(from, n & 3)));
    giveNumbers(into, n & 3);
  }
}

/** Rounds by chance; the first number is element `element` of the row. */
export function writeHalvesByChance(from: usize, into: usize, n: u32, chance: u64, element: u32): void {
  const key = keyOf(chance);
  let counters = countersOf(chance, element);
  for (let end = from + wholeBytes(n); from < end; from += 16, into += 8) {
    storeFour(into, floatToHalfByChance(v128.load(from), bitsOf(counters, key)));
    counters = nextCounters(counters);
  }
  if (n & 3) {
    storeFour(REST, floatToHalfByChance(takeFloats(from, n & 3), bitsOf(counters, key)));
    giveNumbers(into, n & 3);
  }
}

/** Rounds by chance; the first number is element `element` of the row. */
export function writeBfloatsByChance(from: usize, into: usize, n: u32, chance: u64, element: u32): void {
  const key = keyOf(chance);
  let counters = countersOf(chance, element);
  for (let end = from + wholeBytes(n); from < end; from += 16, into += 8) {
    storeFour(into, floatToBfloatByChance(v128.load(from), bitsOf(counters, key)));
    counters = nextCounters(counters);
  }
  if (n & 3) {
    storeFour(REST, floatToBfloatByChance(takeFloats(from, n & 3), bitsOf(counters, key)));
    giveNumbers(into, n & 3);
  }
}

/** Bytes of float32 in the whole eights of n numbers. */
function wholeEights(n: u32): usize {
  return (<usize>(n & ~7)) << 2;
}

/** Bytes of float32 in the whole fours of n numbers. */
function wholeBytes(n: u32): usize {
  return (<usize>(n & ~3)) << 2;
}

function storeFour(into: usize, numbers: v128): void {
  v128.store64_lane(into, i16x8.narrow_i32x4_u(numbers, numbers), 0);
}

function takeNumbers(from: usize, n: u32): void {
  store<u64>(REST, 0);
  for (let i: usize = 0; i < <usize>n; i++) store<u16>(REST + (i << 1), load<u16>(from + (i << 1)));
}

function giveNumbers(into: usize, n: u32): void {
  for (let i: usize = 0; i < <usize>n; i++) store<u16>(into + (i << 1), load<u16>(REST + (i << 1)));
}

/** One to three float32s, zeros behind them. */
export function takeFloats(from: usize, n: u32): v128 {
  v128.store(REST, i32x4.splat(0));
  for (let i: usize = 0; i < <usize>n; i++) store<u32>(REST + (i << 2), load<u32>(from + (i << 2)));
  return v128.load(REST);
}

function giveFloats(into: usize, n: u32): void {
  for (let i: usize = 0; i < <usize>n; i++) store<u32>(into + (i << 2), load<u32>(REST + (i << 2)));
}
