// Elements of columns as files have them, and their way to ours. All of them little-endian.
import { EmbershardError } from "../base/errors.js";

/** An element type by the name that safetensors gives it. */
export type ElementType = "U64" | "I64" | "F64" | "F32" | "F16" | "BF16" | "U32" | "I32";

export const ELEMENT_BYTES: Readonly<Record<ElementType, number>> = {
  U64: 8,
  I64: 8,
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
};

export const KEY_TYPES: readonly ElementType[] = ["U64", "I64"];
export const FLOAT_TYPES: readonly ElementType[] = ["F32", "F16", "BF16", "F64"];
export const COUNT_TYPES: readonly ElementType[] = ["U32", "I32", "U64", "I64"];

/**
 * Floats of `bytes` as float32: f16 and bf16 are exact, f64 is rounded to nearest (infinite beyond float32's range).
 * Float32 is a view of `bytes`, whose offset must be a multiple of 8.
 */
export function floatsOf(type: ElementType, bytes: Uint8Array): Float32Array {
  const { buffer, byteOffset, byteLength } = bytes;
  const n = byteLength / ELEMENT_BYTES[type];
  switch (type) {
    case "F32":
      return new Float32Array(buffer, byteOffset, n);
    case "F64":
      return Float32Array.from(new Float64Array(buffer, byteOffset, n));
    case "F16":
      return widenHalves(new Uint16Array(buffer, byteOffset, n));
    case "BF16": {
      const words = new Uint32Array(n);
      const halves = new Uint16Array(buffer, byteOffset, n);
      for (let i = 0; i < n; i++) words[i] = halves[i] << 16;
      return new Float32Array(words.buffer);
    }
    default:
      throw new EmbershardError("INTERNAL", `${type} is no float`);
  }
}

/** Keys of `bytes`, a view: a signed integer is the unsigned one of the same bits, as numpy's `view("uint64")` has it. */
export function keysOfBytes({ buffer, byteOffset, byteLength }: Uint8Array): BigUint64Array {
  return new BigUint64Array(buffer, byteOffset, byteLength / 8);
}

/** Counts of `bytes` as u32. Gives the place of one that is no u32, negative say, instead. */
export function countsOf(type: ElementType, bytes: Uint8Array): Uint32Array | number {
  const { buffer, byteOffset, byteLength } = bytes;
  const words = new Uint32Array(buffer, byteOffset, byteLength / 4);
  if (type === "U32") return words;
  if (type === "I32") {
    const bad = new Int32Array(buffer, byteOffset, words.length).findIndex((count) => count < 0);
    return bad < 0 ? words : bad;
  }
  const counts = new Uint32Array(words.length / 2);
  for (let i = 0; i < counts.length; i++) {
    if (words[2 * i + 1] !== 0) return i;
    counts[i] = words[2 * i];
  }
  return counts;
}

let halves: Float32Array | undefined;

function widenHalves(from: Uint16Array): Float32Array {
  halves ??= Float32Array.from({ length: 65_536 }, (_, bits) => halfOf(bits));
  const into = new Float32Array(from.length);
  for (let i = 0; i < from.length; i++) into[i] = halves[from[i]];
  return into;
}

/** The number that 16 bits are (IEEE 754 binary16). */
function halfOf(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const sign = bits >> 15 === 1 ? -1 : 1;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** The place of the first float that is not finite, or -1. */
export function firstNonFinite(floats: Float32Array): number {
  const words = new Int32Array(floats.buffer, floats.byteOffset, floats.length);
  const end = words.length & ~7;
  // Adding one to an exponent of ones carries into the sign. Nobody looks at single ones until one is there.
  let carried = 0;
  for (let i = 0; i < end; i += 8) {
    const first = carryOf(words[i]) | carryOf(words[i + 1]) | carryOf(words[i + 2]) | carryOf(words[i + 3]);
    const second =
      carryOf(words[i + 4]) | carryOf(words[i + 5]) | carryOf(words[i + 6]) | carryOf(words[i + 7]);
    carried |= first | second;
  }
  for (let i = end; i < words.length; i++) carried |= carryOf(words[i]);
  return carried < 0 ? words.findIndex((word) => carryOf(word) < 0) : -1;
}

function carryOf(word: number): number {
  return ((word & 0x7f80_0000) + 0x0080_0000) | 0;
}
