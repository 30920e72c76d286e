// Pulls that come as less than float32 are those that come as float32, rounded: to the bit, on one shard and on eight.
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { adagrad, type Store, sgd, type Table, uniform } from "../../lib/index.js";
import type { NarrowType } from "../../lib/shard/narrow.js";
import { narrowTypes, through, unstableRow } from "../laws/narrow.js";
import { codeOf, randomFloats, randomKeys, same } from "../laws/twin.js";
import { openBoth } from "./exact-and-rounded.js";
import { ServedCluster } from "./served-cluster.js";

const all = suite("narrow transfer");
const optimizer = adagrad({ learningRate: 0.1 });
const initializer = uniform(-1e5, 1e5);

for (const [shards, type] of [1, 8].flatMap((n) => narrowTypes.map((type) => [n, type] as const))) {
  const test = (name: string, work: () => Promise<void>) => all(`${type}, ${shards} shards: ${name}`, work);

  test("rounded rows, state as it is, whatever is stored and asked", async () => {
    const random = new Prng(shards);
    const { exact, rounded, end } = await openBoth(shards, { transfer: type });
    for (const [storage, dim] of [
      ["f32", 64],
      ["f32", 7],
      ["f16", 7],
      ["bf16", 1],
      ["int8", 16],
    ] as const) {
      const name = `${storage}-${dim}`;
      const there = await exact.table(name, { dim, optimizer, initializer, storage });
      const here = await rounded.table(name);
      const keys = BigUint64Array.from({ length: 1000 }, (_, i) => BigInt(2 * i));
      await here.push(keys, randomFloats(random, keys.length * dim));
      // Few keys, of which many repeat; many, of which none does; one; and none.
      for (const asked of [
        randomKeys(random, 1500, 450),
        keys.map((key) => key + (key % 3n)),
        keys.slice(9, 10),
        new BigUint64Array(0),
      ]) {
        await compare(type, there, here, asked, undefined);
        await compare(type, there, here, asked, -1e-7);
      }
    }
    await end();
  });

  test("several tables, counters and creation", async () => {
    const random = new Prng(10 + shards);
    const { exact, rounded, end } = await openBoth(shards, { transfer: type });
    const counters = { names: ["show", "click"], decay: 0.5 };
    const stores = [exact, rounded];
    const [there, here] = await Promise.all(
      stores.map(async (store) => [
        await store.table("a", { dim: 3, optimizer, initializer, counters }),
        await store.table("b", { dim: 16, optimizer, initializer }),
      ]),
    );
    const keys = randomKeys(random, 2000, 5000);
    const columns = { show: new Float32Array(2000).fill(2), click: new Float32Array(2000).fill(1) };
    await here[0].push(keys, randomFloats(random, 6000), { counters: columns });
    await here[1].pull(keys.subarray(0, 500), { create: true });
    const [a, b] = await Promise.all(stores.map((store, i) => pullBoth(store, [there, here][i], keys)));
    same(b.rows[0], through(type, a.rows[0], 3), "first table");
    same(b.rows[1], through(type, a.rows[1], 16), "second table");
    same(b.show, a.show, "show");
    same(b.click, a.click, "click");
    await end();
  });

  test("a map that changes meanwhile", async () => {
    const { cluster, exact, rounded, end } = await openBoth(shards, { transfer: type });
    const options = { dim: 20, optimizer, initializer };
    const [there, here] = [await exact.table("t", options), await rounded.table("t")];
    const keys = randomKeys(new Prng(5), 9000, 1 << 30);
    const expected = through(type, await there.pull(keys), 20);
    for (let epoch = 2; epoch < 5; epoch++) {
      cluster.setMap({ ...cluster.map, epoch });
      same(await here.pull(keys), expected, `epoch ${epoch}`);
    }
    await end();
  });

  test("rows that are stored so come as they are stored", async () => {
    const { exact, rounded, end } = await openBoth(shards, { transfer: type });
    for (const rounding of ["nearest", "stochastic"] as const) {
      const options = { dim: 9, optimizer, initializer, storage: type, rounding };
      const [there, here] = [await exact.table(rounding, options), await rounded.table(rounding)];
      const keys = BigUint64Array.from({ length: 500 }, (_, i) => BigInt(i));
      await here.push(keys, randomFloats(new Prng(6), 9 * 500));
      await here.assign(keys.subarray(0, 1), unstableRow(9));
      // Rows that there are, and as many that there are not.
      const asked = BigUint64Array.from({ length: 1000 }, (_, i) => BigInt(i));
      same(await here.pull(asked), await there.pull(asked), rounding);
    }
    await end();
  });
}

