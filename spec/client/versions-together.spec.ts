// Versions over several shards: of one instant, whole or not at all.
import * as assert from "uvu/assert";
import { type Store, sgd, type Table } from "../../lib/index.js";
import { codeOf, keysOfNumbers } from "../laws/twin.js";
import { type ClientContext, client, clientSuite, keys, ones, served, until } from "./client-suite.js";

const test = clientSuite("versions together");

/** For each writer a key of each shard. */
async function keysByShard({ cluster }: ClientContext, table: Table, writers: number): Promise<bigint[][]> {
  await table.assign(keys, new Float32Array(keys.length));
  const byShard = cluster.services.map(({ shard }) => {
    const found = new Uint8Array(keys.length);
    shard.contains(shard.tables.get(table.name)!, keys, found);
    return keys.filter((_, i) => found[i] === 1);
  });
  await table.delete(keys);
  return Array.from({ length: writers }, (_, writer) => byShard.map((own) => own[writer]));
}

const names = async (store: Store) =>
  (await store.versions()).map(({ name, damage }) => `${name}${damage === undefined ? "" : " damaged"}`);

test("what was written after something else is not in a version without it", async (context) => {
  await served(context, 3);
  const { store } = await client(context);
  const writer = await context.cluster.connect({}, "writer");
  context.stores.push(writer);
  const { store: reader } = await client(context);
  const made = await store.table("steps", { dim: 1, optimizer: sgd({ learningRate: 1 }), logged: false });
  const all = await keysByShard(context, made, 4);
  let writing = true;
  const steps = await writer.table("steps");
  // Each writes to the first shard, then to the second, and so on, again and again.
  const work = all.map(async (own) => {
    for (let i = 0; writing; i++) await steps.push(keysOfNumbers(own[i % own.length]), Float32Array.of(-1));
  });
  const demandPrefix = async (table: Table) => {
    const values = [...(await table.pull(BigUint64Array.from(all.flat())))];
    for (const [i, own] of all.entries()) {
      const counts = values.slice(i * own.length, (i + 1) * own.length);
      const first = counts[0];
      assert.ok(
        counts.every((count, at) => (at === 0 || count <= counts[at - 1]) && first - count <= 1),
        `writer ${i}: ${counts}`,
      );
    }
    return values.reduce((sum, value) => sum + value, 0);
  };
  let before = -1;
  // What shards are told comes to each at its own time.
  context.cluster.network.setFaults({ delayMs: [0, 150] }, "client", "node");
  try {
    for (let i = 0; i < 3; i++) {
      await store.checkpoint({ version: `v${i}` });
      const version = await reader.openVersion(`v${i}`);
      const now = await demandPrefix(await version.table("steps"));
      assert.ok(now > before, "the writers go on");
      before = now;
      await version.close();
    }
  } finally {
    writing = false;
    await Promise.all(work);
  }
  context.cluster.network.setFaults({ delayMs: [0, 0] }, "client", "node");
  assert.equal(await names(store), ["v0", "v1", "v2"]);
  await store.rollback("v1");
  await demandPrefix(steps);
  const info = await store.checkpoint({ version: "last", keep: 2 });
  assert.equal(info.version?.deleted, ["v0", "v1"]);
  assert.equal(await names(store), ["v2", "last"]);
});

test("a version that a shard has no part of is not read, and makes room for another", async (context) => {
  const cluster = await served(context, 2);
  const { store, table } = await client(context);
  await table.push(keys, ones);
  await store.checkpoint({ version: "v" });
  await cluster.services[1].shard.versions.delete("v");
  assert.equal(await names(store), ["v damaged"]);
  for (const use of [
    () => store.openVersion("v"),
    () => store.rollback("v"),
    () => store.diff("v"),
    async () => {
      for await (const batch of store.changes({ since: "v" })) assert.unreachable(batch.table);
    },
  ])
    assert.is(await codeOf(use), "CORRUPT");
  await store.checkpoint({ version: "v" });
  assert.equal(await names(store), ["v"]);
  // A part of another version, by its name.
  await cluster.services[1].shard.versions.delete("v");
  await cluster.services[1].shard.checkpoint({}, { name: "v", note: "" });
  assert.equal(await names(store), ["v damaged"]);
  await store.deleteVersion("v");
  assert.equal(await names(store), []);
  assert.is(await codeOf(() => store.deleteVersion("v")), "VERSION_NOT_FOUND");
});

test("parts of two versions of one name are not compared", async (context) => {
  const cluster = await served(context, 2);
  const { store, table } = await client(context);
  const { store: other } = await client(context);
  const { versions } = cluster.services[1].shard;
  const remake = async () => {
    await other.deleteVersion("v");
    await table.push(keys, ones);
    await other.checkpoint({ version: "v" });
  };
  await store.checkpoint({ version: "v" });
  await table.push(keys, ones);
  await store.checkpoint({ version: "w" });
  const added = async () => (await store.diff("v", "w")).tables[0].added;
  assert.is(await added(), keys.length);

  const { diff, changes } = versions;
  for (const to of ["w", undefined]) {
    versions.diff = async (...asked) => {
      versions.diff = diff;
      if (to !== undefined) await remake();
      const found = await diff.apply(versions, asked);
      // While the live states of shards are taken no version is made.
      if (to === undefined) await remake();
      return found;
    };
    assert.is(await codeOf(() => store.diff("v", to)), "ABORTED");
  }
  assert.is(await added(), 0, "v was made anew, of the same rows");

  versions.changes = async function* (asked) {
    versions.changes = changes;
    await remake();
    yield* changes.call(versions, asked);
  };
  const all = async () => {
    let rows = 0;
    for await (const { keys: changed } of store.changes({ since: "v", until: "w" })) rows += changed.length;
    return rows;
  };
  assert.is(await codeOf(all), "ABORTED");
  assert.is(await all(), keys.length, "rows of v were pushed to since");
});

