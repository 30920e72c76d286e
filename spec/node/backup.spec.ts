// Backups of nodes at work, by the command and through a version of all nodes.
import { mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { backupStore, connect, type EmbershardError, sgd } from "../../lib/index.js";
import { runHere } from "../cli/run-command.js";
import { ClusterProcesses } from "./cluster-processes.js";

const test = suite<{ home: string; cluster: ClusterProcesses }>("backups of nodes at work");
test.before(async (context) => {
  context.home = mkdtempSync(join(tmpdir(), "embershard-node-backup-"));
  context.cluster = await ClusterProcesses.start(join(context.home, "cluster"), { nodes: 2, shards: 2 });
});
test.after(async ({ home, cluster }) => {
  await cluster.end();
  rmSync(home, { recursive: true, force: true });
});

const few = Array.from({ length: 20 }, (_, i) => BigInt(i) * 1_000_003n);

async function run(...args: string[]): Promise<string> {
  const { code, out, err } = await runHere(args);
  assert.is(code, 0, err);
  return out;
}

test("nodes are backed up while they are pushed to; a version of all of them is one instant of all", async ({
  home,
  cluster,
}) => {
  const store = await connect(cluster.address);
  const options = { dim: 1, optimizer: sgd({ learningRate: 1 }) };
  const table = await store.table("counters", options);
  let going = true;
  const counting = (async () => {
    while (going) for (const key of few) await table.push(BigUint64Array.of(key), Float32Array.of(-1));
  })();
  // What fails it is told when it is waited for.
  counting.catch(() => {});
  const members = ["a", "b"];
  const backupsOf = (name: string) => join(home, `${name}-backups`);
  for (const name of members) {
    const [, line] = (await run("backup", cluster.directoryOf(name), backupsOf(name))).split("\n");
    assert.match(line, /^ +1 /);
  }
  assert.equal(await store.versions(), []);
  assert.match(
    await run("verify", cluster.directoryOf("a")),
    /^ok .*\n2 shards: .*it is not read: .* the node at /s,
  );
  await run("versions", "create", cluster.address, "nightly");
  for (const name of members)
    await run("backup", cluster.directoryOf(name), backupsOf(name), "--of", "nightly");
  const refused = await backupStore(store, join(home, "none")).then(
    () => "none",
    (error: EmbershardError) => `${error.code} ${error.message}`,
  );
  assert.match(refused, /^UNSUPPORTED ember:.*give the directory of each/);
  going = false;
  await counting;
  const after = [...(await table.pull(BigUint64Array.from(few)))];
  await store.close();
  await cluster.stop();
  for (const name of members) {
    await run("verify", backupsOf(name));
    renameSync(cluster.directoryOf(name), join(home, `${name}-before`));
    await run("restore", backupsOf(name), cluster.directoryOf(name));
  }
  await Promise.all(members.map((name) => cluster.begin(name)));
  const again = await connect(cluster.address);
  const counters = [...(await (await again.table("counters", options)).pull(BigUint64Array.from(few)))];
  const fewest = counters.at(-1)!;
  const ahead = counters.filter((count) => count === fewest + 1).length;
  assert.equal(
    counters,
    few.map((_, i) => (i < ahead ? fewest + 1 : fewest)),
    "one key after the other was counted, and each is in it if those before it are",
  );
  assert.ok(fewest > 0 && fewest < after[0], `${fewest} of ${after[0]}`);
  await again.close();
  assert.equal(await cluster.stop(), [0, 0]);
});

test.run();
