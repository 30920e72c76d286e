import { T_DIM, T_FLAGS, T_OPT_PARAMS, T_OPTIMIZER, T_STATE } from "./layout";
import { applyAdagrad } from "./optimizers/adagrad";
import { applyAdamRowStep, applyAdamTableStep } from "./optimizers/adam";
import {
  ADAGRAD,
  ADAM_ROW_STEP,
  ADAM_TABLE_STEP,
  BOUNDS,
  CLIP_NORM,
  CLIP_VALUE,
  DECAY_DECOUPLED,
  DECAY_L2,
  FTRL,
  ROW_WISE_ADAGRAD,
  SGD,
  SGD_MOMENTUM,
  SGD_NESTEROV,
} from "./optimizers/codes";
import { applyFtrl } from "./optimizers/ftrl";
import { boundWeights, decayWeights, prepareGradient } from "./optimizers/gradient";
import { applyRowWiseAdagrad } from "./optimizers/row-wise-adagrad";
import { applySgd, applySgdMomentum, applySgdNesterov } from "./optimizers/sgd";

/** The largest row, dim 4,096, fills it; smaller rows go through it many at a time. */
const PREPARED_FLOATS: u32 = 4096;
const prepared = memory.data(16384, 16);

/**
 * Applies one gradient to each of `n` distinct rows.
 *
 * `rows` is u32[n], a record's byte address >>> 3; `grads` is f32[n * dim], any alignment, only read. Updates weights and
 * state; key, frequency and last step are the caller's. `step` >= 1 is the request's, read where the table counts steps.
 */
export function applyRows(t: usize, rows: usize, grads: usize, n: i32, learningRate: f32, step: u32): void {
  const flags = load<u32>(t, T_FLAGS);
  if (flags & DECAY_DECOUPLED) decayWeights(t, rows, n, learningRate);
  if (flags & (CLIP_VALUE | CLIP_NORM | DECAY_L2)) applyPrepared(t, rows, grads, n, learningRate, step);
  else apply(t, rows, grads, n, learningRate, step);
  if (flags & BOUNDS) boundWeights(t, rows, n);
}

function apply(t: usize, rows: usize, grads: usize, n: i32, learningRate: f32, step: u32): void {
  const optimizer = load<u32>(t, T_OPTIMIZER);
  if (optimizer == SGD) applySgd(t, rows, grads, n, learningRate);
  else if (optimizer == SGD_MOMENTUM) applySgdMomentum(t, rows, grads, n, learningRate);
  else if (optimizer == SGD_NESTEROV) applySgdNesterov(t, rows, grads, n, learningRate);
  else if (optimizer == ADAGRAD) applyAdagrad(t, rows, grads, n, learningRate);
  else if (optimizer == ROW_WISE_ADAGRAD) applyRowWiseAdagrad(t, rows, grads, n, learningRate);
  else if (optimizer == ADAM_ROW_STEP) applyAdamRowStep(t, rows, grads, n, learningRate);
  else if (optimizer == ADAM_TABLE_STEP) applyAdamTableStep(t, rows, grads, n, learningRate, step);
  else if (optimizer == FTRL) applyFtrl(t, rows, grads, n, learningRate);
  else unreachable();
}

/** Goes through the rows in runs whose prepared gradients fit beside each other. */
function applyPrepared(t: usize, rows: usize, grads: usize, n: i32, learningRate: f32, step: u32): void {
  const dim = load<u32>(t, T_DIM);
  const size = (<usize>dim) << 2;
  const run = <i32>(PREPARED_FLOATS / dim);
  while (n > 0) {
    const count = min<i32>(n, run);
    for (let i = 0; i < count; i++) {
      const record = (<usize>load<u32>(rows + ((<usize>i) << 2))) << 3;
      prepareGradient(t, record, grads + <usize>i * size, prepared + <usize>i * size);
    }
    apply(t, rows, prepared, count, learningRate, step);
    rows += (<usize>count) << 2;
    grads += <usize>count * size;
    n -= count;
  }
}

/** Writes the state of a new row, T_STATE floats. */
export function initialState(t: usize, into: usize): void {
  const optimizer = load<u32>(t, T_OPTIMIZER);
  const end = into + ((<usize>load<u32>(t, T_STATE)) << 2);
  const accumulates = optimizer == ADAGRAD || optimizer == ROW_WISE_ADAGRAD;
  const value = accumulates ? <f32>load<f64>(t, T_OPT_PARAMS + 8) : <f32>0;
  for (; into < end; into += 4) store<f32>(into, value);
}
