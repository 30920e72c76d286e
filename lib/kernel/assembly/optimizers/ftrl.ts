import { R_WEIGHTS, T_DIM, T_OPT_PARAMS } from "../layout";

/**
 * FTRL-proximal (McMahan et al. 2013, algorithm 1), alpha = learning rate. State: z f32[dim], n f32[dim].
 *
 *   s = (sqrt(n + g g) - sqrt(n)) / alpha;  z = (z + g) - s w;  n = n + g g
 *   w = |z| <= lambda1 ? 0 : (sign(z) lambda1 - z) / ((beta + sqrt(n)) / alpha + lambda2)
 */
export function applyFtrl(t: usize, rows: usize, grads: usize, n: i32, learningRate: f32): void {
  const dim = load<u32>(t, T_DIM);
  const size = (<usize>dim) << 2;
  const whole = (<usize>(dim & ~3)) << 2;
  const tail = size - whole;
  const beta = <f32>load<f64>(t, T_OPT_PARAMS);
  const lambda1 = <f32>load<f64>(t, T_OPT_PARAMS + 8);
  const lambda2 = <f32>load<f64>(t, T_OPT_PARAMS + 16);
  const alphas = f32x4.splat(learningRate);
  const betas = f32x4.splat(beta);
  const ones = f32x4.splat(lambda1);
  const twos = f32x4.splat(lambda2);
  const signs = i32x4.splat(0x80000000);
  const end = rows + ((<usize>n) << 2);
  for (let g = grads; rows < end; rows += 4) {
    let w = ((<usize>load<u32>(rows)) << 3) + R_WEIGHTS;
    for (const stop = w + whole; w < stop; w += 16, g += 16) {
      const gradient = v128.load(g);
      const old = v128.load(w + 2 * size);
      const sum = f32x4.add(old, f32x4.mul(gradient, gradient));
      const root = f32x4.sqrt(sum);
      const sigma = f32x4.div(f32x4.sub(root, f32x4.sqrt(old)), alphas);
      const z = f32x4.sub(f32x4.add(v128.load(w + size), gradient), f32x4.mul(sigma, v128.load(w)));
      v128.store(w + size, z);
      v128.store(w + 2 * size, sum);
      const divisor = f32x4.add(f32x4.div(f32x4.add(betas, root), alphas), twos);
      const dividend = f32x4.sub(v128.or(v128.and(z, signs), ones), z);
      const kept = v128.not(f32x4.le(f32x4.abs(z), ones));
      v128.store(w, v128.and(f32x4.div(dividend, divisor), kept));
    }
    for (const stop = w + tail; w < stop; w += 4, g += 4) {
      const gradient = load<f32>(g);
      const old = load<f32>(w + 2 * size);
      const sum = old + gradient * gradient;
      const root = sqrt<f32>(sum);
      const sigma = (root - sqrt<f32>(old)) / learningRate;
      const z = load<f32>(w + size) + gradient - sigma * load<f32>(w);
      store<f32>(w + size, z);
      store<f32>(w + 2 * size, sum);
      const divisor = (beta + root) / learningRate + lambda2;
      store<f32>(w, abs<f32>(z) <= lambda1 ? <f32>0 : (copysign<f32>(lambda1, z) - z) / divisor);
    }
  }
}
