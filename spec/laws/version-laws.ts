// Laws of versions: what is read of one is what the store was, and changes lead from one state to another.
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { adagrad, type Store, sgd, uniform } from "../../lib/index.js";
import { applied, contents, demandSame, versionContents } from "./copies.js";
import type { Law } from "./table-laws.js";
import { codeOf, keysOfNumbers, randomFloats, randomKeys, same } from "./twin.js";

const optimizer = adagrad({ learningRate: 0.1 });
const initializer = uniform(-1, 1);

/** Writes to two tables. */
async function live(store: Store, random: Prng, n: number): Promise<void> {
  const wide = await store.table("wide", { dim: 40, optimizer, initializer });
  await wide.push(randomKeys(random, n, 900), randomFloats(random, n * 40), { step: n });
  await wide.delete(randomKeys(random, n >> 2, 900));
  const half = await store.table("half", { dim: 3, optimizer, storage: "f16" });
  await half.push(randomKeys(random, n, 900), randomFloats(random, n * 3));
}

/** Writes to a table that counts. */
async function count(store: Store, random: Prng, n: number): Promise<void> {
  const options = { dim: 1, optimizer, eviction: {}, counters: { names: ["show", "click"], decay: 0.5 } };
  const table = await store.table("counted", options);
  const show = new Float32Array(n).fill(2);
  await table.push(randomKeys(random, n, 900), randomFloats(random, n), { counters: { show } });
  await table.decay();
}

const rowsOf = (tables: readonly { rows: number }[]) => tables.reduce((sum, { rows }) => sum + rows, 0);

