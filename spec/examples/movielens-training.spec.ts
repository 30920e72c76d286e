import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { splitRatings } from "../../examples/movielens/data.js";
import { generateData } from "../../examples/movielens/generated-data.js";
import { SETTINGS } from "../../examples/movielens/settings.js";
import { type Task, type TrainingOptions, train } from "../../examples/movielens/training.js";
import { openStore, type Store } from "../../lib/index.js";

const test = suite<{ store: Store }>("movielens training");

const dataset = generateData(4, { users: 80, items: 60, ratings: 2400 });
const task: Task = { dataset, ...splitRatings(2400, 4) };
const options: TrainingOptions = { settings: { ...SETTINGS, rank: 4, batchSize: 64 }, epochs: 4, seed: 4 };

test.before.each(async (context) => {
  const directory = mkdtempSync(join(tmpdir(), "movielens-training-"));
  context.store = await openStore(directory, { control: false });
});
test.after.each(async ({ store }) => {
  await store.close();
  rmSync(store.directory, { recursive: true });
});

/** Mean and deviation of the stars at `positions`. */
function moments(positions: Int32Array): { mean: number; deviation: number } {
  const stars = Array.from(positions, (position) => dataset.ratings.stars[position]);
  const mean = stars.reduce((sum, value) => sum + value) / stars.length;
  const squares = stars.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / stars.length) };
}

test("begins at the mean, and reports errors over the whole of each part", async ({ store }) => {
  const still = { ...options.settings, learningRate: 1e-9, spread: 1e-9 };
  const { curve, heldOut } = await train(store, task, { ...options, settings: still, epochs: 1 });
  assert.ok(Math.abs(curve[0][0] - moments(task.train).deviation) < 1e-4);
  assert.ok(Math.abs(heldOut.rmse - moments(task.heldOut).deviation) < 0.01);
  assert.is(Math.round(heldOut.rmse * 1e5) / 1e5, curve[0][1]);
});

test("learns: bias, weights and factors move, and ratings never seen are foretold better than by their mean", async ({
  store,
}) => {
  const { mean } = moments(task.train);
  const { heldOut, curve } = await train(store, task, { ...options, epochs: 15 });
  assert.ok(heldOut.rmse < 0.95 * moments(task.heldOut).deviation, `${heldOut.rmse}`);
  assert.ok(heldOut.auc > 0.65, `${heldOut.auc}`);
  assert.ok(curve[14][0] < curve[0][0]);
  const bias = await store.tensor("bias");
  assert.not.equal([...(await bias.pull())], [Math.fround(mean)]);
  const rows = Object.fromEntries((await store.tables()).map((table) => [table.name, table.rows]));
  assert.equal(rows, { bias: 1, weights: rows.factors, factors: rows.weights });
  assert.ok(rows.weights > 80 + 60);
});

test("a signal ends it after the batch at hand, and the next call goes on there", async ({ store }) => {
  const interruption = new AbortController();
  let heard = 0;
  const onStep = () => {
    if (++heard === 7) interruption.abort();
  };
  const first = await train(store, task, { ...options, signal: interruption.signal, onStep });
  assert.equal([first.finished, first.steps], [false, 7]);
  const starts: number[] = [];
  const onStart = ({ position }: { position: { epoch: number; batch: number } }) =>
    starts.push(position.batch);
  const second = await train(store, task, { ...options, onStart });
  assert.equal(starts, [7]);
  assert.equal([second.finished, second.steps], [true, 4 * 30 - 7]);
  const third = await train(store, task, options);
  assert.equal(third, { ...second, steps: 0 });
});

test("more epochs than a finished run has: it goes on; another run is refused", async ({ store }) => {
  await train(store, task, options);
  const longer = await train(store, task, { ...options, epochs: 5 });
  assert.equal([longer.finished, longer.steps, longer.curve.length], [true, 30, 5]);
  const error = await train(store, task, { ...options, seed: 5 }).catch((reason) => reason);
  assert.is(error.code, "INVALID_OPTIONS");
  assert.match(
    error.message,
    /holds another run \(.*seed 4.*\), not \(.*seed 5.*\): choose another --dir, or --fresh/,
  );
});

test.run();
