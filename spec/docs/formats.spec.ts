// docs/formats is exact enough to write a reader from: the reader that was written from it finds what the store has.
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { makeDirectory } from "../../lib/directory/making.js";
import { openShardOf } from "../../lib/directory/shard-opening.js";
import {
  adagrad,
  constant,
  openStore,
  rowWiseAdagrad,
  type Store,
  type StoreOptions,
  sgd,
  type Table,
  type TableOptions,
} from "../../lib/index.js";
import { type FoundRow, type FoundStore, readStore } from "./store-reader.js";

const test = suite<{ directory: string }>("formats");
test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), "embershard-formats-"));
});
test.after.each(({ directory }) => rmSync(directory, { recursive: true, force: true }));

const settings: StoreOptions = { control: false, checkpoint: false, hugePages: "off" };

/** Reads a copy of a closed store: opening a LevelDB writes to it. */
async function readCopy(directory: string, version?: string): Promise<FoundStore> {
  const copy = `${directory}-copy`;
  cpSync(directory, copy, { recursive: true });
  try {
    return await readStore(copy, version);
  } finally {
    rmSync(copy, { recursive: true });
  }
}

async function rowsOf(table: Table): Promise<Map<bigint, FoundRow>> {
  const rows = new Map<bigint, FoundRow>();
  for await (const batch of table.scan()) {
    batch.keys.forEach((key, i) => {
      rows.set(key, {
        weights: batch.rows.slice(i * table.dim, (i + 1) * table.dim),
        state: batch.state.slice(i * table.stateFloats, (i + 1) * table.stateFloats),
        frequency: batch.frequency[i],
        lastStep: batch.lastStep[i],
        ...(batch.counters && {
          counters: Object.fromEntries(
            Object.entries(batch.counters).map(([name, column]) => [name, column[i]]),
          ),
        }),
        ...(batch.writtenAt && { writtenAt: batch.writtenAt[i] }),
      });
    });
  }
  return rows;
}

async function assertSame(found: FoundStore, directory: string, options: StoreOptions): Promise<void> {
  const store = await openStore(directory, options);
  try {
    const names = (await store.tables()).map(({ name }) => name);
    assert.equal([...found.tables.keys()].sort(), names.sort());
    const mark = await store.mark();
    assert.equal(found.mark && [...found.mark], mark && [...mark]);
    for (const name of names) {
      const expected = await rowsOf(await store.table(name));
      const rows = found.tables.get(name)!;
      assert.is(rows.size, expected.size, name);
      for (const [key, row] of expected) assert.equal(rows.get(key), row, `${name}, key ${key}`);
      await assertSameCounts(found, await store.table(name));
    }
  } finally {
    await store.close();
  }
}

/** What is known of keys without a row. */
async function assertSameCounts({ tables, candidates, sketches }: FoundStore, table: Table): Promise<void> {
  const { name, options } = table;
  if (options.admission === undefined) return;
  const keys = BigUint64Array.from({ length: 3000 }, (_, i) => BigInt(i) << 40n);
  const occurrences = await table.occurrences(keys);
  for (const [i, key] of keys.entries()) {
    const counted = candidates.get(name)?.get(key)?.occurrences ?? sketches.get(name)?.occurrences(key) ?? 0;
    assert.is(tables.get(name)!.get(key)?.frequency ?? counted, occurrences[i], `${name}, key ${key}`);
  }
  if (options.admission.counter !== "exact") return;
  const found = candidates.get(name) ?? new Map();
  for await (const batch of table.candidates())
    for (const [i, key] of batch.keys.entries())
      assert.equal(found.get(key), { occurrences: batch.occurrences[i], lastStep: batch.lastStep[i] });
  assert.is(found.size, (await table.stats()).admission!.candidates);
}

/** How the rows of both tables are stored. */
type Stored = Pick<TableOptions, "storage" | "stateStorage">;

