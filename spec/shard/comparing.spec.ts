// Comparing versions: what differs is exactly what a comparison of all rows finds, however little memory there is.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import type { EmbeddedStore } from "../../lib/embedded/embedded-store.js";
import { adagrad, type ChangeBatch, sgd, uniform } from "../../lib/index.js";
import type { OracleRow } from "../../lib/kernel/oracle/oracle-table.js";
import type { ShardOptions } from "../../lib/shard/shard.js";
import { MemoryDisk } from "../embedded/memory-store.js";
import { applied, contents, demandSame, plain, versionContents } from "../laws/copies.js";
import { codeOf, keysOfNumbers, randomFloats, randomKeys } from "../laws/twin.js";

async function lifeOf(
  disk: MemoryDisk,
  options: Partial<ShardOptions>,
  seed: number,
): Promise<EmbeddedStore> {
  const store = await disk.open(options);
  const random = new Prng(seed);
  const optimizer = adagrad({ learningRate: 0.1 });
  const wide = await store.table("wide", { dim: 100, optimizer, initializer: uniform(-1, 1) });
  const half = await store.table("half", { dim: 7, optimizer, storage: "f16" });
  await store.table("same", { dim: 2, optimizer });
  const gone = await store.table("gone", { dim: 5, optimizer });
  const other = await store.table("other", { dim: 3, optimizer: sgd({ learningRate: 1 }) });
  const write = async (n: number, universe: number) => {
    for (const table of [wide, half]) {
      await table.push(randomKeys(random, n, universe), randomFloats(random, n * table.dim), { step: 3 });
      await table.delete(randomKeys(random, n >> 2, universe));
    }
  };
  await write(400, 600);
  for (const table of [gone, other, await store.table("same")])
    await table.push(randomKeys(random, 50, 90), randomFloats(random, 50 * table.dim));
  await store.checkpoint({ version: "a" });
  await write(40, 600);
  await store.dropTable("gone");
  await store.dropTable("other");
  const remade = await store.table("other", { dim: 4, optimizer });
  await remade.push(randomKeys(random, 50, 90), randomFloats(random, 200));
  const made = await store.table("made", { dim: 6, optimizer });
  await made.push(randomKeys(random, 200, 900), randomFloats(random, 1200));
  await store.checkpoint({ version: "b" });
  await wide.delete(BigUint64Array.from({ length: 400 }, (_, i) => BigInt(i)));
  await write(150, 1200);
  return store;
}

for (const leftoverBytes of [1 << 26, 30_000]) {
  test(`changes make one version of the other, with ${leftoverBytes} bytes of rows in memory`, async () => {
    const disk = new MemoryDisk(1);
    const store = await lifeOf(disk, { leftoverBytes }, 4);
    const [a, b] = [await versionContents(store, "a"), await versionContents(store, "b")];
    const live = await contents(store);
    demandSame(await applied(a, store.changes({ since: "a", until: "b", batch: 7 })), b);
    demandSame(await applied(b, store.changes({ since: "b", until: "a" })), a);
    demandSame(await applied(a, await store.changes({ since: "a", batch: 100 })), live);
    demandSame(await applied(b, store.changes({ since: "b" })), live);
    const wide = new Map([["wide", a.get("wide")!]]);
    const only = await applied(wide, store.changes({ since: "a", tables: ["wide"] }));
    demandSame(only, new Map([["wide", live.get("wide")!]]));
    await store.checkpoint();
    const images = disk.pages.keys().filter((key) => key[0] === 1).length;
    await store.close();
    const again = await disk.open();
    assert.is(disk.pages.keys().filter((key) => key[0] === 1).length, images, "nothing is left behind");
    await again.close();
  });
}

