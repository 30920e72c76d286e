// Laws of tensors: dense parameters, whole or by range.
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { adam, constant, sgd, uniform } from "../../lib/index.js";
import type { Law } from "./table-laws.js";
import { codeOf, keysOfNumbers, randomFloats, same, Twin } from "./twin.js";

export function tensorLaws(law: Law): void {
  law("a tensor is pulled and pushed whole or by range", async ({ store, reopen }) => {
    const shape = [10, 7];
    let tensor = await store.tensor("w", {
      shape,
      optimizer: sgd({ learningRate: 1 }),
      initializer: constant(0.5),
      block: 8,
    });
    assert.is(tensor.length, 70);
    const expected = new Float32Array(70).fill(0.5);
    const subtract = (gradients: Float32Array, from: number) => {
      gradients.forEach((gradient, i) => {
        expected[from + i] -= gradient;
      });
    };
    same(await tensor.pull(), expected, "before any push");
    assert.is((await tensor.stats()).rows, 0);
    const random = new Prng(1);
    const whole = randomFloats(random, 70);
    await tensor.push(whole);
    subtract(whole, 0);
    for (const [from, to] of [
      [8, 24],
      [64, 70],
      [0, 8],
      [16, 16],
    ]) {
      const part = randomFloats(random, to - from);
      await tensor.push(part, { from, to });
      subtract(part, from);
    }
    same(await tensor.pull(), expected, "after pushes");
    for (const [from, to] of [
      [0, 70],
      [3, 5],
      [7, 9],
      [69, 70],
      [70, 70],
      [5, 68],
    ]) {
      const into = new Float32Array(to - from).fill(9);
      assert.is(await tensor.pull({ from, to, into }), into);
      same(into, expected.subarray(from, to), `elements ${from} to ${to}`);
    }
    const values = randomFloats(random, 16);
    await tensor.assign(values, { from: 24, to: 40 });
    expected.set(values, 24);
    tensor = await (await reopen()).tensor("w");
    assert.equal(tensor.shape, shape);
    same(await tensor.pull(), expected, "opened again");
    assert.is(await codeOf(() => tensor.push(new Float32Array(7), { from: 1, to: 8 })), "UNALIGNED_RANGE");
    assert.is(await codeOf(() => tensor.push(new Float32Array(7), { from: 0, to: 7 })), "UNALIGNED_RANGE");
    assert.is(await codeOf(() => tensor.assign(new Float32Array(9), { from: 0, to: 9 })), "UNALIGNED_RANGE");
    same(await tensor.pull(), expected, "after what was refused");
  });

  law("a tensor is pushed together with tables, and shapes its own blocks", async ({ store }) => {
    const tensor = await store.tensor("w", {
      shape: [5, 3000],
      optimizer: adam({ learningRate: 0.1 }),
      initializer: uniform(0, 1),
    });
    const twin = await Twin.open(store, "t", { dim: 2, optimizer: sgd({ learningRate: 1 }) });
    const before = await tensor.pull();
    const gradients = new Float32Array(15_000).fill(1);
    await store.push([
      { tensor, gradients },
      { table: twin.table, keys: keysOfNumbers(4), gradients: Float32Array.of(1, 2) },
    ]);
    twin.oracle.push(keysOfNumbers(4), Float32Array.of(1, 2));
    await twin.compareAll();
    const after = await tensor.pull();
    assert.ok(after.every((value, i) => value < before[i]));
    const bad = gradients.slice();
    bad[14_999] = Number.NaN;
    assert.is(await codeOf(() => tensor.push(bad)), "NON_FINITE");
    same(await tensor.pull(), after, "after what was refused");
    assert.is(await codeOf(() => store.table("w")), "TABLE_MISMATCH");
    assert.is(await codeOf(() => store.tensor("w", { shape: [15_000] })), "TABLE_MISMATCH");
  });
}
