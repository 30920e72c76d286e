// Laws of rows that go by themselves, and of counters that decay: what is told of rows that went is what went, to the bit.
import * as assert from "uvu/assert";
import type { EvictedRows, Store, Table } from "../../lib/api/store-types.js";
import { Prng } from "../../lib/base/prng.js";
import { adagrad, normal, type TableOptions } from "../../lib/index.js";
import { scanAll } from "./oracle-of.js";
import type { Law } from "./table-laws.js";
import { codeOf, keysOfNumbers, randomFloats, randomKeys, same, Twin } from "./twin.js";

const dim = 9;
const options: TableOptions = {
  dim,
  optimizer: adagrad({ learningRate: 0.1 }),
  initializer: normal(0, 1),
  eviction: { maxRows: 1000 },
};
const counted: TableOptions = { ...options, counters: { names: ["show", "click"], decay: 0.9 } };

/** A twin whose oracle loses the rows that the table says have gone, after they were compared. */
async function evictingTwin(store: Store, name: string, given: TableOptions) {
  const twin = await Twin.open(store, name, given);
  const told: EvictedRows[] = [];
  const listen = (table: Table) => table.onEvicted((rows) => void told.push(lost(twin, rows)));
  listen(twin.table);
  return { twin, told, listen };
}

function lost(twin: Twin, rows: EvictedRows): EvictedRows {
  const { keys } = rows;
  const state = new Float32Array(rows.state.length);
  const found = new Uint8Array(keys.length);
  same(rows.rows, twin.oracle.pull(keys, { state, found }), "rows told");
  same(rows.state, state, "state told");
  assert.ok(found.every((one) => one === 1));
  if (rows.counters) {
    const expected = twin.oracle.countersOf(keys);
    Object.values(rows.counters).forEach((column, c, all) => {
      same(
        column,
        expected.filter((_, i) => i % all.length === c),
        "counters told",
      );
    });
  }
  assert.is(twin.oracle.delete(keys), keys.length);
  return rows;
}

