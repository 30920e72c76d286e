// Laws of what rows are stored as.
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { adagrad, constant, normal, type Store, sgd, type TableOptions, uniform } from "../../lib/index.js";
import { optimizers } from "./optimizer-laws.js";
import type { Law } from "./table-laws.js";
import { codeOf, keysOfNumbers, randomFloats, randomKeys, same, Twin } from "./twin.js";

type Stored = Required<Pick<TableOptions, "storage" | "stateStorage" | "rounding">>;

const weightStorages = ["f32", "f16", "bf16", "int8"] as const;

/** Every way of storing with such weights that is not plain. */
function storagesOf(storage: Stored["storage"]): Stored[] {
  return (["f32", "bf16"] as const)
    .filter((stateStorage) => storage !== "f32" || stateStorage !== "f32")
    .flatMap((stateStorage) =>
      (["nearest", "stochastic"] as const).map((rounding) => ({ storage, stateStorage, rounding })),
    );
}

const dims = [1, 2, 3, 7, 8, 13, 20, 64];
const limits = { clip: { norm: 1 }, bounds: [-0.75, 1.5] } as const;

/** Numbers at which conversions change their ways. */
const corners = [
  ...[0, -0, 1, -1, 65504, 65519.996, 65520, -1e5, 3.3895e38, 3.3961775e38, 3.4028234663852886e38],
  ...[2 ** -14, 2 ** -14 * 0.9998, 2 ** -14 * 1.0004, 2 ** -24, 2 ** -25, 2 ** -25 * 1.001, -1e-8, 1e-40],
  ...[-1.4e-45, 1.0009765625, 1.00048828125, 1.0014648438, 1.00390625, 1.01171875, 127, -127.5, 2049, 2051],
];

export function storageLaws(law: Law): void {
  for (const storage of weightStorages) {
    law(`${storage}: the oracle's bits with every optimizer, opened again too`, async ({ store, reopen }) => {
      const random = new Prng(storage.length);
      const twins = await openTwins(store, storagesOf(storage));
      await live(twins, random);
      await compare(await reopen(), twins);
      await (await reopen()).checkpoint();
      await compare(await reopen(), twins);
      await live(twins, random);
      await compare(await reopen(), twins);
    });

    law(
      `${storage}: what is assigned reads as the oracle stores it, in the corners too`,
      async ({ store }) => {
        for (const [i, stored] of storagesOf(storage).entries()) {
          for (const dim of [3, 8]) {
            const options = { dim, optimizer: sgd({ learningRate: 1, momentum: 0.5 }), ...stored };
            await checkCorners(await Twin.open(store, `t${i}.${dim}`, options));
          }
        }
      },
    );
  }

  law("creating a row does not change what its key reads", async ({ store }) => {
    for (const [i, stored] of weightStorages.flatMap(storagesOf).entries()) {
      const initializer = [uniform(-0.1, 0.1), normal(0, 1), constant(0.1)][i % 3];
      const optimizer = adagrad({ learningRate: 0.1, initialAccumulator: 0.1 });
      const { table } = await Twin.open(store, `t${i}`, { dim: 10, optimizer, initializer, ...stored });
      const keys = randomKeys(new Prng(i), 50, 1000);
      const [before, after] = [new Float32Array(500), new Float32Array(500)];
      const unseen = await table.pull(keys, { state: before });
      same(await table.pull(keys, { create: true, state: after }), unseen, "weights");
      same(after, before, "state");
    }
  });

  law("the storage of a table is for good, and a plain one need not be said", async ({ store, reopen }) => {
    const optimizer = adagrad({ learningRate: 0.1 });
    const stored = { storage: "f16", stateStorage: "bf16", rounding: "stochastic" } as const;
    const plain = { storage: "f32", stateStorage: "f32", rounding: "nearest" } as const;
    await store.table("t", { dim: 4, optimizer, ...stored });
    await store.table("plain", { dim: 4, optimizer, ...plain });
    const again = await reopen();
    await again.table("t", stored);
    await again.table("plain", { dim: 4, optimizer });
    const others = [
      { ...stored, storage: "int8" },
      { stateStorage: "f32" },
      { rounding: "nearest" },
    ] as const;
    for (const other of [...others, plain])
      assert.is(await codeOf(() => again.table("t", other)), "TABLE_MISMATCH");
    assert.is(await codeOf(() => again.table("plain", { storage: "bf16" })), "TABLE_MISMATCH");
    const stats = (await again.tables()).map(({ name, storage, stateStorage }) => [
      name,
      storage,
      stateStorage,
    ]);
    assert.equal(stats, [
      ["t", "f16", "bf16"],
      ["plain", "f32", "f32"],
    ]);
    const wrong: object[] = [
      { storage: "f64" },
      { stateStorage: "int8" },
      { rounding: "up", storage: "f16" },
      { rounding: "stochastic" },
    ];
    for (const one of wrong)
      assert.is(await codeOf(() => again.table("new", { dim: 4, optimizer, ...one })), "INVALID_OPTIONS");
  });

  law("a tensor is stored as it is told to be", async ({ store, reopen }) => {
    const optimizer = sgd({ learningRate: 0.5 });
    const options = { shape: [10, 3], block: 8, optimizer, storage: "bf16", rounding: "stochastic" } as const;
    const tensor = await store.tensor("w", options);
    await tensor.assign(Float32Array.from({ length: 30 }, (_, i) => i / 7));
    const read = await tensor.pull();
    for (const [i, value] of read.entries()) {
      assert.ok(Math.abs(value - i / 7) <= (i / 7) * 2 ** -8, `${value} for ${i / 7}`);
      assert.is(new Uint16Array(Float32Array.of(value).buffer)[0], 0, `${value} has 16 bits`);
    }
    const there = await (await reopen()).tensor("w");
    same(await there.pull(), read, "opened again");
  });
}

