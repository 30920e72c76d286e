import { R_WEIGHTS, T_DIM, T_OPT_PARAMS } from "../layout";

/** w -= lr g. State: none. */
export function applySgd(t: usize, rows: usize, grads: usize, n: i32, learningRate: f32): void {
  const dim = load<u32>(t, T_DIM);
  const whole = (<usize>(dim & ~3)) << 2;
  const tail = (<usize>(dim & 3)) << 2;
  const rates = f32x4.splat(learningRate);
  const end = rows + ((<usize>n) << 2);
  for (let g = grads; rows < end; rows += 4) {
    let w = ((<usize>load<u32>(rows)) << 3) + R_WEIGHTS;
    for (const stop = w + whole; w < stop; w += 16, g += 16) {
      v128.store(w, f32x4.sub(v128.load(w), f32x4.mul(rates, v128.load(g))));
    }
    for (const stop = w + tail; w < stop; w += 4, g += 4) {
      store<f32>(w, load<f32>(w) - learningRate * load<f32>(g));
    }
  }
}

/** b = momentum b + g; w -= lr b. State: b f32[dim]. */
export function applySgdMomentum(t: usize, rows: usize, grads: usize, n: i32, learningRate: f32): void {
  const dim = load<u32>(t, T_DIM);
  const state = (<usize>dim) << 2;
  const whole = (<usize>(dim & ~3)) << 2;
  const tail = (<usize>(dim & 3)) << 2;
  const momentum = <f32>load<f64>(t, T_OPT_PARAMS);
  const momenta = f32x4.splat(momentum);
  const rates = f32x4.splat(learningRate);
  const end = rows + ((<usize>n) << 2);
  for (let g = grads; rows < end; rows += 4) {
    let w = ((<usize>load<u32>(rows)) << 3) + R_WEIGHTS;
    let b = w + state;
    for (const stop = w + whole; w < stop; w += 16, b += 16, g += 16) {
      const buffer = f32x4.add(f32x4.mul(momenta, v128.load(b)), v128.load(g));
      v128.store(b, buffer);
      v128.store(w, f32x4.sub(v128.load(w), f32x4.mul(rates, buffer)));
    }
    for (const stop = w + tail; w < stop; w += 4, b += 4, g += 4) {
      const buffer = momentum * load<f32>(b) + load<f32>(g);
      store<f32>(b, buffer);
      store<f32>(w, load<f32>(w) - learningRate * buffer);
    }
  }
}

/** b = momentum b + g; w -= lr (g + momentum b). State: b f32[dim]. */
export function applySgdNesterov(t: usize, rows: usize, grads: usize, n: i32, learningRate: f32): void {
  const dim = load<u32>(t, T_DIM);
  const state = (<usize>dim) << 2;
  const whole = (<usize>(dim & ~3)) << 2;
  const tail = (<usize>(dim & 3)) << 2;
  const momentum = <f32>load<f64>(t, T_OPT_PARAMS);
  const momenta = f32x4.splat(momentum);
  const rates = f32x4.splat(learningRate);
  const end = rows + ((<usize>n) << 2);
  for (let g = grads; rows < end; rows += 4) {
    let w = ((<usize>load<u32>(rows)) << 3) + R_WEIGHTS;
    let b = w + state;
    for (const stop = w + whole; w < stop; w += 16, b += 16, g += 16) {
      const gradient = v128.load(g);
      const buffer = f32x4.add(f32x4.mul(momenta, v128.load(b)), gradient);
      v128.store(b, buffer);
      const ahead = f32x4.add(gradient, f32x4.mul(momenta, buffer));
      v128.store(w, f32x4.sub(v128.load(w), f32x4.mul(rates, ahead)));
    }
    for (const stop = w + tail; w < stop; w += 4, b += 4, g += 4) {
      const gradient = load<f32>(g);
      const buffer = momentum * load<f32>(b) + gradient;
      store<f32>(b, buffer);
      store<f32>(w, load<f32>(w) - learningRate * (gradient + momentum * buffer));
    }
  }
}
