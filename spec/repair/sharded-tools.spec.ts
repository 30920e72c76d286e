// Backup, restore and repair of closed stores of several shards.
import { cpSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { endBirth, inspectDirectory } from "../../lib/directory/identity.js";
import { type EmbershardError, openStore } from "../../lib/index.js";
import { listBackups } from "../../lib/repair/backup-directory.js";
import { backupStore } from "../../lib/repair/backup-store.js";
import { repairStore } from "../../lib/repair/repair-store.js";
import { restoreStore } from "../../lib/repair/restore-store.js";
import { verifyStore } from "../../lib/repair/verify-store.js";
import { runHere } from "../cli/run-command.js";
import { damageFile, filesOf } from "./damage.js";
import { quietly } from "./lived-store.js";
import { makeSharded, pushMore, type ShardedStore, shardedContents } from "./sharded-store.js";

const test = suite<{ made: ShardedStore; contents: string }>("backup and repair of several shards");
test.before(async (context) => {
  context.made = await makeSharded(2);
  context.contents = await shardedContents(context.made.directory, 2);
});
test.after(({ made }) => made.remove());

async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "none",
    (error: EmbershardError) => error.code,
  );
}

test("backups hold all shards, share pages, and restore the same bits", async ({ made, contents }) => {
  const source = made.copy("source");
  const to = made.beside("backups");
  const first = await backupStore(source, to);
  assert.is(first.shards.length, 2);
  assert.is(
    first.newPages,
    first.shards.reduce((sum, { newPages }) => sum + newPages, 0),
  );
  await pushMore(source, 2, 3);
  const later = await shardedContents(source, 2);
  const second = await backupStore(source, to);
  assert.is(second.newPages, 0, "no checkpoint was made");
  assert.equal(await listBackups(to), [first, second]);
  assert.is((await verifyStore(to)).status, "ok");
  const { total, bytes } = await new Promise<{ bytes: number; total: number }>((resolve, reject) => {
    let last = { bytes: 0, total: 0 };
    restoreStore(to, made.beside("restored"), { at: 1, onProgress: (one) => (last = one) }).then(
      () => resolve(last),
      reject,
    );
  });
  assert.is(bytes, total);
  assert.is(await shardedContents(made.beside("restored"), 2), contents);
  const { code, err } = await runHere(["restore", to, made.beside("restored-last")]);
  assert.is(code, 0, err);
  assert.is(await shardedContents(made.beside("restored-last"), 2), later);
  assert.is((await verifyStore(made.beside("restored-last"))).status, "ok");
});

test("a backup is one when all of its shards are: what was cut short counts for nothing", async ({
  made,
}) => {
  const to = made.beside("cut-backups");
  const whole = await backupStore(made.directory, to);
  await backupStore(made.directory, to);
  // What a kill between the two names leaves: the last shard has its own, the first not yet.
  const first = join(to, "shards", "0000", "backups", "000002.backup");
  renameSync(first, `${first}.new`);
  assert.equal(await listBackups(to), [whole]);
  assert.is((await verifyStore(to)).status, "ok");
  assert.is((await backupStore(made.directory, to)).number, 2);
  rmSync(join(to, "shards", "0001", "backups", "000002.backup"));
  const { status, findings } = await verifyStore(to);
  assert.is(status, "damaged");
  assert.match(findings[0].message, "nothing of shard 1");
});

test("whatever damages a backup of one of them is reported, and makes no store", async ({
  made,
  contents,
}) => {
  const to = made.beside("whole-backups");
  await backupStore(made.directory, to);
  for (let seed = 1; seed <= 6; seed++) {
    const [copy, into] = [made.beside("damaged-backups"), made.beside("damaged-restored")];
    for (const one of [copy, into]) rmSync(one, { recursive: true, force: true });
    cpSync(to, copy, { recursive: true });
    const files = filesOf(copy).filter((name) => name.includes("0001"));
    const what = damageFile(copy, new Prng(seed), files);
    const { status } = await verifyStore(copy);
    const restored = await codeOf(restoreStore(copy, into));
    if (restored === "none") assert.is(await shardedContents(into, 2), contents, what);
    else {
      assert.is(status, "damaged", `${what}: restoring says ${restored}`);
      assert.not.ok(existsSync(join(into, "store")), what);
    }
  }
  // A shard's file in the place of another's.
  const path = (shard: string) => join(to, "shards", shard, "backups", "000001.backup");
  cpSync(path("0001"), path("0000"));
  assert.is((await verifyStore(to)).status, "damaged");
  assert.is(await codeOf(restoreStore(to, made.beside("mixed"))), "CORRUPT");
});

