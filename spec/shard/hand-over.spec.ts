// One table that grows over several arenas, with everything going on while rows are handed over.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { sgd } from "../../lib/index.js";
import { MemoryDisk } from "../embedded/memory-store.js";
import { keysOfNumbers, randomFloats, Twin } from "../laws/twin.js";
import { grow, options } from "./growing.js";

const runs = Number(process.env.EMBERSHARD_RUNS ?? 1);

for (let run = 0; run < runs; run++) {
  const seed = Number(process.env.EMBERSHARD_SEED ?? 1) + run;
  for (const logged of [true, false]) {
    test(`a ${logged ? "logged" : "unlogged"} table grows into a fourth arena, seed ${seed}`, () =>
      grow({ seed, logged, arenas: 4 }));
  }
}

test("a deletion may hand over more rows than the new arena has memory for yet", async () => {
  const disk = new MemoryDisk(8);
  const store = await disk.open();
  const random = new Prng(8);
  const twin = await Twin.open(store, "t", { ...options, ack: "memory" });
  let rows = 0;
  for (; (await store.stats()).memory.arenas === 1; rows += 50) {
    const keys = BigUint64Array.from({ length: 50 }, (_, i) => BigInt(rows + i));
    await twin.push(keys, randomFloats(random, 75_000));
  }
  await twin.delete(BigUint64Array.from({ length: 500 }, (_, i) => BigInt(i)));
  await twin.compareAll();
  await store.close();
  const opened = await disk.open();
  twin.table = await opened.table("t");
  await twin.compareAll();
  await opened.close();
});

test("a push that lacks working memory while rows are handed over waits until they are", async () => {
  const disk = new MemoryDisk(11);
  let store = await disk.open();
  const random = new Prng(11);
  const twin = await Twin.open(store, "t", { ...options, ack: "memory" });
  let rows = 0;
  for (; (await store.stats()).memory.arenas === 1; rows += 50) {
    const keys = BigUint64Array.from({ length: 50 }, (_, i) => BigInt(rows + i));
    await twin.push(keys, randomFloats(random, 75_000));
  }
  const { moving } = disk.shard!.state.arenas;
  assert.not(moving!.done);
  const keys = BigUint64Array.from({ length: 1200 }, (_, i) => BigInt(i));
  await twin.push(keys, randomFloats(random, 1_800_000));
  assert.ok(moving!.done);
  await twin.compareAll();
  // What no arena has the memory for is refused, and changes nothing.
  const many = BigUint64Array.from({ length: 3000 }, (_, i) => BigInt(i));
  const error = await twin.table.push(many, new Float32Array(4_500_000).fill(1)).catch((e: unknown) => e);
  assert.is((error as { code?: string }).code, "TOO_LARGE");
  await twin.compareAll();
  await store.close();
  store = await disk.open();
  twin.table = await store.table("t");
  await twin.compareAll();
  await store.close();
});

test("pushes that filled an arena have working memory when it is halved, and later", async () => {
  const disk = new MemoryDisk(12);
  const store = await disk.open({ arenaBytes: 128 << 20 });
  const dim = 256;
  const n = 12_000;
  const table = await store.table("t", { dim, optimizer: sgd({ learningRate: 1 }), logged: false });
  const gradients = new Float32Array(n * dim).fill(-1);
  let from = 0;
  for (let more = 3; more > 0; from += n, more -= (await store.stats()).memory.arenas - 1) {
    const keys = BigUint64Array.from({ length: n }, (_, i) => BigInt(from + i));
    await table.push(keys, gradients);
    await table.push(keys, gradients);
  }
  const weights = await table.pull(BigUint64Array.from({ length: from }, (_, i) => BigInt(i)));
  assert.ok(weights.every((weight) => weight === 2));
  await store.close();
});

test("a scan gives every row exactly once while rows are handed over", async () => {
  const disk = new MemoryDisk(9);
  const store = await disk.open();
  const random = new Prng(9);
  const twin = await Twin.open(store, "t", options);
  const keys = BigUint64Array.from({ length: 900 }, (_, i) => BigInt(i));
  let more = 900;
  for (let at = 0; at < keys.length; at += 100)
    await twin.push(keys.subarray(at, at + 100), randomFloats(random, 150_000));
  assert.is((await store.stats()).memory.arenas, 1);
  const seen = new Map<bigint, number>();
  for await (const part of twin.table.scan({ batch: 20 })) {
    for (const key of part.keys) seen.set(key, (seen.get(key) ?? 0) + 1);
    const fresh = Array.from({ length: 10 }, () => more++);
    await twin.push(keysOfNumbers(...fresh, random.below(900)), randomFloats(random, 16_500));
  }
  assert.ok((await store.stats()).memory.arenas > 1);
  for (const key of keys)
    if (seen.get(key) !== 1) assert.unreachable(`key ${key} came ${seen.get(key)} times`);
  for (const [key, times] of seen) if (times !== 1) assert.unreachable(`key ${key} came ${times} times`);
  await twin.compareAll();
  await store.close();
});

test("an owner of a store that only awaits writes lets others run", async () => {
  const store = await new MemoryDisk(10).open();
  const table = await store.table("t", { ...options, dim: 4, ack: "memory", logged: false });
  let others = 0;
  const timer = setInterval(() => others++, 0);
  for (let i = 0; i < 2000 && others === 0; i++) await table.push(BigUint64Array.of(1n), new Float32Array(4));
  clearInterval(timer);
  assert.ok(others > 0);
  await store.close();
});

test("pages of a dropped table are given back before an arena is halved for them", async () => {
  const disk = new MemoryDisk(4);
  const store = await disk.open();
  for (let round = 0; round < 4; round++) {
    const table = await store.table("t", { ...options, ack: "memory" });
    for (let next = 0; next < 800; next += 50) {
      const keys = BigUint64Array.from({ length: 50 }, (_, i) => BigInt(next + i));
      await table.assign(keys, new Float32Array(50 * options.dim).fill(round));
    }
    assert.is((await table.stats()).rows, 800);
    await store.dropTable("t");
  }
  assert.is((await store.stats()).memory.arenas, 1);
  await store.close();
});

test.run();
