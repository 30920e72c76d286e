// Stores whose shards have a thread each: what differs from a store on one.
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { adagrad, type EmbershardError, openStore, type Store, sgd } from "../../lib/index.js";
import { runHere } from "../cli/run-command.js";
import { codeOf, keysOfNumbers } from "../laws/twin.js";

const test = suite<{ directory: string }>("a store on several threads");

test.before.each(async (context) => {
  context.directory = await mkdtemp(join(tmpdir(), "embershard-spec-"));
});

test.after.each(async ({ directory }) => {
  await rm(directory, { recursive: true, force: true });
});

const keys = BigUint64Array.from({ length: 500 }, (_, i) => BigInt(i));
const table = { dim: 8, optimizer: adagrad({ learningRate: 0.1 }), seed: 7n };

async function filled(store: Store): Promise<Float32Array> {
  const items = await store.table("items", table);
  await items.push(keys, new Float32Array(keys.length * 8).fill(0.5));
  return items.pull(keys);
}

test("it has a directory for each, and keeps its number of them", async ({ directory }) => {
  const store = await openStore(directory, { threads: 3 });
  const rows = await filled(store);
  assert.is(store.directory, directory);
  assert.is((await store.stats()).tables[0].rows, keys.length);
  await store.close();
  assert.equal((await readdir(join(directory, "shards"))).sort(), ["0000", "0001", "0002"]);
  for (const threads of [undefined, 1, 2])
    assert.is(await codeOf(() => openStore(directory, { threads })), "SHARD_COUNT");
  const again = await openStore(directory, { threads: 3 });
  assert.equal(await (await again.table("items")).pull(keys), rows);
  assert.is(await codeOf(() => openStore(directory, { threads: 3 })), "LOCKED");
  await again.close();
});

test("its rows are those of a store on one thread, to the bit", async ({ directory }) => {
  const store = await openStore(join(directory, "many"), { threads: 2 });
  const one = await openStore(join(directory, "one"), { control: false });
  assert.equal(await filled(store), await filled(one));
  await store.close();
  await one.close();
});

test("what is no path of a directory is refused as it is on one thread", async () => {
  for (const threads of [1, 2])
    for (const path of ["", "a\0b", undefined as never, "ember://127.0.0.1:7400"])
      assert.is(await codeOf(() => openStore(path, { threads })), "INVALID_ARGUMENT", String(path));
});

test("it is closed where it was opened, wherever the process has gone meanwhile", async ({ directory }) => {
  const home = process.cwd();
  process.chdir(directory);
  try {
    const store = await openStore("model", { threads: 2 });
    process.chdir(home);
    await filled(store);
    await store.close();
  } finally {
    process.chdir(home);
  }
  assert.equal((await readdir(join(directory, "model"))).sort(), ["shards", "store"]);
});

test("what is refused is refused before a thread begins", async ({ directory }) => {
  for (const threads of [0, 1.5, 257, "2" as never])
    assert.is(await codeOf(() => openStore(directory, { threads })), "INVALID_OPTIONS");
  assert.is(await codeOf(() => openStore(directory, { threads: 2, version: "v" })), "NOT_A_STORE");
  assert.is(
    await codeOf(() => openStore(directory, { threads: 2, nonsense: 1 } as never)),
    "INVALID_OPTIONS",
  );
  assert.equal(await readdir(directory), []);
});

test("messages name the shard, and no node or address, of which there is none", async ({ directory }) => {
  const store = await openStore(directory, { threads: 2 });
  await store.table("items", table);
  const { message } = (await store.table("items", { ...table, dim: 9 }).then(
    () => assert.unreachable("it was opened"),
    (error: EmbershardError) => error,
  )) as EmbershardError;
  assert.match(message, /^shard 0: table "items" exists with other settings: dim\./);
  await store.close();
});

test("closing waits for what is under way, and ends all threads", async ({ directory }) => {
  const store = await openStore(directory, { threads: 2 });
  const items = await store.table("items", table);
  const pushing = Promise.all(
    Array.from({ length: 20 }, () => items.push(keys, new Float32Array(keys.length * 8).fill(1))),
  );
  await store.close();
  await pushing;
  await store.close();
  assert.is(await codeOf(() => items.pull(keysOfNumbers(1))), "CLOSED");
  const again = await openStore(directory, { threads: 2 });
  assert.equal([...(await (await again.table("items")).occurrences(keysOfNumbers(1, 2)))], [20, 20]);
  await again.close();
});

