// Rows that are cold, in every order in which things can happen to them.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { adagrad, type Table, uniform } from "../../lib/index.js";
import { codeOf, keysOfNumbers, randomFloats, randomKeys, Twin } from "../laws/twin.js";
import { FaultyMachine, type OpenedStore, turns } from "./fault-fixture.js";

const options = {
  dim: 3,
  optimizer: adagrad({ learningRate: 0.1 }),
  initializer: uniform(-1, 1),
  memory: 1 << 20,
};

const hot = 4;

async function open(machine: FaultyMachine, hotRows = hot): Promise<OpenedStore & { twin: Twin }> {
  const opened = await machine.open({ hotRows: () => hotRows });
  return { ...opened, twin: await Twin.open(opened.store, "t", options) };
}

function floatsOf(keys: BigUint64Array, value: number): Float32Array {
  return new Float32Array(3 * keys.length).fill(value);
}

/** Pushes other keys, more often, until a key is cold. */
async function chill(twin: Twin, key: bigint, random: Prng): Promise<void> {
  const { table } = twin;
  const cold = async () => (await table.stats()).cold!;
  const others = BigUint64Array.from({ length: 8 }, (_, i) => 1000n + BigInt(i));
  for (let i = 0; i < 100; i++) {
    const { misses } = await cold();
    await table.pull(BigUint64Array.of(key));
    if ((await cold()).misses > misses) return;
    await twin.push(others, randomFloats(random, 24), { step: i + 1 });
    await turns(6);
  }
  assert.unreachable(`key ${key} never becomes cold`);
}

/** Holds back what the page store does, or the next thing only, until it is let go. */
function holdPages(machine: FaultyMachine, what: "all" | "next" = "all"): { release: () => void } {
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  machine.pages.schedule = () => {
    if (what === "next") machine.pages.schedule = undefined;
    return held;
  };
  return {
    release: () => {
      machine.pages.schedule = undefined;
      release();
    },
  };
}

test("a pull that waits gives the row as it was when it was called, whatever happens to it meanwhile", async () => {
  const machine = new FaultyMachine(1);
  const { twin, store } = await open(machine);
  const random = new Prng(2);
  const key = BigUint64Array.of(7n);
  for (const change of ["push", "assign", "delete", "none"] as const) {
    await twin.push(key, floatsOf(key, 0.5));
    await chill(twin, 7n, random);
    const expected = twin.oracle.pull(key);
    // A cold row that is asked for again is at hand: more rows are read than are kept there.
    await store.checkpoint();
    const found = new Uint8Array(1);
    const pages = holdPages(machine);
    const pulled = twin.table.pull(key, { found });
    const changed =
      change === "push"
        ? twin.push(key, floatsOf(key, 1))
        : change === "assign"
          ? twin.assign(key, floatsOf(key, 9))
          : change === "delete"
            ? twin.delete(key)
            : Promise.resolve();
    await turns(3);
    pages.release();
    assert.equal([...(await pulled)], [...expected], change);
    assert.is(found[0], 1);
    await changed;
    await twin.compareAll();
  }
  await store.close();
});

test("what is read ahead is not used once its row has changed", async () => {
  const machine = new FaultyMachine(2);
  const { twin, store } = await open(machine, 1);
  const keys = BigUint64Array.from({ length: 12 }, (_, i) => BigInt(i));
  await twin.push(keys, floatsOf(keys, 1));
  await turns(30);
  for (let round = 0; round < 12; round++) {
    const key = BigUint64Array.of(BigInt(round));
    const pages = holdPages(machine, "next");
    const ahead = twin.table.prefetch(keys);
    await twin.push(key, floatsOf(key, round), { step: round + 1 });
    await turns(3 * round);
    pages.release();
    await ahead;
    await twin.compare(keys);
    await turns(10);
    await twin.compare(keys);
  }
  const { cold } = await twin.table.stats();
  assert.ok(cold!.demotions > 12 && cold!.promotions > 6, JSON.stringify(cold));
  await store.close();
});