test("a diff counts what differs, and names what has moved furthest", async () => {
  const store = await lifeOf(new MemoryDisk(1), { leftoverBytes: 20_000 }, 5);
  const [a, live] = [await versionContents(store, "a"), await contents(store)];
  const progress: number[] = [];
  const diff = await store.diff("a", undefined, {
    largest: 3,
    onProgress: ({ pages }) => progress.push(pages),
  });
  assert.is(diff.from, "a");
  assert.is(diff.to, "live");
  assert.ok(progress.length > 0);
  const status = Object.fromEntries(diff.tables.map((table) => [table.table, table.status]));
  assert.equal(status, {
    wide: "kept",
    half: "kept",
    same: "kept",
    gone: "dropped",
    other: "remade",
    made: "made",
  });
  for (const { table, before, after, added, removed, changed, largest } of diff.tables) {
    const remade = status[table] === "remade";
    const [x, y] = [
      a.get(table) ?? new Map<bigint, OracleRow>(),
      live.get(table) ?? new Map<bigint, OracleRow>(),
    ];
    assert.is(before, x.size, table);
    assert.is(after, y.size, table);
    assert.is(added, remade ? y.size : [...y.keys()].filter((key) => !x.has(key)).length, table);
    assert.is(removed, remade ? x.size : [...x.keys()].filter((key) => !y.has(key)).length, table);
    const moved = remade ? [] : [...y].filter(([key, row]) => x.has(key) && !same(x.get(key)!, row));
    assert.is(changed, moved.length, table);
    const far = moved
      .map(([key, row]) => ({ key, distance: distance(x.get(key)!, row) }))
      .sort((one, two) => two.distance - one.distance)
      .slice(0, 3);
    assert.equal(
      largest.map(({ key }) => key),
      far.map(({ key }) => key),
      table,
    );
  }
  await store.close();
});

function same(a: OracleRow, b: OracleRow): boolean {
  return JSON.stringify(plain(a)) === JSON.stringify(plain(b));
}

function distance(a: OracleRow, b: OracleRow): number {
  return Math.sqrt(a.weights.reduce((sum, x, i) => sum + (x - b.weights[i]) ** 2, 0));
}

test("pages that both have are not read", async () => {
  const disk = new MemoryDisk(1);
  const store = await disk.open();
  const table = await store.table("t", { dim: 1000, optimizer: sgd({ learningRate: 1 }) });
  const keys = BigUint64Array.from({ length: 640 }, (_, i) => BigInt(i));
  await table.push(keys, new Float32Array(640_000).fill(1));
  await store.checkpoint({ version: "a" });
  await table.push(keysOfNumbers(5), new Float32Array(1000).fill(1));
  await store.checkpoint({ version: "b" });
  let totals = 0;
  const diff = await store.diff("a", "b", {
    onProgress: ({ total }) => {
      totals = Math.max(totals, total);
    },
  });
  assert.is(totals, 1);
  assert.is(diff.tables[0].changed, 1);
  assert.is(diff.tables[0].largest[0].key, 5n);
  await store.close();
});

test("a comparison can be ended, and outlives the version that it reads", async () => {
  const disk = new MemoryDisk(1);
  const store = await lifeOf(disk, {}, 6);
  assert.is(await codeOf(() => store.diff("a", "nowhere")), "VERSION_NOT_FOUND");
  assert.is(await codeOf(() => store.diff("a", "b", { signal: AbortSignal.abort() })), "ABORTED");
  const [a, b] = [await versionContents(store, "a"), await versionContents(store, "b")];
  const changes = store.changes({ since: "a", until: "b", batch: 3 })[Symbol.asyncIterator]();
  const first = await changes.next();
  await store.deleteVersion("a");
  await store.deleteVersion("b");
  await store.checkpoint();
  async function* all(): AsyncGenerator<ChangeBatch> {
    yield first.value;
    for (let next = await changes.next(); !next.done; next = await changes.next()) yield next.value;
  }
  demandSame(await applied(a, all()), b);
  await store.checkpoint();
  await store.checkpoint({ version: "all" });
  assert.is(disk.pages.keys().filter((key) => key[0] === 1).length, (await store.versions())[0].pages);
  await store.close();
});

test.run();
