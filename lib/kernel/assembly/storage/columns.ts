// Runs of numbers of 16 bits from and to float32. `n` is any number; pointers have any alignment.
import { bfloatToFloat, floatToBfloat, floatToBfloatByChance } from "./bfloat";
import { bitsOf, countersOf, keyOf, nextCounters } from "./chance";
import { floatToHalf, floatToHalfByChance, halfToFloat } from "./half";

/** Where the last one to three numbers are worked on, so that nothing beyond them is read or written. */
const REST = memory.data(32, 16);

export function readHalves(from: usize, into: usize, n: u32): void {
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

export function writeHalves(from: usize, into: usize, n: u32): void {
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
