// Backups restore the same bits, share pages, survive kills, and find damage.
import { cpSync, existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { type EmbershardError, openStore } from "../../lib/index.js";
import { listBackups } from "../../lib/repair/backup-directory.js";
import { backupStore } from "../../lib/repair/backup-store.js";
import { restoreStore } from "../../lib/repair/restore-store.js";
import { verifyStore } from "../../lib/repair/verify-store.js";
import { operationAt } from "../chaos/operations.js";
import { Performer } from "../chaos/performer.js";
import { readContents } from "../chaos/world.js";
import { damageFile, filesOf } from "./damage.js";
import {
  contentsOf,
  copyOf,
  fingerprint,
  type LivedStore,
  liveStore,
  quietly,
  scale,
} from "./lived-store.js";

const test = suite<{ lived: LivedStore }>("backups");
test.before(async (context) => {
  context.lived = await liveStore(8);
});
test.after(({ lived }) => lived.remove());

const beside = ({ directory }: LivedStore, name: string) => join(directory, "..", name);

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    return (error as EmbershardError).code;
  }
  return "none";
}

test("a closed store comes back to the bit, its mark too", async ({ lived }) => {
  const source = copyOf(lived, "closed");
  const expected = await contentsOf(copyOf(lived, "closed-expected"));
  const info = await backupStore(source, beside(lived, "closed-backups"));
  assert.is(info.number, 1);
  assert.ok(info.lsn >= lived.lsns.at(-1)!);
  const restored = beside(lived, "closed-restored");
  await restoreStore(beside(lived, "closed-backups"), restored);
  assert.is((await verifyStore(restored)).status, "ok");
  const found = await contentsOf(restored);
  assert.is(fingerprint(found.contents), fingerprint(expected.contents));
  assert.equal(found.mark, expected.mark);
});

test("an open store is backed up again and again while pushes go on; each backup is one instant", async ({
  lived,
}) => {
  const directory = copyOf(lived, "open");
  const to = beside(lived, "open-backups");
  const store = await openStore(directory, quietly);
  const performer = await Performer.over(store);
  const states = new Map<number, string>();
  let i = lived.operations;
  for (let round = 0; round < 3; round++) {
    for (const end = i + 6; i < end; ) await performer.perform(operationAt(lived.seed, ++i, scale), i);
    const quiet = fingerprint(await readContents(store));
    const lsn = (await store.stats()).log.lsn;
    // An unlogged table is that of the backup's checkpoint, and so are the others when nothing is pushed meanwhile.
    const info = await backupStore(store, to);
    assert.ok(info.lsn >= lsn);
    states.set(info.number, quiet);
    if (round > 0) assert.ok(info.newPages < info.pages, `${info.newPages} of ${info.pages} pages are new`);
  }
  await store.close();
  assert.equal(
    (await listBackups(to)).map(({ number }) => number),
    [1, 2, 3],
  );
  for (const [number, state] of states) {
    const restored = beside(lived, `open-restored-${number}`);
    await restoreStore(to, restored, { at: number });
    assert.is(fingerprint((await contentsOf(restored)).contents), state, `backup ${number}`);
  }
});

test("what cannot be restored, or not there, is refused", async ({ lived }) => {
  const source = copyOf(lived, "refused");
  const to = beside(lived, "refused-backups");
  await backupStore(source, to);
  assert.is(await codeOf(restoreStore(to, source)), "NOT_A_STORE");
  assert.is(await codeOf(restoreStore(source, beside(lived, "nowhere"))), "NOT_A_STORE");
  assert.is(await codeOf(restoreStore(to, beside(lived, "nowhere"), { at: 9 })), "INVALID_ARGUMENT");
  assert.is(await codeOf(backupStore(source, source)), "INVALID_ARGUMENT");
  assert.is(await codeOf(backupStore(source, join(source, "backups"))), "INVALID_ARGUMENT");
  assert.not(existsSync(join(source, "backups")));
  const other = beside(lived, "other");
  await (await openStore(other, quietly)).close();
  assert.is(await codeOf(backupStore(other, to)), "NOT_A_STORE");
  assert.is((await listBackups(to)).length, 1);
});

test("an aborted backup leaves the ones before it, and the next goes on", async ({ lived }) => {
  const source = copyOf(lived, "aborted");
  const to = beside(lived, "aborted-backups");
  const whole = await backupStore(source, to);
  const controller = new AbortController();
  const aborted = backupStore(source, to, {
    signal: controller.signal,
    onProgress: () => controller.abort(),
  });
  assert.is(await codeOf(aborted), "ABORTED");
  assert.equal(await listBackups(to), [whole]);
  // What a kill leaves behind: a pack and a file without its name.
  writeFileSync(join(to, "shards", "0000", "packs", "000002.pack"), "half");
  writeFileSync(join(to, "shards", "0000", "backups", "000002.backup.new"), "half");
  writeFileSync(join(to, "writing"), "999999999\n");
  assert.is((await backupStore(source, to)).number, 2);
  assert.is((await verifyStore(to)).status, "ok");
});

test("whatever damages a backup's files is reported by verification and by restoring", async ({ lived }) => {
  const source = copyOf(lived, "damaged");
  const to = beside(lived, "whole-backups");
  await backupStore(source, to);
  const expected = fingerprint((await contentsOf(copyOf(lived, "damaged-expected"))).contents);
  for (let seed = 1; seed <= Number(process.env.CASES ?? 12); seed++) {
    const copy = beside(lived, "damaged-backups");
    const into = beside(lived, "damaged-restored");
    for (const one of [copy, into]) rmSync(one, { recursive: true, force: true });
    cpSync(to, copy, { recursive: true });
    const what = damageFile(copy, new Prng(seed), filesOf(copy));
    const status = await verifyStore(copy).then(
      (report) => report.status,
      (error: EmbershardError) => error.code,
    );
    const restored = await codeOf(restoreStore(copy, into));
    if (restored === "none") {
      const found = await contentsOf(into);
      assert.is(fingerprint(found.contents), expected, `${what}: restored other rows`);
    } else if (/\.backup removed$/.test(what)) {
      // It is no backup any more.
      assert.is(restored, "INVALID_ARGUMENT");
    } else {
      assert.is.not(status, "ok", `${what}: restoring says ${restored}`);
      assert.not.ok(existsSync(join(into, "store")), `${what}: there is a store after ${restored}`);
    }
  }
});

test.run();
