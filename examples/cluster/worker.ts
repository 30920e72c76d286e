// One of the story's workers, a process of its own: takes its batches of each epoch, pulls, computes gradients, pushes.
import { subscribe } from "node:diagnostics_channel";
import { connect } from "../../lib/index.js";
import { readMovieLens, splitRatings } from "../movielens/data.js";
import { featuresOf } from "../movielens/features.js";
import { generateData } from "../movielens/generated-data.js";
import { batchOf, gradientsOf } from "../movielens/model.js";
import { openParameters } from "../movielens/parameters.js";
import { Random } from "../movielens/random.js";
import { SETTINGS } from "../movielens/settings.js";
import { keysOfBatch, meanStars, type Task } from "../movielens/training.js";
import type { WorkerPlan, WorkerProgress, WorkerResult } from "./story.js";

const tellEveryMs = 100;

async function work({ address, name, number, of, epochs, seed, path }: WorkerPlan): Promise<void> {
  const dataset = path === undefined ? generateData(seed) : await readMovieLens(path);
  const task: Task = { dataset, ...splitRatings(dataset.ratings.stars.length, seed) };
  const features = featuresOf(dataset);
  const { rank, batchSize, weightDecay, factorDecay } = SETTINGS;
  const decay = { weights: weightDecay, factors: factorDecay };
  const batches = Math.ceil(task.train.length / batchSize);

  const pushes = new Uint32Array(features.keys.length);
  let at = { epoch: 0, batches: 0, rows: 0, retries: 0 };
  let waitsFor: string | undefined;
  subscribe("embershard:client:retry", (event) => {
    at = { ...at, retries: at.retries + 1 };
    waitsFor = (event as { peer: string }).peer;
  });
  const telling = setInterval(
    () => tell({ kind: "progress", ...at, ...(waitsFor !== undefined && { waitsFor }) }),
    tellEveryMs,
  );

  const store = await connect(address, { worker: name });
  const parameters = await openParameters(store, SETTINGS, { seed, meanStars: meanStars(task) });
  for (let epoch = 0; epoch < epochs; epoch++) {
    at = { ...at, epoch };
    const order = new Random(seed, epoch).permutation(task.train.length);
    for (let batch = number; batch < batches; batch += of) {
      const begin = batch * batchSize;
      const chosen = order.subarray(begin, begin + batchSize).map((index) => task.train[index]!);
      const gathered = batchOf(dataset.ratings, features, chosen);
      const keys = keysOfBatch(features, gathered);
      const gradients = gradientsOf(gathered, await parameters.pull(keys), rank, decay);
      await parameters.push(keys, gradients, { step: epoch * batches + batch + 1 });
      // Only what was acknowledged is counted.
      for (const feature of gathered.features) pushes[feature]!++;
      at = { ...at, batches: at.batches + 1, rows: at.rows + 2 * (2 * keys.length + 1) };
      waitsFor = undefined;
    }
  }
  await store.close();
  clearInterval(telling);
  const result: WorkerResult = { kind: "done", ...at, epoch: epochs, pushes };
  process.send!(result, () => process.disconnect());
}

function tell(progress: WorkerProgress): void {
  process.send!(progress);
}

// Nobody is left to work for.
process.on("disconnect", () => process.exit());
await work(JSON.parse(process.argv[2]!) as WorkerPlan);
