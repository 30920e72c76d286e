import { INITIALIZERS, type InitializerProgram } from "../programs.js";
import { hashKey, splitmix } from "./hash.js";
import { inverseNormal } from "./inverse-normal.js";

const f = Math.fround;

/** Phi(-2) and Phi(2) - Phi(-2), which the inverse of Phi maps to [-2, 2]. */
const BELOW_TWO = 0.022750131948179209;
const WITHIN_TWO = 0.95449973610364158;

/** The weights of a key that was never pushed, a new f32[dim]. */
export function initialRow(
  program: InitializerProgram,
  seed: bigint,
  key: bigint,
  dim: number,
): Float32Array {
  const base = hashKey(key, seed);
  return Float32Array.from({ length: dim }, (_, element) => initialValue(program, base, element));
}

function initialValue({ id, params }: InitializerProgram, base: bigint, element: number): number {
  switch (id) {
    case INITIALIZERS.zeros:
      return 0;
    case INITIALIZERS.constant:
      return f(params[0]);
    case INITIALIZERS.uniform:
      return uniform(params, base, element);
    case INITIALIZERS.normal:
      return f(params[0] + params[1] * inverseNormal(probability(base, element)));
    case INITIALIZERS.truncatedNormal:
      return f(params[0] + params[1] * inverseNormal(BELOW_TWO + probability(base, element) * WITHIN_TWO));
    default:
      throw new RangeError(`initializer ${id} is not in the table of initializers`);
  }
}

/** Elements 2i and 2i + 1 take the low and the high half of the i-th number, and of each half the upper 24 bits. */
function uniform([lower, scale, last]: Float64Array, base: bigint, element: number): number {
  const bits = splitmix(base, (element >> 1) + 1);
  const k = Number(element & 1 ? bits >> 40n : (bits >> 8n) & 0xffffffn);
  return Math.min(f(f(lower) + f(k * f(scale))), f(last));
}

/** The middle of one of the 2^52 equal parts of (0, 1); exact. */
function probability(base: bigint, element: number): number {
  return (Number(splitmix(base, element + 1) >> 12n) + 0.5) * 2 ** -52;
}
