// Tables larger than their memory: verification reads their cold rows, and repair keeps what it can prove of them.
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { adagrad, openStore, type Table } from "../../lib/index.js";
import type { OracleRow } from "../../lib/kernel/oracle/oracle-table.js";
import { backupStore } from "../../lib/repair/backup-store.js";
import { examine } from "../../lib/repair/examination.js";
import { isCold } from "../../lib/repair/page-inventory.js";
import { repairStore } from "../../lib/repair/repair-store.js";
import { judge } from "../../lib/repair/verification.js";
import { verifyStore } from "../../lib/repair/verify-store.js";
import { scanAll } from "../laws/oracle-of.js";
import { quietly } from "./lived-store.js";

const test = suite<{ directory: string; home: string }>("cold rows");

const n = 1000;
const base = mkdtempSync(join(tmpdir(), "embershard-repair-"));

test.before(async () => {
  for (const name of ["store", "logged"]) {
    const store = await openStore(join(base, name), quietly);
    const table = await store.table("bounded", {
      dim: 16,
      optimizer: adagrad({ learningRate: 0.1 }),
      memory: 1 << 20,
    });
    for (let i = 0; i < 9; i++) await pushThousand(table, i);
    assert.ok((await table.stats()).cold!.rows > 0);
    if (name === "store") await store.checkpoint();
    await store.close();
    // Opening makes a table file of LevelDB's write-ahead log.
    await (await openStore(join(base, name), quietly)).close();
  }
});
test.after(() => rmSync(base, { recursive: true }));
test.before.each((context) => {
  context.home = mkdtempSync(join(tmpdir(), "embershard-repair-"));
  context.directory = join(context.home, "store");
  cpSync(join(base, "store"), context.directory, { recursive: true });
});
test.after.each(({ home }) => rmSync(home, { recursive: true }));

async function pushThousand(table: Table, i: number, step = 1): Promise<void> {
  const keys = BigUint64Array.from({ length: n }, (_, j) => BigInt(i * n + j));
  await table.push(keys, new Float32Array(16 * n).fill(0.5), { step });
}

async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code;
  }
}

async function rowsOf(directory: string): Promise<Map<bigint, OracleRow>> {
  const store = await openStore(directory, quietly);
  try {
    return await scanAll(await store.table("bounded"));
  } finally {
    await store.close();
  }
}

test("a flipped bit of one is damage, which names the key; repair announces exactly that row gone", async ({
  directory,
  home,
}) => {
  assert.is((await verifyStore(directory)).status, "ok");
  assert.is((await repairStore(directory)).status, "whole");
  const before = await rowsOf(directory);
  flipValue(join(directory, "shards", "0000", "pages"));
  const names = readdirSync(home);
  const { findings } = await verifyStore(directory);
  const found = findings.find(({ part }) => part === "cold row");
  const key = BigInt(/the cold row of key (\d+)/.exec(found?.what ?? "")?.[1] ?? -1);
  assert.ok(found?.severity === "damage" && before.has(key), JSON.stringify(findings));
  assert.is(await codeOf(rowsOf(directory)), "CORRUPT");
  assert.is(await codeOf(backupStore(directory, join(home, "backups"))), "CORRUPT");
  const refused = await repairStore(directory);
  assert.is(refused.status, "refused");
  assert.equal(readdirSync(home), names);
  const { status, losses } = await repairStore(directory, { acceptLoss: true });
  assert.is(status, "repaired");
  assert.equal(losses, refused.losses);
  assert.equal(
    losses.map(({ kind, keys }) => ({ kind, keys })),
    [{ kind: "cold row", keys: [String(key)] }],
  );
  assert.is(losses[0].rows, 1);
  before.delete(key);
  assert.equal(await rowsOf(directory), before);
  assert.equal((await verifyStore(directory)).findings, []);
});