/** Random writes of every kind to two tables, some in one push with a mark. */
async function writeSome(store: Store, random: Prng, writes: number, stored: Stored = {}): Promise<void> {
  const plain = await store.table("plain", {
    dim: 3,
    optimizer: sgd({ learningRate: 0.1 }),
    initializer: constant(0.3),
    ...stored,
  });
  const kept = await store.table("kept", {
    dim: 5,
    optimizer: adagrad({ learningRate: 0.1, initialAccumulator: 0.3 }),
    ...stored,
  });
  const keys = () =>
    BigUint64Array.from({ length: 1 + random.below(40) }, () => BigInt(random.below(3000)) << 40n);
  const floats = (n: number) => Float32Array.from({ length: n }, () => random.unit() - 0.5);
  for (let i = 0; i < writes; i++) {
    const some = keys();
    const n = some.length;
    switch (random.below(5)) {
      case 0:
        await plain.push(some, floats(3 * n), { step: i, learningRate: 0.01 * (1 + random.below(9)) });
        break;
      case 1:
        await store.push([{ table: plain, keys: some, gradients: floats(3 * n) }], {
          step: i,
          mark: Uint8Array.of(i, n),
        });
        break;
      case 2:
        await kept.assign(some, floats(5 * n), {
          ...(random.below(2) === 0 && { state: floats(5 * n) }),
          ...(random.below(2) === 0 && {
            frequency: Uint32Array.from(some, () => random.below(99)),
            lastStep: Uint32Array.from(some, () => random.u32()),
          }),
        });
        break;
      case 3:
        await plain.pull(some, { create: true });
        break;
      default:
        await (random.below(2) === 0 ? plain : kept).delete(some);
    }
  }
}

test("a store that never had a checkpoint is its log", async ({ directory }) => {
  const store = await openStore(directory, settings);
  await writeSome(store, new Prng(1), 200);
  await store.close();
  const found = await readCopy(directory);
  assert.ok(found.replayed > 150);
  await assertSame(found, directory, settings);
});

test("checkpoints with writes beside them, tables dropped and made again, and a log behind them", async ({
  directory,
}) => {
  const store = await openStore(directory, settings);
  const random = new Prng(2);
  await writeSome(store, random, 200);
  const other = await store.table("other", { dim: 2, optimizer: sgd({ learningRate: 1 }) });
  await other.push(BigUint64Array.of(0n, 2n ** 64n - 1n), Float32Array.of(1, 2, 3, 4));
  // Pushed through its optimizer, which the reader does not know, before the checkpoint: then only its rows count.
  const kept = await store.table("kept");
  await kept.push(BigUint64Array.of(7n, 8n, 7n), new Float32Array(15).fill(0.5), { step: 9 });
  await store.checkpoint();
  await writeSome(store, random, 50);
  await Promise.all([store.checkpoint(), writeSome(store, random, 100), store.dropTable("other")]);
  const again = await store.table("other", { dim: 4, optimizer: sgd({ learningRate: 1 }) });
  await again.push(BigUint64Array.of(5n), Float32Array.of(1, 2, 3, 4));
  await writeSome(store, random, 50);
  await store.close();
  const found = await readCopy(directory);
  assert.ok(found.replayed >= 50 && found.replayed < 250, String(found.replayed));
  await assertSame(found, directory, settings);
});

