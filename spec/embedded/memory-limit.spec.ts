// Tables with a limit of memory, on a real disk.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { statsText } from "../../lib/cli/store-text.js";
import { adagrad, type Store, sgd } from "../../lib/index.js";
import { randomFloats, randomKeys, Twin } from "../laws/twin.js";
import { openTemporary } from "./opened.js";

const dim = 500;
const options = { dim, optimizer: adagrad({ learningRate: 0.1 }), memory: 1 << 20 };

async function settled(store: Store, rows: number): Promise<void> {
  for (let i = 0; i < 2000; i++) {
    const [{ rows: all, cold }] = await store.tables();
    if (all - cold!.rows <= rows) return;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  assert.unreachable("the table never comes down to its memory");
}

test("a table keeps to its memory and stays what it is, over openings and changes of the limit", async () => {
  const opened = await openTemporary({ checkpoint: false });
  let { store } = opened;
  let twin = await Twin.open(store, "t", options);
  const random = new Prng(5);
  for (let i = 0; i < 120; i++) {
    const n = 1 + random.below(30);
    const keys = randomKeys(random, n, 1500);
    if (i % 9 === 8) await twin.delete(BigUint64Array.from(new Set(keys)));
    else await twin.push(keys, randomFloats(random, n * dim), { step: i + 1 });
    if (i % 10 === 0) await twin.compare(randomKeys(random, 50, 1500));
    if (i === 60) await store.checkpoint();
    const { bytes } = await twin.table.stats();
    assert.ok(bytes <= 1 << 20, `${bytes} bytes after batch ${i}`);
  }
  const { rows, cold } = await twin.table.stats();
  assert.ok(cold!.rows > rows / 2 && cold!.hits > 0 && cold!.misses > 0, JSON.stringify(cold));
  assert.match(
    statsText(await store.stats(), undefined, (text) => text),
    / cold rows\n.* % hits\n/,
  );
  await twin.compareAll();
  store = await opened.reopen();
  twin = new Twin(await store.table("t"), twin.oracle);
  await twin.compareAll();
  // With more memory rows come in when they are written to, with less they go out.
  await store.table("t", { memory: 64 << 20 });
  const keys = randomKeys(random, 600, 1500);
  await twin.push(keys, randomFloats(random, 600 * dim));
  assert.ok((await twin.table.stats()).bytes > 1 << 20);
  await twin.compareAll();
  await store.table("t", { memory: 1 << 20 });
  await settled(store, 200);
  await twin.compareAll();
  store = await opened.reopen();
  await new Twin(await store.table("t"), twin.oracle).compareAll();
  await opened.end();
});

test("one push larger than the memory takes what it needs, and gives way to it again", async () => {
  const opened = await openTemporary({ checkpoint: false });
  const twin = await Twin.open(opened.store, "t", options);
  const keys = BigUint64Array.from({ length: 1000 }, (_, i) => BigInt(i));
  const random = new Prng(6);
  for (let i = 0; i < 2; i++) {
    await twin.push(keys, randomFloats(random, 1000 * dim));
    await settled(opened.store, 200);
  }
  await twin.compareAll();
  await opened.end();
});

test("versions of a store with such a table, one from before it, and rolling back and forth", async () => {
  const opened = await openTemporary({ checkpoint: false });
  const { store } = opened;
  const plain = await store.table("plain", { dim: 2, optimizer: sgd({ learningRate: 1 }) });
  await plain.push(BigUint64Array.of(1n), Float32Array.of(1, 2));
  await store.checkpoint({ version: "before" });
  const twin = await Twin.open(store, "t", options);
  const keys = BigUint64Array.from({ length: 400 }, (_, i) => BigInt(i));
  await twin.push(keys, new Float32Array(400 * dim).fill(1));
  await store.checkpoint({ version: "with" });
  const then = twin.oracle.clone();
  await twin.push(keys.subarray(0, 300), new Float32Array(300 * dim).fill(1), { step: 5 });
  await twin.delete(keys.subarray(350));
  await store.checkpoint({ version: "later" });
  const later = twin.oracle.clone();
  await store.dropTable("t");
  assert.equal(
    (await store.diff("with", "later")).tables.find(({ table }) => table === "t"),
    {
      ...(await store.diff("with", "later")).tables[1],
      added: 0,
      removed: 50,
      changed: 300,
      before: 400,
      after: 350,
    },
  );
  for (const [name, oracle] of [
    ["before", undefined],
    ["with", then],
    ["later", later],
    ["with", then],
  ] as const) {
    await store.rollback(name);
    if (oracle) await new Twin(await store.table("t"), oracle).compareAll();
    else assert.is((await store.tables()).length, 1);
  }
  for (const [name, oracle] of [
    ["with", then],
    ["later", later],
  ] as const) {
    const version = await store.openVersion(name);
    await new Twin(await version.table("t"), oracle).compareAll();
    await version.close();
  }
  await opened.end();
});

test.run();
