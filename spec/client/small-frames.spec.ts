// Whatever nodes take in one frame: calls are cut to fit it, do what they do in a store of this process, and nothing is sent twice.
import * as assert from "uvu/assert";
import type { CounterColumns } from "../../lib/api/counter-columns.js";
import { Prng } from "../../lib/base/prng.js";
import {
  adagrad,
  type ConnectOptions,
  type Store,
  sgd,
  type Table,
  uniform,
  zeros,
} from "../../lib/index.js";
import { hashKey } from "../../lib/kernel/oracle/hash.js";
import { MemoryDisk } from "../embedded/memory-store.js";
import { randomFloats, randomKeys, same } from "../laws/twin.js";
import { type ClientContext, clientSuite, served } from "./client-suite.js";
import { ServedCluster } from "./served-cluster.js";

const test = clientSuite("small frames");
const kib = 1024;

/** A client of nodes that take frames of so many bytes. */
async function connected(
  context: ClientContext,
  shards: number,
  frameBytes: number,
  options: ConnectOptions = {},
): Promise<Store> {
  const cluster = await served(context, shards, { frameBytes });
  const store = await cluster.connect({ deadlineMs: 20_000, ...options });
  context.stores.push(store);
  return store;
}

async function embedded(context: ClientContext): Promise<Store> {
  const store = await new MemoryDisk(1).open();
  context.stores.push(store);
  return store;
}

/** Every message was taken, and every request was answered at once. */
function assertAllTaken({ cluster, told }: ClientContext): void {
  assert.equal(told.retries, []);
  assert.equal(
    told.connections.filter(({ open }) => !open),
    [],
  );
  for (const { counts } of cluster.services) {
    assert.equal(counts.refused, {});
    assert.is(counts.repeated, 0);
  }
}

/** What a table has of keys: rows, state, counters, and how often they were pushed. */
async function contentOf(table: Table, keys: BigUint64Array): Promise<Record<string, ArrayLike<number>>> {
  const n = keys.length;
  const state = new Float32Array(n * table.stateFloats);
  const found = new Uint8Array(n);
  const names = table.options.counters?.names ?? [];
  const counters: CounterColumns = Object.fromEntries(names.map((name) => [name, new Float32Array(n)]));
  const rows = await table.pull(keys, { state, found, ...(names.length > 0 && { counters }) });
  return {
    rows,
    state,
    found,
    ...counters,
    contains: await table.contains(keys),
    occurrences: await table.occurrences(keys),
  };
}

async function assertAlike(there: Table, here: Table, keys: BigUint64Array, what: string): Promise<void> {
  const expected = await contentOf(there, keys);
  for (const [name, column] of Object.entries(await contentOf(here, keys)))
    same(column as Float32Array, expected[name] as Float32Array, `${what}: ${name}`);
}

const cases = [
  { frameBytes: 64 * kib, dim: 3, n: 20_000 },
  { frameBytes: 64 * kib, dim: 1024, n: 700 },
  { frameBytes: 64 * kib, dim: 4096, n: 150 },
  { frameBytes: 256 * kib, dim: 1024, n: 700 },
  { frameBytes: 100_000, dim: 600, n: 500 },
];

