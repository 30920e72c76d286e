import { suite } from "uvu";
import * as assert from "uvu/assert";
import { featuresOf } from "../../examples/movielens/features.js";
import { generateData } from "../../examples/movielens/generated-data.js";
import { auc, rmse } from "../../examples/movielens/metrics.js";
import { type Batch, batchOf, gradientsOf, type Parameters, score } from "../../examples/movielens/model.js";
import { decodePosition, encodePosition, MOST_EPOCHS } from "../../examples/movielens/position.js";
import { Prng } from "../../lib/base/prng.js";

const test = suite("movielens model");

const RANK = 3;
const data = generateData(3, { users: 6, items: 8, ratings: 20 });
const batch = batchOf(data.ratings, featuresOf(data), Int32Array.of(4, 0, 11, 5, 9));

/** Multiples of 2^-10, so that steps of 2^-10 are exact in float32. */
function randomParameters(random: Prng, rows: number): Parameters {
  const numbers = (count: number) =>
    Float32Array.from({ length: count }, () => (random.below(1024) - 512) / 1024);
  return { bias: 3.5, weights: numbers(rows), factors: numbers(rows * RANK) };
}

/** y(x) as the paper's equation 1 has it: every pair of features. */
function definition(batch: Batch, { bias, weights, factors }: Parameters, i: number): number {
  let y = bias;
  for (let a = batch.begin[i]; a < batch.begin[i + 1]; a++) {
    y += weights[batch.row[a]] * batch.x[a];
    for (let b = a + 1; b < batch.begin[i + 1]; b++) {
      for (let f = 0; f < RANK; f++) {
        y += factors[batch.row[a] * RANK + f] * factors[batch.row[b] * RANK + f] * batch.x[a] * batch.x[b];
      }
    }
  }
  return y;
}

const decay = { weights: 0.25, factors: 0.5 };

/** Half the squared error, and half the decay of what is used, for each use. */
function objective(parameters: Parameters): number {
  let sum = 0;
  for (let i = 0; i < batch.stars.length; i++) {
    sum += (definition(batch, parameters, i) - batch.stars[i]) ** 2 / 2;
    for (let entry = batch.begin[i]; entry < batch.begin[i + 1]; entry++) {
      const row = batch.row[entry];
      sum += (decay.weights / 2) * parameters.weights[row] ** 2;
      for (let f = 0; f < RANK; f++) sum += (decay.factors / 2) * parameters.factors[row * RANK + f] ** 2;
    }
  }
  return sum;
}

test("a batch gives each feature one row, and its ratings their features", () => {
  const features = featuresOf(data);
  assert.is(new Set(batch.features).size, batch.features.length);
  for (const [i, position] of [4, 0, 11, 5, 9].entries()) {
    const expected = [
      features.ofUser[data.ratings.user[position]],
      features.ofItem[data.ratings.item[position]],
    ];
    const rows = batch.row.subarray(batch.begin[i], batch.begin[i + 1]);
    assert.equal(
      [...rows].map((row) => batch.features[row]),
      expected.flatMap(({ feature }) => [...feature]),
    );
    assert.is(batch.stars[i], data.ratings.stars[position]);
  }
});

test("predicts what the definition over all pairs says, between 1 and 5", () => {
  const parameters = randomParameters(new Prng(1), batch.features.length);
  const { predicted } = score(batch, parameters, RANK);
  for (let i = 0; i < predicted.length; i++) {
    const expected = Math.min(5, Math.max(1, definition(batch, parameters, i)));
    assert.ok(Math.abs(predicted[i] - expected) < 1e-6, `${predicted[i]} is ${expected}`);
  }
  const { predicted: low } = score(batch, { ...parameters, bias: -100 }, RANK);
  assert.equal([...low], [1, 1, 1, 1, 1]);
});

