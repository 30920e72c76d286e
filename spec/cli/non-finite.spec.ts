// Rows that have diverged: what the command line shows of them, wherever the store is open.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { topRows } from "../../lib/embedded/table-survey.js";
import { openStore, type Store, sgd, type Table } from "../../lib/index.js";
import { NodeProcess } from "../node/node-process.js";
import { runHere } from "./run-command.js";

const test = suite<{ directory: string }>("rows that are not finite");
test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), "non-finite-spec-"));
});
test.after.each(({ directory }) => rmSync(directory, { recursive: true, force: true }));

const huge = 3.4e38;
const finite = 100;

/** Key 1 becomes Infinity, 2 NaN, 3 -Infinity; keys from 10 on have their own number, and do not move. */
async function diverge(store: Store): Promise<Table> {
  const table = await store.table("NaN", { dim: 1, optimizer: sgd({ learningRate: 1, decay: 0.5 }) });
  const keys = BigUint64Array.from({ length: finite }, (_, i) => BigInt(10 + i));
  await table.assign(BigUint64Array.of(1n, 2n, 3n), new Float32Array(3));
  await table.assign(
    keys,
    Float32Array.from(keys, (key) => Number(key)),
  );
  await store.checkpoint({ version: "Infinity", note: "NaN" });
  for (let i = 0; i < 2; i++)
    await table.push(BigUint64Array.of(1n, 2n, 3n), Float32Array.of(-huge, -huge, huge));
  await table.push(BigUint64Array.of(2n), Float32Array.of(-huge));
  return table;
}

async function shown(...args: string[]): Promise<string> {
  const { code, out, err } = await runHere(args);
  assert.is(code, 0, err);
  return out;
}

const json = async (...args: string[]) => JSON.parse(await shown(...args, "--json"));

async function demandRows(directory: string): Promise<void> {
  const inspected = ["inspect", directory, "--table", "NaN", "--keys", "1,2,3,10"];
  const { table, rows } = await json(...inspected);
  assert.is(table, "NaN");
  assert.equal(
    rows.map(({ weights }: { weights: unknown }) => weights),
    [["Infinity"], ["NaN"], ["-Infinity"], [10]],
  );
  assert.match(
    await shown(...inspected),
    /\n +1 {2}Infinity +-\n +2 {2}NaN +-\n +3 {2}-Infinity +-\n +10 {2}10 +-\n/,
  );
}

async function demandSurveys(directory: string): Promise<void> {
  const top = ["top", directory, "--table", "NaN", "--by", "norm", "-n", "5"];
  const { rows } = await json(...top);
  assert.equal(
    rows.map(({ key, norm }: { key: string; norm: unknown }) => [key, norm]),
    [
      ["2", "NaN"],
      ["1", "Infinity"],
      ["3", "Infinity"],
      ["109", 109],
      ["108", 108],
    ],
  );
  assert.match(await shown(...top), / NaN\n.* Infinity\n.* Infinity\n.* 109\n.* 108\n$/);

  const histogram = ["histogram", directory, "--table", "NaN", "--of", "norm"];
  assert.equal(await json(...histogram), {
    table: "NaN",
    of: "norm",
    surveyed: finite + 3,
    nonFinite: 3,
    least: 10,
    mean: 59.5,
    greatest: 109,
    buckets: [
      { from: 10, to: 20, rows: 10 },
      { from: 20, to: 50, rows: 30 },
      { from: 50, to: 100, rows: 50 },
      { from: 100, to: 200, rows: 10 },
    ],
  });
  assert.match(
    await shown(...histogram),
    /\nleast 10, mean 59\.5, greatest 109\n[\s\S]*\n +100 - 200 .*\nNaN or infinite +3 +2\.9 %/,
  );
}

