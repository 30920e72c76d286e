import { R_WEIGHTS, T_DIM, T_OPT_PARAMS } from "../layout";

/** h += (sum of g g) / dim; w -= (lr / (sqrt(h) + eps)) g. State: h, one float. */
export function applyRowWiseAdagrad(t: usize, rows: usize, grads: usize, n: i32, learningRate: f32): void {
  const dim = load<u32>(t, T_DIM);
  const size = (<usize>dim) << 2;
  const whole = (<usize>(dim & ~3)) << 2;
  const tail = size - whole;
  const eps = <f32>load<f64>(t, T_OPT_PARAMS);
  const end = rows + ((<usize>n) << 2);
  for (let g = grads; rows < end; rows += 4) {
    let w = ((<usize>load<u32>(rows)) << 3) + R_WEIGHTS;
    const h = w + size;
    const sum = load<f32>(h) + sumOfSquares(g, whole, tail) / <f32>dim;
    store<f32>(h, sum);
    const rate = learningRate / (sqrt<f32>(sum) + eps);
    const rates = f32x4.splat(rate);
    for (const stop = w + whole; w < stop; w += 16, g += 16) {
      v128.store(w, f32x4.sub(v128.load(w), f32x4.mul(rates, v128.load(g))));
    }
    for (const stop = w + tail; w < stop; w += 4, g += 4) {
      store<f32>(w, load<f32>(w) - rate * load<f32>(g));
    }
  }
}

/** Element i is added to lane i & 3; the lanes are added as (0 + 1) + (2 + 3). The last elements come in beside zeros. */
function sumOfSquares(g: usize, whole: usize, tail: usize): f32 {
  let lanes = f32x4.splat(0);
  for (const stop = g + whole; g < stop; g += 16) {
    const gradient = v128.load(g);
    lanes = f32x4.add(lanes, f32x4.mul(gradient, gradient));
  }
  if (tail) {
    let rest = v128.load32_zero(g);
    if (tail > 4) rest = v128.load_lane<f32>(g + 4, rest, 1);
    if (tail > 8) rest = v128.load_lane<f32>(g + 8, rest, 2);
    lanes = f32x4.add(lanes, f32x4.mul(rest, rest));
  }
  const even = f32x4.extract_lane(lanes, 0) + f32x4.extract_lane(lanes, 1);
  return even + (f32x4.extract_lane(lanes, 2) + f32x4.extract_lane(lanes, 3));
}
