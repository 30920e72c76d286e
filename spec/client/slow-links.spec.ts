// What all shards do at one instant over links on which every message takes long.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { cluster, connected, openTable, outcome, push } from "./virtual-cluster.js";

test("a version is made where shards stand still for longer than they wait in silence", async () => {
  const { world, nodes, process } = cluster();
  for (const node of nodes) node.start();
  const table = await openTable(world, process);
  await outcome(world, push(world, table));
  const store = await outcome(world, connected(world, process, { session: 2n }));
  if (store.value instanceof Error) throw store.value;
  for (const name of world.names) world.network.setFaults({ delayMs: [600, 600] }, "w", name);
  const made = world.versions.making("v");
  const { value, ms } = await outcome(world, store.value.checkpoint({ version: "v" }));
  if (value instanceof Error) throw value;
  made();
  assert.is(value.version?.name, "v");
  // From the first shard's standing still to its word to go on there are two messages to it, at least.
  assert.ok(ms > 2400, `${ms} ms`);
});

test.run();