test("whole values are not kept in memory by verification, and what it finds is the same", async ({
  directory,
}) => {
  const pages = join(directory, "shards", "0000", "pages");
  // The same keys again, some of them deleted: files hold several values of a key.
  for (let round = 0; round < 2; round++) {
    const store = await openStore(directory, quietly);
    const table = await store.table("bounded");
    for (let first = 0; first < 9000; first += 1000) {
      const keys = BigUint64Array.from({ length: 1000 }, (_, j) => BigInt(first + j));
      await table.push(keys, new Float32Array(16_000).fill(0.25));
      if (round === 1) await table.delete(keys.subarray(0, 50));
    }
    await store.checkpoint();
    await store.close();
  }
  const look = async (coldRows?: "damaged") => {
    const found = await examine(directory, coldRows ? { coldRows } : {});
    await found.levelFiles.close();
    const kept = [...found.pages.entries.values()].filter(([{ key }]) => isCold(key));
    return { kept, findings: judge(found) };
  };
  assert.is((await look("damaged")).kept.length, 0);
  assert.ok((await look()).kept.length > 5000);
  const flipped = readdirSync(pages)
    .filter((name) => name.endsWith(".ldb"))
    .map((name) => flipIn(join(pages, name), 4, 20));
  assert.ok(flipped.filter((some) => some > 0).length > 1, String(flipped));
  const [all, some] = [await look(), await look("damaged")];
  assert.ok(some.kept.length > 0 && some.kept.length <= flipped.reduce((sum, one) => sum + one, 0));
  assert.ok(some.kept.some((entries) => entries.length > 1 && entries[0].proof.kind !== "damaged"));
  const sorted = ({ findings }: typeof all) => findings.map((one) => JSON.stringify(one)).sort();
  assert.equal(sorted(some), sorted(all));
  assert.ok(all.findings.some(({ severity }) => severity === "harmless"));
});

test("a version that needs a damaged value is announced gone, the others stay", async ({ directory }) => {
  const store = await openStore(directory, quietly);
  await store.checkpoint({ version: "early" });
  const table = await store.table("bounded");
  // Every row changes, and is cold again: what the version has is kept.
  for (let i = 0; i < 9; i++) {
    const keys = BigUint64Array.from({ length: 1000 }, (_, j) => BigInt(i * 1000 + j));
    await table.push(keys, new Float32Array(16 * 1000).fill(0.5), { step: 2 });
  }
  await store.checkpoint({ version: "late" });
  await store.close();
  await (await openStore(directory, quietly)).close();
  const before = await rowsOf(directory);
  flipValue(join(directory, "shards", "0000", "pages"), 5);
  const refused = await repairStore(directory);
  assert.is(refused.status, "refused");
  assert.equal(
    refused.losses.map(({ kind, version }) => ({ kind, version })),
    [{ kind: "version", version: "early" }],
  );
  assert.is((await repairStore(directory, { acceptLoss: true })).status, "repaired");
  assert.equal(await rowsOf(directory), before);
  const again = await openStore(directory, quietly);
  assert.equal(
    (await again.versions()).map(({ name, damage }) => ({ name, damage })),
    [{ name: "late", damage: undefined }],
  );
  await again.close();
});

test("a checkpoint that is lost: the log makes up for its pages, and cold rows stay what they were", async ({
  directory,
}) => {
  rmSync(directory, { recursive: true });
  cpSync(join(base, "logged"), directory, { recursive: true });
  const before = await rowsOf(directory);
  const store = await openStore(directory, quietly);
  await store.checkpoint();
  await store.close();
  const pages = join(directory, "shards", "0000", "pages");
  for (const name of readdirSync(pages)) if (name.endsWith(".log")) rmSync(join(pages, name));
  const { status, losses } = await repairStore(directory, { acceptLoss: true });
  assert.is(status, "repaired");
  assert.equal(
    losses.map(({ kind, tables }) => ({ kind, tables })),
    [{ kind: "checkpoint", tables: [] }],
  );
  assert.equal(await rowsOf(directory), before);
});

test("a page that is lost: its rows are gone, and no older value of them comes back", async ({
  directory,
}) => {
  await changeSome(directory);
  const before = await rowsOf(directory);
  const log = join(directory, "shards", "0000", "log");
  for (const name of readdirSync(log)) if (name.startsWith("spare-")) rmSync(join(log, name));
  const places = await flipPages(directory, 2);
  assert.is((await repairStore(directory)).status, "refused");
  const { losses } = await repairStore(directory, { acceptLoss: true });
  assert.equal(
    losses.map(({ kind }) => kind),
    ["page", "page"],
  );
  const after = await rowsOf(directory);
  for (const [key, row] of after) assert.equal(row, before.get(key), String(key));
  const gone = before.size - after.size;
  assert.ok(gone > 0 && gone <= places, `${gone} of ${places}`);
});