for (const stored of [{ storage: "f16" }, { storage: "bf16" }, { storage: "int8" }, {}] as const) {
  test(`rows of ${"storage" in stored ? stored.storage : "float32"} weights and bf16 state`, async ({
    directory,
  }) => {
    const store = await openStore(directory, settings);
    const random = new Prng(3);
    const narrow: Stored = { ...stored, stateStorage: "bf16" };
    await writeSome(store, random, 100, narrow);
    const kept = await store.table("kept");
    await kept.push(BigUint64Array.of(7n, 8n, 7n), new Float32Array(15).fill(0.3), { step: 9 });
    const wise = await store.table("wise", {
      dim: 7,
      optimizer: rowWiseAdagrad({ learningRate: 0.1 }),
      ...narrow,
    });
    await wise.push(BigUint64Array.of(1n, 2n), new Float32Array(14).fill(0.3));
    await store.checkpoint();
    await writeSome(store, random, 100, narrow);
    await wise.assign(BigUint64Array.of(2n, 3n), new Float32Array(14).fill(0.7), {
      state: Float32Array.of(0.1, 0.2),
    });
    await store.close();
    await assertSame(await readCopy(directory), directory, settings);
  });
}

test("an unlogged table is that of the checkpoint, and a mark beyond it does not count", async ({
  directory,
}) => {
  const store = await openStore(directory, settings);
  const loose = await store.table("loose", { dim: 1, optimizer: sgd({ learningRate: 1 }), logged: false });
  await loose.push(BigUint64Array.of(1n, 2n), Float32Array.of(1, 2), { mark: Uint8Array.of(1) });
  await store.checkpoint();
  await loose.push(BigUint64Array.of(2n), Float32Array.of(5));
  const stop = new AbortController();
  const unfinished = store.checkpoint({ signal: stop.signal }).catch(({ code }) => code);
  // Now it drains: unlogged tables are logged meanwhile.
  for (let turn = 0; turn < 10; turn++) await null;
  const { lsn } = (await store.stats()).log;
  await loose.push(BigUint64Array.of(1n, 3n), Float32Array.of(1, 2), { mark: Uint8Array.of(2) });
  assert.is((await store.stats()).log.lsn, lsn + 1);
  stop.abort();
  assert.is(await unfinished, "ABORTED");
  await store.close();
  const found = await readCopy(directory);
  assert.equal([...found.tables.get("loose")!.keys()].sort(), [1n, 2n]);
  assert.equal([...found.mark!], [1]);
  await assertSame(found, directory, settings);
});

test("workers: sessions, sequences and clocks, of the checkpoint and behind it", async ({ directory }) => {
  await makeDirectory(directory);
  const open = async () =>
    (await openShardOf(directory, 0, { arenaBytes: 32 << 20, hugePages: "off" })).shard;
  let shard = await open();
  const random = new Prng(6);
  const numbers = new Map<string, number>();
  const sessions = new Map<string, bigint>();
  let sequence = 0n;
  for (let i = 0; i < 90; i++) {
    const name = `worker ${random.below(4)}`;
    if (!numbers.has(name) || random.below(20) === 0) {
      const session = (sessions.get(name) ?? 0n) + 1n;
      sessions.set(name, session);
      numbers.set(name, (await shard.workers.register(name, session, false)).number);
    }
    const table = await shard.openTable("plain", { dim: 1, optimizer: sgd({ learningRate: 1 }) });
    const first = random.below(16_384);
    const last = first + random.below(16_384 - first);
    const origin = {
      worker: numbers.get(name)!,
      session: sessions.get(name)!,
      sequence: ++sequence + BigInt(random.below(2)),
      clock: BigInt(random.below(1000)),
      first,
      last,
    };
    const write = {
      table,
      kind: "push",
      keys: BigUint64Array.of(1n),
      values: Float32Array.of(1),
      learningRate: 1,
    } as const;
    await shard.write([write], { ack: "os", step: i, origin });
    if (i === 45) await shard.checkpoint({});
    if (i % 30 === 0) {
      await shard.close();
      shard = await open();
    }
  }
  const expected = [...shard.workers.known.values()].map(({ name, number, session, clock, slots }) => ({
    name,
    number,
    session,
    clock,
    slots: slots.notes(),
  }));
  await shard.close();
  const { workers } = await readCopy(directory);
  assert.is(workers.size, expected.length);
  for (const { name, slots, ...rest } of expected) {
    const { slots: found, ...plain } = workers.get(name)!;
    assert.equal({ name, ...plain }, { name, ...rest });
    let count = 0;
    for (const [first, last, highest] of slots)
      for (let slot = first; slot <= last; slot++, count++) assert.is(found.get(slot), BigInt(highest));
    assert.is(found.size, count);
  }
  await assertSame(await readCopy(directory), directory, settings);
});

