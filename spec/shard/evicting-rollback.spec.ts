// What a table that evicts and counts keeps when the store is rolled back, and what ends.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { constant, sgd } from "../../lib/index.js";
import { MemoryDisk } from "../embedded/memory-store.js";
import { codeOf } from "../laws/twin.js";

const keys = BigUint64Array.from({ length: 100 }, (_, i) => BigInt(i));

async function openFull() {
  const disk = new MemoryDisk(1);
  const store = await disk.open();
  const table = await store.table("t", {
    dim: 2,
    optimizer: sgd({ learningRate: 1 }),
    initializer: constant(1),
    eviction: { maxRows: 100 },
    counters: { names: ["show"], decay: 0.5 },
  });
  await table.push(keys, new Float32Array(200));
  await store.checkpoint({ version: "full" });
  return { store, table };
}

test("who listens to evictions still does after a rollback, also when the table was dropped before it", async () => {
  const { store, table } = await openFull();
  const told: bigint[] = [];
  table.onEvicted((rows) => told.push(...rows.keys));
  for (const dropped of [false, true]) {
    if (dropped) await store.dropTable("t");
    await store.rollback("full");
    told.length = 0;
    await table.push(keys.map((key) => key + 1000n).subarray(0, 7), new Float32Array(14));
    assert.is(told.length, 7);
    assert.is((await table.stats()).rows, 100);
  }
  assert.is((await table.stats()).evicted!.capacity, 14);
  await store.close();
});

test("a decay that waits behind a rollback decays the version", async () => {
  const { store, table } = await openFull();
  await table.decay();
  await Promise.all([store.rollback("full"), table.decay()]);
  const show = new Float32Array(100);
  await table.pull(keys, { counters: { show } });
  assert.equal(show, new Float32Array(100).fill(0.5));
  await table.decay();
  await table.pull(keys, { counters: { show } });
  assert.equal(show, new Float32Array(100).fill(0.25));
  await store.close();
});

test("an eviction under way when the store is rolled back ends with ABORTED", async () => {
  const { store, table } = await openFull();
  const rolling = store.rollback("full");
  const evicting: Promise<string | undefined>[] = [];
  let rolled = false;
  void rolling.then(() => {
    rolled = true;
  });
  while (!rolled) {
    evicting.push(codeOf(() => table.evict({ rows: 1 })));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await rolling;
  const codes = new Set(await Promise.all(evicting));
  assert.ok(codes.has("ABORTED"), [...codes].join(", "));
  for (const code of codes) assert.ok(code === undefined || code === "ABORTED", code);
  await store.close();
});

test.run();
