// One table that grows over several arenas, with everything going on while rows are handed over.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { adagrad, type Store, uniform } from "../../lib/index.js";
import { MemoryDisk } from "../embedded/memory-store.js";
import { keysOfNumbers, randomFloats, randomKeys, Twin } from "../laws/twin.js";

const runs = Number(process.env.EMBERSHARD_RUNS ?? 1);
const options = {
  dim: 1500,
  optimizer: adagrad({ learningRate: 0.1 }),
  initializer: uniform(-1, 1),
  seed: 1,
};

interface Way {
  readonly seed: number;
  readonly logged: boolean;
}

async function grow({ seed, logged }: Way): Promise<void> {
  const random = new Prng(seed);
  const disk = new MemoryDisk(seed);
  const turns = async (n: number) => {
    for (let i = 0; i < n; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  let store: Store = await disk.open({ logBufferBytes: 4 << 20 });
  const twin = await Twin.open(store, "t", { ...options, ack: logged ? "os" : "memory", logged });
  const rowsAt = 1200 * 3;
  for (let round = 0; store.stats().memory.arenas < 4; round++) {
    const n = 40 + random.below(120);
    const keys = randomKeys(random, n, rowsAt * 2);
    await twin.push(keys, randomFloats(random, n * 1500), { step: round });
    if (random.below(3) === 0) await twin.delete(randomKeys(random, 60, rowsAt * 2));
    if (random.below(4) === 0) await twin.assign(keys.subarray(0, 20), randomFloats(random, 20 * 1500));
    if (random.below(3) === 0) await twin.compare(randomKeys(random, 100, rowsAt * 2));
    if (random.below(4) === 0) await turns(random.below(30));
    if (random.below(6) === 0) await Promise.all([store.checkpoint(), twin.compareAll()]);
    if (logged && random.below(6) === 0) {
      if (random.below(2) === 0) await store.close();
      else disk.kill();
      store = await disk.open({ logBufferBytes: 4 << 20 });
      twin.table = await store.table("t");
      if (random.below(2) === 0) await turns(random.below(40));
      await twin.compareAll();
    }
  }
  await twin.compareAll();
  await store.checkpoint();
  await store.close();
  store = await disk.open();
  twin.table = await store.table("t");
  await twin.compareAll();
  await store.close();
}

for (let run = 0; run < runs; run++) {
  const seed = Number(process.env.EMBERSHARD_SEED ?? 1) + run;
  for (const logged of [true, false]) {
    test(`a ${logged ? "logged" : "unlogged"} table grows into a fourth arena, seed ${seed}`, () =>
      grow({ seed, logged }));
  }
}

test("a deletion may hand over more rows than the new arena has memory for yet", async () => {
  const disk = new MemoryDisk(8);
  const store = await disk.open();
  const random = new Prng(8);
  const twin = await Twin.open(store, "t", { ...options, ack: "memory" });
  let rows = 0;
  for (; store.stats().memory.arenas === 1; rows += 50) {
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

test("a scan gives every row exactly once while rows are handed over", async () => {
  const disk = new MemoryDisk(9);
  const store = await disk.open();
  const random = new Prng(9);
  const twin = await Twin.open(store, "t", options);
  const keys = BigUint64Array.from({ length: 900 }, (_, i) => BigInt(i));
  let more = 900;
  for (let at = 0; at < keys.length; at += 100)
    await twin.push(keys.subarray(at, at + 100), randomFloats(random, 150_000));
  assert.is(store.stats().memory.arenas, 1);
  const seen = new Map<bigint, number>();
  for await (const part of twin.table.scan({ batch: 20 })) {
    for (const key of part.keys) seen.set(key, (seen.get(key) ?? 0) + 1);
    const fresh = Array.from({ length: 10 }, () => more++);
    await twin.push(keysOfNumbers(...fresh, random.below(900)), randomFloats(random, 16_500));
  }
  assert.ok(store.stats().memory.arenas > 1);
  for (const key of keys)
    if (seen.get(key) !== 1) assert.unreachable(`key ${key} came ${seen.get(key)} times`);
  for (const [key, times] of seen) if (times !== 1) assert.unreachable(`key ${key} came ${times} times`);
  await twin.compareAll();
  await store.close();
});

test.run();
