// What becomes of float32s that are stored as less, as plain arithmetic. docs/storage-types.md states it.
import type { RowStorage } from "../storage.js";
import { hashKey } from "./hash.js";

const f = Math.fround;

/** How one number is rounded to a whole one. Element is its number in the row, weights first, then state. */
export type Round = (x: number, element: number) => number;

/** A row as it reads once it has been stored, in place. `scalars` is how many floats of state, the last ones, are float32 always. */
export function store(
  { storage, stateStorage }: RowStorage,
  weights: Float32Array,
  state: Float32Array,
  scalars: number,
  round: Round = nearest,
): void {
  if (storage === "int8") storeBytes(weights, round);
  else if (storage !== "f32")
    for (let i = 0; i < weights.length; i++)
      weights[i] = narrowed(weights[i], formats[storage], (x) => round(x, i));
  if (stateStorage === "f32") return;
  for (let i = 0; i < state.length - scalars; i++)
    state[i] = narrowed(state[i], formats[stateStorage], (x) => round(x, weights.length + i));
}

interface Format {
  /** Bits of the fraction. */
  readonly fraction: number;
  readonly leastExponent: number;
  readonly largest: number;
}

const formats: Readonly<Record<"f16" | "bf16", Format>> = {
  f16: { fraction: 10, leastExponent: -14, largest: 65504 },
  bf16: { fraction: 7, leastExponent: -126, largest: (2 - 2 ** -7) * 2 ** 127 },
};

function narrowed(
  x: number,
  { fraction, leastExponent, largest }: Format,
  round: (x: number) => number,
): number {
  if (!Number.isFinite(x)) return x;
  const size = Math.min(Math.abs(x), largest);
  const unit = 2 ** (Math.max(exponentOf(size), leastExponent) - fraction);
  return round(size / unit) * unit * (x < 0 || Object.is(x, -0) ? -1 : 1);
}

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

/** The e of 2^e <= size < 2^(e + 1) of a float32; -127 for all that is below the normal ones. */
function exponentOf(size: number): number {
  scratch[0] = size;
  return (scratchBits[0] >>> 23) - 127;
}

/** The largest scale of which 127 are finite. */
const largestScale = f(2.6793883890187504e36);

function storeBytes(weights: Float32Array, round: Round): void {
  if (!weights.every(Number.isFinite)) {
    weights.fill(Number.NaN);
    return;
  }
  const largest = weights.reduce((max, w) => Math.max(max, Math.abs(w)), 0);
  const scale = Math.min(f(largest / 127), largestScale);
  for (let i = 0; i < weights.length; i++) {
    let multiple = scale > 0 ? Math.max(-127, Math.min(127, f(weights[i] / scale))) : 0;
    // The row's largest is 127 scales, whatever division has made of it, also by chance.
    if (Math.abs(multiple) >= 127 - 2 ** -16) multiple = 127 * Math.sign(multiple);
    // An int8 knows no -0.
    weights[i] = f((round(multiple, i) + 0) * scale);
  }
}

/** To the nearest whole number, ties to even. */
function nearest(x: number): number {
  const low = Math.floor(x);
  const part = x - low;
  if (part === 0.5) return low % 2 === 0 ? low : low + 1;
  return part < 0.5 ? low : low + 1;
}

/** Rounds by chance, as (seed, key, step, frequency, element) decide. Step and frequency are those after the push. */
export function byChance(
  seed: bigint,
  key: bigint,
  { lastStep, frequency }: { readonly lastStep: number; readonly frequency: number },
): Round {
  const chance = hashKey(BigInt(lastStep) | (BigInt(frequency) << 32n), hashKey(key, seed));
  return (x, element) => {
    const low = Math.floor(x);
    return (bitsOf(chance, element) >>> 8) * 2 ** -24 < x - low ? low + 1 : low;
  };
}

/** lowbias32 (Chris Wellons) of low half and element, with the high half between its two multiplications. */
export function bitsOf(chance: bigint, element: number): number {
  let x = Number(chance & 0xffff_ffffn) + Math.imul(element, 0x9e37_79b9);
  x = Math.imul(x ^ (x >>> 16), 0x7feb_352d);
  x = Math.imul(x ^ (x >>> 15) ^ Number(chance >> 32n), 0x846c_a68b);
  return (x ^ (x >>> 16)) >>> 0;
}