test("a block that cannot be read takes rows of its keys, and no others", async ({ directory }) => {
  const before = await rowsOf(directory);
  const { pages, levelFiles } = await examine(directory, { remains: true });
  await levelFiles.close();
  const values = [...pages.entries.values()].flat().filter(({ proof }) => proof.kind === "cold");
  const { file, offset } = values[values.length >> 1];
  const path = join(directory, "shards", "0000", "pages", file.name);
  const bytes = readFileSync(path);
  // Keys and their lengths, before the value.
  for (let at = offset - 12; at < offset; at++) bytes[at] ^= 0x55;
  writeFileSync(path, bytes);
  const { losses } = await repairStore(directory, { acceptLoss: true });
  assert.equal(
    losses.map(({ kind }) => kind),
    ["cold row"],
  );
  const after = await rowsOf(directory);
  for (const [key, row] of after) assert.equal(row, before.get(key), String(key));
  assert.is(before.size - after.size, losses[0].rows);
  assert.ok(losses[0].rows! > 0 && losses[0].rows! < 100, `${losses[0].rows}`);
});

test("records that are lost: what is left is what there was, but for rows that are named", async ({
  directory,
}) => {
  const store = await openStore(directory, quietly);
  const table = await store.table("bounded");
  const states = [await scanAll(table)];
  for (const i of [3, 0, 7, 1, 5, 2]) {
    await pushThousand(table, i, 2);
    states.push(await scanAll(table));
  }
  await store.close();
  const log = join(directory, "shards", "0000", "log");
  const last = readdirSync(log)
    .filter((name) => name.endsWith(".log"))
    .sort()
    .at(-1)!;
  const bytes = readFileSync(join(log, last));
  const end = bytes.findLastIndex((byte) => byte !== 0);
  writeFileSync(join(log, last), bytes.subarray(0, end * 0.6));
  const { losses } = await repairStore(directory, { acceptLoss: true });
  assert.ok(losses.some(({ kind }) => kind === "records"));
  const cold = losses.find(({ kind }) => kind === "cold row");
  const after = await rowsOf(directory);
  const fits = states.map((then) => {
    if ([...after].some(([key, row]) => JSON.stringify(row) !== JSON.stringify(then.get(key)))) return false;
    const gone = [...then.keys()].filter((key) => !after.has(key));
    return gone.length === (cold?.rows ?? 0);
  });
  assert.ok(fits.slice(1, -1).includes(true), `${fits}, ${after.size} rows, ${JSON.stringify(cold)}`);
});

test("a store without any checkpoint does without a row whose value is damaged", async ({ directory }) => {
  rmSync(directory, { recursive: true });
  cpSync(join(base, "logged"), directory, { recursive: true });
  const before = await rowsOf(directory);
  flipValue(join(directory, "shards", "0000", "pages"));
  const { losses } = await repairStore(directory, { acceptLoss: true });
  assert.equal(
    losses.map(({ kind, rows, keys }) => ({ kind, rows, keys: keys?.length })),
    [{ kind: "cold row", rows: 1, keys: 1 }],
  );
  before.delete(BigInt(losses[0].keys![0]));
  assert.equal(await rowsOf(directory), before);
  assert.equal((await verifyStore(directory)).findings, []);
});

