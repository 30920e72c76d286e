// What happens around every optimizer: the gradient is clipped, the weights decay, and at the end stay within bounds.

import { R_WEIGHTS, T_DIM, T_FLAGS, T_PREPARE } from "../layout";
import { BOUNDS, CLIP_NORM, CLIP_VALUE, DECAY_DECOUPLED, DECAY_L2 } from "./codes";

/** Writes what the optimizer is to see of one row's gradient `g` to `into`, 16 bytes aligned: clipped, then L2 decay. */
export function prepareGradient(t: usize, record: usize, g: usize, into: usize): void {
  const dim = load<u32>(t, T_DIM);
  const flags = load<u32>(t, T_FLAGS);
  const size = (<usize>dim) << 2;
  copy(g, into, size);
  if (flags & CLIP_VALUE) clipValues(into, size, <f32>load<f64>(t, T_PREPARE));
  if (flags & CLIP_NORM) clipNorm(into, size, load<f64>(t, T_PREPARE));
  if (flags & DECAY_L2) addDecay(into, size, record + R_WEIGHTS, <f32>load<f64>(t, T_PREPARE + 8));
}

/** w *= 1 - lr decay, where the table decouples decay from the gradient. */
export function decayWeights(t: usize, rows: usize, n: i32, learningRate: f32): void {
  const factor = <f32>(1 - <f64>learningRate * load<f64>(t, T_PREPARE + 8));
  const size = (<usize>load<u32>(t, T_DIM)) << 2;
  for (let i = 0; i < n; i++)
    scale(((<usize>load<u32>(rows + ((<usize>i) << 2))) << 3) + R_WEIGHTS, size, factor);
}

/** w = min(max(w, lower), upper). */
export function boundWeights(t: usize, rows: usize, n: i32): void {
  const lower = <f32>load<f64>(t, T_PREPARE + 16);
  const upper = <f32>load<f64>(t, T_PREPARE + 24);
  const size = (<usize>load<u32>(t, T_DIM)) << 2;
  for (let i = 0; i < n; i++)
    clamp(((<usize>load<u32>(rows + ((<usize>i) << 2))) << 3) + R_WEIGHTS, size, lower, upper);
}

/** memory.copy leaves WebAssembly for a function of the engine, which takes longer than a row. */
function copy(from: usize, into: usize, size: usize): void {
  const end = into + size;
  for (const stop = into + (size & ~15); into < stop; into += 16, from += 16)
    v128.store(into, v128.load(from));
  for (; into < end; into += 4, from += 4) store<f32>(into, load<f32>(from));
}

function clipValues(g: usize, size: usize, limit: f32): void {
  clamp(g, size, -limit, limit);
}

/** g *= limit / |g| where |g| > limit. The norm is taken in float64, where the squares of floats are exact and finite. */
function clipNorm(g: usize, size: usize, limit: f64): void {
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  const whole = size & ~15;
  for (let i: usize = 0; i < whole; i += 16) {
    const first = f64x2.promote_low_f32x4(v128.load64_zero(g + i));
    const second = f64x2.promote_low_f32x4(v128.load64_zero(g + i + 8));
    low = f64x2.add(low, f64x2.mul(first, first));
    high = f64x2.add(high, f64x2.mul(second, second));
  }
  let l0 = f64x2.extract_lane(low, 0);
  let l1 = f64x2.extract_lane(low, 1);
  let l2 = f64x2.extract_lane(high, 0);
  if (size - whole > 0) l0 += square(load<f32>(g + whole));
  if (size - whole > 4) l1 += square(load<f32>(g + whole + 4));
  if (size - whole > 8) l2 += square(load<f32>(g + whole + 8));
  const norm = sqrt<f64>(l0 + l1 + (l2 + f64x2.extract_lane(high, 1)));
  if (norm > limit) scale(g, size, <f32>(limit / norm));
}

function square(value: f32): f64 {
  return <f64>value * <f64>value;
}

/** g += decay w. */
function addDecay(g: usize, size: usize, w: usize, decay: f32): void {
  const decays = f32x4.splat(decay);
  const end = g + size;
  for (const stop = g + (size & ~15); g < stop; g += 16, w += 16) {
    v128.store(g, f32x4.add(v128.load(g), f32x4.mul(decays, v128.load(w))));
  }
  for (; g < end; g += 4, w += 4) store<f32>(g, load<f32>(g) + decay * load<f32>(w));
}

function scale(at: usize, size: usize, factor: f32): void {
  const factors = f32x4.splat(factor);
  const end = at + size;
  for (const stop = at + (size & ~15); at < stop; at += 16) v128.store(at, f32x4.mul(v128.load(at), factors));
  for (; at < end; at += 4) store<f32>(at, load<f32>(at) * factor);
}

/** x < lower becomes lower, x > upper becomes upper, all else (NaN and -0 too) stays. */
function clamp(at: usize, size: usize, lower: f32, upper: f32): void {
  const lowers = f32x4.splat(lower);
  const uppers = f32x4.splat(upper);
  const end = at + size;
  for (const stop = at + (size & ~15); at < stop; at += 16) {
    // pmax(a, b) is a < b ? b : a, and pmin(a, b) is b < a ? b : a.
    v128.store(at, f32x4.pmin(f32x4.pmax(v128.load(at), lowers), uppers));
  }
  for (; at < end; at += 4) {
    const value = load<f32>(at);
    const raised = value < lower ? lower : value;
    store<f32>(at, upper < raised ? upper : raised);
  }
}
