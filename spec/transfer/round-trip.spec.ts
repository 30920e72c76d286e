// What is exported comes back by importing, to the bit, in every format.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import {
  adam,
  exportTable,
  importTable,
  type ScanBatch,
  sgd,
  type TableOptions,
  type TransferProgress,
} from "../../lib/index.js";
import { codeOf, keysOfNumbers, randomFloats } from "../laws/twin.js";
import { ALL, fill, options, Place, sameRows, scanAll } from "./fixture.js";

const test = suite<{ place: Place }>("export and import, there and back");
test.before.each((context) => {
  context.place = new Place();
});
test.after.each(({ place }) => place.end());

const targets = ["rows.safetensors", "rows", "rows.parquet"];

for (const target of targets) {
  test(`${target}: weights, state, frequencies and steps, into a table made as the file says`, async ({
    place,
  }) => {
    const [from, into] = [await place.open("from"), await place.open("into")];
    const table = await from.table("t", { ...options, clip: { value: 0.5 }, seed: 2n ** 63n + 5n });
    await fill(table, new Prng(1), 6000);
    const path = place.path(target);
    const report = await exportTable(from, "t", path, { state: true });
    assert.is(report.rows, (await table.stats()).rows);
    assert.equal(place.names(), [target]);
    const back = await importTable(into, "again", path);
    assert.equal(back, {
      format: report.format,
      rows: report.rows,
      deleted: 0,
      created: true,
      state: "restored",
      history: true,
      counters: false,
    });
    const again = await into.table("again");
    sameRows(await scanAll(again), await scanAll(table), ALL);
    const { number: _, placement: __, name: ___, ...definition } = table.options;
    assert.equal({ ...again.options, ...definition }, again.options);
    // The same seed: a row that nobody has begins alike in both.
    const key = keysOfNumbers(987_654_321);
    assert.equal(await again.pull(key), await table.pull(key));
  });

  test(`${target}: rows of several pieces`, async ({ place }) => {
    const store = await place.open("store");
    const [n, dim] = [60_001, 40];
    const table = await store.table("t", { dim, optimizer: sgd({ learningRate: 0.1 }) });
    const keys = BigUint64Array.from({ length: n }, (_, i) => BigInt(i));
    const column = (factor: number) => Uint32Array.from(keys, (key) => factor * Number(key));
    await table.assign(
      keys,
      Float32Array.from({ length: n * dim }, (_, i) => i),
      {
        frequency: column(3),
        lastStep: column(5),
      },
    );
    const path = place.path(target);
    await exportTable(store, "t", path);
    assert.is((await importTable(store, "again", path)).rows, n);
    let rows = 0;
    for await (const batch of (await store.table("again")).scan()) {
      rows += batch.keys.length;
      for (let i = 0; i < batch.keys.length; i++) {
        const key = Number(batch.keys[i]);
        if (
          batch.rows[i * dim] === key * dim &&
          batch.frequency[i] === 3 * key &&
          batch.lastStep[i] === 5 * key
        )
          continue;
        assert.unreachable(`key ${key} has what another had`);
      }
    }
    assert.is(rows, n);
  });

  test(`${target}: counters go where they mean the same`, async ({ place }) => {
    const [from, into] = [await place.open("from"), await place.open("into")];
    const counters = { names: ["show", "click"], decay: 0.5 };
    const table = await from.table("t", { ...options, counters, eviction: {} });
    const keys = await fill(table, new Prng(11), 500);
    const click = Float32Array.from(keys, (_, i) => i / 3);
    await table.push(keys, new Float32Array(keys.length * 5), { counters: { click } });
    await table.decay();
    const path = place.path(target);
    await exportTable(from, "t", path, { minFrequency: 4 });
    const report = await importTable(into, "made", path);
    assert.ok(report.counters && report.rows > 100 && report.rows < keys.length);
    const rows = new Map([...(await scanAll(table))].filter(([, { frequency }]) => frequency >= 4));
    sameRows(await scanAll(await into.table("made")), rows, ["weights", "frequency", "lastStep", "counters"]);
    const other = await into.table("other", { ...options, counters: { names: ["show"] } });
    assert.not((await importTable(into, "other", path)).counters);
    for await (const batch of other.scan()) assert.ok(batch.counters!.show.every((one) => one === 0));
    await into.table("renamed", { ...options, counters: { names: ["click", "show"] } });
    assert.not((await importTable(into, "renamed", path)).counters);
    await into.table("plain", options);
    assert.not((await importTable(into, "plain", path)).counters);
    const bare = async function* () {
      for await (const { counters: _, ...batch } of table.scan()) yield batch;
    };
    assert.is(await codeOf(() => exportTable(from, "t", path, { rows: bare() })), "INVALID_ARGUMENT");
  });

  test(`${target}: without state, rows that are new begin with that of the optimizer`, async ({ place }) => {
    const store = await place.open("store");
    const table = await store.table("t", options);
    await fill(table, new Prng(2), 300);
    const { files, bytes } = await exportTable(store, "t", place.path(target));
    assert.is(
      bytes,
      files.reduce((sum, file) => sum + readFileSync(file).length, 0),
    );
    const { state } = await importTable(store, "u", place.path(target));
    assert.is(state, "none");
    const found = await scanAll(await store.table("u"));
    sameRows(found, await scanAll(table), ["weights", "frequency", "lastStep"]);
    for (const row of found.values()) assert.equal([...row.state], new Array(5).fill(Math.fround(0.1)));
    await importTable(store, "v", place.path(target), {
      table: { dim: 5, optimizer: sgd({ learningRate: 1 }) },
    });
    sameRows(await scanAll(await store.table("v")), found, ["weights", "frequency", "lastStep"]);
  });

  test(`${target}: no directory is made for a target`, async ({ place }) => {
    const store = await place.open("store");
    await store.table("t", options);
    try {
      await exportTable(store, "t", join(place.path("nowhere"), target));
      assert.unreachable();
    } catch (error) {
      assert.match((error as Error).message, /nowhere: there is no such directory: make it first$/);
    }
    assert.equal(place.names(), []);
  });

  test(`${target}: an empty table`, async ({ place }) => {
    const store = await place.open("store");
    await store.table("t", options);
    assert.is((await exportTable(store, "t", place.path(target), { state: true })).rows, 0);
    assert.is((await importTable(store, "u", place.path(target))).rows, 0);
    assert.is((await (await store.table("u")).stats()).rows, 0);
  });

  test(`${target}: thresholds, keys, and rows given one by one`, async ({ place }) => {
    const store = await place.open("store");
    const table = await store.table("t", options);
    const keys = await fill(table, new Prng(3), 3000);
    const all = await scanAll(table);
    const norm = (weights: Float32Array) => Math.hypot(...weights);
    const wanted = keys.filter((_, i) => i % 3 === 0);
    const path = place.path(target);
    const cases = [
      [{ minFrequency: 3 }, (row) => row.frequency >= 3],
      [{ minNorm: 1.25 }, (row) => norm(row.weights) >= 1.25],
      [{ keys: wanted }, (_, key) => wanted.includes(key)],
      [
        { keys: wanted, minFrequency: 2, minNorm: 1 },
        (row, key) => wanted.includes(key) && row.frequency >= 2 && norm(row.weights) >= 1,
      ],
      [{ minFrequency: 99 }, () => false],
    ] as const satisfies readonly (readonly [
      object,
      (row: { frequency: number; weights: Float32Array }, key: bigint) => boolean,
    ])[];
    for (const [i, [conditions, holds]] of cases.entries()) {
      const { rows } = await exportTable(store, "t", path, { ...conditions, state: true });
      const expected = new Map([...all].filter(([key, row]) => holds(row, key)));
      assert.is(rows, expected.size);
      if (i < 4) assert.ok(rows > 50 && rows < all.size);
      await importTable(store, `u${i}`, path);
      sameRows(await scanAll(await store.table(`u${i}`)), expected, ALL);
    }
    // More rows than anybody expected, in batches of one and of many.
    async function* given(): AsyncGenerator<ScanBatch> {
      for (const batch of [1, 500, 7]) {
        const part = all.size;
        let seen = 0;
        for await (const rows of table.scan({ batch })) {
          const keep = rows.keys.filter((key) => Number(key % 3n) === [1, 500, 7].indexOf(batch));
          seen += rows.keys.length;
          if (keep.length === rows.keys.length) yield rows;
          else
            for (const key of keep) {
              const row = all.get(key)!;
              yield {
                keys: BigUint64Array.of(key),
                rows: row.weights,
                state: row.state,
                frequency: Uint32Array.of(row.frequency),
                lastStep: Uint32Array.of(row.lastStep),
              };
            }
        }
        assert.is(seen, part);
      }
    }
    assert.is((await exportTable(store, "t", path, { rows: given(), state: true })).rows, all.size);
    await importTable(store, "w", path);
    sameRows(await scanAll(await store.table("w")), all, ALL);
  });

  test(`${target}: while rows come and go, each that stays is there once, and the file has no gaps`, async ({
    place,
  }) => {
    const store = await place.open("store");
    const table = await store.table("t", options);
    const keys = await fill(table, new Prng(4), 9000);
    const before = await scanAll(table);
    let next = 1n << 40n;
    let writes = Promise.resolve();
    const onProgress = ({ done, total }: TransferProgress) => {
      assert.ok(done <= total);
      const more = BigUint64Array.from({ length: 3000 }, () => next++);
      const gone = keys.slice(0, 1000);
      writes = writes.then(async () => {
        await table.push(more, randomFloats(new Prng(5), more.length * 5));
        await table.delete(gone);
      });
    };
    const { rows } = await exportTable(store, "t", place.path(target), { state: true, onProgress });
    await writes;
    assert.is((await importTable(store, "u", place.path(target))).rows, rows);
    const found = await scanAll(await store.table("u"));
    assert.is(found.size, rows);
    const gone = new Set(keys.slice(0, 1000));
    const stayed = new Map([...before].filter(([key]) => !gone.has(key)));
    sameRows(new Map([...found].filter(([key]) => stayed.has(key))), stayed, ALL);
  });

  test(`${target}: an abort, and a target that is there`, async ({ place }) => {
    const store = await place.open("store");
    const table = await store.table("t", options);
    await fill(table, new Prng(6), 5000);
    const path = place.path(target);
    await exportTable(store, "t", path, { minFrequency: 4 });
    const stopping = new AbortController();
    const stopped = await codeOf(() =>
      exportTable(store, "t", path, { signal: stopping.signal, onProgress: () => stopping.abort() }),
    );
    assert.is(stopped, "ABORTED");
    assert.equal(place.names(), [target], "nothing is left behind");
    const { rows } = await importTable(store, "u", path);
    assert.ok(rows > 0 && rows < (await table.stats()).rows, "what was there is there");
    await exportTable(store, "t", path);
    assert.is(
      (await importTable(store, "v", path)).rows,
      (await table.stats()).rows,
      "and is replaced as a whole",
    );
    assert.equal(place.names(), [target]);
    const abort = AbortSignal.abort();
    assert.is(await codeOf(() => importTable(store, "w", path, { signal: abort })), "ABORTED");
    assert.not.ok((await store.tables()).some(({ name }) => name === "w"));
  });
}

