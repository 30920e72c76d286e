// Backups of versions: of stores whose shards are at work, and of what a store was earlier.
import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { adagrad, type EmbershardError, openStore, type Store, sgd } from "../../lib/index.js";
import type { OracleTable } from "../../lib/kernel/oracle/oracle-table.js";
import { listBackups } from "../../lib/repair/backup-directory.js";
import { backupStore } from "../../lib/repair/backup-store.js";
import { withVersion } from "../../lib/repair/backup-version.js";
import { restoreStore } from "../../lib/repair/restore-store.js";
import { verifyStore } from "../../lib/repair/verify-store.js";
import { runHere } from "../cli/run-command.js";
import { randomFloats, Twin } from "../laws/twin.js";
import { quietly } from "./lived-store.js";
import { keys, makeSharded, pushMore, shardedContents } from "./sharded-store.js";

const test = suite<{ home: string }>("backups of versions");
test.before.each((context) => {
  context.home = mkdtempSync(join(tmpdir(), "embershard-backup-"));
});
test.after.each(({ home }) => rmSync(home, { recursive: true }));

async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "none",
    (error: EmbershardError) => error.code,
  );
}

/** Adds one to a row after the other, each when the one before is acknowledged, until told to stop. Gives how many rounds. */
function countAlong(store: Store, few: readonly bigint[]): { stop(): Promise<number> } {
  let going = true;
  const counting = (async () => {
    const table = await store.table("counters", { dim: 1, optimizer: sgd({ learningRate: 1 }) });
    let rounds = 0;
    for (; going; rounds++)
      for (const key of few) await table.push(BigUint64Array.of(key), Float32Array.of(-1));
    return rounds;
  })();
  return {
    stop: () => {
      going = false;
      return counting;
    },
  };
}

test("what killed backups of this machine have left goes with the next one", async ({ home }) => {
  const [directory, backups] = [join(home, "store"), join(home, "backups")];
  const store = await openStore(directory, { ...quietly, control: true, threads: 2 });
  const items = await store.table("items", { dim: 8, optimizer: sgd({ learningRate: 1 }) });
  await items.push(keys, new Float32Array(8 * keys.length));
  const names = async () => (await store.versions()).map(({ name }) => name).sort();
  // The process of a backup, killed once its version is there.
  const killed = spawnSync(process.execPath, ["-e", "process.kill(process.pid, 'SIGKILL')"]);
  const note = (pid: number, host: string) =>
    `for a backup under way by pid ${pid} of ${host}, which deletes it`;
  const make = async (note: string, name = `backup-${randomUUID()}`) => {
    await store.checkpoint({ version: name, note });
    return name;
  };
  const kept = [
    await make(note(process.pid, hostname())),
    await make(note(killed.pid, `not-${hostname()}`)),
    await make("of my own"),
    await make(note(killed.pid, hostname()), "backup-of-monday"),
  ].sort();
  const left = await make(note(killed.pid, hostname()));
  assert.equal(await names(), [...kept, left].sort());
  await backupStore(store, backups);
  assert.equal(await names(), kept);
  await make(note(killed.pid, hostname()));
  const { code, err } = await runHere(["backup", directory, backups]);
  assert.is(code, 0, err);
  assert.equal(await names(), kept);
  await store.close();
});

test("a version says by which process of which machine it is being backed up", async () => {
  const made: { name: string; note: string }[] = [];
  const deleted: string[] = [];
  await withVersion(
    {
      list: async () => [],
      make: async (version) => made.push(version),
      delete: async (name) => void deleted.push(name),
    },
    async (version) => assert.is(version, made[0].name),
  );
  assert.is(made[0].note, `for a backup under way by pid ${process.pid} of ${hostname()}, which deletes it`);
  assert.equal(deleted, [made[0].name]);
});

test("a store on several threads is backed up at one instant while it is pushed to", async ({ home }) => {
  const [directory, backups] = [join(home, "store"), join(home, "backups")];
  const few = Array.from({ length: 12 }, (_, i) => BigInt(i) * 1_000_003n);
  const store = await openStore(directory, { ...quietly, threads: 3, versions: { keep: 1 } });
  await (await store.table("items", { dim: 8, optimizer: adagrad({ learningRate: 0.1 }) })).push(
    keys,
    new Float32Array(8 * keys.length).fill(0.5),
  );
  await store.checkpoint({ version: "mine" });
  const counting = countAlong(store, few);
  const counted: number[] = [];
  for (let i = 1; i <= 4; i++) {
    const { shards, versions } = await backupStore(store, backups);
    assert.is(shards.length, 3);
    assert.equal(versions, ["mine"]);
  }
  const rounds = await counting.stop();
  assert.equal(
    (await store.versions()).map(({ name }) => name),
    ["mine"],
    "the version of the backup is gone, and took no other one's place",
  );
  await store.close();
  assert.is((await verifyStore(backups)).status, "ok");
  for (let at = 1; at <= 4; at++) {
    const restored = join(home, `restored-${at}`);
    await restoreStore(backups, restored, { at });
    const again = await openStore(restored, { ...quietly, threads: 3 });
    const counters = [...(await (await again.table("counters")).pull(BigUint64Array.from(few)))];
    // Those before some key have one more than those behind it, or all have as many.
    const fewest = counters.at(-1)!;
    const ahead = counters.filter((count) => count === fewest + 1).length;
    assert.equal(
      counters,
      few.map((_, i) => (i < ahead ? fewest + 1 : fewest)),
    );
    counted.push(fewest);
    assert.is((await (await again.table("items")).stats()).rows, keys.length);
    await again.close();
  }
  assert.equal(
    counted,
    [...counted].sort((a, b) => a - b),
  );
  assert.ok(counted[3] > counted[0] && counted[3] <= rounds, `${counted} of ${rounds}`);
});