export function versionLaws(law: Law): void {
  law("a version is read as the store was, beside the store, also when it is deleted", async ({ store }) => {
    const random = new Prng(1);
    await live(store, random, 500);
    await count(store, random, 500);
    const tensor = await store.tensor("w", { shape: [30, 7], optimizer });
    await tensor.assign(randomFloats(random, 210));
    const values = await tensor.pull();
    const before = await contents(store);
    await store.checkpoint({ version: "first", note: "of a law" });
    assert.equal(
      (await store.versions()).map(({ name, note, rows }) => ({ name, note, rows })),
      [{ name: "first", note: "of a law", rows: rowsOf(await store.tables()) }],
    );
    const wide = await store.table("wide");
    const keys = randomKeys(random, 300, 1200);
    const [rows, found] = [await wide.pull(keys), await wide.contains(keys)];
    await live(store, random, 300);
    await count(store, random, 300);
    await tensor.assign(randomFloats(random, 210));
    const version = await store.openVersion("first");
    const again = await store.openVersion("first");
    await again.close();
    await store.deleteVersion("first");
    assert.is(await codeOf(() => store.openVersion("first")), "VERSION_NOT_FOUND");
    await live(store, random, 100);
    demandSame(await contents(version), before);
    const there = await version.table("wide");
    same(await there.pull(keys), rows, "rows");
    same(await there.contains(keys), found, "found");
    same(await (await version.tensor("w")).pull(), values, "tensor");
    assert.is((await version.stats()).version, "first");
    assert.equal(await version.versions(), []);
    await version.close();
    assert.is(await codeOf(() => there.pull(keys)), "CLOSED");
    await wide.push(keys, new Float32Array(keys.length * 40));
  });

  law("a version is not written to", async ({ store }) => {
    const items = await store.table("items", { dim: 2, optimizer });
    await items.push(keysOfNumbers(1, 2), new Float32Array(4), { mark: Uint8Array.of(1, 2) });
    await store.checkpoint({ version: "v" });
    const version = await store.openVersion("v");
    const table = await version.table("items");
    const one = keysOfNumbers(1);
    const refused = [
      () => table.push(one, new Float32Array(2)),
      () => table.assign(one, new Float32Array(2)),
      () => table.delete(one),
      () => table.evict({ belowFrequency: 9 }),
      () => table.pull(one, { create: true }),
      () => version.table("items", { optimizer: adagrad({ learningRate: 3 }) }),
      () => version.table("new", { dim: 1, optimizer }),
      () => version.dropTable("items"),
      () => version.checkpoint(),
      () => version.checkpoint({ version: "w" }),
      () => version.deleteVersion("v"),
      () => version.rollback("v"),
      () => version.openVersion("v"),
      () => version.diff("v"),
      () => applied(new Map(), version.changes({ since: "v" })),
    ];
    for (const write of refused) assert.is(await codeOf(write), "VERSION_IS_READ_ONLY", String(write));
    assert.equal(await version.mark(), Uint8Array.of(1, 2));
    await version.close();
    await version.close();
  });

  law("changes make one state of another, in whatever steps they come", async ({ store }) => {
    const random = new Prng(2);
    await live(store, random, 500);
    const gone = await store.table("gone", { dim: 5, optimizer });
    const other = await store.table("other", { dim: 3, optimizer: sgd({ learningRate: 1 }) });
    for (const table of [gone, other])
      await table.push(randomKeys(random, 60, 90), randomFloats(random, 60 * table.dim));
    await store.checkpoint({ version: "a" });
    await live(store, random, 60);
    await store.dropTable("gone");
    await store.dropTable("other");
    await live(store, random, 60);
    await (await store.table("other", { dim: 4, optimizer })).push(
      randomKeys(random, 50, 90),
      randomFloats(random, 200),
    );
    await store.checkpoint({ version: "b" });
    await live(store, random, 60);
    const [a, b] = [await versionContents(store, "a"), await versionContents(store, "b")];
    const now = await contents(store);
    demandSame(await applied(a, store.changes({ since: "a", until: "b", batch: 7 })), b);
    demandSame(await applied(b, store.changes({ since: "b", until: "a" })), a);
    demandSame(await applied(a, store.changes({ since: "a", batch: 100 })), now);
    const wide = new Map([["wide", a.get("wide")!]]);
    const only = await applied(wide, store.changes({ since: "a", tables: ["wide"] }));
    demandSame(only, new Map([["wide", now.get("wide")!]]));
    // What a diff counts is what changes say.
    const { tables } = await store.diff("a", "b", { largest: 3 });
    const counted = tables.find(({ table }) => table === "wide")!;
    let [added, changed, removed] = [0, 0, 0];
    for await (const batch of store.changes({ since: "a", until: "b", tables: ["wide"] })) {
      added += batch.added.reduce((sum, one) => sum + one, 0);
      changed += batch.added.reduce((sum, one) => sum + 1 - one, 0);
      removed += batch.removed.length;
    }
    assert.equal(
      { ...counted, largest: counted.largest.length },
      {
        table: "wide",
        status: "kept",
        before: a.get("wide")!.size,
        after: b.get("wide")!.size,
        added,
        changed,
        removed,
        largest: 3,
      },
    );
    assert.ok(added > 0 && changed > 0 && removed > 0);
    for (const [i, one] of counted.largest.entries())
      assert.ok(i === 0 || one.distance <= counted.largest[i - 1].distance);
    assert.equal(tables.map(({ table, status }) => `${table} ${status}`).sort(), [
      "gone dropped",
      "half kept",
      "other remade",
      "wide kept",
    ]);
  });

  law("changes have the counters of their rows, as of the later state", async ({ store }) => {
    const names = ["show", "click"];
    const table = await store.table("counted", { dim: 2, optimizer, counters: { names, decay: 0.7 } });
    const keys = BigUint64Array.from({ length: 40 }, (_, i) => BigInt(i));
    const count = (some: BigUint64Array) => {
      const counters = {
        show: Float32Array.from(some, Number),
        click: new Float32Array(some.length).fill(3),
      };
      return table.push(some, new Float32Array(2 * some.length).fill(0.5), { counters });
    };
    await count(keys);
    await table.decay();
    await store.checkpoint({ version: "a" });
    await count(keys.subarray(10));
    await store.checkpoint({ version: "b" });
    await table.decay();
    await table.decay();
    for (const until of ["b", undefined]) {
      const later = until === undefined ? store : await store.openVersion(until);
      let rows = 0;
      for await (const part of store.changes({ since: "a", ...(until && { until }), batch: 7 })) {
        const n = part.keys.length;
        rows += n;
        const expected = { show: new Float32Array(n), click: new Float32Array(n) };
        await (await later.table("counted")).pull(part.keys, { counters: expected });
        if (n > 0) assert.equal(part.counters, expected);
      }
      assert.is(rows, 30);
      if (until) await later.close();
    }
  });

  law("who stops reading changes, or aborts, leaves nothing behind", async ({ store }) => {
    const random = new Prng(3);
    await live(store, random, 400);
    await store.checkpoint({ version: "a" });
    await live(store, random, 40);
    await store.checkpoint({ version: "b" });
    await live(store, random, 40);
    const wide = await store.table("wide");
    for await (const { keys } of store.changes({ since: "a", until: "a", batch: 1 }))
      assert.unreachable(String(keys));
    for (const until of [undefined, "a"])
      for await (const { keys } of store.changes({ since: "b", ...(until && { until }), batch: 1 })) {
        assert.is(keys.length, 1);
        break;
      }
    // More often than a connection may have scans that have not come to their end.
    for (let i = 0; i < 66; i++)
      for await (const { keys } of wide.scan({ batch: 1 })) {
        assert.is(keys.length, 1);
        break;
      }
    const abort = new AbortController();
    abort.abort();
    const aborted = () => applied(new Map(), store.changes({ since: "a", signal: abort.signal }));
    assert.is(await codeOf(aborted), "ABORTED");
    assert.is(await codeOf(() => applied(new Map(), store.changes({ since: "none" }))), "VERSION_NOT_FOUND");
    assert.is(
      await codeOf(() => applied(new Map(), store.changes({ since: "a", until: "none" }))),
      "VERSION_NOT_FOUND",
    );
  });

  law("a rollback brings back what a version was", async ({ store }) => {
    const random = new Prng(4);
    await live(store, random, 300);
    await store.checkpoint({ version: "a" });
    const before = await contents(store);
    const wide = await store.table("wide");
    await live(store, random, 300);
    await store.table("later", { dim: 1, optimizer });
    const info = await store.rollback("a");
    assert.is(info.version, "a");
    demandSame(await contents(store), before);
    same(await wide.pull(keysOfNumbers(1)), await (await store.table("wide")).pull(keysOfNumbers(1)), "row");
    assert.is(await codeOf(() => store.table("later")), "TABLE_NOT_FOUND");
    await live(store, random, 10);
    await store.rollback("a");
    demandSame(await contents(store), before);
    assert.is(await codeOf(() => store.rollback("none")), "VERSION_NOT_FOUND");
    assert.is(await codeOf(() => store.deleteVersion("none")), "VERSION_NOT_FOUND");
    assert.is(await codeOf(() => store.checkpoint({ version: "a" })), "VERSION_EXISTS");
  });
}
