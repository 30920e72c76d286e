// Sessions that clients give themselves: of two with one name one goes on.
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Clock, wakefulClock } from "../../lib/base/clock.js";
import { Prng } from "../../lib/base/prng.js";
import { connectIn } from "../../lib/client/open-client.js";
import { adagrad, type EmbershardError, type Store, type Table } from "../../lib/index.js";
import { dim, errorOf, keys, ones } from "./client-suite.js";
import { ServedCluster } from "./served-cluster.js";

const test = suite<{ cluster: ServedCluster; stores: Store[] }>("sessions");
test.before.each(async (context) => {
  context.cluster = await ServedCluster.open(1);
  context.stores = [];
});
test.after.each(async ({ cluster, stores }) => {
  await Promise.all(stores.map((store) => store.close()));
  await cluster.stop();
  assert.equal(cluster.failures, []);
});

test("a worker that is connected is not forgotten, however long it is silent; one that is gone is", async () => {
  const cluster = await ServedCluster.open(2, { workerExpiryMs: 1000 });
  const store = await cluster.connect({ worker: "w" });
  const gone = await cluster.connect({ worker: "gone" });
  const [items] = await Promise.all(
    [store, gone].map(async (one) => {
      const table = await one.table("items", { dim, optimizer: adagrad({ learningRate: 0.1 }) });
      await table.push(keys, ones);
      return table;
    }),
  );
  await gone.close();
  const known = () =>
    cluster.services.map(({ shard }) => [...shard.workers.known.values()].map(({ name }) => name));
  assert.equal(
    known().map((names) => names.sort()),
    [
      ["gone", "w"],
      ["gone", "w"],
    ],
  );
  while (known().flat().includes("gone")) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(known(), [["w"], ["w"]]);
  await items.push(keys, ones);
  assert.equal(new Set(await items.occurrences(keys)), new Set([3]));
  await store.close();
  await cluster.stop();
  assert.equal(cluster.failures, []);
});

const today = 1_800_000_000_000;

/** A client of worker "w", which takes it to be `nowMs`, and its table. */
async function worker(
  { cluster, stores }: { cluster: ServedCluster; stores: Store[] },
  nowMs: number,
  random: () => number,
): Promise<Table> {
  const clock: Clock = { ...wakefulClock, now: () => nowMs };
  const transport = cluster.network.transport("client");
  const world = { transport, clock, random, uniqueName: () => "another" };
  const store = await connectIn(world, "ember://node:7401", { worker: "w" });
  stores.push(store);
  return store.table("items", { dim, optimizer: adagrad({ learningRate: 0.1 }) });
}

/** How many of some pushes, one after another, were acknowledged; the others were FENCED. */
async function acknowledged(table: Table, pushes: number): Promise<number> {
  let count = 0;
  for (let i = 0; i < pushes; i++)
    await table.push(keys, ones).then(
      () => count++,
      ({ code }: EmbershardError) => assert.is(code, "FENCED"),
    );
  return count;
}

for (const seeds of [
  [1, 2],
  [2, 1],
])
  test(`two that connect in the same millisecond, seeds ${seeds}: one is FENCED, acknowledged pushes count`, async (context) => {
    const random = seeds.map((seed) => new Prng(seed));
    const pushed = await Promise.all(
      random.map(async (one) => {
        const table = await worker(context, today, () => one.unit()).catch(({ code }: EmbershardError) => {
          assert.is(code, "FENCED");
        });
        return table ? acknowledged(table, 10) : 0;
      }),
    );
    assert.is(Math.max(...pushed), 10);
    assert.ok(Math.min(...pushed) < 10, `both go on: ${pushed}`);
    const reader = await context.cluster.connect();
    context.stores.push(reader);
    const counts = await (await reader.table("items")).occurrences(keys);
    assert.equal(new Set(counts), new Set([pushed[0] + pushed[1]]));
  });

test("a later one goes on, whatever the random bits; where the clock was set back it is FENCED", async (context) => {
  const first = await worker(context, today, () => 1 - 2 ** -30);
  assert.is(await acknowledged(first, 1), 1);
  const second = await worker(context, today + 1, () => 0);
  assert.is(await acknowledged(second, 1), 1);
  assert.is(await acknowledged(first, 1), 0);
  const back = await errorOf<EmbershardError>(worker(context, today - 3_600_000, () => 0));
  assert.is(back.code, "FENCED", back.stack);
  assert.is(await acknowledged(second, 1), 1);
  assert.equal(new Set(await second.occurrences(keys)), new Set([3]));
});

test.run();
