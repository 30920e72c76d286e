import { test } from "uvu";
import * as assert from "uvu/assert";
import { Draws, keyHalves, keysOfRows } from "../../bench/subjects/keys.js";

test("rows have different keys, low half first", () => {
  const keys = keysOfRows(0, 20_000);
  assert.is(new Set(keys).size, 20_000);
  const [low, high] = keyHalves(7);
  assert.is(keys[7], (BigInt(high) << 32n) | BigInt(low));
});

test("draws are rows of the table and repeat with their seed", () => {
  for (const distribution of ["uniform", "zipf"] as const) {
    const rows = new Set(keysOfRows(0, 1000));
    const [first] = new Draws(1000, 3).batches(distribution, 1, 4096);
    const [again] = new Draws(1000, 3).batches(distribution, 1, 4096);
    const [other] = new Draws(1000, 4).batches(distribution, 1, 4096);
    assert.ok(first.every((key) => rows.has(key)));
    assert.equal(first, again);
    assert.not.equal(first, other);
  }
});

test("uniform draws reach all rows alike", () => {
  const counts = countsOf("uniform", 100, 200_000);
  assert.ok(
    Math.min(...counts) > 1800 && Math.max(...counts) < 2200,
    `${Math.min(...counts)} ${Math.max(...counts)}`,
  );
});

test("Zipf draws follow rank^-1.05", () => {
  const rows = 1000;
  const draws = 400_000;
  const counts = countsOf("zipf", rows, draws).sort((a, b) => b - a);
  const weights = Array.from({ length: rows }, (_, i) => (i + 1) ** -1.05);
  const total = weights.reduce((a, b) => a + b, 0);
  for (const rank of [1, 2, 5, 20, 100]) {
    const expected = (draws * weights[rank - 1]) / total;
    assert.ok(
      Math.abs(counts[rank - 1] / expected - 1) < 0.1,
      `rank ${rank}: ${counts[rank - 1]}, expected ${expected}`,
    );
  }
});

function countsOf(distribution: "uniform" | "zipf", rows: number, draws: number): number[] {
  const source = new Draws(rows, 5);
  const counts = new Array<number>(rows).fill(0);
  for (let i = 0; i < draws; i++) counts[source.row(distribution)]++;
  return counts;
}

test.run();