test("gradients are those of finite differences", () => {
  const h = 2 ** -10;
  for (let seed = 1; seed <= 5; seed++) {
    const parameters = randomParameters(new Prng(seed), batch.features.length);
    const gradients = gradientsOf(batch, parameters, RANK, decay);
    const near = (analytic: number, numeric: number, what: string) =>
      assert.ok(
        Math.abs(analytic - numeric) < 1e-4 * Math.max(1, Math.abs(numeric)),
        `${what}: ${analytic}, ${numeric}`,
      );
    const slope = (numbers: Float32Array, at: number) => {
      const value = numbers[at];
      numbers[at] = value + h;
      const above = objective(parameters);
      numbers[at] = value - h;
      const below = objective(parameters);
      numbers[at] = value;
      return (above - below) / (2 * h);
    };
    for (let i = 0; i < gradients.weights.length; i++)
      near(gradients.weights[i], slope(parameters.weights, i), `w${i}`);
    for (let i = 0; i < gradients.factors.length; i++)
      near(gradients.factors[i], slope(parameters.factors, i), `v${i}`);
    const above = objective({ ...parameters, bias: parameters.bias + h });
    const below = objective({ ...parameters, bias: parameters.bias - h });
    near(gradients.bias, (above - below) / (2 * h), "bias");
  }
});

test("the squared error is that before the step", () => {
  const parameters = randomParameters(new Prng(2), batch.features.length);
  const errors = Array.from(batch.stars, (stars, i) => (definition(batch, parameters, i) - stars) ** 2);
  const { squaredError } = gradientsOf(batch, parameters, RANK, decay);
  assert.ok(Math.abs(squaredError - errors.reduce((sum, error) => sum + error)) < 1e-9);
});

test("RMSE of known numbers", () => {
  assert.is(
    rmse({ predicted: Float32Array.of(1, 2, 3), actual: Float32Array.of(1, 4, 5) }),
    Math.sqrt(8 / 3),
  );
});

test("AUC of known orders, ties counted half", () => {
  const of = (predicted: number[], actual: number[]) =>
    auc({ predicted: Float32Array.from(predicted), actual: Float32Array.from(actual) });
  assert.is(of([1, 2, 3, 4], [1, 3, 4, 5]), 1);
  assert.is(of([4, 3, 2, 1], [1, 3, 4, 5]), 0);
  assert.is(of([2, 2, 2, 2], [1, 3, 4, 5]), 0.5);
  assert.is(of([1, 2, 2, 3], [1, 3, 4, 5]), 3.5 / 4);
  assert.ok(Number.isNaN(of([1, 2], [4, 5])));
});

test("AUC is the share of pairs in order, however many ties", () => {
  const random = new Prng(5);
  const predicted = Float32Array.from({ length: 200 }, () => random.below(20));
  const actual = Float32Array.from({ length: 200 }, () => 1 + random.below(5));
  let pairs = 0;
  let ordered = 0;
  for (let p = 0; p < 200; p++) {
    for (let n = 0; n < 200; n++) {
      if (actual[p] < 4 || actual[n] >= 4) continue;
      pairs++;
      ordered += predicted[p] > predicted[n] ? 1 : predicted[p] === predicted[n] ? 0.5 : 0;
    }
  }
  assert.ok(Math.abs(auc({ predicted, actual }) - ordered / pairs) < 1e-12);
});

test("a position survives its mark exactly, also the longest", () => {
  const curve = Array.from({ length: MOST_EPOCHS }, (_, i) => [0.12345 + i, 0.98765 + i] as const);
  const position = {
    run: "r".repeat(300),
    epoch: MOST_EPOCHS,
    batch: 300,
    squaredError: 1234.000000000001,
    curve,
  };
  const mark = encodePosition(position);
  assert.ok(mark.length <= 4096, `${mark.length} bytes`);
  assert.equal(decodePosition(mark), position);
  for (const text of ["", "{}", "null", '{"run":"a"}', "\u0000"]) {
    assert.throws(
      () => decodePosition(new TextEncoder().encode(text)),
      /mark is not the MovieLens example's/,
    );
  }
});

test.run();