test("a scan gives every row once while rows come in and go out", async () => {
  for (let seed = 0; seed < 12; seed++) {
    const machine = new FaultyMachine(seed);
    const random = new Prng(seed);
    const { twin, store } = await open(machine, 1 + random.below(30));
    const keys = BigUint64Array.from({ length: 150 }, (_, i) => BigInt(i * i));
    await twin.push(keys, randomFloats(random, 450));
    await turns(random.below(40));
    // Some come in, and leave their old values behind.
    const again = keys.filter(() => random.below(3) === 0);
    await twin.push(again, randomFloats(random, 3 * again.length));
    const seen = new Map<bigint, number>();
    for await (const batch of twin.table.scan({ batch: 1 + random.below(20) })) {
      for (const key of batch.keys) seen.set(key, (seen.get(key) ?? 0) + 1);
      if (random.below(2) === 0) {
        const some = BigUint64Array.from({ length: random.below(12) }, () => keys[random.below(keys.length)]);
        await twin.push(some, randomFloats(random, 3 * some.length));
      }
      await turns(random.below(6));
    }
    assert.is(seen.size, keys.length, `seed ${seed}`);
    assert.ok(
      [...seen.values()].every((times) => times === 1),
      `seed ${seed}: rows came twice`,
    );
    await twin.compareAll();
    await store.close();
  }
});

test("a scan does not give rows that were deleted before it came to them", async () => {
  const machine = new FaultyMachine(3);
  const { twin, store } = await open(machine, 2);
  const keys = BigUint64Array.from({ length: 60 }, (_, i) => BigInt(i));
  await twin.push(keys, floatsOf(keys, 1));
  await turns(60);
  // Some come in and leave values behind, and are deleted then.
  await twin.push(keys.slice(40), floatsOf(keys.slice(40), 1));
  const scan = twin.table.scan({ batch: 1 })[Symbol.asyncIterator]();
  await scan.next();
  await twin.delete(keys.slice(20));
  await turns(60);
  let rows = 1;
  for (;;) {
    const { done, value } = await scan.next();
    if (done) break;
    for (const key of value.keys) assert.ok(key < 20n, `key ${key} was deleted`);
    rows += value.keys.length;
  }
  assert.is(rows, 20);
  await store.close();
});

test("a row that has not changed leaves without being written", async () => {
  const machine = new FaultyMachine(4);
  const { twin, store } = await open(machine, 2);
  const keys = BigUint64Array.from({ length: 40 }, (_, i) => BigInt(i));
  await twin.push(keys, floatsOf(keys, 1));
  await turns(60);
  let written = 0;
  const { pages } = machine;
  const batch = pages.batch.bind(pages);
  pages.batch = () => {
    const real = batch();
    const put = (key: Uint8Array, value: Uint8Array) => {
      if (key[0] === 4) written++;
      real.put(key, value);
    };
    return { ...real, put };
  };
  const before = (await twin.table.stats()).cold!;
  // Creating a row that exists brings it in and changes nothing.
  await twin.table.pull(keys, { create: true });
  await turns(60);
  const after = (await twin.table.stats()).cold!;
  assert.ok(after.promotions >= before.promotions + 30 && after.rows >= 35, JSON.stringify(after));
  // Those that were in memory all the time may have to be written.
  assert.ok(written <= 5, `${written} rows were written`);
  await twin.compareAll();
  await store.close();
});

