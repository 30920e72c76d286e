// A rollback brings cold rows back whose values are just being taken out of the page store.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openStore, sgd } from "../../lib/index.js";

const dim = 16;
const n = 60_000;
const range = (from: number, count: number) =>
  BigUint64Array.from({ length: count }, (_, i) => BigInt(from + i));

test("values of deleted rows stay where a rollback brings the rows back meanwhile", async () => {
  const directory = mkdtempSync(join(tmpdir(), "embershard-rollback-"));
  const options = { checkpoint: false, control: false } as const;
  let store = await openStore(directory, options);
  const table = await store.table("a", { dim, optimizer: sgd({ learningRate: 1 }), memory: 1 << 20 });
  for (let from = 0; from < n; from += 4000)
    await table.push(range(from, 4000), new Float32Array(4000 * dim).fill(-1));
  await store.checkpoint({ version: "v" });
  // They go 4,096 at a time, when the log is durable that says so.
  for (let from = 0; from < n; from += 20_000) await table.delete(range(from, 20_000));
  await store.rollback("v");
  for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
  let scanned = 0;
  for await (const { keys, rows } of table.scan()) {
    scanned += keys.length;
    assert.ok(rows.every((one) => one === 1));
  }
  assert.is(scanned, n);
  await store.close();
  store = await openStore(directory, options);
  const again = await store.table("a");
  assert.is((await again.stats()).rows, n);
  assert.ok((await again.pull(range(0, n))).every((one) => one === 1));
  await store.close();
  rmSync(directory, { recursive: true });
});

test.run();
