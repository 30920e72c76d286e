// Tables larger than their memory: verification reads their cold rows, and repair makes nothing that would lack them.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { adagrad, openStore } from "../../lib/index.js";
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

test.before.each(async (context) => {
  context.home = mkdtempSync(join(tmpdir(), "embershard-repair-"));
  context.directory = join(context.home, "store");
  const store = await openStore(context.directory, quietly);
  const table = await store.table("bounded", {
    dim: 16,
    optimizer: adagrad({ learningRate: 0.1 }),
    memory: 1 << 20,
  });
  const n = 1000;
  for (let i = 0; i < 9; i++) {
    const keys = BigUint64Array.from({ length: n }, (_, j) => BigInt(i * n + j));
    await table.push(keys, new Float32Array(16 * n).fill(0.5));
  }
  assert.ok((await table.stats()).cold!.rows > 0);
  await store.checkpoint();
  await store.close();
  // Opening makes a table file of LevelDB's write-ahead log.
  await (await openStore(context.directory, quietly)).close();
});
test.after.each(({ home }) => rmSync(home, { recursive: true }));

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

test("what else is damaged of such a store is not repaired", async ({ directory, home }) => {
  const store = await openStore(directory, quietly);
  await store.checkpoint();
  await store.close();
  const path = join(directory, "shards", "0000", "log");
  const name = readdirSync(path).find((one) => one.endsWith(".log"))!;
  flipValue(join(directory, "shards", "0000", "pages"));
  const bytes = readFileSync(join(path, name));
  bytes.fill(7, 4096);
  writeFileSync(join(path, name), bytes);
  const names = readdirSync(home);
  const code = await codeOf(repairStore(directory, { acceptLoss: true }));
  assert.ok(code === "UNSUPPORTED" || code === undefined, code);
  if (code !== undefined) assert.equal(readdirSync(home), names);
});

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
