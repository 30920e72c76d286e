// A push may say how often each key occurred: it is then, to the bit, the push in which the key came that often.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { TableOptions } from "../../lib/api/table-definition.js";
import { Prng } from "../../lib/base/prng.js";
import { adagrad, adam, EmbershardError } from "../../lib/index.js";
import type { Shard } from "../../lib/shard/shard.js";
import { differenceFrom, oracleOf } from "../laws/oracle-of.js";
import { FaultyMachine } from "./fault-fixture.js";

const dim = 5;
const tables: Readonly<Record<string, TableOptions>> = {
  plain: { dim, optimizer: adam({ learningRate: 0.01 }) },
  exact: { dim, optimizer: adagrad({ learningRate: 0.1 }), admission: { after: 7 } },
  chance: { dim, optimizer: adagrad({ learningRate: 0.1 }), admission: { probability: 0.1 } },
  sketch: {
    dim,
    optimizer: adagrad({ learningRate: 0.1 }),
    admission: { after: 9, counter: { sketchBytes: 2 << 20 } },
  },
  counted: {
    dim,
    optimizer: adagrad({ learningRate: 0.1 }),
    admission: { after: 3 },
    counters: { names: ["show", "click"], decay: 0.5 },
  },
  halves: { dim, optimizer: adagrad({ learningRate: 0.1 }), storage: "bf16", rounding: "stochastic" },
};

interface Batch {
  readonly keys: BigUint64Array;
  readonly gradients: Float32Array;
  readonly counts?: Uint32Array;
}

/** Keys that come often, each gradient of its own. */
function duplicates(random: Prng): Batch {
  const n = 1 + random.below(120);
  const most = 1 + random.below(60);
  const keys = BigUint64Array.from({ length: n }, () => BigInt(random.below(most)));
  return { keys, gradients: Float32Array.from({ length: n * dim }, () => random.normal()) };
}

/** The same with the first occurrences of each key summed, in their order, and the others left as they are. */
function summed({ keys, gradients }: Batch, random: Prng): Batch {
  const limit = [1, 2, 3, 1000][random.below(4)];
  const places = new Map<bigint, number>();
  const [newKeys, rows, counts]: [bigint[], Float32Array[], number[]] = [[], [], []];
  for (const [i, key] of keys.entries()) {
    const row = gradients.slice(i * dim, (i + 1) * dim);
    const place = places.get(key);
    if (place !== undefined && counts[place] < limit) {
      for (let j = 0; j < dim; j++) rows[place][j] += row[j];
      counts[place]++;
      continue;
    }
    if (place === undefined) places.set(key, rows.length);
    newKeys.push(key);
    rows.push(row);
    counts.push(1);
  }
  return {
    keys: BigUint64Array.from(newKeys),
    gradients: Float32Array.from(rows.flatMap((row) => [...row])),
    counts: Uint32Array.from(counts),
  };
}

function push(shard: Shard, name: string, { keys, gradients, counts }: Batch, step: number): Promise<number> {
  const table = shard.tables.get(name)!;
  const { learningRate } = table.definition.optimizer;
  const write = { table, kind: "push", keys, values: gradients, counts, learningRate } as const;
  return shard.write([write], { ack: "os", step });
}

async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof EmbershardError) return error.code;
    throw error;
  }
}

for (const [name, options] of Object.entries(tables)) {
  test(`pre-summed gradients with counts are the duplicates: ${name}`, async () => {
    const random = new Prng(17);
    const machines = [new FaultyMachine(1), new FaultyMachine(2)];
    let stores = await Promise.all(machines.map((machine) => machine.open()));
    const made = await Promise.all(stores.map(({ store }) => store.table("items", { ...options, seed: 5 })));
    const oracles = made.map((table) => oracleOf(table.options));
    for (let step = 1; step <= 60; step++) {
      const batch = duplicates(random);
      for (const [i, one] of [batch, summed(batch, random)].entries()) {
        await push(stores[i].shard, "items", one, step);
        oracles[i].push(one.keys, one.gradients, { step, counts: one.counts });
        if (options.counters && step % 20 === 0) {
          await (await stores[i].store.table("items")).decay();
          oracles[i].decay();
        }
      }
      if (step === 50) for (const { store } of stores) await store.checkpoint();
      if (step % 25 !== 0) continue;
      for (const { store } of stores) await store.close();
      stores = await Promise.all(machines.map((machine) => machine.open()));
    }
    for (const oracle of oracles) {
      for (const { store } of stores)
        assert.is(await differenceFrom(oracle, await store.table("items")), undefined);
    }
    for (const { store } of stores) await store.close();
  });
}

test("counts out of range, or not one a key, change nothing", async () => {
  const { shard, store } = await new FaultyMachine(1).open();
  const table = await store.table("plain", tables.plain);
  const keys = BigUint64Array.of(1n, 2n);
  const gradients = new Float32Array(2 * dim).fill(1);
  for (const counts of [[1, 0], [2 ** 30, 1], [2 ** 32 - 1, 1], [1], [1, 1, 1]]) {
    const wrong = { keys, gradients, counts: Uint32Array.from(counts) };
    assert.is(await codeOf(push(shard, "plain", wrong, 1)), "INVALID_ARGUMENT", String(counts));
  }
  assert.equal(await table.occurrences(keys), Uint32Array.of(0, 0));
  await store.close();
});

test("a frequency stays at the most that it can be", async () => {
  const { shard, store } = await new FaultyMachine(1).open();
  const table = await store.table("plain", tables.plain);
  const oracle = oracleOf(table.options);
  const most = 2 ** 30 - 1;
  const keys = BigUint64Array.of(1n, 2n, 1n, 2n, 1n, 3n);
  const counts = Uint32Array.of(most, most, most, 1, most, 7);
  const gradients = new Float32Array(6 * dim).fill(0.25);
  await push(shard, "plain", { keys, gradients, counts }, 1);
  oracle.push(keys, gradients, { step: 1, counts });
  assert.equal(await table.occurrences(BigUint64Array.of(1n, 2n, 3n)), Uint32Array.of(most, most, 7));
  assert.is(await differenceFrom(oracle, table), undefined);
  await store.close();
});

test("a gradient that is not finite is left out with its count", async () => {
  const { shard, store } = await new FaultyMachine(1).open();
  const table = await store.table("plain", { ...tables.plain, nonFinite: "skip" });
  const gradients = new Float32Array(3 * dim).fill(1);
  gradients[dim] = Number.NaN;
  await push(
    shard,
    "plain",
    { keys: BigUint64Array.of(1n, 2n, 3n), gradients, counts: Uint32Array.of(4, 5, 6) },
    1,
  );
  assert.equal(await table.occurrences(BigUint64Array.of(1n, 2n, 3n)), Uint32Array.of(4, 0, 6));
  await store.close();
});

test.run();
