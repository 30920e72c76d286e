// Several nodes by one cluster file.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { freePorts } from "./free-ports.js";
import { get, NodeProcess } from "./node-process.js";
import { keys, n, nodeSuite, serve, worker } from "./node-suite.js";

const test = nodeSuite("cluster");

test("a static cluster: two nodes by one file, rows on both; who owns a slot serves it; another file is refused", async (context) => {
  const port = await freePorts(5);
  const nodes = [
    { name: "a", host: "127.0.0.1", port, shards: 2 },
    { name: "b", host: "127.0.0.1", port: port + 3, shards: 1 },
  ];
  const file = join(context.directory, "cluster.json");
  writeFileSync(file, JSON.stringify({ nodes }));
  const argsOf = (name: string) => [
    "--dir",
    join(context.directory, name),
    "--cluster",
    file,
    "--node",
    name,
    "--no-supervise",
  ];
  const [a, b] = await Promise.all(["a", "b"].map((name) => serve(context, argsOf(name))));
  const { table, store } = await worker(context, `ember://127.0.0.1:${port}`, "w");
  await table.push(keys, new Float32Array(2 * n).fill(1));
  assert.equal(new Set(await table.pull(keys)), new Set([-1]));
  const rowsOf = async (at: number) =>
    (await get(`127.0.0.1:${at}`, "/status")).body.shards.reduce(
      (sum, { store }) => sum + store!.tables.reduce((all, { rows }) => all + rows, 0),
      0,
    );
  const [onA, onB] = [await rowsOf(port), await rowsOf(port + 3)];
  assert.is(onA + onB, n);
  assert.ok(onA > n / 4 && onB > n / 4, `${onA} and ${onB} rows`);
  assert.equal(
    (await get(`127.0.0.1:${port}`, "/status")).body.nodes.map(({ name }) => name),
    ["a", "b"],
  );
  await store.close();
  for (const node of [a, b]) assert.is(await node.stop(), 0, node.err);
  writeFileSync(file, JSON.stringify({ nodes: [...nodes, { name: "c", host: "127.0.0.1", port: 9999 }] }));
  const refused = new NodeProcess(argsOf("a"));
  context.nodes.push(refused);
  assert.is(await refused.ended(), 1);
  assert.match(refused.err, /^error UNSUPPORTED: .*placed by another cluster file/);
  const alone = new NodeProcess([
    "--dir",
    join(context.directory, "a"),
    "--listen",
    "127.0.0.1:0",
    "--no-supervise",
  ]);
  context.nodes.push(alone);
  assert.is(await alone.ended(), 1);
  assert.match(alone.err, /^error UNSUPPORTED: .*serve it with its cluster file/);
});

test.run();
