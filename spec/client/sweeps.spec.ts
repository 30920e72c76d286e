// Requests about whole tables have their place among pushes: none of these is taken for a repeated one.
import * as assert from "uvu/assert";
import { sgd, type Table } from "../../lib/index.js";
import { type ClientContext, clientSuite, keys, served } from "./client-suite.js";

const test = clientSuite("sweeps among pushes");

const minusOnes = new Float32Array(keys.length).fill(-1);

async function counted({ cluster, stores }: ClientContext): Promise<Table> {
  const store = await cluster.connect();
  stores.push(store);
  return store.table("counted", {
    dim: 1,
    optimizer: sgd({ learningRate: 1 }),
    ack: "os",
    counters: { names: ["shown"] },
    admission: { after: 2 },
  });
}

const sweeps: readonly [string, (table: Table) => Promise<unknown>][] = [
  ["evict", (table) => table.evict({ belowFrequency: 0 })],
  ["decay", (table) => table.decay()],
  ["forgetCandidates", (table) => table.forgetCandidates({ atMost: 0 })],
];

for (const shards of [1, 3])
  for (const [name, sweep] of sweeps)
    test(`pushes beside ${name} count once each, over ${shards} shards`, async (context) => {
      await served(context, shards);
      const table = await counted(context);
      for (let i = 0; i < 2; i++) await table.push(keys, minusOnes);
      const [before] = await table.pull(keys.subarray(0, 1));
      // What is on its way may be late, or come to nothing and be sent again.
      context.cluster.network.setFaults({ delayMs: [0, 20], cut: 0.02 }, "client", "node");
      let pushes = 0;
      for (let round = 0; round < 5; round++) {
        const under: Promise<unknown>[] = [];
        for (let i = 0; i < 6; i++) {
          under.push(table.push(keys, minusOnes));
          pushes++;
          if (i % 2 === 0) under.push(sweep(table));
        }
        await Promise.all(under);
      }
      context.cluster.network.setFaults({ delayMs: [0, 0], cut: 0 }, "client", "node");
      assert.equal(new Set(await table.pull(keys)), new Set([before + pushes]));
    });

test.run();
