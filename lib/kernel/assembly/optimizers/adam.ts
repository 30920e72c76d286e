import { R_WEIGHTS, T_DIM, T_OPT_PARAMS } from "../layout";

/** A row's own count stops here: the next whole number is not a float32. */
const MAX_COUNT: f32 = 16777216;

/**
 * Adam whose step is the row's own count of updates. State: m f32[dim], v f32[dim], count f32.
 */
export function applyAdamRowStep(t: usize, rows: usize, grads: usize, n: i32, learningRate: f32): void {
  const dim = load<u32>(t, T_DIM);
  const size = (<usize>dim) << 2;
  const end = rows + ((<usize>n) << 2);
  for (let g = grads; rows < end; rows += 4, g += size) {
    const w = ((<usize>load<u32>(rows)) << 3) + R_WEIGHTS;
    const counter = w + 3 * size;
    // An assigned state may hold any float here; the count is always a whole number in [1, 2^24].
    const next = floor<f32>(load<f32>(counter)) + 1;
    const count = next >= 1 ? (next <= MAX_COUNT ? next : MAX_COUNT) : <f32>1;
    store<f32>(counter, count);
    const corrections = biasCorrections(t, <u32>count);
    applyRow(t, w, g, dim, stepSize(learningRate, corrections), rootOfCorrection(corrections));
  }
}

/** Adam whose step (>= 1) comes with the request. State: m f32[dim], v f32[dim]. */
export function applyAdamTableStep(
  t: usize,
  rows: usize,
  grads: usize,
  n: i32,
  learningRate: f32,
  step: u32,
): void {
  const dim = load<u32>(t, T_DIM);
  const size = (<usize>dim) << 2;
  const end = rows + ((<usize>n) << 2);
  const corrections = biasCorrections(t, step);
  const rate = stepSize(learningRate, corrections);
  const root = rootOfCorrection(corrections);
  for (let g = grads; rows < end; rows += 4, g += size) {
    applyRow(t, ((<usize>load<u32>(rows)) << 3) + R_WEIGHTS, g, dim, rate, root);
  }
}

/** lr / (1 - beta1^step), in float64, rounded once. */
function stepSize(learningRate: f32, corrections: v128): f32 {
  return <f32>(<f64>learningRate / f64x2.extract_lane(corrections, 0));
}

/** sqrt(1 - beta2^step), in float64, rounded once. */
function rootOfCorrection(corrections: v128): f32 {
  return <f32>sqrt<f64>(f64x2.extract_lane(corrections, 1));
}

/** 1 - beta1^step and 1 - beta2^step, by squaring from the lowest bit up: each product rounded, as everywhere else. */
function biasCorrections(t: usize, step: u32): v128 {
  const ones = f64x2.splat(1);
  let powers = ones;
  let base = v128.load(t, T_OPT_PARAMS);
  while (true) {
    if (step & 1) powers = f64x2.mul(powers, base);
    step >>= 1;
    if (step == 0) return f64x2.sub(ones, powers);
    base = f64x2.mul(base, base);
  }
}

/**
 * m = lerp(m, g, 1 - beta1); v = beta2 v + ((1 - beta2) g) g; w += (-rate m) / (sqrt(v) / root + eps).
 * lerp is torch.lerp: m + a (g - m) for a < 0.5, otherwise g - (g - m)(1 - a).
 */
function applyRow(t: usize, w: usize, g: usize, dim: u32, rate: f32, root: f32): void {
  const beta2 = <f32>load<f64>(t, T_OPT_PARAMS + 8);
  const a = <f32>load<f64>(t, T_OPT_PARAMS + 16);
  const b = <f32>load<f64>(t, T_OPT_PARAMS + 24);
  const eps = <f32>load<f64>(t, T_OPT_PARAMS + 32);
  const near = a < 0.5;
  const size = (<usize>dim) << 2;
  const whole = (<usize>(dim & ~3)) << 2;
  const end = w + size;
  for (const stop = w + whole; w < stop; w += 16, g += 16) {
    const gradient = v128.load(g);
    const old = v128.load(w + size);
    const difference = f32x4.sub(gradient, old);
    const m = near
      ? f32x4.add(old, f32x4.mul(f32x4.splat(a), difference))
      : f32x4.sub(gradient, f32x4.mul(difference, f32x4.splat(<f32>1 - a)));
    v128.store(w + size, m);
    const square = f32x4.mul(f32x4.mul(f32x4.splat(b), gradient), gradient);
    const v = f32x4.add(f32x4.mul(f32x4.splat(beta2), v128.load(w + 2 * size)), square);
    v128.store(w + 2 * size, v);
    const divisor = f32x4.add(f32x4.div(f32x4.sqrt(v), f32x4.splat(root)), f32x4.splat(eps));
    v128.store(w, f32x4.add(v128.load(w), f32x4.div(f32x4.mul(f32x4.splat(-rate), m), divisor)));
  }
  for (; w < end; w += 4, g += 4) {
    const gradient = load<f32>(g);
    const old = load<f32>(w + size);
    const difference = gradient - old;
    const m = near ? old + a * difference : gradient - difference * (<f32>1 - a);
    store<f32>(w + size, m);
    const v = beta2 * load<f32>(w + 2 * size) + b * gradient * gradient;
    store<f32>(w + 2 * size, v);
    store<f32>(w, load<f32>(w) + (-rate * m) / (sqrt<f32>(v) / root + eps));
  }
}
