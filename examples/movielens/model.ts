import type { Ratings } from "./data.js";
import type { Features } from "./features.js";
import type { Scored } from "./metrics.js";

/**
 * A factorization machine of degree 2 (Rendle, ICDM 2010, equations 1 and 5):
 *
 *     y(x) = bias + sum_i w_i x_i + 1/2 sum_f ((sum_i v_if x_i)^2 - sum_i v_if^2 x_i^2)
 *
 * Only additions and multiplications in a fixed order: the same parameters give the same bits everywhere.
 */
export interface Parameters {
  readonly bias: number;
  /** float32[rows]. */
  readonly weights: Float32Array;
  /** float32[rows * rank], a row after the other. */
  readonly factors: Float32Array;
}

/** Ratings with their features as a sparse matrix: those of rating `i` are at `begin[i]` to `begin[i + 1]` of `row` and `x`. */
export interface Batch {
  readonly begin: Int32Array;
  /** The row of `Parameters` that an entry reads. */
  readonly row: Int32Array;
  readonly x: Float32Array;
  readonly stars: Float32Array;
  /** The feature that each row of `Parameters` belongs to. Distinct. */
  readonly features: Int32Array;
}

export interface Gradients {
  readonly bias: number;
  /** float32[rows]. */
  readonly weights: Float32Array;
  /** float32[rows * rank]. */
  readonly factors: Float32Array;
  /** The sum of squared errors before the step. */
  readonly squaredError: number;
}

/** Gathers the ratings at `positions`; every feature among them gets one row, in the order of first use. */
export function batchOf(ratings: Ratings, features: Features, positions: Int32Array): Batch {
  const begin = new Int32Array(positions.length + 1);
  const lists = Array.from(positions, (position, i) => {
    const user = features.ofUser[ratings.user[position]!]!;
    const item = features.ofItem[ratings.item[position]!]!;
    begin[i + 1] = begin[i]! + user.x.length + item.x.length;
    return [user, item];
  });
  const row = new Int32Array(begin[positions.length]!);
  const x = new Float32Array(row.length);
  const rowOf = new Int32Array(features.keys.length).fill(-1);
  const used = new Int32Array(features.keys.length);
  let rows = 0;
  let entry = 0;
  for (const list of lists.flat()) {
    for (let i = 0; i < list.x.length; i++, entry++) {
      const feature = list.feature[i]!;
      if (rowOf[feature] === -1) {
        rowOf[feature] = rows;
        used[rows++] = feature;
      }
      row[entry] = rowOf[feature]!;
      x[entry] = list.x[i]!;
    }
  }
  return {
    begin,
    row,
    x,
    features: used.slice(0, rows),
    stars: Float32Array.from(positions, (p) => ratings.stars[p]!),
  };
}

/** Predicted and given stars; predictions are kept within what a rating can be: 1 to 5. */
export function score(batch: Batch, parameters: Parameters, rank: number): Scored {
  const sums = new Float64Array(rank);
  const predicted = Float32Array.from(batch.stars, (_, i) => {
    return Math.min(5, Math.max(1, prediction(batch, parameters, i, sums)));
  });
  return { predicted, actual: batch.stars };
}

/**
 * The gradients of half the squared error, summed over the batch, plus `decay` times the parameter for each time that
 * it is used (L2, on what is touched only):
 *
 *     dy/dw_i = x_i        dy/dv_if = x_i (sum_j v_jf x_j - v_if x_i)
 */
export function gradientsOf(batch: Batch, parameters: Parameters, rank: number, decay: Decay): Gradients {
  const weights = new Float64Array(parameters.weights.length);
  const factors = new Float64Array(parameters.factors.length);
  const sums = new Float64Array(rank);
  let bias = 0;
  let squaredError = 0;
  for (let i = 0; i < batch.stars.length; i++) {
    const error = prediction(batch, parameters, i, sums) - batch.stars[i]!;
    bias += error;
    squaredError += error * error;
    for (let entry = batch.begin[i]!; entry < batch.begin[i + 1]!; entry++) {
      const row = batch.row[entry]!;
      const x = batch.x[entry]!;
      weights[row]! += error * x + decay.weights * parameters.weights[row]!;
      for (let f = 0, v = row * rank; f < rank; f++, v++) {
        const factor = parameters.factors[v]!;
        factors[v]! += error * x * (sums[f]! - factor * x) + decay.factors * factor;
      }
    }
  }
  return { bias, weights: Float32Array.from(weights), factors: Float32Array.from(factors), squaredError };
}

export interface Decay {
  readonly weights: number;
  readonly factors: number;
}

/** y(x) of rating `i`; leaves sum_i v_if x_i in `sums`. */
function prediction(
  batch: Batch,
  { bias, weights, factors }: Parameters,
  i: number,
  sums: Float64Array,
): number {
  const rank = sums.length;
  let linear = bias;
  let squares = 0;
  sums.fill(0);
  for (let entry = batch.begin[i]!; entry < batch.begin[i + 1]!; entry++) {
    const row = batch.row[entry]!;
    const x = batch.x[entry]!;
    linear += weights[row]! * x;
    for (let f = 0, v = row * rank; f < rank; f++, v++) {
      const term = factors[v]! * x;
      sums[f]! += term;
      squares += term * term;
    }
  }
  let pairs = -squares;
  for (let f = 0; f < rank; f++) pairs += sums[f]! * sums[f]!;
  return linear + pairs / 2;
}
