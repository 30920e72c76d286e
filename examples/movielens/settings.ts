/** What is chosen before training. `tuning.ts` chose these on validation parts; the README has its table. */
export interface Settings {
  /** Floats per row of factors. */
  readonly rank: number;
  /** Ratings per step. */
  readonly batchSize: number;
  readonly learningRate: number;
  /** L2 on weights and on factors, for each time that a rating uses them. */
  readonly weightDecay: number;
  readonly factorDecay: number;
  /** Standard deviation of a factor's initial value. */
  readonly spread: number;
}

export const SETTINGS: Settings = {
  rank: 16,
  batchSize: 256,
  learningRate: 0.05,
  weightDecay: 0.02,
  factorDecay: 0.1,
  spread: 0.1,
};

export const EPOCHS = 30;
export const SEED = 1;