const beyond = {
  f16: { row: [65504, 65504, -65504, 0, 1, 1 + 2 ** -9, -0, 2 * 2 ** -24], endless: [Infinity, -1, 65504] },
  bf16: {
    row: [65536, 65536, -(2 - 54 * 2 ** -7) * 2 ** 99, 2 ** -26, 1, 1, -0, 1.0011717677116394e-7],
    endless: [Infinity, -1, (2 - 2 ** -7) * 2 ** 127],
  },
  int8: { row: [0, 0, -1e30, 0, 0, 0, 0, 0], endless: [Number.NaN, Number.NaN, Number.NaN] },
} as const;

all(
  "what is beyond a type stays finite, and what is not finite stays what it is, but in a row of int8",
  async () => {
    const row = Float32Array.of(65504, 65520, -1e30, 2 ** -26, 1 + 2 ** -11, 1 + 3 * 2 ** -11, -0, 1e-7);
    const key = BigUint64Array.of(1n);
    for (const type of narrowTypes) {
      const { exact, rounded, end } = await openBoth(1, { transfer: type });
      await exact.table("t", { dim: 8, optimizer });
      const table = await rounded.table("t");
      await table.assign(key, row);
      same(await table.pull(key), Float32Array.from(beyond[type].row), type);
      const wild = await rounded.table("wild", { dim: 3, optimizer: sgd({ learningRate: 1 }) });
      await wild.push(key, Float32Array.of(-3e38, 1, -1.7e38));
      await wild.push(key, Float32Array.of(-3e38, 0, -1.7e38));
      same(await wild.pull(key), Float32Array.from(beyond[type].endless), `${type}: without end`);
      await end();
    }
  },
);

all("tensors are exact unless their transfer is chosen, too", async () => {
  const { cluster, exact, rounded, end } = await openBoth(8, { transfer: "f16" });
  const values = randomFloats(new Prng(3), 10_000);
  const tensor = await exact.tensor("w", { shape: [100, 100], block: 50, optimizer });
  await tensor.assign(values);
  same(await (await rounded.tensor("w")).pull(), values, "tensor");
  for (const type of narrowTypes) {
    const narrow = await cluster.connect({ tensorTransfer: type });
    same(await (await narrow.tensor("w")).pull(), through(type, values, 50), `tensor as ${type}`);
    await narrow.close();
  }
  await end();
});

all("a transfer that there is not is refused", async () => {
  const cluster = await ServedCluster.open(1);
  for (const options of [{ transfer: "f64" }, { tensorTransfer: 16 }])
    assert.is(await codeOf(() => cluster.connect(options as object)), "INVALID_OPTIONS");
  await cluster.stop();
});

async function compare(
  type: NarrowType,
  there: Table,
  here: Table,
  keys: BigUint64Array,
  fallback: number | undefined,
): Promise<void> {
  const [expected, found] = [there, here].map((table) => ({
    state: new Float32Array(keys.length * table.stateFloats),
    found: new Uint8Array(keys.length),
    ...(fallback !== undefined && { default: fallback }),
  }));
  const rows = through(type, await there.pull(keys, expected), there.dim);
  const said = `${there.name}, ${keys.length} keys, default ${fallback}`;
  same(await here.pull(keys, found), rows, said);
  same(found.state, expected.state, `${said}: state`);
  same(found.found, expected.found, `${said}: found`);
  same(
    await here.pull(keys, fallback === undefined ? {} : { default: fallback }),
    rows,
    `${said}, rows alone`,
  );
}

async function pullBoth(store: Store, [a, b]: readonly Table[], keys: BigUint64Array) {
  const columns = { show: new Float32Array(keys.length), click: new Float32Array(keys.length) };
  const rows = [await a.pull(keys, { counters: columns }), new Float32Array(0)];
  const together = await store.pull([
    { table: a, keys },
    { table: b, keys },
  ]);
  same(together[0], rows[0], "alone and together");
  rows[1] = together[1];
  return { rows, ...columns };
}

all.run();
