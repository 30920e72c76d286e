// Several nodes of one cluster file, and clients of them, as processes.
import { mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { adagrad, connect, type ErrorCode, PartialError, type Store, type Table } from "../../lib/index.js";
import { ClusterProcesses } from "./cluster-processes.js";

const test = suite<{ directory: string; cluster: ClusterProcesses; store: Store; table: Table }>(
  "static cluster",
);
const n = 3000;
const dim = 4;
const keys = BigUint64Array.from({ length: n }, (_, i) => BigInt(i) * 7919n);
const ones = new Float32Array(n * dim).fill(1);

test.before(async (context) => {
  context.directory = mkdtempSync(join(tmpdir(), "cluster-spec-"));
  context.cluster = await ClusterProcesses.start(context.directory, { nodes: 3 });
  context.store = await connect(context.cluster.address);
  context.table = await context.store.table("t", { dim, optimizer: adagrad({ learningRate: 0.1 }) });
});
test.after(async ({ directory, cluster, store }) => {
  await cluster.end();
  await store.close();
  rmSync(directory, { recursive: true, force: true });
});

async function frequencies(table: Table): Promise<Map<bigint, number>> {
  const all = new Map<bigint, number>();
  for await (const { keys, frequency } of table.scan())
    for (const [i, key] of keys.entries()) all.set(key, frequency[i]);
  return all;
}

test("rows are spread over the nodes; one that is killed under load comes back with what it acknowledged", async ({
  cluster,
  table,
}) => {
  await table.push(keys, ones);
  const [first] = await Promise.all([
    (async () => {
      for (let i = 0; i < 20; i++) await table.push(keys, ones);
    })(),
    cluster.kill("b").then(() => cluster.begin("b")),
  ]);
  assert.is(first, undefined);
  assert.is((await table.stats()).rows, n);
  assert.equal([...new Set((await frequencies(table)).values())], [21]);
});

test("a node that comes back with another directory is another store: nobody goes on with it", async ({
  cluster,
  table,
}) => {
  await table.push(keys, ones);
  const reader = await connect(cluster.address);
  try {
    const reading = await reader.table("t");
    await reading.pull(keys);
    await cluster.kill("c");
    renameSync(cluster.directoryOf("c"), `${cluster.directoryOf("c")}-old`);
    await cluster.begin("c");
    await refused(
      () => reading.pull(keys),
      "PROTOCOL",
      /node c, .*serves store .*, this client was connected to store/,
    );
    await refused(() => table.push(keys, ones), "SESSION_EXPIRED", /Begin a new session/);
  } finally {
    await reader.close();
  }
});

/** The part of node c is refused so. */
async function refused(work: () => Promise<unknown>, code: ErrorCode, message: RegExp): Promise<void> {
  try {
    await work();
    assert.unreachable("another store took the place of the first");
  } catch (error) {
    assert.instance(error, PartialError, (error as Error).stack!);
    const { parts, message: whole } = error as PartialError;
    assert.equal(
      parts.map(({ owner, error }) => [owner.slice(0, 6), error.code]),
      [["node c", code]],
    );
    assert.match(whole, message);
    assert.is(whole.match(/node c/g)!.length, 1, whole);
  }
}

test.run();