test("a shard that is killed meanwhile leaves no version, the others go on, and it can be made again", async (context) => {
  const cluster = await served(context, 3);
  const { store, table } = await client(context);
  await table.push(keys, ones);
  for (const number of [0, 2]) {
    const making = codeOf(() => store.checkpoint({ version: "v" }));
    await until(() => cluster.services[number].shard.state.draining);
    await cluster.kill(number);
    assert.is(await making, "UNAVAILABLE");
    await cluster.restart(number);
    await table.push(keys, ones);
    assert.not.ok((await names(store)).includes("v"));
    await store.checkpoint({ version: "v" });
    assert.equal(await names(store), ["v"]);
    await store.deleteVersion("v");
  }
});

test("who aborts, or is gone, lets writes go on, and leaves no version", async (context) => {
  const cluster = await served(context, 2);
  const { store, table } = await client(context);
  const { store: other } = await client(context);
  await table.push(keys, ones);
  const abort = new AbortController();
  const aborted = codeOf(() => store.checkpoint({ version: "v", signal: abort.signal }));
  await until(() => cluster.services[1].shard.state.draining);
  abort.abort();
  assert.is(await aborted, "ABORTED");
  const left = codeOf(() => other.checkpoint({ version: "w" }));
  await until(() => cluster.services[0].shard.state.draining);
  await other.close();
  assert.ok(await left);
  await table.push(keys, ones);
  assert.not.ok((await names(store)).some((name) => !name.includes("damaged")));
  await Promise.all([store.checkpoint({ version: "a" }), store.checkpoint({ version: "b" })]);
  assert.equal((await names(store)).filter((name) => !name.includes("damaged")).sort(), ["a", "b"]);
});

test("what is compared with the live state is no version, and is let go when its client is gone", async (context) => {
  const cluster = await served(context, 2);
  const { store, table } = await client(context);
  const goner = await cluster.connect({}, "goner");
  context.stores.push(goner);
  await table.push(keys, ones);
  await store.checkpoint({ version: "v" });
  await table.push(keys, ones);
  const { tables } = await goner.diff("v");
  assert.equal(
    tables.map(({ changed }) => changed),
    [keys.length],
  );
  const states = cluster.services.map(({ shard }) => shard.state);
  const held = () => states.map(({ readers }) => readers.size > 0);
  assert.equal(held(), [false, false]);
  const reading = goner.changes({ since: "v", batch: 16 })[Symbol.asyncIterator]();
  assert.is((await reading.next()).value?.keys.length, 16);
  assert.equal(held(), [true, true]);
  assert.equal(await names(store), ["v"]);
  cluster.network.cutAll("node", "goner");
  await until(() => held().every((one) => !one));
  // Who stops early lets it go, too.
  const again = store.changes({ since: "v", batch: 16 })[Symbol.asyncIterator]();
  await again.next();
  assert.equal(held(), [true, true]);
  await again.return?.();
  await until(() => held().every((one) => !one));
});

test("of what came to nothing only what others left goes when the version is made", async (context) => {
  const cluster = await served(context, 2);
  const { store, table } = await client(context);
  await table.push(keys, ones);
  // The first shard has none: somebody was killed before it was written there.
  const companion = { begun() {}, async ready() {}, async still() {}, async written() {} };
  await cluster.services[1].shard.checkpoint({}, { name: "v", note: "", cut: "5", companion });
  assert.equal(await names(store), ["v damaged"]);
  const deletes = codeOf(() => cluster.services[1].shard.versions.delete("v", "7"));
  assert.is(await deletes, "VERSION_NOT_FOUND");
  await store.checkpoint({ version: "v" });
  assert.equal(await names(store), ["v"]);
});

test("what was left of a version goes late: not what another has made meanwhile", async (context) => {
  const cluster = await served(context, 2);
  const late = await cluster.connect({}, "late");
  context.stores.push(late);
  const { store, table } = await client(context);
  await table.push(keys, ones);
  const companion = { begun() {}, async ready() {}, async still() {}, async written() {} };
  await cluster.services[1].shard.checkpoint({}, { name: "v", note: "", cut: "5", companion });
  const { shard } = cluster.services[0];
  const { checkpoint } = shard;
  let begun = false;
  shard.checkpoint = (options, version) => {
    // From now on what it sends is under way.
    cluster.network.setFaults({ blackHole: true }, "late", "node");
    begun = true;
    return checkpoint.call(shard, options, version);
  };
  const making = codeOf(() => late.checkpoint({ version: "v" }));
  await until(() => begun);
  shard.checkpoint = checkpoint;
  await cluster.kill(0);
  await cluster.restart(0);
  await store.checkpoint({ version: "v" });
  assert.equal(await names(store), ["v"]);
  cluster.network.setFaults({ blackHole: false }, "late", "node");
  assert.is(await making, "ABORTED");
  assert.equal(await names(store), ["v"]);
});

test.run();