test("a deletion that power loss undoes finds its cold row again", async () => {
  const machine = new FaultyMachine(5);
  const { twin, store } = await open(machine, 1);
  const keys = BigUint64Array.from({ length: 20 }, (_, i) => BigInt(i));
  await twin.push(keys, floatsOf(keys, 1), { ack: "fsync" });
  await turns(60);
  await store.checkpoint();
  // Nothing reaches the log's disk from now on.
  machine.files.schedule = () => new Promise(() => {});
  assert.is(await twin.table.delete(keys.slice(0, 10), { ack: "memory" }), 10);
  await turns(80);
  machine.crash();
  const again = await open(machine, 1);
  assert.is((await again.twin.table.stats()).rows, 20);
  await new Twin(again.twin.table, twin.oracle).compareAll();
  await again.store.close();
});

test("a checkpoint that passes a deletion has taken its value out", async () => {
  const machine = new FaultyMachine(6);
  let hold = false;
  const pause = () =>
    new Promise<void>((resolve) => {
      if (hold) hold = false;
      else setImmediate(resolve);
    });
  const { store } = await machine.open({ hotRows: () => 1, pause });
  const twin = await Twin.open(store, "t", options);
  const keys = BigUint64Array.from({ length: 20 }, (_, i) => BigInt(i));
  await twin.push(keys, floatsOf(keys, 1));
  await turns(60);
  // Who takes values out in the background never gets its turn.
  hold = true;
  await twin.delete(keys);
  await store.checkpoint();
  machine.kill();
  const again = await open(machine, 1);
  assert.is((await again.twin.table.stats()).rows, 0);
  assert.is(machine.pages.keys().filter((key) => key[0] === 4).length, 0);
  await again.store.close();
});

test("a table that is dropped leaves nothing, even if the process ends meanwhile", async () => {
  for (const ends of ["close", "kill", "crash"] as const) {
    const machine = new FaultyMachine(7);
    const { twin, store } = await open(machine, 1);
    const keys = BigUint64Array.from({ length: 90 }, (_, i) => BigInt(i));
    await twin.push(keys, floatsOf(keys, 1));
    await turns(60);
    await store.dropTable("t");
    const other = await Twin.open(store, "t", options);
    await other.push(keys.slice(0, 5), floatsOf(keys.slice(0, 5), 2), { ack: "fsync" });
    if (ends === "close") await store.close();
    else machine[ends]();
    const again = await machine.open({ hotRows: () => 1 });
    await turns(60);
    const table = await again.store.table("t");
    await new Twin(table, other.oracle).compareAll();
    const left = machine.pages.keys().filter((key) => key[0] === 4);
    assert.ok(left.length <= 5 && left.every((key) => key[4] === 2), `${left.length} values after a ${ends}`);
    await again.store.close();
  }
});

test("a page store that fails refuses what needs it, and nothing is lost", async () => {
  const machine = new FaultyMachine(8);
  const { twin, store, clock, shard } = await open(machine, 2);
  const random = new Prng(8);
  const keys = randomKeys(random, 40, 1 << 20);
  await twin.push(keys, randomFloats(random, 120));
  await turns(60);
  for (const what of ["read", "write"] as const) {
    machine.pages.failOnce(what, 0);
    const some = keys.slice(0, 20);
    assert.is(await codeOf(() => (what === "read" ? twin.table.pull(some) : store.checkpoint())), "IO");
    assert.is((await store.stats()).health, "read-only");
    assert.is(await codeOf(() => twin.table.push(some, floatsOf(some, 1))), "READ_ONLY");
    for (let i = 0; shard.failure && i < 20; i++) {
      clock.advance(2000);
      await turns(20);
    }
    assert.is((await store.stats()).health, "ok");
    await twin.push(some, floatsOf(some, 1));
    await twin.compareAll();
    await turns(40);
  }
  machine.pages.failOnce("read", 0);
  const cold = keys.slice(20);
  assert.is(await codeOf(() => twin.table.push(cold, floatsOf(cold, 1))), "READ_ONLY");
  for (let i = 0; shard.failure && i < 20; i++) {
    clock.advance(2000);
    await turns(20);
  }
  await twin.push(cold, floatsOf(cold, 1));
  await twin.compareAll();
  await store.close();
});

