// A run of the MovieLens example that tells its parent of every step, so that it can be killed at any.
// Usage: movielens-worker.js DIR, with an IPC channel.

import { splitRatings } from "../../examples/movielens/data.js";
import { generateData } from "../../examples/movielens/generated-data.js";
import { SETTINGS } from "../../examples/movielens/settings.js";
import { train } from "../../examples/movielens/training.js";
import { openStore } from "../../lib/index.js";

const dataset = generateData(5, { users: 60, items: 90, ratings: 2000 });
const task = { dataset, ...splitRatings(2000, 5) };
// Checkpoints all the time, so that some kills fall into one.
const store = await openStore(process.argv[2], { checkpoint: { everyLogBytes: 1 << 18 }, control: false });
const result = await train(store, task, {
  settings: { ...SETTINGS, rank: 8, batchSize: 16 },
  epochs: 8,
  seed: 5,
  onStep: ({ position }) => process.send?.({ epoch: position.epoch, batch: position.batch }),
});
await store.close();
process.send?.({ steps: result.steps, rmse: result.heldOut.rmse, curve: result.curve });