test("a directory with other things in it is not replaced, nor a file by a directory", async ({ place }) => {
  const store = await place.open("store");
  await store.table("t", options);
  mkdirSync(place.path("mine"));
  writeFileSync(place.path("mine/diary.txt"), "");
  writeFileSync(place.path("file"), "");
  for (const target of ["mine", "file", "mine/../mine"])
    assert.is(await codeOf(() => exportTable(store, "t", place.path(target))), "INVALID_ARGUMENT", target);
  mkdirSync(place.path("directory.safetensors"));
  assert.is(
    await codeOf(() => exportTable(store, "t", place.path("directory.safetensors"))),
    "INVALID_ARGUMENT",
  );
  assert.is(await codeOf(() => exportTable(store, "t", place.path("no/such/place.safetensors"))), "IO");
  assert.equal(place.names().sort(), ["directory.safetensors", "file", "mine"]);
});

test("rows that are stored in fewer bits, and tables that admit, come back to the bit", async ({ place }) => {
  const store = await place.open("store");
  const kinds: Record<string, TableOptions> = {
    f16: { storage: "f16" },
    int8: { storage: "int8", stateStorage: "bf16" },
    bf16: { storage: "bf16", rounding: "stochastic" },
    admitting: { admission: { after: 2 } },
  };
  for (const [name, kind] of Object.entries(kinds)) {
    const table = await store.table(name, { ...options, ...kind });
    await fill(table, new Prng(10), 500);
    const path = place.path(`${name}.safetensors`);
    await exportTable(store, name, path, { state: true });
    await importTable(store, `${name}-again`, path);
    const again = await store.table(`${name}-again`);
    sameRows(await scanAll(again), await scanAll(table), ALL);
    for (const field of Object.keys(kind) as (keyof TableOptions)[])
      assert.equal(again.options[field as never], table.options[field as never], `${name}: ${field}`);
  }
});

