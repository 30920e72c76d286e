import { EmbershardError, type Store } from "../../lib/index.js";
import type { Dataset } from "./data.js";
import { type Features, featuresOf } from "./features.js";
import { auc, rmse, type Scored } from "./metrics.js";
import { type Batch, batchOf, gradientsOf, score } from "./model.js";
import { openParameters, type StoredParameters } from "./parameters.js";
import { decodePosition, encodePosition, type Position } from "./position.js";
import { Random } from "./random.js";
import type { Settings } from "./settings.js";

/** What to learn from and what to be judged by: positions in `dataset.ratings`. */
export interface Task {
  readonly dataset: Dataset;
  readonly train: Int32Array;
  readonly heldOut: Int32Array;
}

export interface TrainingOptions {
  readonly settings: Settings;
  readonly epochs: number;
  readonly seed: number;
  /** Ends training after the batch at hand. */
  readonly signal?: AbortSignal;
  readonly onStart?: (progress: Progress) => void;
  readonly onStep?: (progress: Progress) => void;
  readonly onEpoch?: (epoch: EpochResult) => void;
}

export interface Progress {
  readonly position: Position;
  /** Batches per epoch. */
  readonly batches: number;
  /** RMSE of the epoch's batches until here; NaN before the first. */
  readonly loss: number;
  /** Rows that were pulled and pushed in this process. */
  readonly rows: number;
}

export interface EpochResult {
  /** From 1. */
  readonly epoch: number;
  readonly trainingRmse: number;
  readonly heldOutRmse: number;
}

export interface TrainingResult {
  /** False if the signal ended it. */
  readonly finished: boolean;
  /** Steps that were made now; 0 where the store held a finished run. */
  readonly steps: number;
  readonly curve: Position["curve"];
  readonly heldOut: { readonly rmse: number; readonly auc: number };
}

/**
 * Trains in `store` from where its mark says to the end of the last epoch. Batches are a function of (seed, epoch)
 * alone, so a run that was killed makes the same steps as one that was not, and ends with the same bits.
 * INVALID_OPTIONS where the store holds another run.
 */
export async function train(store: Store, task: Task, options: TrainingOptions): Promise<TrainingResult> {
  const run = runName(task, options);
  let position = await positionOf(store, run);
  const features = featuresOf(task.dataset);
  const parameters = await openParameters(store, options.settings, {
    seed: options.seed,
    meanStars: meanStars(task),
  });
  const { batchSize, rank } = options.settings;
  const batches = Math.ceil(task.train.length / batchSize);
  const judge = heldOutJudge(parameters, task, options.settings);
  const decay = { weights: options.settings.weightDecay, factors: options.settings.factorDecay };

  let rows = 0;
  let steps = 0;
  const progress = (): Progress => {
    const ratings = Math.min(position.batch * batchSize, task.train.length);
    return { position, batches, rows, loss: Math.sqrt(position.squaredError / ratings) };
  };
  options.onStart?.(progress());
  while (position.epoch < options.epochs && !options.signal?.aborted) {
    const order = new Random(options.seed, position.epoch).permutation(task.train.length);
    while (position.batch < batches && !options.signal?.aborted) {
      const begin = position.batch * batchSize;
      const chosen = order.subarray(begin, begin + batchSize).map((index) => task.train[index]!);
      const batch = batchOf(task.dataset.ratings, features, chosen);
      const keys = keysOfBatch(features, batch);
      const gradients = gradientsOf(batch, await parameters.pull(keys), rank, decay);
      const squaredError = position.squaredError + gradients.squaredError;
      position = { ...position, batch: position.batch + 1, squaredError };
      const step = position.epoch * batches + position.batch;
      await parameters.push(keys, gradients, { mark: encodePosition(position), step });
      rows += 2 * keys.length + 1;
      steps++;
      options.onStep?.(progress());
    }
    if (position.batch < batches) break;
    const trainingRmse = Math.sqrt(position.squaredError / task.train.length);
    const heldOutRmse = rmse(await judge());
    const curve = [...position.curve, [rounded(trainingRmse), rounded(heldOutRmse)] as const];
    position = { run, epoch: position.epoch + 1, batch: 0, squaredError: 0, curve };
    options.onEpoch?.({ epoch: position.epoch, trainingRmse, heldOutRmse });
  }
  const scored = await judge();
  const finished = position.epoch >= options.epochs;
  return { finished, steps, curve: position.curve, heldOut: { rmse: rmse(scored), auc: auc(scored) } };
}

/** Two runs of one name make the same steps, however many epochs either asks for. */
function runName({ dataset, train }: Task, { seed, settings }: TrainingOptions): string {
  const numbers = Object.entries(settings).map(([name, value]) => `${name} ${value}`);
  return [dataset.name, `${train.length} ratings`, `seed ${seed}`, ...numbers].join(", ");
}

async function positionOf(store: Store, run: string): Promise<Position> {
  const mark = await store.mark();
  if (mark === undefined) return { run, epoch: 0, batch: 0, squaredError: 0, curve: [] };
  const position = decodePosition(mark);
  if (position.run !== run)
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `the store holds another run (${position.run}), not (${run}): choose another --dir, or --fresh to start over`,
    );
  return position;
}

/** The mean of the ratings to learn from. */
export function meanStars({ dataset, train }: Task): number {
  let sum = 0;
  for (const position of train) sum += dataset.ratings.stars[position]!;
  return sum / train.length;
}

/** The keys of a batch's features, in their order. */
export function keysOfBatch(features: Features, batch: Batch): BigUint64Array {
  const keys = new BigUint64Array(batch.features.length);
  for (let i = 0; i < keys.length; i++) keys[i] = features.keys[batch.features[i]!]!;
  return keys;
}

/** Gives what predicts the held-out ratings by the parameters as they are when it is called. */
export function heldOutJudge(
  parameters: StoredParameters,
  { dataset, heldOut }: Task,
  { rank }: Settings,
): () => Promise<Scored> {
  const features = featuresOf(dataset);
  const batch = batchOf(dataset.ratings, features, heldOut);
  const keys = keysOfBatch(features, batch);
  return async () => score(batch, await parameters.pull(keys), rank);
}

/** Five decimals: what a curve needs, and short in a mark. */
function rounded(value: number): number {
  return Math.round(value * 1e5) / 1e5;
}
