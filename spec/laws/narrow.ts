// Types that take less than float32 as plain arithmetic, for tests.
import { store } from "../../lib/kernel/oracle/storage.js";
import type { NarrowType } from "../../lib/shard/narrow.js";

export const narrowTypes: readonly NarrowType[] = ["f16", "bf16", "int8"];

/** What the bits of a binary16 mean. */
function floatOfHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

export function floatsOfHalves(halves: Uint16Array): Float32Array {
  return Float32Array.from(halves, floatOfHalf);
}

/** What rows of a type mean: u8[n * dim * bytes of a number], little-endian, and of int8 the rows' scales. */
export function widened(
  type: NarrowType,
  numbers: Uint8Array,
  scales: Float32Array | undefined,
  dim: number,
): Float32Array {
  const own = numbers.slice().buffer;
  if (type === "f16") return floatsOfHalves(new Uint16Array(own));
  if (type === "int8")
    return Float32Array.from(new Int8Array(own), (q, i) => q * scales![Math.floor(i / dim)]);
  return new Float32Array(Uint32Array.from(new Uint16Array(own), (bits) => bits << 16).buffer);
}

/** What f32[n * dim] are when they have been of a type: the oracle's rounding. */
export function through(type: NarrowType | "f32", floats: Float32Array, dim: number): Float32Array {
  const rounded = floats.slice();
  const storage = { storage: type, stateStorage: "f32", rounding: "nearest" } as const;
  for (let at = 0; at < rounded.length; at += dim)
    store(storage, rounded.subarray(at, at + dim), new Float32Array(0), 0);
  return rounded;
}

/**
 * A row that int8 does not give back: its scale is 100 times 2^-149, and what it then reads as has a scale of 99. So it shows whether
 * rows are sent as they are stored.
 */
export function unstableRow(dim: number): Float32Array {
  return Float32Array.from({ length: dim }, (_, i) => (i === 0 ? 12_637 : 50 * i) * 2 ** -149);
}