test("rows that all of its shards evict are told", async ({ directory }) => {
  const store = await openStore(directory, { threads: 2 });
  const items = await store.table("items", { ...table, eviction: {} });
  await items.push(keys, new Float32Array(keys.length * 8).fill(0.5));
  const expected = await items.pull(keys);
  const told = new Map<bigint, Float32Array>();
  const end = items.onEvicted(({ keys: gone, rows }) => {
    for (const [i, key] of gone.entries()) told.set(key, rows.slice(8 * i, 8 * i + 8));
  });
  assert.is(await items.evict({ belowFrequency: 9 }), keys.length);
  assert.is(told.size, keys.length);
  for (const [i, key] of keys.entries()) assert.equal(told.get(key), expected.slice(8 * i, 8 * i + 8));
  end();
  await items.push(keys, new Float32Array(keys.length * 8));
  assert.is(await items.evict({ belowFrequency: 9 }), keys.length);
  await store.close();
});

test("a limit of memory is for all of its shards together", async ({ directory }) => {
  const store = await openStore(directory, { threads: 2 });
  const dim = 500;
  const memory = 4 << 20;
  const items = await store.table("items", { dim, optimizer: sgd({ learningRate: 1 }), seed: 7n, memory });
  const initial = await items.pull(keysOfNumbers(...Array(3000).keys()));
  for (let from = 0; from < 3000; from += 100) {
    const some = BigUint64Array.from({ length: 100 }, (_, i) => BigInt(from + i));
    await items.push(some, new Float32Array(100 * dim).fill(-1));
    const { bytes } = await items.stats();
    assert.ok(bytes <= memory, `${bytes} bytes after ${from + 100} rows`);
  }
  const { rows, bytes, cold } = await items.stats();
  assert.is(rows, 3000);
  assert.is(cold!.memory, memory);
  assert.ok(cold!.rows > 1000 && bytes > memory / 2, `${cold!.rows} cold rows, ${bytes} bytes`);
  const now = await items.pull(keysOfNumbers(...Array(3000).keys()));
  assert.ok(now.every((weight, i) => weight === Math.fround(initial[i] + 1)));
  await store.close();
});

test("a version of all of its shards is read, and brought back", async ({ directory }) => {
  const store = await openStore(directory, { threads: 2, versions: { keep: 1 } });
  const before = await filled(store);
  await store.checkpoint({ version: "first" });
  const after = await filled(store);
  const version = await store.openVersion("first");
  assert.equal(await (await version.table("items")).pull(keys), before);
  const made = await store.checkpoint({ version: "second" });
  assert.equal(made.version?.deleted, ["first"]);
  await filled(store);
  await store.rollback("second");
  assert.equal(await (await store.table("items")).pull(keys), after);
  await store.close();
  assert.is(await codeOf(async () => (await version.table("items")).pull(keys)), "CLOSED");
});

test("a version is opened alone, for reading, and the directory is free when it is closed", async ({
  directory,
}) => {
  const store = await openStore(directory, { threads: 2 });
  const before = await filled(store);
  await store.checkpoint({ version: "first" });
  await filled(store);
  await store.close();
  assert.is(await codeOf(() => openStore(directory, { threads: 2, version: "second" })), "VERSION_NOT_FOUND");
  const version = await openStore(directory, { threads: 2, version: "first" });
  const items = await version.table("items");
  assert.equal(await items.pull(keys), before);
  assert.is(await codeOf(() => items.delete(keys)), "VERSION_IS_READ_ONLY");
  assert.is(await codeOf(() => version.rollback("first")), "VERSION_IS_READ_ONLY");
  assert.is(await codeOf(() => openStore(directory, { threads: 2 })), "LOCKED");
  await version.close();
  const again = await openStore(directory, { threads: 2 });
  await again.close();
});

test("the command line asks it while it is open", async ({ directory }) => {
  const store = await openStore(directory, { threads: 2 });
  await filled(store);
  const said = async (...args: string[]) => {
    const { code, out, err } = await runHere([...args, "--json"]);
    assert.is(code, 0, err);
    return JSON.parse(out);
  };
  await said("versions", "create", directory, "first", "--note", "of two");
  await filled(store);
  const { versions } = await said("versions", "list", directory);
  assert.equal(
    versions.map(({ name, note, rows }: { name: string; note: string; rows: number }) => [name, note, rows]),
    [["first", "of two", keys.length]],
  );
  const { tables } = await said("versions", "diff", directory, "first");
  assert.is(tables[0].changed, keys.length);
  const { rows } = await said("inspect", directory, "--at", "first", "--table", "items", "--keys", "3");
  await said("versions", "rollback", directory, "first");
  const [row] = rows as { weights: number[] }[];
  assert.equal([...(await (await store.table("items")).pull(keysOfNumbers(3)))], row.weights);
  const now = await said("inspect", directory, "--table", "items", "--keys", "3");
  assert.equal(now.rows, rows);
  assert.is((await said("inspect", directory)).tables[0].rows, keys.length);
  await said("versions", "delete", directory, "first");
  assert.equal(await store.versions(), []);
  await store.close();
});

test.run();
