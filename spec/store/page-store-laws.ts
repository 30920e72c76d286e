import type { Test } from "uvu";
import * as assert from "uvu/assert";
import { EmbershardError } from "../../lib/base/errors.js";
import { Prng } from "../../lib/base/prng.js";
import type { PageStore } from "../../lib/store/page-store.js";

/** What every page store obeys. `make` gives a new, empty, open one. */
export function pageStoreLaws(name: string, test: Test, make: () => Promise<PageStore>): void {
  const law = (title: string, check: (store: PageStore) => Promise<void>) =>
    test(`${name}: ${title}`, async () => {
      const store = await make();
      try {
        await check(store);
      } finally {
        await store.close();
      }
    });

  law("random batches, reopened now and then, equal a map", async (store) => {
    const random = new Prng(11);
    const model = new Map<number, number>();
    for (let round = 0; round < 60; round++) {
      const batch = store.batch();
      for (let i = random.below(12); i >= 0; i--) {
        const page = random.below(50);
        if (random.below(3) === 0) {
          batch.del(keyOf(1, page));
          model.delete(page);
        } else {
          const seed = random.u32();
          batch.put(keyOf(1, page), randomValue(seed));
          model.set(page, seed);
        }
      }
      await batch.write();
      if (random.below(10) === 0) await store.reopen();
      if (random.below(15) === 0) await store.compact({ gte: keyOf(0, 0), lt: keyOf(2, 0) });
    }
    const found = await collect(store, keyOf(0, 0), keyOf(2, 0));
    const wanted = [...model].sort(([a], [b]) => a - b);
    assert.is(found.length, wanted.length);
    for (const [i, [page, seed]] of wanted.entries()) {
      assert.is(Buffer.compare(found[i].key, keyOf(1, page)), 0);
      assert.is(Buffer.compare(found[i].value, randomValue(seed)), 0);
    }
  });

  law("put copies; what get and entries give is the caller's", async (store) => {
    const key = keyOf(1, 1);
    const value = Uint8Array.of(1, 2, 3);
    const batch = store.batch();
    batch.put(key, value);
    value.fill(9);
    key.fill(9);
    await batch.write();
    const got = (await store.get(keyOf(1, 1)))!;
    assert.equal([...got], [1, 2, 3]);
    got.fill(7);
    for (const entry of await collect(store, keyOf(0, 0), keyOf(9, 0))) entry.value.fill(7);
    assert.equal([...(await store.get(keyOf(1, 1)))!], [1, 2, 3]);
  });

  law("a range includes its beginning and excludes its end, in bytewise order", async (store) => {
    const batch = store.batch();
    for (const generation of [3, 1, 0x80000000, 256, 2]) batch.put(keyOf(generation, 0), new Uint8Array(1));
    await batch.write();
    const generations = async (gte: number, lt: number) =>
      (await collect(store, keyOf(gte, 0), keyOf(lt, 0))).map(({ key }) => Buffer.from(key).readUInt32BE(0));
    assert.equal(await generations(1, 256), [1, 2, 3]);
    assert.equal(await generations(2, 0xffffffff), [2, 3, 256, 0x80000000]);
    assert.equal(await generations(4, 200), []);
  });

  law("an empty value and an absent key are told apart", async (store) => {
    const batch = store.batch();
    batch.put(keyOf(1, 1), new Uint8Array(0));
    await batch.write();
    assert.is((await store.get(keyOf(1, 1)))?.length, 0);
    assert.is(await store.get(keyOf(1, 2)), undefined);
  });

  law("many values are read as of the call, in the order of the keys", async (store) => {
    const put = async (pages: readonly number[], fill: number) => {
      const batch = store.batch();
      for (const page of pages) batch.put(keyOf(4, page), new Uint8Array(8 + (page % 5)).fill(fill));
      await batch.write();
    };
    const pages = Array.from({ length: 700 }, (_, i) => i * 3);
    await put(pages, 1);
    const asked = [5, 0, 2097, 3, 3, 7, ...pages];
    const keys = Buffer.concat(asked.map((page) => keyOf(4, page)));
    const reading = store.getMany(keys, 10);
    keys.fill(255);
    // Written while they are read.
    const batch = store.batch();
    for (const page of pages) {
      if (page % 2 === 0) batch.del(keyOf(4, page));
      else batch.put(keyOf(4, page), new Uint8Array(3).fill(9));
    }
    const writing = batch.write();
    const later = store.batch();
    later.put(keyOf(4, 0), Uint8Array.of(4));
    await Promise.all([writing, later.write()]);
    const { bytes, ends } = await reading;
    assert.is(ends.length, asked.length);
    for (const [i, page] of asked.entries()) {
      const value = [...bytes.subarray(i === 0 ? 0 : ends[i - 1], ends[i])];
      assert.equal(value, page % 3 === 0 ? new Array(8 + (page % 5)).fill(1) : [], `page ${page}`);
    }
    assert.equal([...(await store.get(keyOf(4, 0)))!], [4]);
    assert.is((await store.getMany(new Uint8Array(0), 10)).ends.length, 0);
  });

  law("an unwritten batch changes nothing, an empty one is fine", async (store) => {
    store.batch().put(keyOf(1, 1), new Uint8Array(1));
    await store.batch().write();
    assert.is(await store.get(keyOf(1, 1)), undefined);
  });

  law("many pages come in several batches", async (store) => {
    for (let part = 0; part < 4; part++) {
      const batch = store.batch();
      for (let page = 0; page < 20; page++)
        batch.put(keyOf(1, part * 20 + page), new Uint8Array(2 ** 17).fill(page));
      await batch.write();
    }
    const sizes: number[] = [];
    for await (const entries of store.entries({ gte: keyOf(1, 0), lt: keyOf(2, 0) }))
      sizes.push(entries.length);
    assert.is(
      sizes.reduce((a, b) => a + b),
      80,
    );
    assert.ok(sizes.length > 1 && Math.max(...sizes) * 2 ** 17 <= 5 * 2 ** 20, sizes.join());
  });

  law("a closed store says so", async (store) => {
    await store.close();
    for (const use of [
      async () => store.batch().write(),
      () => store.get(keyOf(1, 1)),
      () => collect(store, keyOf(0, 0), keyOf(1, 0)),
    ]) {
      assert.is(await codeOf(use), "CLOSED");
    }
    await store.reopen();
    assert.is(await store.get(keyOf(1, 1)), undefined);
  });
}

export function keyOf(generation: number, page: number): Uint8Array {
  const key = Buffer.alloc(10);
  key.writeUInt32BE(generation, 0);
  key.writeUInt32BE(page, 6);
  return new Uint8Array(key);
}

export async function codeOf(use: () => Promise<unknown>): Promise<string> {
  try {
    await use();
    return "nothing was thrown";
  } catch (error) {
    assert.instance(error, EmbershardError);
    return (error as EmbershardError).code;
  }
}

async function collect(store: PageStore, gte: Uint8Array, lt: Uint8Array) {
  const found: { key: Uint8Array; value: Uint8Array }[] = [];
  for await (const entries of store.entries({ gte, lt })) found.push(...entries);
  return found;
}

function randomValue(seed: number): Uint8Array {
  const random = new Prng(seed);
  return Uint8Array.from({ length: random.below(2000) }, () => random.below(256));
}