test("the command asks the process that has it open on threads, and a version costs its pages once", async ({
  home,
}) => {
  const made = await makeSharded(2);
  try {
    const backups = join(home, "backups");
    const contents = await shardedContents(made.directory, 2);
    const store = await openStore(made.directory, { control: true, threads: 2 });
    const { code, out, err } = await runHere(["backup", made.directory, backups, "--json"]);
    assert.is(code, 0, err);
    assert.is(JSON.parse(out).shards.length, 2);
    await store.checkpoint({ version: "kept" });
    const first = await backupStore(made.directory, backups, { version: "kept" });
    const second = await backupStore(made.directory, backups, { version: "kept" });
    assert.is(second.newPages, 0);
    assert.equal([first.versions, second.versions], [[], []], "a backup of a version is that version");
    assert.equal(
      (await store.versions()).map(({ name }) => name),
      ["kept"],
    );
    assert.is(await codeOf(backupStore(made.directory, backups, { version: "none" })), "VERSION_NOT_FOUND");
    assert.is(await codeOf(backupStore(made.directory, backups)), "UNSUPPORTED");
    assert.is((await runHere(["backup", made.directory, backups, "--of", "none"])).code, 1);
    await store.close();
    await pushMore(made.directory, 2, 9);
    assert.not.equal(await shardedContents(made.directory, 2), contents);
    for (const at of [1, 2, 3]) {
      await restoreStore(backups, join(home, `restored-${at}`), { at });
      assert.is(await shardedContents(join(home, `restored-${at}`), 2), contents);
    }
    const { length } = await listBackups(backups);
    const ended = new AbortController();
    ended.abort();
    const aborted = backupStore(made.directory, backups, { version: "kept", signal: ended.signal });
    assert.is(await codeOf(aborted), "ABORTED");
    assert.is((await listBackups(backups)).length, length);
  } finally {
    made.remove();
  }
});

test("a version of a store, open or closed, with cold rows: what it was, and the versions before it", async ({
  home,
}) => {
  const [directory, backups] = [join(home, "store"), join(home, "backups")];
  const random = new Prng(5);
  const store = await openStore(directory, quietly);
  const dim = 400;
  const twin = await Twin.open(store, "bounded", {
    dim,
    optimizer: adagrad({ learningRate: 0.1 }),
    memory: 1 << 20,
  });
  const more = async () => {
    for (let i = 0; i < 12; i++) {
      const some = BigUint64Array.from({ length: 60 }, () => BigInt(random.below(900)));
      if (i % 5 === 4) await twin.delete(BigUint64Array.from(new Set(some)));
      else await twin.push(some, randomFloats(random, 60 * dim), { step: i + 1 });
    }
  };
  const oracles: OracleTable[] = [];
  for (const version of ["first", "second", "third"]) {
    await more();
    await store.checkpoint({ version });
    oracles.push(twin.oracle.clone());
  }
  await more();
  assert.ok((await twin.table.stats()).cold!.rows > 100);
  const open = await backupStore(store, backups, { version: "second" });
  assert.equal(open.versions, ["first"]);
  await more();
  await store.close();
  const { code, err } = await runHere(["backup", directory, backups, "--of", "second"]);
  assert.is(code, 0, err);
  assert.is((await verifyStore(backups)).status, "ok");
  for (const at of [1, 2]) {
    const restored = join(home, `restored-${at}`);
    await restoreStore(backups, restored, { at });
    assert.equal((await verifyStore(restored)).findings, []);
    const again = await openStore(restored, quietly);
    await new Twin(await again.table("bounded"), oracles[1]).compareAll();
    const first = await again.openVersion("first");
    await new Twin(await first.table("bounded"), oracles[0]).compareAll();
    await first.close();
    assert.equal(
      (await again.versions()).map(({ name }) => name),
      ["first"],
    );
    await again.close();
  }
});

test("a store that is open as one of its versions is no live store to back up", async ({ home }) => {
  const [directory, backups] = [join(home, "store"), join(home, "backups")];
  for (const threads of [1, 2]) {
    const store = await openStore(`${directory}-${threads}`, { ...quietly, control: true, threads });
    await store.table("items", { dim: 1, optimizer: sgd({ learningRate: 1 }) });
    await store.checkpoint({ version: "v" });
    const version = await store.openVersion("v");
    assert.is(await codeOf(backupStore(version, backups)), "VERSION_IS_READ_ONLY");
    assert.not.ok(existsSync(backups));
    await version.close();
    await store.close();
    const opened = await openStore(`${directory}-${threads}`, { version: "v", threads });
    assert.is(await codeOf(backupStore(opened, backups)), "VERSION_IS_READ_ONLY");
    await opened.close();
  }
});

test.run();