test("merge, replace and fail do what they say", async ({ place }) => {
  const store = await place.open("store");
  const table = await store.table("t", options);
  await fill(table, new Prng(7), 9000);
  const path = place.path("rows.safetensors");
  await exportTable(store, "t", path, { state: true, minFrequency: 3 });
  const file = new Map([...(await scanAll(table))].filter(([, row]) => row.frequency >= 3));
  const random = new Prng(8);
  const others = keysOfNumbers(5, 6, 7);
  await table.push(
    [...file.keys()].length ? BigUint64Array.from(file.keys()) : others,
    randomFloats(random, file.size * 5),
  );
  await table.push(others, randomFloats(random, 15));
  const changed = await scanAll(table);
  assert.is(await codeOf(() => importTable(store, "t", path)), "INVALID_ARGUMENT");
  sameRows(await scanAll(table), changed, ALL);
  await importTable(store, "t", path, { existing: "merge" });
  sameRows(await scanAll(table), new Map([...changed, ...file]), ALL);
  const { deleted } = await importTable(store, "t", path, { existing: "replace" });
  assert.is(deleted, changed.size - file.size);
  sameRows(await scanAll(table), file, ALL);
});

test("state goes where it means the same", async ({ place }) => {
  const store = await place.open("store");
  const table = await store.table("t", options);
  await fill(table, new Prng(9), 100);
  const path = place.path("rows.safetensors");
  await exportTable(store, "t", path, { state: true });
  const other = { dim: 5, optimizer: sgd({ learningRate: 0.1, momentum: 0.9 }) };
  assert.is(
    await codeOf(() => importTable(store, "momentum", path, { table: other, state: true })),
    "TABLE_MISMATCH",
  );
  assert.not.ok((await store.tables()).some(({ name }) => name === "momentum"));
  assert.is((await importTable(store, "momentum", path, { table: other })).state, "does not fit");
  assert.is((await importTable(store, "plain", path, { state: false })).state, "left out");
  const wider = { dim: 6, optimizer: adam({ learningRate: 0.1 }) };
  assert.is(await codeOf(() => importTable(store, "wider", path, { table: wider })), "TABLE_MISMATCH");
  assert.not.ok((await store.tables()).some(({ name }) => name === "wider"));
  await store.table("six", wider);
  assert.is(await codeOf(() => importTable(store, "six", path)), "TABLE_MISMATCH");
  await store.tensor("tensor", { shape: [3], optimizer: sgd({ learningRate: 1 }) });
  assert.is(await codeOf(() => importTable(store, "tensor", path)), "TABLE_MISMATCH");
  assert.is(await codeOf(() => exportTable(store, "tensor", path)), "TABLE_MISMATCH");
  assert.is(await codeOf(() => exportTable(store, "nobody", path)), "TABLE_NOT_FOUND");
});

test("options are checked", async ({ place }) => {
  const store = await place.open("store");
  await store.table("t", options);
  const path = place.path("rows.safetensors");
  const wrong: object[] = [
    { minNorm: -1 },
    { minFrequency: Number.NaN },
    { keys: [1] },
    { rows: [] },
    { state: 1 },
    { format: "csv" },
    { signal: {} },
    { onProgress: 1 },
    { nothing: 1 },
  ];
  for (const given of wrong)
    assert.is(
      await codeOf(() => exportTable(store, "t", path, given)),
      "INVALID_OPTIONS",
      JSON.stringify(given),
    );
  await exportTable(store, "t", path);
  for (const given of [{ existing: "maybe" }, { state: "yes" }, { table: 1 }, { minNorm: 1 }])
    assert.is(
      await codeOf(() => importTable(store, "t", path, given as object)),
      "INVALID_OPTIONS",
      JSON.stringify(given),
    );
  assert.is(await codeOf(() => exportTable(store, "t", "")), "INVALID_ARGUMENT");
  assert.is(await codeOf(() => importTable(store, "t", place.path("none.safetensors"))), "IO");
});

test.run();
