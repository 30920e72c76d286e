// A base and what changed since make the table, to the bit, in every format.
import { readFileSync, writeFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { exportTable, importTable, type Store, type Table } from "../../lib/index.js";
import { codeOf, keysOfNumbers, randomFloats } from "../laws/twin.js";
import { ALL, fill, options, Place, sameRows, scanAll, someKeys } from "./fixture.js";

const test = suite<{ place: Place; store: Store; table: Table; base: BigUint64Array }>("incremental export");
test.before.each(async (context) => {
  context.place = new Place();
  context.store = await context.place.open("from");
  context.table = await context.store.table("t", options);
  context.base = await fill(context.table, new Prng(1), 4000);
  await (await context.store.table("other", options)).push(keysOfNumbers(1), new Float32Array(5));
  await context.store.checkpoint({ version: "v" });
});
test.after.each(({ place }) => place.end());

/** Changes rows, adds some, deletes some, and has some deleted and there again. Gives how many keys are gone. */
async function change(table: Table, base: BigUint64Array, random: Prng): Promise<number> {
  const changed = base.filter((_, i) => i % 5 === 0);
  const added = someKeys(random, 700).subarray(2);
  const gone = base.filter((_, i) => i % 5 === 1);
  const back = gone.filter((_, i) => i % 3 === 0);
  await table.delete(gone);
  for (const keys of [changed, added, back])
    await table.push(keys, randomFloats(random, keys.length * table.dim), { step: 9000 });
  return gone.length - back.length;
}

for (const target of ["rows.safetensors", "rows", "rows.parquet"]) {
  test(`${target}: base and changes`, async ({ place, store, table, base }) => {
    const [first, second] = [place.path(`base-${target}`), place.path(`changes-${target}`)];
    const version = await store.openVersion("v");
    await exportTable(version, "t", first, { state: true });
    await version.close();
    const gone = await change(table, base, new Prng(2));
    const report = await exportTable(store, "t", second, { state: true, since: "v" });
    assert.is(report.removed, gone);
    assert.ok(report.rows > 800 && report.rows < (await table.stats()).rows / 2, `${report.rows}`);
    const into = await place.open("into");
    await importTable(into, "t", first);
    assert.is(await codeOf(() => importTable(into, "t", second)), "INVALID_ARGUMENT");
    assert.is(
      await codeOf(() => importTable(into, "t", second, { existing: "replace" })),
      "INVALID_ARGUMENT",
    );
    const before = await scanAll(await into.table("t"));
    assert.is(before.size, base.length, "nothing was changed");
    const { deleted, rows } = await importTable(into, "t", second, { existing: "merge" });
    assert.equal([deleted, rows], [gone, report.rows]);
    const expected = await scanAll(table);
    sameRows(await scanAll(await into.table("t")), expected, ALL);
    // Once more changes nothing: an import that was cut short can be repeated.
    assert.is((await importTable(into, "t", second, { existing: "merge" })).deleted, 0);
    sameRows(await scanAll(await into.table("t")), expected, ALL);
  });

  test(`${target}: with a threshold, and where nothing changed`, async ({ place, store, table, base }) => {
    const path = place.path(target);
    const conditions = { state: true, minFrequency: 2, minNorm: 1 };
    await exportTable(store, "t", path, conditions);
    const into = await place.open("into");
    await importTable(into, "t", path);
    const { rows, removed } = await exportTable(store, "t", path, { since: "v" });
    assert.equal([rows, removed], [0, 0]);
    assert.equal((await importTable(into, "t", path, { existing: "merge" })).rows, 0);
    await change(table, base, new Prng(3));
    await exportTable(store, "t", path, { ...conditions, since: "v" });
    await importTable(into, "t", path, { existing: "merge" });
    await exportTable(store, "t", path, conditions);
    await importTable(store, "whole", path);
    const whole = await scanAll(await store.table("whole"));
    assert.ok(whole.size > 300);
    sameRows(await scanAll(await into.table("t")), whole, ALL);
  });
}

for (const target of ["rows.safetensors", "rows", "rows.parquet"]) {
  test(`${target}: counters`, async ({ place, store }) => {
    const counters = { names: ["show", "click"], decay: 0.9 };
    const table = await store.table("counted", { ...options, counters });
    const keys = someKeys(new Prng(5), 300);
    const count = (some: BigUint64Array, show: number) =>
      table.push(some, new Float32Array(5 * some.length).fill(0.1), {
        counters: {
          show: new Float32Array(some.length).fill(show),
          click: new Float32Array(some.length).fill(2),
        },
      });
    await count(keys, 3);
    await table.decay();
    await store.checkpoint({ version: "counted" });
    const [first, second] = [place.path(`base-${target}`), place.path(`changes-${target}`)];
    await exportTable(store, "counted", first, { state: true });
    await count(keys.subarray(100), 7);
    assert.is((await exportTable(store, "counted", second, { state: true, since: "counted" })).rows, 200);
    const into = await place.open("into");
    await importTable(into, "t", first);
    assert.ok((await importTable(into, "t", second, { existing: "merge" })).counters);
    sameRows(await scanAll(await into.table("t")), await scanAll(table), [...ALL, "counters"]);
    // What has decayed since: rows of the file come as they are now.
    await table.decay();
    await exportTable(store, "counted", second, { state: true, since: "counted" });
    await importTable(into, "t", second, { existing: "merge" });
    const [found, now] = [await scanAll(await into.table("t")), await scanAll(table)];
    for (const key of keys.subarray(100)) assert.equal(found.get(key)!.counters, now.get(key)!.counters);
  });
}

test("a key that is both changed and removed, and text that is no keys", async ({ place, store, table }) => {
  const path = place.path("rows.safetensors");
  await table.delete((await firstKeys(table)).subarray(0, 3));
  await exportTable(store, "t", path, { since: "v" });
  const bytes = readFileSync(path);
  bytes.copy(bytes, bytes.length - 8, bytes.length - 16, bytes.length - 8);
  writeFileSync(path, bytes);
  assert.is(await codeOf(() => importTable(store, "u", path)), "CORRUPT");
  const parquet = place.path("rows.parquet");
  await exportTable(store, "t", parquet, { since: "v" });
  const whole = readFileSync(parquet, "latin1");
  const at = whole.indexOf("embershard.removed");
  const text = /[A-Za-z0-9+/]{32}/.exec(whole.slice(at + 18))!;
  const place64 = at + 18 + text.index;
  writeFileSync(parquet, `${whole.slice(0, place64)}?${whole.slice(place64 + 1)}`, "latin1");
  assert.is(await codeOf(() => importTable(store, "u", parquet)), "CORRUPT");
  assert.equal(
    (await store.tables()).map(({ name }) => name),
    ["t", "other"],
  );
});

test("what cannot be had", async ({ place, store }) => {
  const path = place.path("rows.safetensors");
  const code = (more: object) => codeOf(() => exportTable(store, "t", path, { since: "v", ...more }));
  assert.is(await code({ since: "w" }), "VERSION_NOT_FOUND");
  assert.is(await code({ keys: keysOfNumbers(1) }), "INVALID_OPTIONS");
  assert.is(await code({ signal: AbortSignal.abort() }), "ABORTED");
  await store.dropTable("t");
  await store.table("t", options);
  assert.is(await code({}), "INVALID_ARGUMENT");
  assert.equal(place.names(), []);
});

async function firstKeys(table: Table): Promise<BigUint64Array> {
  for await (const { keys } of table.scan()) return keys;
  return new BigUint64Array(0);
}

test.run();
