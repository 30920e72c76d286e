// Laws of admission: which keys get rows, and what is known of the others.
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import {
  type AdmissionOptions,
  adagrad,
  adam,
  type Store,
  type TableOptions,
  uniform,
} from "../../lib/index.js";
import type { Law } from "./table-laws.js";
import { codeOf, keysOfNumbers, randomFloats, randomKeys, same, Twin } from "./twin.js";

const options: TableOptions = {
  dim: 3,
  optimizer: adagrad({ learningRate: 0.1 }),
  initializer: uniform(-1, 1),
  seed: 5,
};
const sketch = { sketchBytes: 2 << 20 };

const ways: Readonly<Record<string, AdmissionOptions | undefined>> = {
  always: undefined,
  afterTwo: { after: 2 },
  afterSeven: { after: 7, counter: "exact" },
  byChance: { probability: 0.2 },
  narrowSketch: { after: 3, counter: sketch },
  wideSketch: { after: 300, counter: sketch },
  sketchByChance: { probability: 0.2, counter: sketch },
};

export function admissionLaws(law: Law): void {
  law("a key gets its row with the push that brings it to n occurrences", async ({ store }) => {
    const twin = await Twin.open(store, "t", { ...options, admission: { after: 3 } });
    const keys = keysOfNumbers(1, 2, 3);
    const { table } = twin;
    const ones = (n: number) => new Float32Array(3 * n).fill(1);
    await twin.push(keysOfNumbers(1, 2, 1, 3, 3, 3, 3), ones(7), { step: 4 });
    assert.equal(await table.contains(keys), Uint8Array.of(0, 0, 1));
    assert.equal(await table.occurrences(keys), Uint32Array.of(2, 1, 4));
    same(await table.pull(keys.subarray(0, 1)), twin.oracle.pull([1n]), "an initial value");
    same(await table.pull(keys.subarray(0, 1), { default: 9 }), new Float32Array(3).fill(9), "a default");
    await twin.compareAll();
    const before = await table.pull(keys.subarray(0, 1));
    // Of the three occurrences only the last push's gradient was kept.
    await twin.push(keysOfNumbers(1), ones(1), { step: 5 });
    const after = await table.pull(keys.subarray(0, 1));
    for (let i = 0; i < 3; i++) assert.ok(Math.abs(before[i] - 0.1 - after[i]) < 1e-6);
    await twin.compareAll();
    await twin.compare(keys);
    const { admission, rows } = await table.stats();
    assert.is(rows, 2);
    assert.ok(admission!.bytes > 0 && (await table.stats()).bytes > admission!.bytes);
    assert.equal(
      { ...admission, bytes: 0 },
      { candidates: 1, bytes: 0, admitted: 2, occurrences: 3, gradients: 2 },
    );
  });

  law("what is admitted, in every way, is what the oracle admits", async ({ store, reopen }) => {
    const twins: Twin[] = [];
    for (const [name, admission] of Object.entries(ways))
      twins.push(await Twin.open(store, name, { ...options, ...(admission && { admission }) }));
    const random = new Prng(2);
    let opened: Store = store;
    for (let round = 0; round < 3; round++) {
      for (const twin of twins) for (let i = 0; i < 25; i++) await act(twin, random, 25 * round + i);
      const keys = randomKeys(random, 100, 600);
      const gradients = randomFloats(random, 300);
      await opened.push(twins.map(({ table }) => ({ table, keys, gradients })));
      for (const { oracle } of twins) oracle.push(keys, gradients);
      for (const twin of twins) {
        await twin.compareAll();
        await twin.compare(randomKeys(random, 700, 800));
      }
      if (round === 1) await opened.checkpoint();
      for (const twin of twins) for (let i = 0; i < 5; i++) await act(twin, random, i);
      opened = await reopen();
      for (const twin of twins) {
        twin.table = await opened.table(twin.table.name);
        await twin.compareAll();
        await twin.compare(BigUint64Array.from({ length: 800 }, (_, i) => BigInt(i)));
      }
    }
  });

  law("created and assigned keys get rows at once, and what was counted is forgotten", async ({ store }) => {
    const twin = await Twin.open(store, "t", { ...options, admission: { after: 4 } });
    const { table } = twin;
    await twin.push(keysOfNumbers(1, 2, 3), new Float32Array(9).fill(1));
    await twin.pull(keysOfNumbers(1, 9, 1));
    await twin.assign(keysOfNumbers(2, 2), new Float32Array(6).fill(3));
    await twin.delete(keysOfNumbers(3, 3, 4));
    assert.equal(await table.contains(keysOfNumbers(1, 2, 3, 9)), Uint8Array.of(1, 1, 0, 1));
    assert.is((await table.stats()).admission!.candidates, 0);
    await twin.compareAll();
    // A row that is deleted begins to count anew.
    await twin.push(keysOfNumbers(1, 3), new Float32Array(6).fill(1));
    await twin.delete(keysOfNumbers(1));
    await twin.push(keysOfNumbers(1, 1, 1, 3, 3), new Float32Array(15).fill(1));
    assert.equal(await table.contains(keysOfNumbers(1, 3)), Uint8Array.of(0, 0));
    await twin.compareAll();
  });

  law("candidates are forgotten as told, in whatever number", async ({ store, reopen }) => {
    const twin = await Twin.open(store, "t", { ...options, admission: { after: 3 } });
    const keys = BigUint64Array.from({ length: 9000 }, (_, i) => BigInt(i));
    await twin.push(keys, new Float32Array(27_000), { step: 1 });
    await twin.push(keys.subarray(0, 100), new Float32Array(300), { step: 2 });
    await twin.push(keysOfNumbers(8000), new Float32Array(3), { step: 1 });
    assert.is(await twin.table.forgetCandidates({ unseenSince: 2, atMost: 1 }), 8899);
    for (const key of keys) if (key >= 100n && key !== 8000n) twin.oracle.candidates!.forget(key);
    await twin.compareAll();
    twin.table = await (await reopen()).table("t");
    await twin.compareAll();
    assert.is(await twin.table.forgetCandidates(), 101);
    twin.oracle.candidates!.forgetAll();
    await twin.push(keys.subarray(0, 200), new Float32Array(600), { step: 3 });
    await twin.compareAll();
    assert.is((await twin.table.stats()).rows, 0);
  });

  law("a sketch forgets all or nothing, and never counts too little", async ({ store }) => {
    const admission = { after: 40, counter: sketch };
    const twin = await Twin.open(store, "t", { ...options, admission });
    const random = new Prng(3);
    for (let i = 0; i < 4; i++) await twin.push(randomKeys(random, 9000, 3000), new Float32Array(27_000));
    const keys = BigUint64Array.from({ length: 3000 }, (_, i) => BigInt(i));
    await twin.compare(keys);
    assert.is(await codeOf(() => twin.table.forgetCandidates({ atMost: 3 })), "UNSUPPORTED");
    assert.is(await codeOf(() => twin.table.candidates()), "UNSUPPORTED");
    assert.is(await twin.table.forgetCandidates(), 0);
    twin.oracle.candidates!.forgetAll();
    await twin.compare(keys);
    assert.is((await twin.table.stats()).admission!.candidates, null);
  });

  law(
    "admission is one of a table's settings: checked, kept, and not to be changed",
    async ({ store, reopen }) => {
      const bad: unknown[] = [
        { after: 1 },
        { after: 2.5 },
        { after: 2 ** 30 },
        { after: 70_000, counter: sketch },
        { probability: 0 },
        { probability: 1 },
        { after: 2, probability: 0.5 },
        {},
        "often",
        { after: 2, counter: "rough" },
        { after: 2, counter: { sketchBytes: 1000 } },
        { after: 2, counter: { sketchBytes: 2 ** 40 } },
        { after: 2, counter: { ...sketch, cells: 3 } },
      ];
      for (const admission of bad) {
        const wrong = { ...options, admission: admission as AdmissionOptions };
        assert.is(await codeOf(() => store.table("t", wrong)), "INVALID_OPTIONS", JSON.stringify(admission));
      }
      const table = await store.table("t", { ...options, admission: { probability: 0.25 } });
      assert.equal(table.options.admission, { probability: 0.25, counter: "exact" });
      const again = await (await reopen()).table("t", { ...options, admission: { probability: 0.25 } });
      assert.equal(again.options, table.options);
      const opened = await reopen();
      for (const admission of [{ probability: 0.5 }, { after: 2 }, { probability: 0.25, counter: sketch }]) {
        assert.is(await codeOf(() => opened.table("t", { admission })), "TABLE_MISMATCH");
      }
      const plain = await opened.table("plain", options);
      assert.is(await codeOf(() => plain.candidates()), "UNSUPPORTED");
      assert.is(await codeOf(() => plain.forgetCandidates()), "UNSUPPORTED");
      assert.is(await codeOf(() => opened.table("plain", { admission: { after: 2 } })), "TABLE_MISMATCH");
      const tensor = { shape: [3], optimizer: adam({ learningRate: 1 }), admission: { after: 2 } };
      assert.is(await codeOf(() => opened.tensor("x", tensor)), "INVALID_OPTIONS");
    },
  );

  law("a table that is dropped takes its candidates with it", async ({ store, reopen }) => {
    const admitting = { ...options, admission: { after: 3 } };
    const old = await Twin.open(store, "t", admitting);
    await old.push(keysOfNumbers(1, 2, 2), new Float32Array(9).fill(1));
    await store.dropTable("t");
    const twin = await Twin.open(store, "t", admitting);
    await twin.push(keysOfNumbers(2), new Float32Array(3).fill(1));
    await twin.compareAll();
    twin.table = await (await reopen()).table("t");
    await twin.compareAll();
    await twin.compare(keysOfNumbers(1, 2));
  });
}

/** Something random, to a table and its oracle. */
async function act(twin: Twin, random: Prng, step: number): Promise<void> {
  const n = 1 + random.below(120);
  const keys = randomKeys(random, n, 600);
  switch (random.below(10)) {
    case 0:
      return twin.delete(keys);
    case 1:
      return twin.assign(keys, randomFloats(random, 3 * n));
    case 2:
      return twin.pull(keys);
    default:
      return twin.push(keys, randomFloats(random, 3 * n), { step });
  }
}