export function evictionLaws(law: Law): void {
  for (const policy of ["lru", "lfu", "score"] as const) {
    law(
      `a table keeps to its rows by ${policy}, tells which went, and comes back the same`,
      async ({ store, reopen }) => {
        const random = new Prng(3);
        const { twin, told, listen } = await evictingTwin(store, "t", {
          ...counted,
          eviction: { maxRows: 1000, policy, score: { show: 0.5, click: 2 } },
        });
        let opened = store;
        for (let round = 0; round < 4; round++) {
          for (let step = 1; step <= 12; step++) {
            const counters = {
              show: randomFloats(random, 150).map(Math.abs),
              click: new Float32Array(150).fill(step % 2),
            };
            await twin.push(randomKeys(random, 150, 4000), randomFloats(random, 150 * dim), {
              step,
              ...(step % 3 === 0 ? {} : { counters }),
            });
            assert.ok((await twin.table.stats()).rows <= 1000, String((await twin.table.stats()).rows));
            if (step % 5 === 0) await twin.decay();
          }
          const checkpointing = round % 2 === 0 ? opened.checkpoint() : undefined;
          await twin.assign(randomKeys(random, 100, 4000), randomFloats(random, 100 * dim));
          await twin.push(randomKeys(random, 100, 4000), randomFloats(random, 100 * dim));
          await checkpointing;
          await twin.compareAll();
          opened = await reopen();
          twin.table = await opened.table("t");
          listen(twin.table);
          await twin.compareAll();
        }
        assert.ok(told.length > 20);
        assert.ok(told.every(({ reason }) => reason === "capacity"));
      },
    );
  }

  law("rows that are asked to go, go, and no others", async ({ store }) => {
    const { twin, told } = await evictingTwin(store, "t", { ...counted, eviction: {} });
    const random = new Prng(4);
    for (let step = 1; step <= 100; step++)
      await twin.push(randomKeys(random, 60, 900), randomFloats(random, 60 * dim), { step });
    const expected = (
      goes: (row: { frequency: number; lastStep: number; norm: number; score: number }) => boolean,
    ) =>
      [...twin.oracle.entries()].filter(([, row]) =>
        goes({ ...row, norm: Math.hypot(...row.weights), score: row.counters![0] }),
      ).length;
    const all = [
      [{ olderThanSteps: 40 }, expected(({ lastStep }) => lastStep < 60)],
      [{ belowFrequency: 4 }, undefined],
      [{ belowNorm: 2 }, undefined],
      [{ belowScore: 5.5 }, undefined],
      [{ rows: 100 }, 100],
    ] as const;
    for (const [request, known] of all) {
      const wanted =
        known ??
        expected(({ frequency, norm, score }) =>
          "belowFrequency" in request ? frequency < 4 : "belowNorm" in request ? norm < 2 : score < 5.5,
        );
      assert.ok(wanted > 0, JSON.stringify(request));
      assert.is(await twin.table.evict(request), wanted, JSON.stringify(request));
      await twin.compareAll();
    }
    assert.ok(told.every(({ reason }) => reason === "request"));
    const left = twin.oracle.size;
    assert.is(await twin.table.evict({ rows: 1_000_000 }), left);
    await twin.compareAll();
    assert.is((await twin.table.stats()).rows, 0);
    assert.is(await twin.table.evict({ olderThanMs: 0 }), 0);
    await twin.push(keysOfNumbers(1, 2, 3), new Float32Array(3 * dim));
    await twin.compareAll();
  });

  law(
    "a table without eviction evicts by frequency when asked, and says what it cannot",
    async ({ store }) => {
      const twin = await Twin.open(store, "t", { dim, optimizer: options.optimizer! });
      await twin.push(keysOfNumbers(1, 2, 2, 3, 3, 3), new Float32Array(6 * dim));
      assert.is(await twin.table.evict({ rows: 1 }), 1);
      await twin.oracle.delete(keysOfNumbers(1));
      await twin.compareAll();
      const wrong = [
        () => twin.table.evict({ olderThanMs: 5 }),
        () => twin.table.evict({ belowScore: 5 }),
        () => twin.table.evict({} as never),
        () => twin.table.evict({ rows: 1, belowNorm: 1 } as never),
        () => twin.table.evict({ rows: -1 }),
        () => twin.table.evict({ belowNorm: Number.NaN }),
        () => twin.table.decay(),
        () =>
          twin.table.push(keysOfNumbers(1), new Float32Array(dim), {
            counters: { show: Float32Array.of(1) },
          }),
        () => twin.table.onEvicted(undefined as never),
      ];
      for (const call of wrong) assert.is(await codeOf(call), "INVALID_ARGUMENT", String(call));
      for (const given of [
        { eviction: { policy: "score" as const } },
        { eviction: { maxRows: 0 } },
        { eviction: { maxRows: 1.5 } },
        { eviction: { score: { show: 1 } } },
        { eviction: { maxAge: 3 } as never },
        { counters: { names: [] } },
        { counters: { names: ["a", "a"] } },
        { counters: { names: ["a"], decay: 1.5 } },
      ]) {
        const code = await codeOf(() => store.table("new", { dim, optimizer: options.optimizer!, ...given }));
        assert.is(code, "INVALID_OPTIONS", JSON.stringify(given));
      }
      assert.is(await codeOf(() => store.table("t", { eviction: {} })), "TABLE_MISMATCH");
      assert.is(await codeOf(() => store.table("t", { counters: { names: ["a"] } })), "TABLE_MISMATCH");
      assert.is(
        await codeOf(() => store.tensor("w", { shape: [4], eviction: {} } as never)),
        "INVALID_OPTIONS",
      );
    },
  );

  law("limits change when a table is opened again", async ({ store }) => {
    const { twin } = await evictingTwin(store, "t", options);
    const random = new Prng(5);
    await twin.push(randomKeys(random, 3000, 100_000), randomFloats(random, 3000 * dim));
    await twin.compareAll();
    assert.is((await twin.table.stats()).rows, 1000);
    await store.table("t", { eviction: { maxRows: 40 } });
    await twin.push(keysOfNumbers(1), new Float32Array(dim));
    assert.is((await twin.table.stats()).rows, 40);
    await twin.compareAll();
    await store.table("t", { eviction: {} });
    await twin.push(randomKeys(random, 3000, 100_000), randomFloats(random, 3000 * dim));
    assert.ok((await twin.table.stats()).rows > 2900);
    await twin.compareAll();
  });
}

/** Laws of eviction over several shards, which keep to the limits together: what goes is what is told. */
export function scatteredEvictionLaws(law: Law): void {
  law("what shards let go is told, each row once, as it was", async ({ store, reopen }) => {
    const random = new Prng(7);
    const { twin, told, listen } = await evictingTwin(store, "t", { ...counted, eviction: { maxRows: 40 } });
    for (let step = 1; step <= 60; step++)
      await twin.push(randomKeys(random, 60, 1200), randomFloats(random, 60 * dim), { step });
    const { rows } = await twin.table.stats();
    assert.ok(rows <= 40 && rows >= 32, `${rows} rows`);
    assert.ok(told.length > 20 && told.every(({ reason }) => reason === "capacity"), String(told.length));
    await twin.compareAll();
    const opened = await reopen();
    twin.table = await opened.table("t");
    const end = listen(twin.table);
    const steps = [...twin.oracle.entries()].map(([, { lastStep }]) => lastStep).sort((a, b) => a - b);
    const middle = steps[steps.length >> 1];
    const old = steps.filter((step) => step < middle);
    assert.is(await twin.table.evict({ olderThanSteps: 60 - middle }), old.length);
    assert.ok(old.length > 0);
    await twin.compareAll();
    assert.is(told.at(-1)?.reason, "request");
    const left = rows - old.length;
    assert.is(await twin.table.evict({ rows: 7 }), 7);
    await twin.compareAll();
    assert.is((await twin.table.stats()).rows, left - 7);
    end();
    const before = told.length;
    const rare = [...twin.oracle.entries()].filter(([, { frequency }]) => frequency < 3);
    assert.is(await twin.table.evict({ belowFrequency: 3 }), rare.length);
    assert.is(told.length, before, "who has stopped listening is not told");
    assert.is(twin.oracle.delete(BigUint64Array.from(rare, ([key]) => key)), rare.length);
    await twin.compareAll();
    const rest = (await twin.table.stats()).rows;
    assert.is(await twin.table.evict({ rows: 1_000_000 }), rest);
    assert.is((await twin.table.stats()).rows, 0);
  });
}

