/**
 * How an optimizer and an initializer are told to a kernel: plain numbers, which the arena writes into a table's descriptor
 * and the oracle reads as they are. The numbers are those of lib/kernel/assembly/optimizers/codes.ts.
 */

/** What T_OPTIMIZER holds. */
export const OPTIMIZERS = {
  sgd: 1,
  sgdMomentum: 2,
  sgdNesterov: 3,
  adagrad: 4,
  rowWiseAdagrad: 5,
  adamRowStep: 6,
  adamTableStep: 7,
  ftrl: 8,
} as const;

/** The bits of T_FLAGS. */
export const FLAGS = { clipValue: 1, clipNorm: 2, bounds: 4, decayL2: 8, decayDecoupled: 16 } as const;

/** What T_INITIALIZER holds. */
export const INITIALIZERS = { zeros: 0, constant: 1, uniform: 2, normal: 3, truncatedNormal: 4 } as const;

export interface OptimizerProgram {
  readonly id: number;
  readonly flags: number;
  /**
   * T_OPT_PARAMS, f64[16]. SGD: momentum. Adagrad and row-wise Adagrad: eps, initial accumulator.
   * Adam: beta1, beta2, 1 - beta1, 1 - beta2, eps. FTRL: beta, lambda1, lambda2.
   */
  readonly params: Float64Array;
  /** T_PREPARE, f64[4]: clip, decay, lower bound, upper bound. */
  readonly prepare: Float64Array;
}

export interface InitializerProgram {
  readonly id: number;
  /**
   * T_INIT_PARAMS, f64[6]. Constant: value. Uniform: lower, (upper - lower) / 2^24, the last float32 below upper.
   * Normal and truncated normal: mean, standard deviation.
   */
  readonly params: Float64Array;
}

/** The float32s of optimizer state behind the weights of a row of `dim` elements (T_STATE). */
export function stateFloatsOf(program: OptimizerProgram, dim: number): number {
  switch (program.id) {
    case OPTIMIZERS.sgd:
      return 0;
    case OPTIMIZERS.rowWiseAdagrad:
      return 1;
    case OPTIMIZERS.sgdMomentum:
    case OPTIMIZERS.sgdNesterov:
    case OPTIMIZERS.adagrad:
      return dim;
    case OPTIMIZERS.adamRowStep:
      return 2 * dim + 1;
    case OPTIMIZERS.adamTableStep:
    case OPTIMIZERS.ftrl:
      return 2 * dim;
    default:
      throw new RangeError(`optimizer ${program.id} is not in the table of optimizers`);
  }
}

/** How many of those floats, the last ones, there is one of for a whole row: an accumulator or a count, not one an element. */
export function stateScalarsOf({ id }: OptimizerProgram): number {
  return id === OPTIMIZERS.rowWiseAdagrad || id === OPTIMIZERS.adamRowStep ? 1 : 0;
}
