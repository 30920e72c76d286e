// Laws of what a table does to gradients.
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import type { TableOptions } from "../../lib/index.js";
import * as embershard from "../../lib/index.js";
import type { Law } from "./table-laws.js";
import { codeOf, keysOfNumbers, randomFloats, randomKeys, Twin } from "./twin.js";

const { adagrad, adam, adamW, ftrl, rowWiseAdagrad, sgd, constant, normal, truncatedNormal, uniform } =
  embershard;

/** One of each kind. */
export const optimizers = {
  sgd: sgd({ learningRate: 0.1 }),
  "sgd with decay": sgd({ learningRate: 0.1, decay: 0.01, decayKind: "decoupled" }),
  momentum: sgd({ learningRate: 0.1, momentum: 0.9, decay: 0.01 }),
  nesterov: sgd({ learningRate: 0.1, momentum: 0.9, nesterov: true }),
  adagrad: adagrad({ learningRate: 0.05, eps: 1e-8, initialAccumulator: 0.1 }),
  rowWiseAdagrad: rowWiseAdagrad({ learningRate: 0.05 }),
  adam: adam({ learningRate: 0.01 }),
  "adam by table": adam({ learningRate: 0.01, step: "table" }),
  adamW: adamW({ learningRate: 0.01 }),
  ftrl: ftrl({ learningRate: 0.1, lambda1: 0.01, lambda2: 0.1 }),
};

const initializers = [constant(0.5), uniform(-1, 1), normal(0, 0.1), truncatedNormal(0, 1)];

const limits: TableOptions[] = [{}, { clip: { value: 0.5 } }, { clip: { norm: 1 }, bounds: [-0.75, 1.5] }];

export function optimizerLaws(law: Law): void {
  Object.entries(optimizers).forEach(([name, optimizer], i) => {
    law(
      `${name}: the oracle's bits, with duplicates, clipping, bounds and a rate for each push`,
      async ({ store }) => {
        const random = new Prng(i);
        for (const [j, limit] of limits.entries()) {
          const dim = [1, 7, 24][j];
          const initializer = initializers[(i + j) % initializers.length];
          const twin = await Twin.open(store, `t${j}`, { dim, optimizer, initializer, ...limit });
          for (let step = 1; step <= 8; step++) {
            const keys = randomKeys(random, 100, 60);
            const rate = step % 3 === 0 ? { learningRate: 0.2 / step } : {};
            await twin.push(keys, randomFloats(random, 100 * dim), { step, ...rate });
          }
          await twin.compareAll();
        }
      },
    );
  });

  law("an optimizer that counts steps by the request demands one", async ({ store }) => {
    const twin = await Twin.open(store, "t", { dim: 1, optimizer: optimizers["adam by table"] });
    const push = (step?: number) =>
      codeOf(() => twin.table.push(keysOfNumbers(1), Float32Array.of(1), step === undefined ? {} : { step }));
    assert.is(await push(), "INVALID_ARGUMENT");
    assert.is(await push(0), "INVALID_ARGUMENT");
    await twin.compareAll();
    await twin.push(keysOfNumbers(1), Float32Array.of(1), { step: 1 });
    await twin.compareAll();
  });

  law("a gradient that is not finite is refused, naming the key", async ({ store }) => {
    const twin = await Twin.open(store, "t", { dim: 2, optimizer: optimizers.adagrad });
    await twin.push(keysOfNumbers(1, 77), Float32Array.of(1, 2, 3, 4));
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      for (const write of ["push", "assign"] as const) {
        try {
          await twin.table[write](keysOfNumbers(1, 77, 2), Float32Array.of(1, 1, 1, bad, 1, 1));
          assert.unreachable();
        } catch (error) {
          const { code, message } = error as embershard.EmbershardError;
          assert.is(code, "NON_FINITE");
          assert.match(message, /key 77\b/);
        }
      }
    }
    // Each is finite, their sum is not.
    const huge = Float32Array.of(3e38, 0, 3e38, 0);
    assert.is(await codeOf(() => twin.table.push(keysOfNumbers(5, 5), huge)), "NON_FINITE");
    await twin.compareAll();
  });

  law("or it is skipped and counted, where the table says so", async ({ store }) => {
    const twin = await Twin.open(store, "t", { dim: 2, optimizer: optimizers.adagrad, nonFinite: "skip" });
    const keys = keysOfNumbers(1, 2, 1, 3, 2);
    await twin.table.push(
      keys,
      Float32Array.of(1, 2, Number.NaN, 1, 3, 4, 5, Number.POSITIVE_INFINITY, 7, 8),
      { step: 9 },
    );
    twin.oracle.push(keysOfNumbers(1, 1, 2), Float32Array.of(1, 2, 3, 4, 7, 8), { step: 9 });
    await twin.compareAll();
    assert.is((await twin.table.stats()).skipped, 2);
    await twin.table.push(keysOfNumbers(5, 5, 6), Float32Array.of(3e38, 0, 3e38, 0, 1, 1));
    twin.oracle.push(keysOfNumbers(6), Float32Array.of(1, 1));
    await twin.compareAll();
    assert.is((await twin.table.stats()).skipped, 3);
    await twin.table.push(keysOfNumbers(8), Float32Array.of(Number.NaN, 0));
    await twin.compareAll();
  });

  law("what is refused has skipped nothing", async ({ store }) => {
    const a = await Twin.open(store, "a", { dim: 1, optimizer: optimizers.sgd, nonFinite: "skip" });
    const b = await Twin.open(store, "b", { dim: 1, optimizer: optimizers.sgd });
    const nan = Float32Array.of(Number.NaN);
    const keys = keysOfNumbers(1);
    const push = () => store.push([a, b].map(({ table }) => ({ table, keys, gradients: nan })));
    assert.is(await codeOf(push), "NON_FINITE");
    assert.is((await a.table.stats()).skipped, 0);
  });
}
