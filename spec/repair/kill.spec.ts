// Backups, restores, repairs and exports that are killed just before one of their changes to the file system: nothing that was whole is
// less, nothing counts that is half, and the same command again completes it. CASES and SEED widen it.
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import {
  backupStore,
  exportTable,
  listBackups,
  openStore,
  repairStore,
  restoreStore,
  verifyStore,
} from "../../lib/index.js";
import { codeOf } from "../laws/twin.js";
import { contentsOf, copyOf, fingerprint, type LivedStore, liveStore, quietly } from "./lived-store.js";

const cases = Number(process.env.CASES ?? 2);
const random = new Prng(Number(process.env.SEED ?? 1));
const script = fileURLToPath(import.meta.url);

type Work = "backup" | "restore" | "repair" | "export";

const works: Readonly<Record<Work, (from: string, to: string) => Promise<unknown>>> = {
  backup: (from, to) => backupStore(from, to),
  restore: (from, to) => restoreStore(from, to),
  repair: (from) => repairStore(from),
  export: async (from, to) => {
    const store = await openStore(from, { ...quietly, create: false });
    await exportTable(store, "items", to, { state: true });
    await store.close();
  },
};

/** What the child does: the work, until the change of that number is due; says how many changes it made. */
async function workAndDie(work: Work, from: string, to: string, killAt: number): Promise<never> {
  let changes = 0;
  const watch = (owner: object, names: readonly string[]) => {
    const methods = owner as Record<string, (...args: unknown[]) => unknown>;
    for (const name of names) {
      const plain = methods[name];
      methods[name] = function (this: unknown, ...args: unknown[]) {
        if (changes++ === killAt) process.kill(process.pid, "SIGKILL");
        return plain.apply(this, args);
      };
    }
  };
  const handle = await fs.promises.open(script);
  watch(Object.getPrototypeOf(handle), ["write", "writev", "sync", "datasync", "truncate"]);
  await handle.close();
  watch(fs.promises, ["open", "rename", "rm", "mkdir", "writeFile", "copyFile"]);
  watch(fs, ["open", "rename", "unlink", "write", "writev", "ftruncate", "fdatasync", "fsync"]);
  // Modules that have these by their names get them, too.
  syncBuiltinESMExports();
  await works[work](from, to);
  fs.writeSync(1, String(changes));
  process.exit(0);
}

/** Runs it as a process of its own. Gives how many changes it made; undefined when it was killed. */
function run(work: Work, from: string, to: string, killAt: number): number | undefined {
  const args = [script, work, from, to, String(killAt)];
  const { signal, status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (signal === "SIGKILL") return undefined;
  assert.is(status, 0, stderr);
  return Number(stdout);
}

/** Kills the work at some of its changes, each time of another copy, and says what there is to demand then. */
async function killed(work: Work, prepare: (i: number) => [string, string], demand: Demand): Promise<void> {
  const changes = run(work, ...prepare(0), Number.POSITIVE_INFINITY)!;
  assert.ok(changes > 5, `${changes} changes`);
  for (let i = 1; i <= cases; i++) {
    const at = Math.floor((changes * (i - 1)) / cases) + random.below(Math.floor(changes / cases));
    const [from, to] = prepare(i);
    assert.is(run(work, from, to, at), undefined, `killed at change ${at} of ${changes}`);
    await demand(from, to, `${work}, killed at change ${at} of ${changes}`);
  }
}

type Demand = (from: string, to: string, what: string) => Promise<void>;

const test = suite<{ lived: LivedStore; expected: string }>("kills in the middle");
test.before(async (context) => {
  context.lived = await liveStore(8);
  context.expected = fingerprint((await contentsOf(copyOf(context.lived, "expected"))).contents);
});
test.after(({ lived }) => lived.remove());

async function demandRows(directory: string, expected: string, what: string): Promise<void> {
  assert.is((await verifyStore(directory)).status, "ok", what);
  assert.is(fingerprint((await contentsOf(directory)).contents), expected, what);
}

test("of a backup: those before it are whole, and the next is", async ({ lived, expected }) => {
  const from = copyOf(lived, "backup");
  const backups = join(from, "..", "backups");
  await backupStore(from, backups);
  const prepare = (i: number): [string, string] => {
    const to = join(backups, "..", `backups-${i}`);
    fs.cpSync(backups, to, { recursive: true });
    return [from, to];
  };
  await killed("backup", prepare, async (from, to, what) => {
    const there = (await listBackups(to)).map(({ number }) => number);
    assert.ok([1, 2].includes(there.length) && there[0] === 1, `${what}: ${there}`);
    assert.is((await verifyStore(to)).status, "ok", what);
    const { number } = await backupStore(from, to);
    assert.is(number, there.length + 1, what);
    const restored = `${to}-restored`;
    await restoreStore(to, restored);
    await demandRows(restored, expected, what);
  });
});

test("of a restore: there is no store, or all of it, and the same again makes it", async ({
  lived,
  expected,
}) => {
  const from = copyOf(lived, "restored");
  const backups = join(from, "..", "restored-backups");
  await backupStore(from, backups);
  const prepare = (i: number): [string, string] => [backups, join(from, "..", `restored-${i}`)];
  await killed("restore", prepare, async (_, to, what) => {
    if (
      (await codeOf(() => openStore(to, { ...quietly, create: false }).then((s) => s.close()))) !== undefined
    )
      await restoreStore(backups, to);
    await demandRows(to, expected, what);
  });
});

test("of a repair: the damaged store is there, or the repaired one, and the same again ends it", async ({
  lived,
  expected,
}) => {
  const prepare = (i: number): [string, string] => {
    const directory = copyOf(lived, `repair-${i}`);
    const mark = join(directory, "shards", "0000", "log", "MARK");
    const bytes = fs.readFileSync(mark);
    bytes[16] ^= 1;
    fs.writeFileSync(mark, bytes);
    return [directory, ""];
  };
  await killed("repair", prepare, async (directory, _, what) => {
    const { losses } = await repairStore(directory);
    assert.equal(losses, [], what);
    await demandRows(directory, expected, what);
  });
});

test("of an export: the file is as it was, or the new one", async ({ lived }) => {
  const whole = new Set<string>();
  const prepare = (i: number): [string, string] => {
    const from = copyOf(lived, `export-${i}`);
    const to = join(from, "..", `export-${i}.safetensors`);
    fs.writeFileSync(to, "an older export");
    return [from, to];
  };
  await killed("export", prepare, async (from, to, what) => {
    const found = fs.readFileSync(to, "latin1");
    await works.export(from, to);
    whole.add(fs.readFileSync(to, "latin1"));
    assert.ok(found === "an older export" || whole.has(found), what);
  });
  assert.is(whole.size, 1);
});

if (process.argv.length > 5)
  await workAndDie(process.argv[2] as Work, process.argv[3], process.argv[4], Number(process.argv[5]));
else test.run();