test("keys without a row, counted one by one and in sketches", async ({ directory }) => {
  const store = await openStore(directory, settings);
  const random = new Prng(4);
  const sketch = { sketchBytes: 3 << 20 };
  const ways = [
    { after: 3 },
    { probability: 0.3 },
    { after: 3, counter: sketch },
    { after: 256, counter: sketch },
  ];
  for (let i = 0; i < 60; i++) {
    if (i === 30) await store.checkpoint();
    for (const [j, admission] of ways.entries()) {
      const table = await store.table(`t${j}`, { dim: 2, optimizer: sgd({ learningRate: 1 }), admission });
      const keys = BigUint64Array.from({ length: 200 }, () => BigInt(random.below(3000)) << 40n);
      const dice = random.below(8);
      if (dice === 0) await table.delete(keys);
      else if (dice === 1) await table.pull(keys, { create: true });
      else await table.push(keys, new Float32Array(400).fill(0.25), { step: i });
    }
  }
  await store.dropTable("t1");
  await store.close();
  const found = await readCopy(directory);
  assert.ok(found.candidates.get("t0")!.size > 100);
  assert.ok(found.sketches.get("t3")!.rows.size > 1000);
  await assertSame(found, directory, settings);
});

test("rows beyond memory: cold, promoted, deleted, and their tables dropped", async ({ directory }) => {
  const store = await openStore(directory, settings);
  const random = new Prng(6);
  const options = { dim: 1000, optimizer: sgd({ learningRate: 1 }), memory: 1 << 20 };
  const keys = (n: number) => BigUint64Array.from({ length: n }, () => BigInt(random.below(600)) << 40n);
  const gone = await store.table("gone", options);
  await gone.push(
    BigUint64Array.from({ length: 400 }, (_, i) => BigInt(i)),
    new Float32Array(400_000).fill(1),
  );
  for (let i = 0; i < 60; i++) {
    const table = await store.table("large", options);
    const n = 1 + random.below(60);
    const some = keys(n);
    const dice = random.below(8);
    if (i === 30)
      await Promise.all([store.checkpoint(), table.push(some, new Float32Array(n * 1000).fill(0.5))]);
    else if (i === 40) await store.dropTable("gone");
    else if (dice === 0) await table.delete(some);
    else if (dice === 1) await table.assign(some, new Float32Array(n * 1000).fill(i));
    else await table.push(some, new Float32Array(n * 1000).fill(0.25), { step: i });
  }
  const { cold, rows } = await (await store.table("large")).stats();
  assert.ok(cold!.rows > 100 && cold!.rows < rows && cold!.promotions > 100, JSON.stringify(cold));
  await store.close();
  await assertSame(await readCopy(directory), directory, settings);
});

test("rows beyond memory that are evicted, resident and cold, with counters and times", async ({
  directory,
}) => {
  const store = await openStore(directory, settings);
  const random = new Prng(8);
  const table = await store.table("large", {
    dim: 900,
    optimizer: sgd({ learningRate: 1 }),
    memory: 1 << 20,
    eviction: { maxRows: 500, policy: "lru" },
    counters: { names: ["show", "click"], decay: 0.5 },
  });
  const told: bigint[] = [];
  table.onEvicted(({ keys }) => void told.push(...keys));
  for (let i = 0; i < 40; i++) {
    const n = 1 + random.below(80);
    const keys = BigUint64Array.from({ length: n }, () => BigInt(random.below(1500)) << 30n);
    await table.push(keys, new Float32Array(n * 900).fill(0.25), { step: i });
    if (i % 7 === 3) await table.decay();
    if (i === 20) await store.checkpoint();
  }
  await table.evict({ rows: 40 });
  const { cold, rows } = await table.stats();
  assert.ok(cold!.rows > 30 && cold!.rows < rows && told.length > 200, JSON.stringify({ cold, rows }));
  await store.close();
  await assertSame(await readCopy(directory), directory, settings);
});

