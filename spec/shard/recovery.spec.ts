// What recovery must make of a manifest and a log that overlap, and of settings that do not fit what is stored.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { adagrad, type EmbershardError, type Store, sgd } from "../../lib/index.js";
import { MemoryDisk } from "../embedded/memory-store.js";
import { codeOf, keysOfNumbers, randomFloats, randomKeys, Twin } from "../laws/twin.js";

const optimizer = adagrad({ learningRate: 0.1 });

/** A store with some hundred changed pages, and a checkpoint that has begun to write them. */
async function draining(
  disk: MemoryDisk,
): Promise<{ store: Store; checkpoint: Promise<unknown>; isDone: () => boolean }> {
  const store = await disk.open();
  const big = await store.table("big", { dim: 1000, optimizer: sgd({ learningRate: 1 }), logged: false });
  for (let i = 0; i < 8; i++) {
    const keys = BigUint64Array.from({ length: 100 }, (_, j) => BigInt(100 * i + j));
    await big.push(keys, new Float32Array(100_000));
  }
  let done = false;
  const checkpoint = store.checkpoint().then(() => {
    done = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  return { store, checkpoint, isDone: () => done };
}

test("tables made, dropped and made anew while a checkpoint is written are those of its end", async () => {
  const disk = new MemoryDisk(1);
  const { store, checkpoint, isDone } = await draining(disk);
  const random = new Prng(1);
  const first = await Twin.open(store, "t", { dim: 2, optimizer });
  await first.push(randomKeys(random, 50, 100), randomFloats(random, 100));
  await store.dropTable("t");
  const second = await Twin.open(store, "t", { dim: 30, optimizer });
  await second.push(randomKeys(random, 50, 100), randomFloats(random, 1500));
  const kept = await Twin.open(store, "kept", { dim: 3, optimizer });
  await kept.push(randomKeys(random, 50, 100), randomFloats(random, 150));
  await store.table("kept", { optimizer: adagrad({ learningRate: 0.7 }) });
  assert.not(isDone());
  await checkpoint;
  await second.push(randomKeys(random, 50, 100), randomFloats(random, 1500));
  disk.kill();
  for (let i = 0; i < 2; i++) {
    const opened = await disk.open();
    for (const twin of [second, kept]) {
      twin.table = await opened.table(twin.table.name);
      await twin.compareAll();
    }
    assert.is(kept.table.options.optimizer.learningRate, 0.7);
    await opened.close();
  }
});

test("a table made anew before a checkpoint looks for pages, and after it began, is loaded once", async () => {
  const disk = new MemoryDisk(1);
  const store = await disk.open();
  const other = await store.table("other", { dim: 4, optimizer });
  await other.push(keysOfNumbers(1), new Float32Array(4));
  // What an aborted checkpoint leaves is cleared by the next, before it looks for pages.
  const ending = new AbortController();
  const onProgress = () => ending.abort();
  const large = await store.table("large", { dim: 4000, optimizer });
  for (let i = 0; i < 2; i++) {
    const keys = BigUint64Array.from({ length: 120 }, (_, j) => BigInt(200 * i + j));
    await large.push(keys, new Float32Array(480_000));
  }
  assert.is(await codeOf(() => store.checkpoint({ signal: ending.signal, onProgress })), "ABORTED");
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  disk.pages.schedule = () => held;
  const checkpoint = store.checkpoint();
  const random = new Prng(3);
  const first = await Twin.open(store, "t", { dim: 2, optimizer });
  await first.push(randomKeys(random, 50, 100), randomFloats(random, 100));
  await store.dropTable("t");
  const second = await Twin.open(store, "t", { dim: 30, optimizer });
  await second.push(randomKeys(random, 50, 100), randomFloats(random, 1500));
  disk.pages.schedule = undefined;
  release();
  await checkpoint;
  await second.push(randomKeys(random, 50, 100), randomFloats(random, 1500));
  disk.kill();
  const opened = await disk.open();
  second.table = await opened.table("t");
  await second.compareAll();
  await opened.close();
});

test("a table dropped while a checkpoint is written stays dropped", async () => {
  const disk = new MemoryDisk(1);
  const { store, checkpoint } = await draining(disk);
  await store.dropTable("big");
  const made = await Twin.open(store, "made", { dim: 64, optimizer });
  await checkpoint;
  const random = new Prng(2);
  await made.push(randomKeys(random, 3000, 5000), randomFloats(random, 192_000));
  await store.checkpoint();
  await made.push(randomKeys(random, 3000, 9000), randomFloats(random, 192_000));
  disk.kill();
  const opened = await disk.open();
  assert.equal(
    (await opened.tables()).map(({ name }) => name),
    ["made"],
  );
  made.table = await opened.table("made");
  await made.compareAll();
  await opened.close();
});

for (const withCheckpoint of [false, true]) {
  const where = withCheckpoint ? "a checkpoint" : "the log";
  test(`arenas too small for what ${where} holds are refused, and nothing is lost`, async () => {
    const disk = new MemoryDisk(1);
    const store = await disk.open({ arenaBytes: 64 << 20 });
    const twin = await Twin.open(store, "t", { dim: 1000, optimizer: sgd({ learningRate: 1 }) });
    for (let i = 0; i < 50; i++) {
      const keys = BigUint64Array.from({ length: 100 }, (_, j) => BigInt(100 * i + j));
      await twin.push(keys, new Float32Array(100_000).fill(i));
    }
    if (withCheckpoint) await store.checkpoint();
    await store.close();
    try {
      await disk.open({ arenaBytes: 32 << 20 });
      assert.unreachable();
    } catch (error) {
      const { code, message } = error as EmbershardError;
      assert.is(code, "OUT_OF_MEMORY", message);
      assert.match(message, /arenaBytes/);
    }
    const opened = await disk.open({ arenaBytes: 64 << 20 });
    twin.table = await opened.table("t");
    await twin.compareAll();
    await opened.close();
  });
}

test("what fitted an arena fits it again, index and all", async () => {
  const disk = new MemoryDisk(1);
  let store = await disk.open();
  const options = { dim: 1, optimizer: sgd({ learningRate: 1 }), ack: "memory" as const };
  let table = await store.table("t", options);
  let rows = 0;
  for (; rows < 360_000 && (await store.stats()).memory.arenas === 1; rows += 5000) {
    const keys = BigUint64Array.from({ length: 5000 }, (_, i) => BigInt(rows + i));
    await table.push(keys, new Float32Array(5000).fill(1));
  }
  assert.ok(rows > 320_000);
  for (let i = 0; i < 2; i++) {
    await store.close();
    store = await disk.open();
    table = await store.table("t");
    assert.is((await table.stats()).rows, rows);
    await store.checkpoint();
  }
  await store.close();
});

test("a table that finds no room in the arenas leaves nothing behind", async () => {
  const disk = new MemoryDisk(1);
  const store = await disk.open();
  let made = 0;
  const make = () => store.table(`t${made}`, { dim: 1, optimizer });
  while ((await codeOf(make)) === undefined) made++;
  assert.is(await codeOf(make), "OUT_OF_MEMORY");
  assert.is((await store.tables()).length, made);
  const first = await store.table("t0");
  assert.is(await codeOf(() => first.contains(keysOfNumbers(1))), undefined);
  await store.close();
  const opened = await disk.open();
  assert.is((await opened.tables()).length, made);
  await opened.dropTable("t1");
  await opened.dropTable("t2");
  await opened.dropTable("t3");
  await opened.checkpoint();
  await opened.table("again", { dim: 1, optimizer });
  await opened.close();
});

test("the most keys that one write may have are recovered, and what follows them", async () => {
  const disk = new MemoryDisk(1);
  const store = await disk.open({ arenaBytes: 1 << 30 });
  const table = await store.table("t", { dim: 1, optimizer: sgd({ learningRate: 1 }), ack: "memory" });
  const n = 1 << 22;
  const keys = new BigUint64Array(n);
  for (let i = 0; i < n; i++) keys[i] = BigInt(i % 100_000);
  await table.assign(keys, new Float32Array(n).fill(3));
  const more = BigUint64Array.from({ length: 100_000 }, (_, i) => BigInt(100_000 + i));
  await table.push(more, new Float32Array(100_000).fill(1));
  await store.close();
  const opened = await disk.open({ arenaBytes: 1 << 30 });
  const again = await opened.table("t");
  assert.is((await again.stats()).rows, 200_000);
  assert.equal(await again.pull(keysOfNumbers(99_999, 100_000, 199_999)), Float32Array.of(3, -1, -1));
  await opened.close();
});

test.run();
