// When rows go, and what a slice may take: with a clock and turns of the event loop that the tests hold.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { EvictedRows, Table } from "../../lib/api/store-types.js";
import type { Clock } from "../../lib/base/clock.js";
import { Prng } from "../../lib/base/prng.js";
import { constant, type EvictionOptions, sgd } from "../../lib/index.js";
import { MemoryDisk } from "../embedded/memory-store.js";
import { scanAll } from "../laws/oracle-of.js";
import { randomKeys } from "../laws/twin.js";

/** A clock that goes when it is told to. */
class TestClock implements Clock {
  ms = 1_700_000_000_000;
  #timers: { at: number; callback: () => void }[] = [];

  now(): number {
    return this.ms;
  }

  elapsed(): number {
    return this.ms;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { at: this.ms + delayMs, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  }

  /** Goes on, and calls back those whose time has come. */
  advance(ms: number): void {
    this.ms += ms;
    const due = this.#timers.filter(({ at }) => at <= this.ms);
    this.#timers = this.#timers.filter(({ at }) => at > this.ms);
    for (const { callback } of due) callback();
  }
}

const turn = () => new Promise<void>((resolve) => void setImmediate(resolve));

async function turns(n: number): Promise<void> {
  for (let i = 0; i < n; i++) await turn();
}

const dim = 2;

async function open(eviction: EvictionOptions, seed = 1) {
  const clock = new TestClock();
  const disk = new MemoryDisk(seed);
  const store = await disk.open({ clock });
  const table = await store.table("t", {
    dim,
    optimizer: sgd({ learningRate: 1 }),
    initializer: constant(1),
    eviction,
  });
  return { clock, disk, store, table };
}

function keysFrom(from: number, n: number): BigUint64Array {
  return BigUint64Array.from({ length: n }, (_, i) => BigInt(from + i));
}

function push(table: Table, keys: BigUint64Array, step = 0): Promise<void> {
  return table.push(keys, new Float32Array(keys.length * dim), { step, ack: "memory" });
}

async function keysOf(table: Table): Promise<number[]> {
  return [...(await scanAll(table)).keys()].map(Number).sort((a, b) => a - b);
}

test("least recently written: pushed, assigned or created; reading does not count", async () => {
  const { clock, store, table } = await open({ maxRows: 4 });
  await push(table, keysFrom(0, 4));
  clock.advance(1000);
  await push(table, keysFrom(0, 1));
  await table.assign(keysFrom(1, 1), new Float32Array(dim));
  await table.pull(keysFrom(2, 1), { create: true });
  await table.pull(keysFrom(3, 1));
  clock.advance(1000);
  await push(table, keysFrom(10, 1));
  assert.equal(await keysOf(table), [0, 1, 2, 10]);
  await store.close();
});

test("least frequently pushed", async () => {
  const { store, table } = await open({ maxRows: 3, policy: "lfu" });
  await push(table, BigUint64Array.of(1n, 1n, 1n, 2n, 2n, 3n, 3n, 3n));
  await push(table, BigUint64Array.of(4n, 4n, 4n));
  assert.equal(await keysOf(table), [1, 3, 4]);
  await store.close();
});

test("a clock that goes back makes no row older, in this life and the next", async () => {
  const { clock, disk, store, table } = await open({});
  await push(table, keysFrom(0, 1));
  clock.advance(60_000);
  await push(table, keysFrom(1, 1));
  clock.ms -= 50_000;
  await push(table, keysFrom(2, 1));
  const times = async (one: Table) => {
    for await (const { keys, writtenAt } of one.scan())
      return new Map([...keys].map((key, i) => [key, writtenAt![i]]));
    return new Map();
  };
  const before = await times(table);
  assert.is(before.get(2n), before.get(1n));
  await store.close();
  const again = await disk.open({ clock });
  const opened = await again.table("t");
  assert.equal(await times(opened), before);
  await push(opened, keysFrom(3, 1));
  assert.is((await times(opened)).get(3n), before.get(1n));
  assert.is(await opened.evict({ olderThanMs: 59_000 }), 1);
  assert.equal(await keysOf(opened), [1, 2, 3]);
  await again.close();
});

test("rows go when they are too old by time, even when nobody writes", async () => {
  const { clock, store, table } = await open({ maxAgeMs: 16_000 });
  await push(table, keysFrom(0, 3));
  clock.advance(9_000);
  await turns(3);
  await push(table, keysFrom(1, 1));
  for (let i = 0; i < 8; i++) {
    clock.advance(1_000);
    await turns(3);
  }
  // Not before its time, and at most a sixteenth later.
  assert.equal(await keysOf(table), [1]);
  assert.is((await table.stats()).evicted!.age, 2);
  assert.is((await table.stats()).rows, 1);
  await store.close();
});

test("rows go when their last push lies too many steps back; who was never pushed has no step", async () => {
  const { store, table } = await open({ maxAgeSteps: 32 });
  await push(table, keysFrom(0, 3), 1);
  await table.pull(keysFrom(50, 1), { create: true });
  for (let step = 2; step <= 33; step++) await push(table, keysFrom(2, 2), step);
  await turns(3);
  assert.equal(await keysOf(table), [0, 1, 2, 3, 50]);
  for (let step = 34; step <= 36; step++) await push(table, keysFrom(2, 2), step);
  await turns(3);
  assert.equal(await keysOf(table), [2, 3, 50]);
  await store.close();
});

test("the highest step is known again after an opening, from the log and from a checkpoint", async () => {
  const { disk, store, table } = await open({});
  await push(table, keysFrom(0, 3), 10);
  await push(table, keysFrom(3, 3), 100);
  await table.delete(keysFrom(3, 3), { ack: "os" });
  await store.close();
  const again = await disk.open();
  const opened = await again.table("t");
  assert.is(await opened.evict({ olderThanSteps: 90 }), 0);
  await again.checkpoint();
  await again.close();
  const third = await disk.open();
  assert.is(await (await third.table("t")).evict({ olderThanSteps: 89 }), 3);
  await third.close();
});

test("rows whose norm is small go once all rows could have changed", async () => {
  const { store, table } = await open({ minNorm: 0.5 });
  await table.assign(
    keysFrom(0, 10),
    Float32Array.from({ length: 20 }, (_, i) => (i < 8 ? 0.1 : 1)),
  );
  await turns(3);
  assert.equal(await keysOf(table), [4, 5, 6, 7, 8, 9]);
  assert.is((await table.stats()).evicted!.norm, 4);
  await store.close();
});

test("a slice is bounded, a push waits until at most one slice is left, the rest goes between requests", async () => {
  const { store, table } = await open({ maxRows: 1000 });
  const told: number[] = [];
  table.onEvicted(({ keys }) => told.push(keys.length));
  await push(table, keysFrom(0, 30_000));
  assert.ok((await table.stats()).rows <= 1000 + 4096, String((await table.stats()).rows));
  assert.ok((await table.stats()).rows > 1000, "one turn does not do all");
  await turns(20);
  assert.is((await table.stats()).rows, 1000);
  assert.ok(told.every((n) => n <= 4096));
  assert.is(
    told.reduce((sum, n) => sum + n),
    29_000,
  );
  await store.close();
});

test("victims are among the oldest few percent", async () => {
  const { clock, store, table } = await open({ maxRows: 20_000 });
  const random = new Prng(9);
  const written = new Map<bigint, number>();
  const ranks: number[] = [];
  table.onEvicted(({ keys }) => {
    const sorted = Float64Array.from(written.values()).sort();
    for (const key of keys) {
      const time = written.get(key)!;
      ranks.push(sorted.findIndex((one) => one >= time) / sorted.length);
    }
    for (const key of keys) written.delete(key);
  });
  for (let i = 0; i < 300; i++) {
    clock.advance(100);
    const keys = randomKeys(random, 500, 40_000);
    for (const key of keys) written.set(key, clock.ms);
    await push(table, keys);
  }
  assert.ok(ranks.length > 2000, String(ranks.length));
  ranks.sort((a, b) => a - b);
  assert.ok(ranks[Math.floor(0.99 * ranks.length)] < 0.08, String(ranks[Math.floor(0.99 * ranks.length)]));
  await store.close();
});

test("places of rows that went are used again: bytes stay within their bound", async () => {
  const { store, table } = await open({ maxBytes: 2 << 20 });
  for (let i = 0; i < 100; i++) {
    await push(table, keysFrom(5000 * i, 5000));
    assert.ok((await table.stats()).bytes <= (2 << 20) + (1 << 18), String((await table.stats()).bytes));
  }
  assert.ok((await table.stats()).rows > 25_000, String((await table.stats()).rows));
  await store.close();
});

test("who is told may write, throw or reject: the store goes on", async () => {
  const { store, table } = await open({ maxRows: 10 });
  const warnings: Error[] = [];
  const note = (warning: Error) => void warnings.push(warning);
  process.on("warning", note);
  const other = await store.table("other", {
    dim,
    optimizer: sgd({ learningRate: 1 }),
    eviction: { maxRows: 15 },
  });
  table.onEvicted(({ keys, rows }: EvictedRows) => void other.assign(keys, rows));
  table.onEvicted(() => {
    throw new Error("one");
  });
  const end = table.onEvicted(async () => {
    throw new Error("two");
  });
  await push(table, keysFrom(0, 20));
  end();
  await push(table, keysFrom(20, 20));
  await turns(5);
  assert.is((await table.stats()).rows, 10);
  assert.is((await other.stats()).rows, 15);
  assert.equal(
    warnings.map(({ message }) => /: (one|two)$/.exec(message)?.[1]),
    ["one", "two", "one"],
  );
  process.off("warning", note);
  await store.close();
});

test("while the store cannot write nothing is evicted; then it goes on", async () => {
  const { clock, disk, store, table } = await open({ maxAgeMs: 10_000 });
  await push(table, keysFrom(0, 20_000));
  const evicting = table.evict({ rows: 15_000 }).then(
    () => "done",
    ({ code }) => code,
  );
  disk.files.capacityBytes = 0;
  const pending = push(table, keysFrom(50_000, 1));
  for (let i = 0; i < 10; i++) {
    clock.advance(200);
    await turns(2);
  }
  assert.is((await store.stats()).health, "read-only");
  assert.is(await evicting, "IO");
  assert.is(await table.evict({ rows: 1 }).catch(({ code }) => code), "READ_ONLY");
  const { rows } = await table.stats();
  clock.advance(20_000);
  await turns(5);
  assert.is((await table.stats()).rows, rows, "not even those that are too old");
  disk.files.capacityBytes = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 40 && (await table.stats()).rows > 0; i++) {
    clock.advance(2_000);
    await turns(5);
  }
  await pending;
  assert.is((await table.stats()).rows, 0);
  await store.close();
});

test("dropping a table ends what is under way", async () => {
  const { store, table } = await open({});
  await push(table, keysFrom(0, 20_000));
  const evicting = table.evict({ rows: 20_000 }).then(
    () => "done",
    ({ code }) => code,
  );
  await turn();
  await store.dropTable("t");
  assert.is(await evicting, "TABLE_NOT_FOUND");
  await store.close();
});

test("closing ends what is under way", async () => {
  const { disk, store, table } = await open({});
  await push(table, keysFrom(0, 20_000));
  const evicting = table.evict({ rows: 20_000 }).then(
    () => "done",
    ({ code }) => code,
  );
  await turn();
  await store.close();
  assert.is(await evicting, "CLOSED");
  const again = await disk.open();
  const { rows } = await (await again.table("t")).stats();
  assert.ok(rows > 0 && rows < 20_000, String(rows));
  await again.close();
});

test.run();
