// Nodes that are killed and stopped under load: nothing that was acknowledged is lost, nothing is applied twice.
import { join } from "node:path";
import * as assert from "uvu/assert";
import { freePorts } from "./free-ports.js";
import { get } from "./node-process.js";
import { keys, n, nodeSuite, pushing, serve, worker } from "./node-suite.js";

const test = nodeSuite("load");

/** Waits until a push or more have been acknowledged since now. */
async function progress(load: { count(): number }, more = 5): Promise<void> {
  const until = load.count() + more;
  while (load.count() < until) await new Promise((resolve) => setImmediate(resolve));
}

test("kill -9 of a node under load, twice: two workers go on, and every push of theirs counts once", async (context) => {
  const port = await freePorts(2);
  const address = `127.0.0.1:${port}`;
  const node = await serve(context, [
    "--dir",
    join(context.directory, "m"),
    "--listen",
    address,
    "--shards",
    "2",
  ]);
  const workers = await Promise.all(["a", "b"].map((name) => worker(context, `ember://${address}`, name)));
  const loads = workers.map(({ table }) => pushing(table));
  for (let life = 1; life <= 2; life++) {
    await Promise.all(loads.map((load) => progress(load)));
    process.kill((await node.started(life)).pid, "SIGKILL");
    await node.started(life + 1);
  }
  await Promise.all(loads.map((load) => progress(load)));
  const pushes = (await Promise.all(loads.map((load) => load.stop()))).reduce((sum, one) => sum + one, 0);
  const rows = await workers[0].table.pull(keys);
  assert.equal(new Set(rows), new Set([-pushes]), `${pushes} pushes were acknowledged`);
  const counts = await workers[1].table.occurrences(keys);
  assert.equal(new Set(counts), new Set([pushes]));
  assert.is(await node.stop(), 0, node.err);
});

test("SIGTERM under load: what is under way is finished, the process ends with 0, and a new one has it all", async (context) => {
  const port = await freePorts(1);
  const args = ["--dir", join(context.directory, "m"), "--listen", `127.0.0.1:${port}`, "--no-supervise"];
  const node = await serve(context, args);
  const { table } = await worker(context, `ember://127.0.0.1:${port}`, "a");
  const load = pushing(table);
  await progress(load);
  assert.is(await node.stop(), 0, node.err);
  assert.equal(
    node.lines.map(({ event }) => event),
    ["started", "stopping", "stopped"],
  );
  await serve(context, args);
  await progress(load);
  const pushes = await load.stop();
  assert.equal(new Set(await table.pull(keys)), new Set([-pushes]));
  const counts = async () => (await get(`127.0.0.1:${port}`, "/status")).body.shards[0].counts;
  const { rowsRead, rowsWritten } = await counts();
  await table.push(keys, new Float32Array(2 * n));
  await table.pull(keys);
  assert.is((await counts()).rowsWritten, rowsWritten + n);
  assert.is((await counts()).rowsRead, rowsRead + n);
});

test.run();
