// binary16 as plain arithmetic, for tests.
import { store } from "../../lib/kernel/oracle/storage.js";

/** What the bits of a binary16 mean. */
export function floatOfHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

export function floatsOfHalves(halves: Uint16Array): Float32Array {
  return Float32Array.from(halves, floatOfHalf);
}

/** What float32s are when they have been binary16: the oracle's rounding. */
export function throughHalves(floats: Float32Array): Float32Array {
  const rounded = floats.slice();
  store({ storage: "f16", stateStorage: "f32", rounding: "nearest" }, rounded, new Float32Array(0), 0);
  return rounded;
}