test("placement goes with each backup, and comes back; other numbers of shards go elsewhere", async ({
  made,
}) => {
  const source = made.copy("placed");
  const to = made.beside("placed-backups");
  await backupStore(source, to);
  const identity = (await inspectDirectory(source, { create: false }))!;
  const placed = { ...identity, placement: { node: "a", fingerprint: "0123456789abcdef" } };
  await endBirth(source, placed);
  await backupStore(source, to);
  await restoreStore(to, made.beside("placed-1"), { at: 1 });
  await restoreStore(to, made.beside("placed-2"));
  assert.equal(await inspectDirectory(made.beside("placed-1"), { create: false }), identity);
  assert.equal(await inspectDirectory(made.beside("placed-2"), { create: false }), placed);
  assert.is(await codeOf(openStore(source, { ...quietly, threads: 2 })), "UNSUPPORTED");
  const other = made.copy("resharded");
  assert.is((await runHere(["reshard", other, "--shards", "3"])).code, 0);
  assert.is(await codeOf(backupStore(other, to)), "NOT_A_STORE");
});

test("a damaged shard is not backed up", async ({ made }) => {
  const source = made.copy("bad");
  const to = made.beside("bad-backups");
  await backupStore(source, to);
  rmSync(join(source, "shards", "0001", "log", "0000000000000001.log"));
  assert.is(await codeOf(backupStore(source, to)), "CORRUPT");
  assert.is((await listBackups(to)).length, 1);
});

test("repair: one shard is made whole again, the others are as they were, the original is kept", async ({
  made,
  contents,
}) => {
  const directory = made.copy("torn");
  rmSync(join(directory, "shards", "0001", "log", "MARK"));
  writeFileSync(join(directory, "store"), "{");
  const { code, out } = await runHere(["repair", directory, "--json"]);
  const { status, original, losses } = JSON.parse(out);
  assert.equal([code, status, losses], [0, "repaired", []]);
  assert.is(await shardedContents(directory, 2), contents);
  assert.is((await verifyStore(directory)).status, "ok");
  assert.is(readFileSync(join(original, "store"), "utf8"), "{");
  assert.not.ok(existsSync(join(original, "shards", "0001", "log", "MARK")));
  assert.is((await repairStore(directory)).status, "whole");
});

test("repair: what a shard would lose is refused and said, and its loss leaves the others whole", async ({
  made,
}) => {
  const directory = made.copy("lossy");
  const log = join(directory, "shards", "0001", "log", "0000000000000001.log");
  const bytes = readFileSync(log);
  const before = (await verifyStore(directory)).shards;
  // In the last record, which was durable.
  bytes[bytes.findLastIndex((byte) => byte !== 0)] ^= 1;
  writeFileSync(log, bytes);
  const refused = await repairStore(directory);
  assert.is(refused.status, "refused");
  assert.ok(refused.losses.every(({ shard, message }) => shard === 1 && message.startsWith("shard 1: ")));
  assert.not.ok(existsSync(`${directory}.repairing`));
  const repaired = await repairStore(directory, { acceptLoss: true });
  assert.is(repaired.status, "repaired");
  assert.equal(repaired.losses, refused.losses);
  const after = await verifyStore(directory);
  assert.is(after.status, "ok");
  assert.equal(after.shards[0].pages, before[0].pages);
  assert.is(after.shards[0].lsn, before[0].lsn);
  assert.ok(after.shards[1].lsn < before[1].lsn);
  await (await openStore(directory, { ...quietly, threads: 2, create: false })).close();
});

test("repair does not guess how many shards there were", async ({ made }) => {
  const directory = made.copy("miscounted");
  const path = join(directory, "store");
  writeFileSync(path, readFileSync(path, "utf8").replace('"shards": 2', '"shards": 3'));
  assert.is(await codeOf(repairStore(directory)), "CORRUPT");
  rmSync(path);
  renameSync(join(directory, "shards", "0000"), join(directory, "shards", "0002"));
  assert.is(await codeOf(repairStore(directory)), "CORRUPT");
});

test.run();
