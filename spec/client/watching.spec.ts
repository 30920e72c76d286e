// Listening to rows that nodes evict, over connections that come and go.
import * as assert from "uvu/assert";
import type { EvictedRows, Table } from "../../lib/index.js";
import { client, clientSuite, keys, ones, served, until } from "./client-suite.js";

const test = clientSuite("watching");

function heard(table: Table): { rows: EvictedRows[]; end: () => void; keys(): bigint[] } {
  const rows: EvictedRows[] = [];
  const end = table.onEvicted((batch) => void rows.push(batch));
  return { rows, end, keys: () => rows.flatMap((batch) => [...batch.keys]).sort() };
}

const sorted = (some: Iterable<bigint>) => [...some].sort();

test("all who listen hear from all shards, until they stop", async (context) => {
  await served(context, 4);
  const { table } = await client(context);
  const { table: elsewhere } = await client(context);
  const [a, b, c] = [heard(table), heard(table), heard(elsewhere)];
  await table.push(keys, ones);
  // Another client's subscription is not ordered with this one's calls, but for its own.
  await elsewhere.contains(keys);
  assert.is(await table.evict({ belowFrequency: 9 }), keys.length);
  assert.equal(a.keys(), sorted(keys));
  assert.equal(b.keys(), sorted(keys));
  await until(() => c.keys().length === keys.length);
  b.end();
  b.end();
  await table.push(keys.subarray(0, 10), ones.subarray(0, 40));
  await table.evict({ belowFrequency: 9 });
  assert.is(a.keys().length, keys.length + 10);
  assert.is(b.keys().length, keys.length);
  a.end();
  c.end();
});

test("a connection that ends is listened on again, and what went meanwhile is not heard", async (context) => {
  const cluster = await served(context, 2);
  const { table } = await client(context);
  const { table: other } = await client(context);
  const { rows, keys: told, end } = heard(table);
  await table.push(keys, ones);
  await table.contains(keys);
  const connected = () => context.told.connections.filter(({ open }) => open).length;
  await cluster.kill(1);
  await until(() => context.told.retries.some(({ peer }) => peer.includes("shard 1")));
  const before = connected();
  await cluster.restart(1);
  await until(() => connected() > before);
  await table.contains(keys);
  assert.is(await other.evict({ belowFrequency: 9 }), keys.length);
  await until(() => told().length === keys.length);
  assert.equal(told(), sorted(keys));
  assert.ok(rows.every(({ missed }) => missed === undefined));
  // Who stops while there is no connection does not come back.
  await cluster.kill(1);
  end();
  await cluster.restart(1);
  await other.push(keys, ones);
  await other.evict({ belowFrequency: 9 });
  assert.is(told().length, keys.length);
});

test("a listener of a table that is dropped hears nothing more, and nothing fails", async (context) => {
  await served(context, 2);
  const { store, table } = await client(context);
  const { rows } = heard(table);
  await store.dropTable("items");
  const { table: again } = await client(context);
  await again.push(keys, ones);
  await again.evict({ belowFrequency: 9 });
  assert.equal(rows, []);
  await store.close();
  assert.throws(() => table.onEvicted(() => {}));
});

test.run();
