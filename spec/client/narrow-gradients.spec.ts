// Pushes whose gradients go as binary16 or bfloat16 do what pushes of the rounded sums do: to the bit, on one shard and on eight.
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { adagrad, type Store, sgd, type Table, uniform } from "../../lib/index.js";
import { through } from "../laws/narrow.js";
import { codeOf, randomFloats, randomKeys, same } from "../laws/twin.js";
import { openBoth } from "./exact-and-rounded.js";

const test = suite("narrow gradients");
const initializer = uniform(-1, 1);

const types = ["f16", "bf16"] as const;

for (const [shards, type] of [1, 8].flatMap((n) => types.map((type) => [n, type] as const))) {
  test(`${type}, ${shards} shards: keys that repeat, some or none; counts, counters, several tables`, async () => {
    const random = new Prng(shards);
    const { exact, rounded, end } = await openBoth(shards, { gradients: type });
    for (const dim of [1, 7, 64]) {
      const counters = { names: ["show"] };
      const options = { dim, optimizer: adagrad({ learningRate: 0.1 }), initializer, counters };
      const tables: Record<string, readonly [Table, Table]> = {};
      for (const name of ["a", "b"])
        tables[name] = [
          await exact.table(`exact-${name}-${dim}`, { ...options, seed: 5n }),
          await rounded.table(`narrow-${name}-${dim}`, { ...options, seed: 5n }),
        ];
      for (const [n, among] of [
        [900, 200],
        [1500, 1 << 30],
        [1, 1],
      ]) {
        const keys = randomKeys(random, n, among);
        const gradients = randomFloats(random, n * dim).map((value) => 100 * value);
        const sums = roundedSums(type, keys, gradients, dim);
        const show = new Float32Array(n).fill(2);
        const [there, here] = tables.a;
        await here.push(keys, gradients, { step: n });
        await there.push(keys, sums, { step: n });
        await here.push(keys, gradients, { counters: { show } });
        await there.push(keys, sums, { counters: { show } });
        await rounded.push([
          { table: here, keys, gradients },
          { table: tables.b[1], keys, gradients },
        ]);
        for (const table of [there, tables.b[0]]) await table.push(keys, sums);
        for (const [one, other] of Object.values(tables)) await compare(one, other, keys);
      }
    }
    await end();
  });

  // What goes is as long as binary16 is: once is enough.
  if (type === "bf16") continue;
  test(`${type}, ${shards} shards: a map that changes meanwhile, and frames of more rows than one takes`, async () => {
    const { cluster, exact, rounded, end } = await openBoth(shards, { gradients: type });
    const options = { dim: 64, optimizer: sgd({ learningRate: 1 }), seed: 3n };
    const [there, here] = [await exact.table("exact", options), await rounded.table("narrow", options)];
    const random = new Prng(5);
    const keys = BigUint64Array.from({ length: 40_000 }, (_, i) => BigInt(i));
    for (const epoch of [2, 30]) {
      const gradients = randomFloats(random, keys.length * 64);
      cluster.setMap({ ...cluster.map, epoch });
      await here.push(keys, gradients);
      // As float32, too, each part of a write that is planned anew is applied.
      cluster.setMap({ ...cluster.map, epoch: 10 * epoch });
      await there.push(keys, through(type, gradients, 64));
      await compare(there, here, keys);
    }
    await end();
  });
}

test("half of the bytes; those of tensors, and what is assigned, stay as they are", async () => {
  const { cluster, exact, rounded, end } = await openBoth(1, { gradients: "f16" });
  const options = { dim: 64, optimizer: sgd({ learningRate: 1 }) };
  const keys = BigUint64Array.from({ length: 1000 }, (_, i) => BigInt(i));
  const values = randomFloats(new Prng(1), keys.length * 64);
  const received = async (store: Store) => {
    const table = await store.table("t", options);
    const before = cluster.bytesIn;
    await table.push(keys, values);
    return cluster.bytesIn - before;
  };
  const [whole, half] = [await received(exact), await received(rounded)];
  assert.ok(half < 0.53 * whole, `${half} of ${whole} bytes`);
  const table = await rounded.table("t");
  await table.assign(keys, values);
  same(await table.pull(keys), values, "assigned rows");
  const tensor = await rounded.tensor("w", { shape: [1000], optimizer: sgd({ learningRate: 1 }) });
  await tensor.push(values.subarray(0, 1000));
  same(
    await tensor.pull(),
    values.subarray(0, 1000).map((value) => 0 - value),
    "tensor",
  );
  await end();
});

test("what is not finite is refused, or skipped, as ever; gradients that there are not are refused", async () => {
  const { cluster, rounded, end } = await openBoth(1, { gradients: "f16" });
  const keys = BigUint64Array.of(1n, 2n);
  const bad = Float32Array.of(1, Number.NaN);
  const options = { dim: 1, optimizer: sgd({ learningRate: 1 }) };
  const strict = await rounded.table("strict", { ...options, nonFinite: "refuse" });
  assert.is(await codeOf(() => strict.push(keys, bad)), "NON_FINITE");
  const lenient = await rounded.table("lenient", { ...options, nonFinite: "skip" });
  await lenient.push(keys, bad);
  same(await lenient.contains(keys), Uint8Array.of(1, 0), "kept");
  // What is finite and too large for binary16 becomes its largest number.
  await lenient.assign(keys, new Float32Array(2));
  await lenient.push(keys, Float32Array.of(1e20, -1e6));
  same(await lenient.pull(keys), Float32Array.of(-65504, 65504), "largest");
  assert.is(await codeOf(() => cluster.connect({ gradients: "int8" as "f16" })), "INVALID_OPTIONS");
  await end();
});

/** Gradients whose sums are those of `gradients`, float32 in the order of occurrence, rounded: at a key's first place, else zeros. */
function roundedSums(
  type: (typeof types)[number],
  keys: BigUint64Array,
  gradients: Float32Array,
  dim: number,
): Float32Array {
  const places = new Map<bigint, number>();
  const sums = new Float32Array(gradients.length);
  for (const [i, key] of keys.entries()) {
    const first = places.get(key);
    if (first === undefined) places.set(key, i);
    for (let d = 0; d < dim; d++) {
      const value = gradients[i * dim + d];
      if (first === undefined) sums[i * dim + d] = value;
      else sums[first * dim + d] += value;
    }
  }
  return through(type, sums, dim);
}

async function compare(there: Table, here: Table, keys: BigUint64Array): Promise<void> {
  const [a, b] = [there, here].map((table) => ({ state: new Float32Array(keys.length * table.stateFloats) }));
  same(await here.pull(keys, b), await there.pull(keys, a), `${here.name}, ${keys.length} keys`);
  same(b.state, a.state, `${here.name}: state`);
  same(await here.occurrences(keys), await there.occurrences(keys), `${here.name}: occurrences`);
}

test.run();
