// Tables with a limit of memory, on a real disk.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { statsText } from "../../lib/cli/store-text.js";
import { adagrad, type Store, sgd } from "../../lib/index.js";
import { codeOf, randomFloats, randomKeys, Twin } from "../laws/twin.js";
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

test("versions are refused of a store with such a table, and a rollback that would pass one", async () => {
  const opened = await openTemporary({ checkpoint: false });
  const { store } = opened;
  const plain = await store.table("plain", { dim: 2, optimizer: sgd({ learningRate: 1 }) });
  await plain.push(BigUint64Array.of(1n), Float32Array.of(1, 2));
  await store.checkpoint({ version: "before" });
  const twin = await Twin.open(store, "t", options);
  const keys = BigUint64Array.from({ length: 400 }, (_, i) => BigInt(i));
  await twin.push(keys, new Float32Array(400 * dim).fill(1));
  assert.is(await codeOf(() => store.checkpoint({ version: "now" })), "UNSUPPORTED");
  assert.is(await codeOf(() => store.rollback("before")), "UNSUPPORTED");
  await store.checkpoint();
  await twin.compareAll();
  await store.dropTable("t");
  let rolledBack = false;
  for (let i = 0; i < 1000 && !rolledBack; i++) {
    const code = await codeOf(() => store.rollback("before"));
    assert.ok(code === undefined || code === "UNSUPPORTED", code);
    rolledBack = code === undefined;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  assert.ok(rolledBack);
  await opened.end();
});

test.run();
