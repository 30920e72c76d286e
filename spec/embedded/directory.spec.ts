// What directories a store can be opened in, and by whom.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type EmbershardError, openStore, type StoreOptions, sgd } from "../../lib/index.js";
import { keysOfNumbers } from "../laws/twin.js";

const test = suite("directories", { directory: "" });

test.before.each(async (context) => {
  context.directory = await mkdtemp(join(tmpdir(), "embershard-spec-"));
});

test.after.each(async ({ directory }) => {
  await rm(directory, { recursive: true, force: true });
});

const quiet = { control: false };
const optimizer = sgd({ learningRate: 1 });

/** Expects an error, and returns it. */
async function failureOf(directory: unknown, options: unknown = quiet): Promise<EmbershardError> {
  try {
    const store = await openStore(directory as string, options as StoreOptions);
    await store.close();
  } catch (error) {
    return error as EmbershardError;
  }
  throw new Error("it opened");
}

async function refused(
  directory: unknown,
  code: string,
  says: RegExp,
  options: unknown = quiet,
): Promise<void> {
  const { code: found, message } = await failureOf(directory, options);
  assert.is(found, code, message);
  assert.match(message, says);
}

test("an empty directory becomes a store, and one that is not there", async ({ directory }) => {
  for (const path of [directory, join(`${directory}-beside`, "a", "b")]) {
    await (await openStore(path, quiet)).close();
    assert.ok((await readdir(path)).includes("store"));
  }
  await rm(`${directory}-beside`, { recursive: true });
});

test("what is no directory of a store is refused, and left as it is", async ({ directory }) => {
  const file = join(directory, "file");
  await writeFile(file, "mine");
  await refused(file, "NOT_A_STORE", /file, expected a directory/);
  await refused(join(file, "below"), "NOT_A_STORE", /expected a directory/);
  await refused(directory, "NOT_A_STORE", /not empty.*choose/);
  assert.equal(await readdir(directory), ["file"]);
  await refused(join(directory, "none"), "NOT_A_STORE", /none does not exist/, { ...quiet, create: false });
  const empty = join(directory, "empty");
  await mkdir(empty);
  await refused(empty, "NOT_A_STORE", /empty holds no store/, { ...quiet, create: false });
  assert.equal(await readdir(empty), []);
});

test("paths and options that are none are refused", async ({ directory }) => {
  for (const path of ["", "a\0b", 5, undefined, null, {}])
    await refused(path, "INVALID_ARGUMENT", /expected the path/);
  const wrong: unknown[] = [
    null,
    5,
    "options",
    [],
    { creat: true },
    { create: 1 },
    { arenaBytes: 1 << 20 },
    { arenaBytes: 2 ** 33 },
    { arenaBytes: 33_554_433.5 },
    { arenaBytes: "32 MiB" },
    { arenaBytes: Number.NaN },
    { hugePages: true },
    { logBufferBytes: 100 },
    { logBufferBytes: 2 ** 40 },
    { checkpoint: true },
    { checkpoint: null },
    { checkpoint: { everyMs: 0 } },
    { checkpoint: { everyMs: Number.POSITIVE_INFINITY } },
    { checkpoint: { everyBytes: 5 } },
    { checkpoint: { everyLogBytes: 1 } },
    { control: "no" },
  ];
  for (const options of wrong) await refused(directory, "INVALID_OPTIONS", /found .*expected /, options);
  assert.equal(await readdir(directory), []);
  const greatest = { everyMs: 2 ** 31 - 1, everyLogBytes: Number.MAX_SAFE_INTEGER };
  await (
    await openStore(directory, {
      ...quiet,
      arenaBytes: 32 << 20,
      logBufferBytes: 1 << 16,
      checkpoint: greatest,
    })
  ).close();
});

test("a directory of a newer format, of other shards, or damaged says so", async ({ directory }) => {
  await (await openStore(directory, quiet)).close();
  const path = join(directory, "store");
  const identity = JSON.parse(await readFile(path, "utf8"));
  const cases: [string, string, RegExp][] = [
    [JSON.stringify({ ...identity, format: 2 }), "NEWER_FORMAT", /format 2, .*upgrade/],
    [JSON.stringify({ ...identity, shards: 4 }), "SHARD_COUNT", /4 shards/],
    [JSON.stringify({ ...identity, format: "1" }), "CORRUPT", /backup/],
    [JSON.stringify({ ...identity, id: "../x" }), "CORRUPT", /backup/],
    [JSON.stringify({ ...identity, slots: 5 }), "CORRUPT", /backup/],
    [JSON.stringify({ ...identity, id: "0".repeat(32) }), "CORRUPT", /./],
    ["null", "CORRUPT", /./],
    ["{", "CORRUPT", /JSON/],
    ["", "CORRUPT", /JSON/],
  ];
  for (const [text, code, says] of cases) {
    await writeFile(path, text);
    await refused(directory, code, says);
  }
  await rm(path);
  await refused(directory, "CORRUPT", /store is missing/);
  await writeFile(path, JSON.stringify(identity));
  await (await openStore(directory, quiet)).close();
});

test("a directory that may not be written is refused", async ({ directory }) => {
  if (process.getuid?.() === 0) {
    console.log("  left out: root may write anywhere");
    return;
  }
  const locked = join(directory, "locked");
  await mkdir(locked, { mode: 0o500 });
  await refused(locked, "IO", /written to/);
});

test("one opener at a time; the next is told who it is", async ({ directory }) => {
  const store = await openStore(directory, quiet);
  await refused(directory, "LOCKED", new RegExp(`pid ${process.pid}`));
  const table = await store.table("t", { dim: 1, optimizer });
  await table.push(keysOfNumbers(1), Float32Array.of(1));
  await store.close();
  const again = await openStore(directory, quiet);
  assert.equal(await (await again.table("t")).pull(keysOfNumbers(1)), Float32Array.of(-1));
  await again.close();
});

test("of those who make one store at the same time one gets it, and it lasts", async ({ directory }) => {
  for (let round = 0; round < 5; round++) {
    const path = join(directory, String(round));
    const all = await Promise.allSettled(Array.from({ length: 4 }, () => openStore(path, quiet)));
    const opened = all.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    assert.is(opened.length, 1);
    for (const one of all)
      if (one.status === "rejected") assert.is(one.reason.code, "LOCKED", one.reason.message);
    const table = await opened[0].table("t", { dim: 1, optimizer });
    await table.push(keysOfNumbers(1), Float32Array.of(1), { ack: "fsync" });
    await opened[0].checkpoint();
    await opened[0].close();
    const again = await openStore(path, quiet);
    assert.equal(await (await again.table("t")).pull(keysOfNumbers(1)), Float32Array.of(-1));
    await again.close();
  }
});

test("the remains of a making that was cut short are nobody's", async ({ directory }) => {
  const other = join(directory, "other");
  await (await openStore(other, quiet)).close();
  const store = await openStore(other, quiet);
  const table = await store.table("t", { dim: 1, optimizer });
  await table.push(keysOfNumbers(1), Float32Array.of(1));
  await store.checkpoint();
  await store.close();
  await rm(join(other, "store"));
  await writeFile(join(other, "creating"), "");
  const made = await openStore(other, quiet);
  assert.equal(await made.tables(), []);
  await made.close();
  const again = await openStore(other, quiet);
  assert.equal(await again.tables(), []);
  await again.close();
});

test.run();