test("several arenas, with rows that moved from one to another", async ({ directory }) => {
  const options: StoreOptions = { ...settings, arenaBytes: 32 << 20 };
  const store = await openStore(directory, options);
  const wide = await store.table("wide", { dim: 255, optimizer: sgd({ learningRate: 0.5 }) });
  let next = 0n;
  for (let batch = 0; batch < 48; batch++) {
    if (batch === 24) await store.checkpoint();
    const keys = BigUint64Array.from({ length: 400 }, () => next++ * 0x9e37_79b9_7f4an);
    await wide.push(
      keys,
      Float32Array.from({ length: 400 * 255 }, (_, i) => i % 251),
    );
  }
  assert.ok((await store.stats()).memory.arenas > 1);
  await store.close();
  const found = await readCopy(directory);
  assert.ok(found.arenas > 1);
  await assertSame(found, directory, options);
});

test("a version is read as its document says, and so is a store that was rolled back to it", async ({
  directory,
}) => {
  const random = new Prng(9);
  const store = await openStore(directory, settings);
  await writeSome(store, random, 60);
  let made = false;
  const making = store.checkpoint({ version: "v-1", note: "the first" }).finally(() => {
    made = true;
  });
  for (let i = 0; i < 3 || !made; i++) await writeSome(store, random, 2);
  await making;
  await writeSome(store, random, 30);
  await store.close();
  const found = await readCopy(directory, "v-1");
  await assertSame(found, directory, { ...settings, version: "v-1" });
  const again = await openStore(directory, settings);
  await again.rollback("v-1");
  await writeSome(again, random, 20);
  await again.close();
  await assertSame(await readCopy(directory), directory, settings);
});

test("rows that are evicted, with times and counters that decay, beside checkpoints", async ({
  directory,
}) => {
  const store = await openStore(directory, settings);
  const random = new Prng(8);
  const options = {
    dim: 2,
    optimizer: sgd({ learningRate: 0.5 }),
    eviction: { maxRows: 150 },
    counters: { names: ["show", "click"], decay: 0.9 },
  };
  const words = await store.table("words", options);
  const loose = await store.table("loose", { ...options, logged: false, counters: { names: ["seen"] } });
  for (let i = 0; i < 120; i++) {
    const n = 1 + random.below(30);
    const keys = BigUint64Array.from({ length: n }, () => BigInt(random.below(600)));
    const gradients = Float32Array.from({ length: 2 * n }, () => random.unit() - 0.5);
    const click = Float32Array.from({ length: n }, () => random.unit());
    await words.push(keys, gradients, random.below(2) === 0 ? {} : { counters: { click } });
    if (i < 60) await loose.push(keys, gradients);
    if (i % 7 === 0) {
      const some = { frequency: Uint32Array.from(click, () => i), lastStep: new Uint32Array(n) };
      await words.assign(keys, gradients, {
        ...(i % 3 > 0 && { counters: { show: click, click: click.map((one) => 2 * one) } }),
        ...(i % 2 > 0 && some),
      });
    }
    if (i % 9 === 0) await words.decay();
    if (i % 11 === 0 && i < 60) await loose.decay();
    if (i === 59) await store.checkpoint();
    if (i === 80) await words.evict({ belowFrequency: 2 });
  }
  await store.close();
  const found = await readCopy(directory);
  assert.ok(found.replayed > 100);
  assert.is(found.tables.get("words")!.size, 150);
  await assertSame(found, directory, settings);
});

test.run();
