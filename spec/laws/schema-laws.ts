// Laws of tables themselves: their settings, dropping them, making them anew.
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { adagrad, sgd, type TableOptions, uniform } from "../../lib/index.js";
import type { Law } from "./table-laws.js";
import { codeOf, keysOfNumbers, randomFloats, randomKeys, Twin } from "./twin.js";

const options: TableOptions = {
  dim: 3,
  optimizer: adagrad({ learningRate: 0.1 }),
  initializer: uniform(-1, 1),
  seed: 5,
};

export function schemaLaws(law: Law): void {
  law(
    "a table opens again with nothing, with the same, and with what can change",
    async ({ store, reopen }) => {
      const twin = await Twin.open(store, "t", options);
      await twin.push(keysOfNumbers(1), randomFloats(new Prng(1), 3));
      for (const same of [
        undefined,
        options,
        {},
        { seed: 5n },
        { optimizer: adagrad({ learningRate: 0.1 }) },
      ]) {
        assert.equal((await store.table("t", same)).options, twin.table.options);
      }
      const changed = await store.table("t", {
        optimizer: adagrad({ learningRate: 0.5 }),
        ack: "fsync",
        nonFinite: "skip",
      });
      assert.is(changed.options.optimizer.learningRate, 0.5);
      assert.is(twin.table.options.ack, "fsync");
      const gradients = Float32Array.of(1, Number.NaN, 1);
      await twin.table.push(keysOfNumbers(2), gradients);
      twin.table = await (await reopen()).table("t");
      assert.equal(twin.table.options, changed.options);
      await twin.table.push(keysOfNumbers(1), Float32Array.of(1, 1, 1));
      twin.oracle.push(keysOfNumbers(1), Float32Array.of(1, 1, 1), { learningRate: 0.5 });
      await twin.compareAll();
    },
  );

  law("what cannot change says so, and does not", async ({ store }) => {
    const twin = await Twin.open(store, "t", options);
    const before = JSON.stringify(twin.table.options);
    const wrong: [TableOptions, string][] = [
      [{ dim: 4 }, "dim"],
      [{ optimizer: sgd({ learningRate: 0.1 }) }, "optimizer.kind"],
      [{ optimizer: adagrad({ learningRate: 0.1, eps: 0.5 }) }, "optimizer.eps"],
      [{ initializer: uniform(-1, 2) }, "initializer.upper"],
      [{ seed: 6 }, "seed"],
      [{ logged: false, ack: "memory" }, "logged"],
      [{ clip: { value: 1 } }, "clip"],
      [{ bounds: [0, 1] }, "bounds"],
    ];
    for (const [change, named] of wrong) {
      try {
        await store.table("t", change);
        assert.unreachable(named);
      } catch (error) {
        const { code, message } = error as { code: string; message: string };
        assert.is(code, "TABLE_MISMATCH", named);
        assert.ok(message.includes(named), message);
      }
    }
    assert.is(await codeOf(() => store.tensor("t", { shape: [3] })), "TABLE_MISMATCH");
    assert.is(await codeOf(() => store.table("none")), "TABLE_NOT_FOUND");
    assert.is(JSON.stringify(twin.table.options), before);
  });

  law(
    "a table that was dropped is gone; one made anew under its name is another",
    async ({ store, reopen }) => {
      let opened = store;
      const random = new Prng(2);
      const other = await Twin.open(opened, "other", { ...options, dim: 5 });
      for (const dim of [40, 3, 130]) {
        const old = await Twin.open(opened, "t", { ...options, dim });
        await old.push(randomKeys(random, 800, 500), randomFloats(random, 800 * dim));
        await other.push(randomKeys(random, 50, 100), randomFloats(random, 250));
        if (dim === 40) await opened.checkpoint();
        await opened.dropTable("t");
        assert.is(await codeOf(() => old.table.pull(keysOfNumbers(1))), "TABLE_NOT_FOUND");
        assert.is(
          await codeOf(() => old.table.push(keysOfNumbers(1), new Float32Array(dim))),
          "TABLE_NOT_FOUND",
        );
        assert.is(await codeOf(() => opened.dropTable("t")), "TABLE_NOT_FOUND");
        const fresh = await Twin.open(opened, "t", { ...options, dim: dim + 1 });
        await fresh.compareAll();
        await fresh.push(randomKeys(random, 300, 500), randomFloats(random, 300 * (dim + 1)));
        for (let i = 0; i < 2; i++) {
          opened = await reopen();
          fresh.table = await opened.table("t");
          other.table = await opened.table("other");
          await fresh.compareAll();
          await other.compareAll();
          if (i === 0) await opened.checkpoint();
        }
        await opened.dropTable("t");
      }
      assert.not.ok((await opened.tables()).some(({ name }) => name === "t"));
    },
  );

  law("a scan of a table that is dropped meanwhile says so", async ({ store }) => {
    const twin = await Twin.open(store, "t", options);
    await twin.push(randomKeys(new Prng(1), 3000, 5000), new Float32Array(9000));
    const scan = twin.table.scan({ batch: 10 })[Symbol.asyncIterator]();
    await scan.next();
    await store.dropTable("t");
    await store.checkpoint();
    const anew = await Twin.open(store, "t", { ...options, dim: 50 });
    await anew.push(randomKeys(new Prng(1), 300, 5000), new Float32Array(15_000));
    assert.is(await codeOf(() => scan.next()), "TABLE_NOT_FOUND");
  });
}
