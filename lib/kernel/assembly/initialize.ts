import { hashKey } from "./hash";
import { inverseNormal, inverseNormalPair } from "./inverse-normal";
import { T_DIM, T_INIT_PARAMS, T_INITIALIZER, T_SEED_LO } from "./layout";
import { CONSTANT, NORMAL, TRUNCATED_NORMAL, UNIFORM } from "./optimizers/codes";

/** The step of splitmix64: 2^64 divided by the golden ratio, odd. */
const GAMMA: u64 = 0x9e3779b97f4a7c15;

/** Writes the weights a key has before it is ever pushed, f32[dim]: a function of (table seed, key, element). */
export function initialRow(t: usize, key: u64, into: usize): void {
  const initializer = load<u32>(t, T_INITIALIZER);
  const dim = load<u32>(t, T_DIM);
  if (initializer == UNIFORM) return uniformRow(t, hashKey(key, load<u64>(t, T_SEED_LO)), into, dim);
  if (initializer == NORMAL) return normalRow(t, hashKey(key, load<u64>(t, T_SEED_LO)), into, dim, 0, 1);
  if (initializer == TRUNCATED_NORMAL) {
    // Phi(-2) and Phi(2) - Phi(-2): what the inverse of Phi maps to [-2, 2].
    return normalRow(
      t,
      hashKey(key, load<u64>(t, T_SEED_LO)),
      into,
      dim,
      0.022750131948179209,
      0.95449973610364158,
    );
  }
  const value = initializer == CONSTANT ? <f32>load<f64>(t, T_INIT_PARAMS) : <f32>0;
  for (const end = into + ((<usize>dim) << 2); into < end; into += 4) store<f32>(into, value);
}

/** The output function of splitmix64 (Steele, Lea and Flood 2014; Vigna's constants). */
function mix(x: u64): u64 {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

/** Two elements from each number of the sequence: low half, then high half, 24 bits of each. lower + k scale, at most `last`. */
function uniformRow(t: usize, base: u64, into: usize, dim: u32): void {
  const lower = <f32>load<f64>(t, T_INIT_PARAMS);
  const scale = <f32>load<f64>(t, T_INIT_PARAMS + 8);
  const last = <f32>load<f64>(t, T_INIT_PARAMS + 16);
  const lowers = f32x4.splat(lower);
  const scales = f32x4.splat(scale);
  const lasts = f32x4.splat(last);
  const end = into + ((<usize>dim) << 2);
  for (const stop = into + ((<usize>(dim & ~3)) << 2); into < stop; into += 16) {
    const first = mix(base + GAMMA);
    base += 2 * GAMMA;
    const bits = i64x2.replace_lane(i64x2.splat(first), 1, mix(base));
    const steps = f32x4.convert_i32x4_s(i32x4.shr_u(bits, 8));
    v128.store(into, f32x4.pmin(lasts, f32x4.add(lowers, f32x4.mul(steps, scales))));
  }
  for (let bits: u64 = 0, half = 0; into < end; into += 4, half ^= 1) {
    if (half == 0) bits = mix((base += GAMMA));
    else bits >>= 32;
    const value = lower + <f32>(<u32>bits >> 8) * scale;
    store<f32>(into, value < last ? value : last);
  }
}

/** mean + std * (inverse of Phi at from + p width), p the middle of one of 2^52 equal parts of (0, 1). */
function normalRow(t: usize, base: u64, into: usize, dim: u32, from: f64, width: f64): void {
  const mean = load<f64>(t, T_INIT_PARAMS);
  const deviation = load<f64>(t, T_INIT_PARAMS + 8);
  const froms = f64x2.splat(from);
  const widths = f64x2.splat(width);
  const means = f64x2.splat(mean);
  const deviations = f64x2.splat(deviation);
  for (const stop = into + ((<usize>(dim & ~1)) << 2); into < stop; into += 8) {
    const first = probability(base + GAMMA);
    base += 2 * GAMMA;
    const p = f64x2.replace_lane(f64x2.splat(first), 1, probability(base));
    const x = inverseNormalPair(f64x2.add(froms, f64x2.mul(p, widths)));
    const values = f64x2.add(means, f64x2.mul(deviations, x));
    v128.store64_lane(into, f32x4.demote_f64x2_zero(values), 0);
  }
  if (dim & 1) {
    const p = probability(base + GAMMA);
    store<f32>(into, <f32>(mean + deviation * inverseNormal(from + p * width)));
  }
}

function probability(x: u64): f64 {
  return (<f64>(mix(x) >> 12) + 0.5) * 2.220446049250313e-16;
}
