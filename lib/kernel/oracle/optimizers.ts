// Every optimizer as plain arithmetic: one rounding to float32 (`f`) for each operation, in the order that the kernel keeps.
// docs/optimizers.md states the formulas and their sources.
import { OPTIMIZERS, type OptimizerProgram, stateFloatsOf } from "../programs.js";
import { boundWeights, decayWeights, laneSum, preparedGradient } from "./gradients.js";

const f = Math.fround;

/** The state of a new row, a new f32[stateFloats]. */
export function initialState(program: OptimizerProgram, dim: number): Float32Array {
  const state = new Float32Array(stateFloatsOf(program, dim));
  const accumulates = program.id === OPTIMIZERS.adagrad || program.id === OPTIMIZERS.rowWiseAdagrad;
  return accumulates ? state.fill(program.params[1]) : state;
}

/** Applies one gradient f32[dim] to one row, in place. `step` >= 1 is the request's. */
export function applyGradient(
  program: OptimizerProgram,
  weights: Float32Array,
  state: Float32Array,
  gradient: Float32Array,
  learningRate: number,
  step: number,
): void {
  const rate = f(learningRate);
  decayWeights(program, weights, rate);
  const prepared = preparedGradient(program, weights, gradient);
  optimizerOf(program.id)(weights, state, prepared, rate, program.params, step);
  boundWeights(program, weights);
}

/** w weights, s state, g gradient, lr learning rate (a float32), p parameters (float64). */
type Apply = (
  w: Float32Array,
  s: Float32Array,
  g: Float32Array,
  lr: number,
  p: Float64Array,
  step: number,
) => void;

function optimizerOf(id: number): Apply {
  switch (id) {
    case OPTIMIZERS.sgd:
      return sgd;
    case OPTIMIZERS.sgdMomentum:
      return sgdMomentum;
    case OPTIMIZERS.sgdNesterov:
      return sgdNesterov;
    case OPTIMIZERS.adagrad:
      return adagrad;
    case OPTIMIZERS.rowWiseAdagrad:
      return rowWiseAdagrad;
    case OPTIMIZERS.adamRowStep:
      return adamRowStep;
    case OPTIMIZERS.adamTableStep:
      return adam;
    case OPTIMIZERS.ftrl:
      return ftrl;
    default:
      throw new RangeError(`optimizer ${id} is not in the table of optimizers`);
  }
}

const sgd: Apply = (w, _, g, lr) => {
  for (let i = 0; i < w.length; i++) w[i] = f(w[i] - f(lr * g[i]));
};

const sgdMomentum: Apply = (w, s, g, lr, p) => {
  const momentum = f(p[0]);
  for (let i = 0; i < w.length; i++) {
    s[i] = f(f(momentum * s[i]) + g[i]);
    w[i] = f(w[i] - f(lr * s[i]));
  }
};

const sgdNesterov: Apply = (w, s, g, lr, p) => {
  const momentum = f(p[0]);
  for (let i = 0; i < w.length; i++) {
    s[i] = f(f(momentum * s[i]) + g[i]);
    w[i] = f(w[i] - f(lr * f(g[i] + f(momentum * s[i]))));
  }
};

const adagrad: Apply = (w, s, g, lr, p) => {
  const eps = f(p[0]);
  for (let i = 0; i < w.length; i++) {
    s[i] = f(s[i] + f(g[i] * g[i]));
    w[i] = f(w[i] + f(f(-lr * g[i]) / f(f(Math.sqrt(s[i])) + eps)));
  }
};

const rowWiseAdagrad: Apply = (w, s, g, lr, p) => {
  const eps = f(p[0]);
  const sum = laneSum(g, (lane, x) => f(lane + f(x * x)), f);
  s[0] = f(s[0] + f(sum / w.length));
  const rate = f(lr / f(f(Math.sqrt(s[0])) + eps));
  for (let i = 0; i < w.length; i++) w[i] = f(w[i] - f(rate * g[i]));
};

/** The row's own count lies behind m and v; it stops at 2^24, where float32 has no next whole number. */
const adamRowStep: Apply = (w, s, g, lr, p) => {
  const next = Math.floor(s[2 * w.length]) + 1;
  const count = next >= 1 ? Math.min(next, 2 ** 24) : 1;
  s[2 * w.length] = count;
  adam(w, s, g, lr, p, count);
};

const adam: Apply = (w, s, g, lr, p, step) => {
  const dim = w.length;
  const [beta1, beta2, a, b, eps] = [p[0], f(p[1]), f(p[2]), f(p[3]), f(p[4])];
  const rate = f(lr / (1 - power(beta1, step)));
  const root = f(Math.sqrt(1 - power(p[1], step)));
  for (let i = 0; i < dim; i++) {
    const difference = f(g[i] - s[i]);
    const m = a < 0.5 ? f(s[i] + f(a * difference)) : f(g[i] - f(difference * f(1 - a)));
    const v = f(f(beta2 * s[dim + i]) + f(f(b * g[i]) * g[i]));
    s[i] = m;
    s[dim + i] = v;
    w[i] = f(w[i] + f(f(-rate * m) / f(f(f(Math.sqrt(v)) / root) + eps)));
  }
};

/** base^exponent in float64 by squaring, from the lowest bit up; each product is rounded, so every platform agrees. */
function power(base: number, exponent: number): number {
  let result = 1;
  for (let square = base; exponent > 0; exponent = Math.floor(exponent / 2), square *= square) {
    if (exponent % 2 === 1) result *= square;
  }
  return result;
}

const ftrl: Apply = (w, s, g, alpha, p) => {
  const dim = w.length;
  const [beta, lambda1, lambda2] = [f(p[0]), f(p[1]), f(p[2])];
  for (let i = 0; i < dim; i++) {
    const sum = f(s[dim + i] + f(g[i] * g[i]));
    const root = f(Math.sqrt(sum));
    const sigma = f(f(root - f(Math.sqrt(s[dim + i]))) / alpha);
    const z = f(f(s[i] + g[i]) - f(sigma * w[i]));
    s[i] = z;
    s[dim + i] = sum;
    const divisor = f(f(f(beta + root) / alpha) + lambda2);
    const edge = z < 0 ? -lambda1 : lambda1;
    w[i] = Math.abs(z) <= lambda1 ? 0 : f(f(edge - z) / divisor);
  }
};