for (const shards of [1, 3])
  for (const { frameBytes, dim, n } of cases)
    test(`${shards} shards, ${frameBytes} bytes, dim ${dim}, ${n} keys: all that has keys or rows`, async (context) => {
      const store = await connected(context, shards, frameBytes);
      const local = await embedded(context);
      const random = new Prng(dim);
      const options = {
        dim,
        optimizer: adagrad({ learningRate: 0.1 }),
        initializer: uniform(-1, 1),
        counters: { names: ["show", "click"] },
        seed: 7n,
      };
      const [there, here] = [await local.table("a", options), await store.table("a", options)];
      const both = async <T>(work: (table: Table) => Promise<T>) => {
        const expected = await work(there);
        assert.equal(await work(here), expected);
      };
      const keys = randomKeys(random, n, 1 << 30);
      const many = BigUint64Array.from({ length: n }, (_, i) => keys[(i * i) % n]);
      const all = BigUint64Array.of(...keys.subarray(0, Math.ceil(n / 2)), 1n << 40n);
      const [show, click] = [1, 2].map((width) =>
        randomFloats(random, n).map((one) => width * Math.abs(one)),
      );
      const gradients = randomFloats(random, n * dim);
      const mark = new Uint8Array(4096).fill(9);
      await both((table) => table.push(keys, gradients, { step: 3, mark }));
      await both((table) => table.push(many, gradients, { step: 4, counters: { show, click } }));
      await assertAlike(there, here, keys, "pushed");
      const state = randomFloats(random, n * there.stateFloats).map(Math.abs);
      const frequency = new Uint32Array(n).fill(5);
      const lastStep = new Uint32Array(n).fill(4);
      await both((table) =>
        table.assign(keys, gradients, { state, frequency, lastStep, counters: { show, click } }),
      );
      await assertAlike(there, here, keys, "assigned");
      await both((table) => table.delete(all, { mark }));
      await assertAlike(there, here, keys, "deleted");
      await both(async (table) => void (await table.pull(keys, { create: true })));
      await assertAlike(there, here, keys, "created");
      await here.prefetch(keys);
      let rows = 0;
      for await (const batch of here.scan({ batch: n })) rows += batch.keys.length;
      assert.is(rows, new Set(keys).size);
      assertAllTaken(context);
    });

for (const shards of [1, 3])
  test(`${shards} shards: more questions about keys than one frame takes`, async (context) => {
    const store = await connected(context, shards, 64 * kib);
    const table = await store.table("a", { dim: 1, optimizer: sgd({ learningRate: 1 }), memory: 1 << 20 });
    const keys = BigUint64Array.from({ length: 100_000 }, (_, i) => BigInt(i));
    await table.push(keys.subarray(0, 50_000), new Float32Array(50_000));
    const expected = Array.from(keys, (_, i) => (i < 50_000 ? 1 : 0));
    assert.equal([...(await table.contains(keys))], expected);
    assert.equal([...(await table.occurrences(keys))], expected);
    await table.prefetch(keys);
    assertAllTaken(context);
  });

for (const shards of [1, 3])
  test(`${shards} shards: 26 tables at once`, async (context) => {
    context.cluster = await ServedCluster.open(shards, { arenaBytes: 128 << 20 }, { frameBytes: 64 * kib });
    const store = await context.cluster.connect();
    context.stores.push(store);
    const dim = 32;
    const tables: Table[] = [];
    for (let i = 0; i < 26; i++)
      tables.push(await store.table(`t${i}`, { dim, optimizer: sgd({ learningRate: 1 }), seed: 1n }));
    const keys = BigUint64Array.from({ length: 300 }, (_, i) => BigInt(i));
    const gradients = new Float32Array(keys.length * dim).fill(-1);
    const reads = tables.map((table) => ({ table, keys }));
    const before = await store.pull(reads);
    const mark = new Uint8Array(4096);
    await store.push(
      tables.map((table) => ({ table, keys, gradients })),
      { mark },
    );
    (await store.pull(reads)).forEach((rows, i) => {
      same(
        rows,
        before[i].map((weight) => weight + 1),
        `table ${i}`,
      );
    });
    assertAllTaken(context);
  });

for (const gradients of ["f16", "bf16"] as const)
  test(`gradients as ${gradients}, and weights as int8`, async (context) => {
    const store = await connected(context, 3, 64 * kib, { gradients, transfer: "int8" });
    for (const dim of [1, 1023, 4096]) {
      const table = await store.table(`a${dim}`, { dim, optimizer: sgd({ learningRate: 1 }) });
      const n = dim === 1 ? 20_000 : 400;
      const keys = BigUint64Array.from({ length: n }, (_, i) => BigInt(i));
      await table.push(keys, new Float32Array(n * dim).fill(-1));
      assert.ok((await table.pull(keys)).every((weight) => weight > 0.5));
      assert.ok((await table.occurrences(keys)).every((count) => count === 1));
    }
    assertAllTaken(context);
  });

test("a tensor, whole and by range", async (context) => {
  const store = await connected(context, 3, 64 * kib);
  const tensor = await store.tensor("w", { shape: [300, 4096], optimizer: sgd({ learningRate: 1 }) });
  const values = Float32Array.from({ length: tensor.length }, (_, i) => i % 1000);
  await tensor.assign(values);
  await tensor.push(new Float32Array(100 * 4096).fill(-1), { from: 50 * 4096, to: 150 * 4096 });
  const found = await tensor.pull();
  same(
    found,
    values.map((value, i) => (i >= 50 * 4096 && i < 150 * 4096 ? value + 1 : value)),
    "tensor",
  );
  assertAllTaken(context);
});

