import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { barText, progressLine } from "../../lib/cli/bar.js";
import type { Histogram } from "../../lib/embedded/table-survey.js";
import { openStore, sgd } from "../../lib/index.js";
import { runHere } from "./run-command.js";

const test = suite<{ directory: string }>("top and histogram");

test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), "survey-spec-"));
});
test.after.each(({ directory }) => rmSync(directory, { recursive: true, force: true }));

/** Key k is pushed k times, at steps 1 to k; its weights are then [3 k, 4 k], of norm 5 k. */
async function openSample(directory: string, keys = 10) {
  const store = await openStore(directory);
  const table = await store.table("items", { dim: 2, optimizer: sgd({ learningRate: 1 }) });
  for (let step = 1; step <= keys; step++) {
    const some = BigUint64Array.from({ length: keys - step + 1 }, (_, i) => BigInt(step + i));
    const gradients = new Float32Array(2 * some.length).map((_, i) => (i % 2 === 0 ? -3 : -4));
    await table.push(some, gradients, { step });
  }
  return store;
}

const json = async (...args: string[]) => {
  const { out, err, code } = await runHere([...args, "--json"]);
  assert.is(code, 0, err);
  return JSON.parse(out);
};

test("the hottest rows by each measure, of an open store and of a closed one", async ({ directory }) => {
  const store = await openSample(directory);
  const ask = async () => [
    await json("top", directory, "--table", "items", "-n", "2"),
    await json("top", directory, "--table", "items", "-n", "1", "--by", "norm"),
    await json("top", directory, "--table", "items", "-n", "3", "--by", "age"),
  ];
  const row = (key: number) => ({ key: String(key), frequency: key, lastStep: key, norm: 5 * key });
  const expected = [
    { table: "items", by: "frequency", surveyed: 10, rows: [row(10), row(9)] },
    { table: "items", by: "norm", surveyed: 10, rows: [row(10)] },
    { table: "items", by: "age", surveyed: 10, rows: [row(10), row(9), row(8)] },
  ];
  assert.equal(await ask(), expected);
  await store.close();
  assert.equal(await ask(), expected);
});

test("more rows than are kept at once: the greatest of all of them", async ({ directory }) => {
  const store = await openStore(directory);
  const table = await store.table("items", { dim: 1, optimizer: sgd({ learningRate: 1 }) });
  const n = 30_000;
  const keys = BigUint64Array.from({ length: n }, (_, i) => BigInt(i));
  // A permutation of 1 to n, since 7 and n have no common divisor.
  await table.assign(
    keys,
    new Float32Array(n).map((_, i) => 1 + ((i * 7) % n)),
  );
  const { rows } = await json("top", directory, "--table", "items", "--by", "norm", "-n", "1000");
  const norms = rows.map(({ norm }: { norm: number }) => norm);
  assert.equal(
    norms,
    Array.from({ length: 1000 }, (_, i) => n - i),
  );
  await store.close();
});

test("rows are counted between powers of two, norms between 1, 2, 5", async ({ directory }) => {
  const store = await openSample(directory);
  const frequency: Histogram = await json("histogram", directory, "--table", "items");
  assert.equal(frequency.buckets, [
    { from: 1, to: 2, rows: 1 },
    { from: 2, to: 4, rows: 2 },
    { from: 4, to: 8, rows: 4 },
    { from: 8, to: 16, rows: 3 },
  ]);
  assert.equal([frequency.least, frequency.mean, frequency.greatest], [1, 5.5, 10]);
  const norm: Histogram = await json("histogram", directory, "--table", "items", "--of", "norm");
  assert.equal(norm.buckets, [
    { from: 5, to: 10, rows: 1 },
    { from: 10, to: 20, rows: 2 },
    { from: 20, to: 50, rows: 6 },
    { from: 50, to: 100, rows: 1 },
  ]);
  const age: Histogram = await json("histogram", directory, "--table", "items", "--of", "age");
  assert.equal(age.buckets, [
    { from: 0, to: 1, rows: 1 },
    { from: 1, to: 2, rows: 1 },
    { from: 2, to: 4, rows: 2 },
    { from: 4, to: 8, rows: 4 },
    { from: 8, to: 16, rows: 2 },
  ]);
  const { out } = await runHere(["histogram", directory, "--table", "items"]);
  assert.match(out, /^items, frequency of 10 rows\nleast 1, mean 5\.5, greatest 10\n/);
  assert.match(out, /\n {4}4 - 7 {5}4 {2}40\.0 % {2}█{40}\n/);
  await store.close();
});

test("a table without rows, and one that is not there", async ({ directory }) => {
  const store = await openStore(directory);
  await store.table("empty", { dim: 1, optimizer: sgd({ learningRate: 1 }) });
  assert.equal(await json("histogram", directory, "--table", "empty"), {
    table: "empty",
    of: "frequency",
    surveyed: 0,
    nonFinite: 0,
    least: null,
    mean: null,
    greatest: null,
    buckets: [],
  });
  assert.is(
    (await runHere(["top", directory, "--table", "empty"])).out,
    "empty, 0 of 0 rows, by frequency\n",
  );
  const missing = await runHere(["top", directory, "--table", "other"]);
  assert.is(missing.code, 1);
  assert.match(missing.err, /^error TABLE_NOT_FOUND: /);
  for (const count of ["0", "1001"]) {
    const { code, err } = await runHere(["top", directory, "--table", "empty", "-n", count]);
    assert.is(code, 2);
    assert.match(err, /^error INVALID_OPTIONS: .* is invalid\. expected a whole number from 1 to 1,000/);
  }
  const wrong = await runHere(["top", directory, "--table", "empty", "--by", "colour"]);
  assert.is(wrong.code, 2);
  assert.match(wrong.err, /^error INVALID_OPTIONS: .*Allowed choices are frequency, norm, age/);
  await store.close();
});

test("bars grow by eighths; progress is for terminals", () => {
  assert.equal(
    [0, 1 / 16, 0.5, 1, 2].map((share) => barText(share, 2)),
    ["", "▏", "█", "██", "██"],
  );
  let written = "";
  const stream = (isTTY: boolean) => ({ isTTY, write: (text: string) => (written += text) });
  let now = 0;
  const silent = progressLine(stream(false), () => now);
  silent.show(1, 2, "rows");
  silent.clear();
  assert.is(written, "");
  const line = progressLine(stream(true), () => now);
  line.show(1, 2, "one");
  now = 99;
  line.show(2, 2, "two");
  line.clear();
  assert.is(written, `\r\x1b[2K 50 % ${"█".repeat(12).padEnd(24)}  one\r\x1b[2K`);
});

test.run();
