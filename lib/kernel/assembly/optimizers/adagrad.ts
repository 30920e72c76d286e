import { R_WEIGHTS, T_DIM, T_OPT_PARAMS } from "../layout";

/** h += g g; w += (-lr g) / (sqrt(h) + eps). State: h f32[dim]. Four lanes at a time, then one by one. */
export function applyAdagrad(t: usize, rows: usize, grads: usize, n: i32, learningRate: f32): void {
  const dim = load<u32>(t, T_DIM);
  const state = (<usize>dim) << 2;
  const whole = (<usize>(dim & ~3)) << 2;
  const tail = (<usize>(dim & 3)) << 2;
  const eps = <f32>load<f64>(t, T_OPT_PARAMS);
  const epsilons = f32x4.splat(eps);
  const rates = f32x4.splat(-learningRate);
  const end = rows + ((<usize>n) << 2);
  for (let g = grads; rows < end; rows += 4) {
    let w = ((<usize>load<u32>(rows)) << 3) + R_WEIGHTS;
    let h = w + state;
    for (const stop = w + whole; w < stop; w += 16, h += 16, g += 16) {
      const gradient = v128.load(g);
      const sum = f32x4.add(v128.load(h), f32x4.mul(gradient, gradient));
      v128.store(h, sum);
      const step = f32x4.div(f32x4.mul(rates, gradient), f32x4.add(f32x4.sqrt(sum), epsilons));
      v128.store(w, f32x4.add(v128.load(w), step));
    }
    for (const stop = w + tail; w < stop; w += 4, h += 4, g += 4) {
      const gradient = load<f32>(g);
      const sum = load<f32>(h) + gradient * gradient;
      store<f32>(h, sum);
      store<f32>(w, load<f32>(w) + (-learningRate * gradient) / (sqrt<f32>(sum) + eps));
    }
  }
}