async function demandDiff(store: string): Promise<void> {
  const { from, tables } = await json("versions", "diff", store, "Infinity", "-n", "3");
  assert.is(from, "Infinity");
  assert.equal(
    tables[0].largest.map(({ distance }: { distance: unknown }) => distance),
    ["NaN", "Infinity", "Infinity"],
  );
  assert.is(tables[0].largest[0].key, "2");
  assert.match(
    await shown("versions", "diff", store, "Infinity", "-n", "1"),
    /\nmoved furthest in NaN: 2 \(NaN\)\n$/,
  );
  assert.equal((await json("versions", "diff", store, "Infinity", "-n", "0")).tables[0].largest, []);
  // What is text stays text.
  const { versions } = await json("versions", "list", store);
  assert.equal([versions[0].name, versions[0].note], ["Infinity", "NaN"]);
}

for (const threads of [1, 2]) {
  test(`they are shown of a store on ${threads} threads, open or closed`, async ({ directory }) => {
    const store = await openStore(directory, { threads, checkpoint: false, hugePages: "off" });
    await diverge(store);
    const live = await store.diff("Infinity", undefined, { largest: 2 });
    assert.equal(live.tables[0].largest[0], { key: 2n, distance: Number.NaN });
    assert.is(live.tables[0].largest[1].distance, Number.POSITIVE_INFINITY);
    await demandRows(directory);
    await demandSurveys(directory);
    await demandDiff(directory);
    await store.checkpoint({ version: "after" });
    const atVersion = ["inspect", directory, "--at", "after", "--table", "NaN", "--keys", "1,2"];
    const rows = await json(...atVersion);
    assert.equal([rows.rows[0].weights, rows.rows[1].weights], [["Infinity"], ["NaN"]]);
    await store.close();
    await demandRows(directory);
    await demandSurveys(directory);
    if (threads > 1) return;
    assert.equal(await json(...atVersion), rows);
    await demandDiff(directory);
  });
}

test("they are shown of a store that a node serves", async ({ directory }) => {
  const store = await openStore(directory, { threads: 2, checkpoint: false, hugePages: "off" });
  await diverge(store);
  await store.checkpoint({ version: "after" });
  await store.close();
  const node = new NodeProcess(["--dir", directory, "--shards", "2", "--listen", "127.0.0.1:0"]);
  try {
    const { listen } = await node.started();
    for (const at of [directory, `ember://${listen}`]) {
      await demandDiff(at);
      const asked = ["inspect", at, "--at", "after", "--table", "NaN", "--keys", "1,2,3"];
      const { rows } = await json(...asked);
      assert.equal(
        rows.map(({ weights }: { weights: unknown }) => weights),
        [["Infinity"], ["NaN"], ["-Infinity"]],
      );
    }
  } finally {
    await node.stop();
  }
});

test("NaN ranks above all, also where more rows are looked at than are kept", async ({ directory }) => {
  const store = await openStore(directory, { control: false, checkpoint: false });
  const table = await diverge(store);
  const many = BigUint64Array.from({ length: 10_000 }, (_, i) => BigInt(1000 + i));
  await table.assign(
    many,
    Float32Array.from(many, (key) => Number(key)),
  );
  const diverged = many.filter((_, i) => i % 10 === 0);
  // Three times: finite, infinite, NaN.
  for (let i = 0; i < 3; i++) await table.push(diverged, new Float32Array(diverged.length).fill(-huge));
  const { rows } = await topRows(store, { table: "NaN", by: "norm", count: 1000 });
  assert.equal(
    rows.map(({ key, norm }) => [key, norm]),
    [2n, ...diverged.subarray(0, 999)].map((key) => [String(key), Number.NaN]),
  );
  await store.close();
});

test("a table of which nothing is finite has a histogram of one line", async ({ directory }) => {
  const store = await openStore(directory);
  const table = await diverge(store);
  await table.delete(BigUint64Array.from({ length: finite }, (_, i) => BigInt(10 + i)));
  const histogram = ["histogram", directory, "--table", "NaN", "--of", "norm"];
  const found = await json(...histogram);
  assert.equal([found.surveyed, found.nonFinite, found.least, found.buckets], [3, 3, null, []]);
  assert.match(
    await shown(...histogram),
    /^NaN, norm of 3 rows\n\n +norm .*\nNaN or infinite +3 +100\.0 % +█+\n$/,
  );
  await store.close();
});

test.run();
