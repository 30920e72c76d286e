// Laws of rows: reading and writing them, in one table and in several.
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { adagrad, adam, type ScanBatch, sgd, uniform } from "../../lib/index.js";
import { scanAll } from "./oracle-of.js";
import type { Law } from "./table-laws.js";
import { codeOf, keysOfNumbers, randomFloats, randomKeys, same, Twin } from "./twin.js";

const options = { dim: 3, optimizer: adagrad({ learningRate: 0.1 }), initializer: uniform(-1, 1), seed: 5 };

export function rowLaws(law: Law): void {
  law("every u64 is a key", async ({ store }) => {
    const twin = await Twin.open(store, "t", options);
    const keys = keysOfNumbers(0, 2n ** 64n - 1n, 2n ** 63n, 1, 2n ** 32n);
    await twin.compare(keys);
    await twin.push(keys, randomFloats(new Prng(1), 15));
    await twin.compare(keys);
    await twin.delete(keysOfNumbers(0, 2n ** 64n - 1n));
    await twin.compare(keys);
    await twin.compareAll();
  });

  law("no keys are no work", async ({ store }) => {
    const twin = await Twin.open(store, "t", options);
    const none = new BigUint64Array(0);
    await twin.push(none, new Float32Array(0));
    await twin.assign(none, new Float32Array(0));
    await twin.delete(none);
    await twin.compare(none);
    assert.equal(await store.pull([]), []);
    await store.push([]);
    await twin.compareAll();
  });

  law("reading creates nothing, unless asked to", async ({ store }) => {
    const twin = await Twin.open(store, "t", options);
    const keys = keysOfNumbers(1, 2, 3, 2);
    await twin.compare(keys);
    await twin.compare(keys, 0.25);
    await twin.compare(keys, Number.NaN);
    assert.is((await twin.table.stats()).rows, 0);
    const found = new Uint8Array(4);
    const rows = await twin.table.pull(keys, { create: true, default: 9, found });
    same(rows, twin.oracle.pull(keys, { create: true, default: 9 }), "created rows");
    same(found, Uint8Array.of(1, 1, 1, 1), "found, once created");
    assert.is((await twin.table.stats()).rows, 3);
    await twin.compareAll();
  });

  law("rows are read into the caller's arrays, a part of a buffer too", async ({ store }) => {
    const twin = await Twin.open(store, "t", options);
    const keys = new BigUint64Array(10).subarray(3, 5);
    keys.set(keysOfNumbers(7, 8));
    const gradients = randomFloats(new Prng(2), 20).subarray(5, 11);
    await twin.push(keys, gradients);
    const around = new Float32Array(10).fill(4);
    const into = around.subarray(2, 8);
    assert.is(await twin.table.pull(keys, { into }), into);
    same(into, twin.oracle.pull(keys), "rows");
    same(Float32Array.of(around[1], around[8]), Float32Array.of(4, 4), "what lies around them");
  });

  law("gradients of equal keys are summed in order, and counted", async ({ store }) => {
    const twin = await Twin.open(store, "t", options);
    const random = new Prng(3);
    for (let step = 1; step <= 20; step++) {
      const keys = randomKeys(random, 200, 30);
      await twin.push(keys, randomFloats(random, 600), { step });
    }
    await twin.compareAll();
    const rows = await scanAll(twin.table);
    const total = [...rows.values()].reduce((sum, { frequency }) => sum + frequency, 0);
    assert.is(total, 4000);
    assert.is(Math.max(...[...rows.values()].map(({ lastStep }) => lastStep)), 20);
  });

  law("assigning sets weights, state if given, and neither frequency nor step", async ({ store }) => {
    const twin = await Twin.open(store, "t", options);
    const keys = keysOfNumbers(1, 2, 1, 3);
    const random = new Prng(4);
    await twin.push(keysOfNumbers(1, 9), randomFloats(random, 6), { step: 4_294_967_295 });
    await twin.assign(keys, randomFloats(random, 12));
    await twin.compareAll();
    await twin.assign(keys, randomFloats(random, 12), { state: randomFloats(random, 12).map(Math.abs) });
    await twin.compareAll();
    await twin.push(keys, randomFloats(random, 12), { step: 2 });
    await twin.compareAll();
  });

  law("assigning sets frequency and step, too, where they are given", async ({ store, reopen }) => {
    let opened = store;
    const twin = await Twin.open(opened, "t", options);
    const random = new Prng(14);
    await twin.push(keysOfNumbers(1, 9), randomFloats(random, 6), { step: 3 });
    const words = (...numbers: number[]) => Uint32Array.from(numbers);
    const history = (n: number) => ({
      frequency: Uint32Array.from({ length: n }, () => random.below(1000)),
      lastStep: Uint32Array.from({ length: n }, () => random.u32()),
    });
    const keys = keysOfNumbers(1, 2, 1, 3);
    await twin.assign(keys, randomFloats(random, 12), history(4));
    await twin.compareAll();
    await twin.assign(keysOfNumbers(5, 6), randomFloats(random, 6), {
      frequency: words(0xffff_ffff, 0),
      lastStep: words(0, 0xffff_ffff),
      state: randomFloats(random, 6).map(Math.abs),
    });
    await twin.compareAll();
    await twin.push(keysOfNumbers(5, 2, 1), randomFloats(random, 9), { step: 8 });
    await twin.assign(randomKeys(random, 900, 400), randomFloats(random, 2700), history(900));
    await twin.compareAll();
    opened = await reopen();
    twin.table = await opened.table("t");
    await twin.compareAll();
    for (const wrong of [
      { frequency: words(1, 2, 3, 4) },
      { lastStep: words(1, 2, 3, 4) },
      { frequency: words(1), lastStep: words(1, 2, 3, 4) },
    ])
      assert.is(await codeOf(() => twin.table.assign(keys, new Float32Array(12), wrong)), "INVALID_ARGUMENT");
  });

  law("what is deleted begins anew", async ({ store }) => {
    const twin = await Twin.open(store, "t", options);
    const random = new Prng(5);
    const keys = randomKeys(random, 3000, 1500);
    await twin.push(keys, randomFloats(random, 9000));
    await twin.delete(randomKeys(random, 1000, 1500));
    await twin.compareAll();
    await twin.push(randomKeys(random, 500, 3000), randomFloats(random, 1500), { step: 3 });
    await twin.compareAll();
    await twin.delete(randomKeys(random, 3000, 3000));
    await twin.delete(keys);
    await twin.compareAll();
  });

  for (const dim of [1, 3, 16, 64, 4096]) {
    law(`dimension ${dim}`, async ({ store }) => {
      const twin = await Twin.open(store, "t", { ...options, dim, optimizer: adam({ learningRate: 0.01 }) });
      const random = new Prng(dim);
      for (let step = 1; step <= 3; step++) {
        const keys = randomKeys(random, 60, 80);
        await twin.push(keys, randomFloats(random, 60 * dim), { step });
        await twin.compare(keys);
      }
      await twin.compareAll();
    });
  }

  law("a push of several tables is one: all or nothing", async ({ store }) => {
    const a = await Twin.open(store, "a", options);
    const b = await Twin.open(store, "b", { dim: 2, optimizer: sgd({ learningRate: 1 }) });
    const keys = keysOfNumbers(1, 2);
    const [ga, gb] = [randomFloats(new Prng(1), 6), randomFloats(new Prng(2), 4)];
    const bad = gb.slice();
    bad[3] = Number.NaN;
    const refused = await codeOf(() =>
      store.push([
        { table: a.table, keys, gradients: ga },
        { table: b.table, keys, gradients: bad },
      ]),
    );
    assert.is(refused, "NON_FINITE");
    await a.compareAll();
    await b.compareAll();
    await store.push([
      { table: a.table, keys, gradients: ga, learningRate: 0.5 },
      { table: b.table, keys, gradients: gb },
    ]);
    a.oracle.push(keys, ga, { learningRate: 0.5 });
    b.oracle.push(keys, gb);
    await a.compareAll();
    await b.compareAll();
    const [pa, pb] = await store.pull([
      { table: a.table, keys },
      { table: b.table, keys: keysOfNumbers(2, 5), default: 3 },
    ]);
    same(pa, a.oracle.pull(keys), "rows of a");
    same(pb, b.oracle.pull(keysOfNumbers(2, 5), { default: 3 }), "rows of b");
  });

  law(
    "a scan gives every row that stays exactly once, in batches of any size, while others are pushed",
    async ({ store }) => {
      const twin = await Twin.open(store, "t", options);
      const random = new Prng(6);
      const keys = BigUint64Array.from({ length: 4000 }, (_, i) => BigInt(i));
      await twin.push(keys, randomFloats(random, 12_000));
      for (const batch of [1, 7, 1000, 65_536]) {
        if (batch > 1) assert.is((await scanAll(twin.table, batch)).size, 4000);
      }
      const seen = new Map<bigint, number>();
      let next = 4000;
      for await (const part of twin.table.scan({ batch: 300 })) {
        assert.ok(part.keys.length <= 300);
        for (const key of part.keys) seen.set(key, (seen.get(key) ?? 0) + 1);
        const more = BigUint64Array.from({ length: 200 }, () => BigInt(next++));
        await twin.push(more, randomFloats(random, 600));
        await twin.push(keys.subarray(0, 500), randomFloats(random, 1500));
      }
      for (const key of keys)
        if (seen.get(key) !== 1) assert.unreachable(`key ${key} came ${seen.get(key)} times`);
      for (const [key, times] of seen) if (times !== 1) assert.unreachable(`key ${key} came ${times} times`);
      await twin.compareAll();
    },
  );

  law("what a scan lends holds until the next batch but one, and is what it gives", async ({ store }) => {
    const counters = { names: ["show", "click"], decay: 0.5 };
    const twin = await Twin.open(store, "t", { ...options, counters, eviction: { maxRows: 100_000 } });
    const keys = BigUint64Array.from({ length: 3000 }, (_, i) => BigInt(i));
    await twin.push(keys, randomFloats(new Prng(7), 9000));
    await twin.delete(keys.filter((_, i) => i % 5 === 0));
    const given = new Map<bigint, string>();
    for await (const part of twin.table.scan({ batch: 250 })) addTexts(part, given);
    const lent = new Map<bigint, string>();
    let held: ScanBatch | undefined;
    for await (const part of twin.table.scan({ batch: 250, lent: true })) {
      assert.ok(part.keys.length <= 250);
      if (held) addTexts(held, lent);
      held = part;
    }
    if (held) addTexts(held, lent);
    assert.is(lent.size, 2400);
    for (const [key, text] of given) assert.is(lent.get(key), text);
  });
}

/** Adds what a batch says of each key, as text. */
function addTexts(batch: ScanBatch, texts: Map<bigint, string>): void {
  const n = batch.keys.length;
  const columns = [batch.rows, batch.state, batch.frequency, batch.lastStep, batch.writtenAt!];
  for (let i = 0; i < n; i++) {
    const of = (column: {
      readonly length: number;
      subarray(from: number, to: number): Iterable<number>;
    }) => [...column.subarray((i * column.length) / n, ((i + 1) * column.length) / n)];
    texts.set(batch.keys[i], JSON.stringify([...columns, ...Object.values(batch.counters!)].map(of)));
  }
}