test("a caller who changes keys while a push waits for them harms nobody but the push", async () => {
  const machine = new FaultyMachine(9);
  const { twin, store } = await open(machine, 1);
  const keys = BigUint64Array.from({ length: 30 }, (_, i) => BigInt(i));
  await twin.push(keys, floatsOf(keys, 1));
  await turns(60);
  const asked = keys.slice(0, 3);
  const pages = holdPages(machine);
  const pushed = twin.table.push(asked, floatsOf(asked, 1));
  await turns(2);
  asked.set([20n, 21n, 22n]);
  pages.release();
  await pushed;
  await twin.oracle.push(keys.slice(0, 3), floatsOf(asked, 1));
  await twin.compareAll();
  const shrinking = new Float32Array(9);
  await turns(40);
  const held = holdPages(machine);
  const pulled = twin.table.pull(keys.slice(5, 8), { into: shrinking });
  structuredClone(shrinking.buffer, { transfer: [shrinking.buffer] });
  held.release();
  assert.is(await codeOf(() => pulled), "INVALID_ARGUMENT");
  await store.close();
  const again = await machine.open({ hotRows: () => 1 });
  await new Twin(await again.store.table("t"), twin.oracle).compareAll();
  await again.store.close();
});

test("pulls bring in what was pushed far more often than what stays, and nothing else", async () => {
  const machine = new FaultyMachine(10);
  const opened = await open(machine, 8);
  const keys = BigUint64Array.from({ length: 64 }, (_, i) => BigInt(i));
  const { twin } = opened;
  for (let i = 0; i < 6; i++) await twin.push(keys.slice(0, 8), floatsOf(keys.slice(0, 8), 0.1));
  await twin.push(keys, floatsOf(keys, 0.1));
  await turns(80);
  await opened.store.close();
  // Opened with more room: what is cold has the right to come in, if it is hot.
  const again = await machine.open({ hotRows: () => 64 });
  const table: Table = await again.store.table("t");
  const frequent = (await table.stats()).cold!.rows;
  for (let i = 0; i < 10; i++) {
    await table.pull(keys);
    await turns(10);
  }
  const { promotions, rows } = (await table.stats()).cold!;
  assert.ok(
    rows > 40 && promotions <= 8 && frequent - promotions === rows,
    `${promotions} came in, ${rows} are cold`,
  );
  await new Twin(table, twin.oracle).compareAll();
  await again.store.close();
});

test("what a table with a limit of memory cannot be", async () => {
  const machine = new FaultyMachine(11);
  const { store } = await machine.open();
  const wrong = (more: object) => codeOf(() => store.table("x", { ...options, ...more }));
  assert.is(await wrong({ memory: 1000 }), "INVALID_OPTIONS");
  assert.is(await wrong({ memory: 2 ** 20 + 0.5 }), "INVALID_OPTIONS");
  assert.is(await wrong({ memory: "1 MiB" }), "INVALID_OPTIONS");
  assert.is(await wrong({ logged: false }), "NOT_LOGGED");
  const tensor = { shape: [8], optimizer: options.optimizer, memory: 1 << 20 };
  assert.is(await codeOf(() => store.tensor("y", tensor)), "INVALID_OPTIONS");
  const table = await store.table("x", { ...options, memory: 1 << 21 });
  assert.is(table.options.memory, 1 << 21);
  assert.is((await store.table("x", { memory: 1 << 20 })).options.memory, 1 << 20);
  assert.is((await store.table("x")).options.memory, 1 << 20);
  assert.is(await codeOf(() => store.table("x", { logged: false, ack: "memory" })), "TABLE_MISMATCH");
  const keys = keysOfNumbers(1, 2);
  await table.prefetch(keys);
  assert.is(await codeOf(() => table.prefetch([1n] as never)), "INVALID_ARGUMENT");
  await store.close();
  assert.is(await codeOf(() => table.prefetch(keys)), "CLOSED");
});

test.run();