test("an end of LevelDB's write-ahead log that was cut off: rows that were in it alone are announced gone", async ({
  directory,
}) => {
  const store = await openStore(directory, quietly);
  const table = await store.table("bounded");
  for (const i of [0, 4, 2]) await pushThousand(table, i, 2);
  const before = await scanAll(table);
  await store.close();
  const pages = join(directory, "shards", "0000", "pages");
  const name = readdirSync(pages).find((one) => one.endsWith(".log"))!;
  const bytes = readFileSync(join(pages, name));
  assert.ok(bytes.length > 0, "cold rows lie in it alone");
  assert.is((await repairStore(directory)).status, "whole");
  assert.equal(besideOf(directory), [], "and nothing is left behind");
  for (const length of [0, bytes.length >> 1]) {
    writeFileSync(join(pages, name), bytes.subarray(0, length));
    const { findings } = await verifyStore(directory);
    assert.ok(findings.every(({ severity }) => severity === "note"));
    const refused = await repairStore(directory);
    assert.is(refused.status, "refused");
    assert.ok(refused.losses.some(({ kind }) => kind === "cold row"));
    assert.equal(besideOf(directory), []);
  }
  const { status, losses } = await repairStore(directory, { acceptLoss: true });
  assert.is(status, "repaired");
  const after = await rowsOf(directory);
  let gone = 0;
  for (const [key, row] of before) {
    if (after.has(key)) assert.equal(after.get(key), row);
    else gone++;
  }
  assert.is(after.size + gone, before.size);
  assert.is(
    losses.reduce((sum, { rows }) => sum + (rows ?? 0), 0),
    gone,
  );
  assert.ok(gone > 0);
  assert.equal((await verifyStore(directory)).findings, []);
});

/** What lies beside a store. */
function besideOf(directory: string): string[] {
  return readdirSync(join(directory, "..")).filter((name) => name !== "store");
}

/** Cold rows come back, change, and others become cold; then a checkpoint, and a log behind it. */
async function changeSome(directory: string): Promise<void> {
  const store = await openStore(directory, quietly);
  const table = await store.table("bounded");
  for (const i of [0, 4, 2]) await pushThousand(table, i, 2);
  await store.checkpoint();
  for (const i of [1, 6]) await pushThousand(table, i, 3);
  await store.close();
  await (await openStore(directory, quietly)).close();
}

/** Flips a bit of a row in all images of some pages. Returns how many rows those can have. */
async function flipPages(directory: string, count: number): Promise<number> {
  const { pages, levelFiles } = await examine(directory, { remains: true });
  await levelFiles.close();
  const images = [...pages.entries.values()].flat().filter(({ proof }) => proof.kind === "page");
  assert.ok(images.every(({ file }) => file.name.endsWith(".ldb")));
  const headers = images.map(({ proof }) => (proof.kind === "page" ? proof.header : undefined)!);
  const numbers = [...new Set(headers.map(({ page }) => page))].sort((a, b) => a - b).slice(0, count);
  let places = 0;
  for (const number of numbers) places += headers.find(({ page }) => page === number)!.places;
  for (const [i, { file, offset }] of images.entries()) {
    if (!numbers.includes(headers[i].page)) continue;
    const path = join(directory, "shards", "0000", "pages", file.name);
    const bytes = readFileSync(path);
    bytes[offset + 64 + 20] ^= 1;
    writeFileSync(path, bytes);
  }
  return places;
}

/** Flips a bit in a value of a cold row that a table file holds, or, with prefix 5, in some that are kept. */
function flipValue(pages: string, prefix = 4): void {
  let flipped = 0;
  for (const name of readdirSync(pages)) {
    if (name.endsWith(".ldb")) flipped += flipIn(join(pages, name), prefix, prefix === 4 ? 1 : Infinity);
    if (flipped > 0 && prefix === 4) return;
  }
  if (flipped > 0) return;
  throw new Error(`no value with prefix ${prefix} is in a file`);
}

/** Flips a bit in so many values of a file, those whose keys are whole in it. Returns how many. */
function flipIn(path: string, prefix: number, most: number): number {
  const bytes = readFileSync(path);
  let flipped = 0;
  // Keys are shortened by what they share with those before; of a kept one the block's first is whole.
  for (let at = bytes.indexOf("ECR1"); at >= 0 && flipped < most; at = bytes.indexOf("ECR1", at + 1)) {
    const key = at - (prefix === 4 ? 21 : 29);
    // Behind the prefix: the number of a table, or an LSN, which are small.
    if (bytes[key] !== prefix || bytes.subarray(key + 1, key + 4).some((byte) => byte !== 0)) continue;
    bytes[at + 40] ^= 1;
    flipped++;
  }
  writeFileSync(path, bytes);
  return flipped;
}

test.run();