/** Keys that are all of one slot of a table. */
function keysOfOneSlot(table: Table, n: number): BigUint64Array {
  const placement = BigInt(table.options.placement);
  const slotOf = (key: bigint) => hashKey(key, placement) >> 50n;
  const keys: bigint[] = [];
  for (let key = 1n; keys.length < n; key++) if (slotOf(key) === slotOf(1n)) keys.push(key);
  return BigUint64Array.from(keys);
}

for (const shards of [1, 3])
  test(`${shards} shards: rows of one slot that are more than a frame takes go in several, each once`, async (context) => {
    const store = await connected(context, shards, 64 * kib);
    const dim = 4096;
    const options = { dim, optimizer: adagrad({ learningRate: 0.1 }), seed: 1n, ack: "os" as const };
    const table = await store.table("a", options);
    const other = await store.table("b", { ...options, seed: 1n });
    const keys = keysOfOneSlot(table, 10);
    const local = await embedded(context);
    const there = await local.table("a", options);
    const ones = new Float32Array(keys.length * dim).fill(1);
    // All of them at once: what follows comes after all frames of what goes before.
    const pushes: Promise<void>[] = [];
    for (let i = 0; i < 6; i++) {
      const gradients = ones.map((one) => one * (1 + i));
      pushes.push(
        i % 2
          ? table.push(keys, gradients)
          : store.push([
              { table, keys, gradients },
              { table: other, keys, gradients },
            ]),
      );
      await there.push(keys, gradients);
    }
    await Promise.all(pushes);
    await assertAlike(there, table, keys, "pushed");
    assert.equal([...(await other.occurrences(keys))], Array(10).fill(3));
    assert.is(await table.delete(keys), 10);
    assertAllTaken(context);
  });

test("they are applied once though nodes are killed, messages lost, and the map changes meanwhile", async (context) => {
  const cluster = await served(context, 2, { frameBytes: 64 * kib });
  const store = await cluster.connect();
  context.stores.push(store);
  const dim = 4096;
  const table = await store.table("a", {
    dim,
    optimizer: adagrad({ learningRate: 0.1 }),
    initializer: zeros(),
    ack: "os",
  });
  const few = keysOfOneSlot(table, 10);
  const keys = BigUint64Array.of(
    ...few,
    ...BigUint64Array.from({ length: 60 }, (_, i) => BigInt(i) + (1n << 40n)),
  );
  let pushes = 0;
  for (let round = 0; round < 4; round++) {
    cluster.network.setFaults({ cut: 0.05 }, "node", "client");
    const underWay = Array.from({ length: 4 }, () =>
      table.push(keys, new Float32Array(keys.length * dim).fill(1 + (pushes++ % 3))),
    );
    await cluster.killAndRestart(round % 2);
    cluster.setMap({ ...cluster.map, epoch: 10 + round });
    cluster.network.setFaults({ cut: 0 }, "node", "client");
    await Promise.all(underWay);
  }
  assert.equal(new Set(await table.occurrences(keys)), new Set([pushes]));
  // Adagrad's rows depend on the order: all of them have seen the same gradients in the same one.
  const found = await table.pull(keys);
  const first = found.subarray(0, dim);
  for (let row = 1; row < keys.length; row++)
    same(found.subarray(row * dim, (row + 1) * dim), first, `row ${row}`);
});

test("what no frame takes is TOO_LARGE, and nothing was sent", async (context) => {
  const store = await connected(context, 1, 64 * kib);
  await store.table("a", { dim: 1, optimizer: sgd({ learningRate: 1 }) });
  const tables = Array.from({ length: 1000 }, (_, i) => `${i}`.padStart(128, "n"));
  let error: { code?: string; message?: string } = {};
  try {
    for await (const _ of store.changes({ since: "v", tables })) void _;
  } catch (caught) {
    error = caught as typeof error;
  }
  assert.is(error.code, "TOO_LARGE", error.message);
  assert.match(error.message!, /the node takes 65536: .*--frame-bytes/);
  assertAllTaken(context);
});

test.run();
