import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openStore, sgd } from "../../lib/index.js";
import { runHere } from "./run-command.js";

const test = suite<{ directory: string }>("evict");

test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), "evict-spec-"));
});
test.after.each(({ directory }) => rmSync(directory, { recursive: true, force: true }));

/** Key k is pushed at step k. */
async function openSample(directory: string) {
  const store = await openStore(directory);
  const table = await store.table("items", { dim: 1, optimizer: sgd({ learningRate: 1 }), eviction: {} });
  for (let step = 1; step <= 10; step++)
    await table.push(BigUint64Array.of(BigInt(step)), Float32Array.of(-step), { step });
  return { store, table };
}

test("rows go from an open store, through its owner, and from a closed one", async ({ directory }) => {
  const { store, table } = await openSample(directory);
  const told: bigint[] = [];
  table.onEvicted(({ keys }) => told.push(...keys));
  const live = await runHere(["evict", directory, "--table", "items", "--older-than-steps", "7"]);
  assert.is(live.out, "2 rows evicted from items\n", live.err);
  assert.equal(told.sort(), [1n, 2n]);
  await store.close();
  const closed = await runHere(["evict", directory, "--table", "items", "--below-norm", "5.5", "--json"]);
  assert.equal(JSON.parse(closed.out), { table: "items", evicted: 3 }, closed.err);
  const again = await openStore(directory);
  assert.is((await (await again.table("items")).stats()).rows, 5);
  await again.close();
});

test("it wants to be told which rows, once, and of which table", async ({ directory }) => {
  const { store } = await openSample(directory);
  for (const [args, code, says] of [
    [["--table", "items"], 2, /give exactly one of/],
    [["--table", "items", "--rows", "1", "--below-norm", "1"], 2, /give exactly one of/],
    [["--table", "items", "--rows", "-1"], 2, /whole number/],
    [["--rows", "1"], 2, /--table/],
    [["--table", "none", "--rows", "1"], 1, /TABLE_NOT_FOUND/],
    [["--table", "items", "--below-score", "1"], 1, /INVALID_ARGUMENT/],
  ] as const) {
    const ended = await runHere(["evict", directory, ...args]);
    assert.is(ended.code, code, ended.err);
    assert.match(ended.err, says);
  }
  await store.close();
});

test.run();