/** Two tables for each optimizer; all together they have every way of storing. */
async function openTwins(store: Store, storages: readonly Stored[]): Promise<Twin[]> {
  const twins: Twin[] = [];
  for (const [number, optimizer] of Object.values(optimizers).entries()) {
    for (let second = 0; second < 2; second++) {
      const i = twins.length;
      const stored = storages[(number + 3 * second) % storages.length];
      const initializer = [uniform(-1, 1), normal(0, 1e-4), constant(1e-6)][i % 3];
      const options = { dim: dims[i % dims.length], optimizer, initializer, ...stored };
      twins.push(await Twin.open(store, `t${i}`, { ...options, ...(i % 3 === 0 && limits) }));
    }
  }
  return twins;
}

async function live(twins: readonly Twin[], random: Prng): Promise<void> {
  for (const twin of twins) {
    const { dim } = twin.table;
    for (let step = 1; step <= 3; step++)
      await twin.push(randomKeys(random, 50, 40), randomFloats(random, 50 * dim), { step, ack: "memory" });
    await twin.assign(randomKeys(random, 9, 60), randomFloats(random, 9 * dim));
    await twin.delete(randomKeys(random, 5, 60));
    await twin.push(randomKeys(random, 9, 60), randomFloats(random, 9 * dim), { step: 5 });
  }
}

async function compare(store: Store, twins: readonly Twin[]): Promise<void> {
  for (const [i, twin] of twins.entries()) {
    twin.table = await store.table(`t${i}`);
    await twin.compareAll();
    await twin.compare(keysOfNumbers(1, 30, 59, 77, 1e6));
  }
}

/** Rows that have one of the corners, and rows of nothing else. */
async function checkCorners(twin: Twin): Promise<void> {
  const { dim } = twin.table;
  const n = corners.length;
  const keys = keysOfNumbers(...Array.from({ length: 2 * n }, (_, i) => i));
  const rows = new Float32Array(2 * n * dim);
  for (const [i, corner] of corners.entries()) {
    rows[i * dim + (i % dim)] = corner;
    for (let j = 0; j < dim; j++) rows[(n + i) * dim + j] = corners[(i + j * 7) % n];
  }
  await twin.assign(keys, rows, { state: rows });
  await twin.compareAll();
  const state = new Float32Array(rows.length);
  const read = await twin.table.pull(keys, { state });
  assert.ok(read.every(Number.isFinite) && state.every(Number.isFinite), "no infinity and no NaN arises");
  await twin.assign(keys, read);
  same(await twin.table.pull(keys), read, "what could be stored is stored as it is");
  await twin.compareAll();
  for (let step = 1; step <= 3; step++) await twin.push(keys, rows, { step, learningRate: 1e-30 });
  await twin.compareAll();
}