/** Laws of counters: nothing goes by itself. */
export function counterLaws(law: Law): void {
  law(
    "counters that are assigned are those of now, and the last of a key stays",
    async ({ store, reopen }) => {
      let opened = store;
      const twin = await Twin.open(store, "t", { ...counted, eviction: {} });
      const random = new Prng(16);
      const columns = (n: number) => ({
        show: randomFloats(random, n).map(Math.abs),
        click: new Float32Array(n).fill(n),
      });
      for (let round = 0; round < 12; round++) {
        const n = 90;
        const keys = randomKeys(random, n, 200);
        const frequency = Uint32Array.from(keys, () => random.below(50));
        await twin.assign(keys, randomFloats(random, n * dim), {
          ...(round % 4 !== 3 && { counters: columns(n) }),
          ...(round % 2 === 0 && { frequency, lastStep: frequency }),
          ...(round % 3 === 0 && {
            state: randomFloats(random, n * twin.table.stateFloats).map(Math.abs),
          }),
        });
        await twin.push(randomKeys(random, 30, 200), randomFloats(random, 30 * dim));
        if (round % 2 === 0) await twin.decay();
        if (round === 6) await opened.checkpoint();
        if (round === 6 || round === 10) {
          opened = await reopen();
          twin.table = await opened.table("t");
        }
      }
      await twin.compareAll();
      const keys = keysOfNumbers(1, 2);
      const rows = new Float32Array(2 * dim);
      const show = Float32Array.of(1, 2);
      const assigned = (counters: object) =>
        codeOf(() => twin.table.assign(keys, rows, { counters } as object));
      assert.is(await assigned({ show }), "INVALID_ARGUMENT");
      assert.is(await assigned({ show, click: Float32Array.of(1) }), "INVALID_ARGUMENT");
      assert.is(await assigned({ show, click: Float32Array.of(1, -1) }), "NON_FINITE");
      assert.is(await assigned({ show, click: show, other: show }), "INVALID_ARGUMENT");
      const { counters: _, ...without } = counted;
      const plain = await opened.table("plain", without);
      assert.is(await codeOf(() => plain.assign(keys, rows, { counters: { show } })), "INVALID_ARGUMENT");
      await twin.compareAll();
    },
  );

  law(
    "counters are the oracle's bits through decays, and what has none reads 0",
    async ({ store, reopen }) => {
      const twin = await Twin.open(store, "t", { ...counted, eviction: {} });
      const other = await Twin.open(store, "u", { ...counted, counters: { names: ["seen"] }, logged: false });
      const random = new Prng(6);
      let opened = store;
      for (let round = 0; round < 30; round++) {
        const n = 80;
        const keys = randomKeys(random, n, 300);
        const click = Float32Array.from({ length: n }, () => random.below(3));
        await twin.push(keys, randomFloats(random, n * dim), round % 4 === 0 ? {} : { counters: { click } });
        await other.push(keys, randomFloats(random, n * dim));
        if (round % 3 === 0) await twin.decay();
        if (round % 5 === 0) await other.decay();
        if (round === 20) {
          await opened.checkpoint();
          opened = await reopen();
          twin.table = await opened.table("t");
          other.table = await opened.table("u");
        }
      }
      await twin.compareAll();
      await other.compareAll();
      const keys = randomKeys(random, 500, 600);
      const into = { show: new Float32Array(500), click: new Float32Array(500) };
      await twin.table.pull(keys, { counters: into });
      const expected = twin.oracle.countersOf(keys);
      same(
        into.show,
        expected.filter((_, i) => i % 2 === 0),
        "show",
      );
      same(
        into.click,
        expected.filter((_, i) => i % 2 === 1),
        "click",
      );
      opened = await reopen();
      twin.table = await opened.table("t");
      await twin.compareAll();
      assert.is((await scanAll(twin.table)).size, twin.oracle.size);
    },
  );

  law("counters of gradients that are skipped are not counted", async ({ store }) => {
    const twin = await Twin.open(store, "t", { ...counted, nonFinite: "skip" });
    const gradients = new Float32Array(5 * dim).fill(1);
    gradients[dim] = Number.NaN;
    const show = Float32Array.of(1, 2, 4, 8, 16);
    await twin.table.push(keysOfNumbers(1, 2, 1, 3, 2), gradients, { counters: { show } });
    twin.oracle.push(keysOfNumbers(1, 1, 3, 2), new Float32Array(4 * dim).fill(1), {
      counters: { show: Float32Array.of(1, 4, 8, 16) },
    });
    await twin.compareAll();
    for (const bad of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      const push = () =>
        twin.table.push(keysOfNumbers(1), new Float32Array(dim), {
          counters: { click: Float32Array.of(bad) },
        });
      assert.is(await codeOf(push), "NON_FINITE");
    }
    await twin.compareAll();
  });
}
