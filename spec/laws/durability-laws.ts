// Laws of closing and opening again.
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { adagrad, normal, type TableOptions } from "../../lib/index.js";
import type { Law } from "./table-laws.js";
import { codeOf, keysOfNumbers, randomFloats, randomKeys, Twin } from "./twin.js";

const options: TableOptions = {
  dim: 20,
  optimizer: adagrad({ learningRate: 0.1 }),
  initializer: normal(0, 1),
};

export function durabilityLaws(law: Law): void {
  law(
    "what was pushed is there when it is opened again, at every level, with and without a checkpoint",
    async ({ store, reopen }) => {
      let opened = store;
      const twin = await Twin.open(opened, "t", options);
      const random = new Prng(1);
      for (let life = 0; life < 4; life++) {
        for (const ack of ["memory", "os", "fsync"] as const) {
          await twin.push(randomKeys(random, 500, 2000), randomFloats(random, 10_000), { ack, step: life });
        }
        await twin.delete(randomKeys(random, 200, 2000));
        const checkpointing = life % 2 === 1 ? opened.checkpoint() : undefined;
        await twin.assign(randomKeys(random, 100, 3000), randomFloats(random, 2000));
        await checkpointing;
        opened = await reopen();
        twin.table = await opened.table("t");
        await twin.compareAll();
      }
    },
  );

  law(
    "an unlogged table survives as of the last checkpoint, whole",
    async ({ store, reopen, abortsForSure }) => {
      let opened = store;
      const twin = await Twin.open(opened, "u", { ...options, logged: false });
      const logged = await Twin.open(opened, "l", options);
      assert.is(
        await codeOf(() => twin.table.push(keysOfNumbers(1), new Float32Array(20), { ack: "os" })),
        "NOT_LOGGED",
      );
      const random = new Prng(2);
      for (let life = 0; life < 3; life++) {
        await twin.push(randomKeys(random, 600, 2000), randomFloats(random, 12_000));
        await twin.delete(randomKeys(random, 100, 2000));
        await opened.checkpoint();
        const lost = randomKeys(random, 300, 4000);
        await twin.table.push(lost, randomFloats(random, 6000));
        await logged.push(lost, randomFloats(random, 6000));
        await twin.table.delete(randomKeys(random, 100, 2000));
        if (life === 1 && abortsForSure !== false) {
          const ending = new AbortController();
          const aborted = codeOf(() => opened.checkpoint({ signal: ending.signal }));
          const pushing = twin.table.push(lost, randomFloats(random, 6000));
          ending.abort();
          await pushing;
          assert.is(await aborted, "ABORTED");
        }
        opened = await reopen();
        twin.table = await opened.table("u");
        logged.table = await opened.table("l");
        await twin.compareAll();
        await logged.compareAll();
      }
    },
  );

  law(
    "the mark is that of the last push that had one, and the caller's bytes stay the caller's",
    async ({ store, reopen }) => {
      assert.is(await store.mark(), undefined);
      const twin = await Twin.open(store, "t", options);
      const gradients = new Float32Array(20);
      const mark = Buffer.from([1, 2, 3]);
      await twin.push(keysOfNumbers(1), gradients, { mark });
      mark[0] = 99;
      assert.equal([...(await store.mark())!], [1, 2, 3]);
      (await store.mark())![1] = 99;
      assert.equal([...(await store.mark())!], [1, 2, 3]);
      await twin.push(keysOfNumbers(1), gradients);
      await store.push([{ table: twin.table, keys: keysOfNumbers(2), gradients }], {
        mark: new Uint8Array(4096).fill(5),
      });
      await twin.table.delete(keysOfNumbers(77), { mark: Uint8Array.of(6) });
      assert.equal([...(await store.mark())!], [6]);
      let opened = await reopen();
      assert.equal([...(await opened.mark())!], [6]);
      await opened.checkpoint();
      opened = await reopen();
      assert.equal([...(await opened.mark())!], [6]);
      await (await opened.table("t")).assign(keysOfNumbers(3), gradients, { mark: new Uint8Array(0) });
      opened = await reopen();
      assert.equal([...(await opened.mark())!], []);
      await opened.push([], { mark: Uint8Array.of(8) });
      opened = await reopen();
      assert.equal([...(await opened.mark())!], [8]);
    },
  );

  law("a store that is closed says so", async ({ store }) => {
    const twin = await Twin.open(store, "t", options);
    await store.close();
    await store.close();
    const keys = keysOfNumbers(1);
    const gradients = new Float32Array(20);
    const calls = [
      () => twin.table.pull(keys),
      () => twin.table.contains(keys),
      () => twin.table.push(keys, gradients),
      () => twin.table.assign(keys, gradients),
      () => twin.table.delete(keys),
      () => twin.table.scan()[Symbol.asyncIterator]().next(),
      () => store.table("t"),
      () => store.table("new", options),
      () => store.tensor("w", { shape: [3] }),
      () => store.dropTable("t"),
      () => store.pull([{ table: twin.table, keys }]),
      () => store.push([{ table: twin.table, keys, gradients }]),
      () => store.checkpoint(),
    ];
    for (const call of calls) assert.is(await codeOf(call), "CLOSED", String(call));
  });
}
