import { test } from "uvu";
import * as assert from "uvu/assert";
import { zeros } from "../../lib/api/initializers.js";
import { Prng } from "../../lib/base/prng.js";
import { EmbershardError, type ErrorCode, sgd } from "../../lib/index.js";
import { Sequences } from "../../lib/shard/sequences.js";
import type { Shard } from "../../lib/shard/shard.js";
import { SlotSequences } from "../../lib/shard/slot-sequences.js";
import { FaultyMachine, turns } from "./fault-fixture.js";
import { SequenceLife } from "./sequence-life.js";

const all = { first: 0, last: 16_383 };
const key = BigUint64Array.of(7n);
const one = Float32Array.of(1);
const options = { dim: 1, optimizer: sgd({ learningRate: 1 }), initializer: zeros() };

async function codeOf(work: () => unknown): Promise<ErrorCode | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (error instanceof EmbershardError) return error.code;
    throw error;
  }
}

interface Origin {
  readonly worker: number;
  readonly session: bigint;
  readonly sequence: bigint;
  readonly clock?: bigint;
  readonly first?: number;
  readonly last?: number;
}

/** Pushes 1 to the key 7 of a table. */
function push(shard: Shard, origin: Origin, name = "items", ack: "memory" | "os" | "fsync" = "os") {
  const write = {
    table: shard.tables.get(name)!,
    kind: "push",
    keys: key,
    values: one,
    learningRate: 1,
  } as const;
  const ackOf = write.table.definition.logged ? ack : "memory";
  return shard.write([write], { ack: ackOf, step: 1, origin: { ...all, clock: origin.sequence, ...origin } });
}

async function openWithItems(machine: FaultyMachine, logged = true) {
  const opened = await machine.open();
  const table = await opened.store.table("items", logged ? options : { ...options, logged });
  const value = async () => -(await table.pull(key))[0];
  return { ...opened, table, value };
}

test("runs of slots are what an array of sequences is", () => {
  const random = new Prng(5);
  for (let round = 0; round < 300; round++) {
    const size = 1 + random.below(60);
    let sequences = new SlotSequences();
    const array = new Array<number>(size).fill(0);
    for (let i = 0; i < 40; i++) {
      const first = random.below(size);
      const range = { first, last: first + random.below(size - first) };
      const sequence = 1 + random.below(1 + i);
      const left = new Set(
        sequences.left(range, BigInt(sequence)).flatMap(({ first, last }) => span(first, last)),
      );
      const expected = span(range.first, range.last).filter((slot) => array[slot] < sequence);
      assert.equal([...left], expected);
      if (random.below(3) === 0) continue;
      sequences.raise(range, BigInt(sequence));
      for (const slot of expected) array[slot] = sequence;
      if (random.below(5) === 0) sequences = SlotSequences.of(JSON.parse(JSON.stringify(sequences.notes())));
    }
    const notes = sequences.notes();
    const found = new Array<number>(size).fill(0);
    for (const [first, last, sequence] of notes) found.fill(Number(sequence), first, last + 1);
    assert.equal(found, array);
    for (const [i, [first, , sequence]] of notes.entries())
      if (i > 0)
        assert.ok(notes[i - 1][1] < first - 1 || notes[i - 1][2] !== sequence, "neighbours are merged");
    assert.is(sequences.highest, BigInt(Math.max(...array)));
  }
});

function span(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

test("in any life every push counts once: frames that come again, in part, out of order, after kills", async () => {
  const seen = { applied: 0, repeated: 0, partly: 0, lost: 0, fenced: 0 };
  for (let seed = 1; seed <= Number(process.env.STORIES ?? 10); seed++) {
    const life = new SequenceLife(seed);
    await life.begin(3);
    for (let i = 0; i < 120; i++) await life.act();
    await life.end();
    for (const what of Object.keys(seen) as (keyof typeof seen)[]) seen[what] += life.seen[what];
  }
  for (const [what, times] of Object.entries(seen)) assert.ok(times > 0, `${what} ${times} times`);
});

for (const [what, sabotage] of [
  ["sequences are forgotten", { applied: () => {} }],
  ["a frame is taken for new", { left: (origin: { first: number; last: number }) => [origin] }],
] as const) {
  test(`a life notices when ${what}`, async () => {
    const real = { applied: Sequences.prototype.applied, left: Sequences.prototype.left };
    Object.assign(Sequences.prototype, sabotage);
    let failed = false;
    try {
      const life = new SequenceLife(1);
      await life.begin(3);
      for (let i = 0; i < 120; i++) await life.act();
      await life.end();
    } catch {
      failed = true;
    } finally {
      Object.assign(Sequences.prototype, real);
    }
    assert.ok(failed);
  });
}

test("a push that comes again after reopening is answered, and not applied", async () => {
  const machine = new FaultyMachine(1);
  let opened = await openWithItems(machine);
  const { number: worker } = await opened.shard.workers.register("w", 3n, false);
  assert.is(await push(opened.shard, { worker, session: 3n, sequence: 1n }), 1);
  assert.is(await push(opened.shard, { worker, session: 3n, sequence: 1n }), 0);
  machine.kill();
  for (const end of ["kill", "checkpoint"] as const) {
    opened = await openWithItems(machine);
    assert.equal(await opened.shard.workers.register("w", 3n, true), { number: worker, known: true });
    assert.is(await push(opened.shard, { worker, session: 3n, sequence: 1n }), 0);
    assert.is(await opened.value(), 1);
    if (end === "checkpoint") await opened.store.checkpoint();
    await opened.store.close();
  }
  opened = await openWithItems(machine);
  assert.is(await push(opened.shard, { worker, session: 3n, sequence: 1n }), 0);
  assert.is(await push(opened.shard, { worker, session: 3n, sequence: 2n }), 1);
  assert.is(await opened.value(), 2);
  await opened.store.close();
});

test("a push that comes again is not answered before the log has it", async () => {
  const machine = new FaultyMachine(1);
  const { shard, store } = await openWithItems(machine);
  const { number: worker } = await shard.workers.register("w", 1n, false);
  let release = () => {};
  machine.files.schedule = () =>
    new Promise((resolve) => {
      release = resolve;
    });
  const request = { worker, session: 1n, sequence: 1n };
  const done: string[] = [];
  void push(shard, request).then(() => done.push("first"));
  void push(shard, request).then(() => done.push("again"));
  await turns();
  assert.equal(done, []);
  machine.files.schedule = undefined;
  release();
  await turns();
  assert.equal(done.sort(), ["again", "first"]);
  await store.close();
});

test("sessions rise: a lower one is fenced, one that is not known does not go on", async () => {
  const { shard, store, value } = await openWithItems(new FaultyMachine(1));
  const { workers } = shard;
  assert.is(await codeOf(() => workers.register("w", 5n, true)), "SESSION_EXPIRED");
  const { number: worker } = await workers.register("w", 5n, false);
  await push(shard, { worker, session: 5n, sequence: 9n });
  assert.equal(await workers.register("w", 5n, false), { number: worker, known: true });
  assert.is(await codeOf(() => workers.register("w", 4n, false)), "FENCED");
  assert.is(await codeOf(() => workers.register("w", 6n, true)), "SESSION_EXPIRED");
  assert.equal(await workers.register("w", 6n, false), { number: worker, known: false });
  assert.is(await codeOf(() => workers.register("w", 5n, true)), "FENCED");
  assert.is(await codeOf(() => push(shard, { worker, session: 5n, sequence: 10n })), "FENCED");
  assert.is(await codeOf(() => push(shard, { worker, session: 7n, sequence: 10n })), "SESSION_EXPIRED");
  assert.is(await codeOf(() => push(shard, { worker: 99, session: 6n, sequence: 1n })), "SESSION_EXPIRED");
  assert.is(await value(), 1);
  // A session begins its sequences anew.
  await push(shard, { worker, session: 6n, sequence: 1n });
  assert.is(await value(), 2);
  for (const [sequence, first, last] of [
    [0n, 0, 1],
    [1n, 2, 1],
    [1n, 0, 16_384],
    [1n, -1, 4],
  ] as const)
    assert.is(
      await codeOf(() => push(shard, { worker, session: 6n, sequence, first, last })),
      "INVALID_ARGUMENT",
    );
  for (const name of ["", "x".repeat(201), "é".repeat(101)])
    assert.is(await codeOf(() => workers.register(name, 1n, false)), "INVALID_NAME");
  assert.is(await codeOf(() => workers.register("x", -1n, false)), "INVALID_ARGUMENT");
  assert.is(await codeOf(() => workers.register("x", 2n ** 64n, false)), "INVALID_ARGUMENT");
  await store.close();
});

test("a push that was refused has not been: it may come again", async () => {
  const { shard, store, value } = await openWithItems(new FaultyMachine(1));
  const { number: worker } = await shard.workers.register("w", 1n, false);
  const table = shard.tables.get("items")!;
  const bad = {
    table,
    kind: "push",
    keys: key,
    values: Float32Array.of(Number.NaN),
    learningRate: 1,
  } as const;
  const origin = { worker, session: 1n, sequence: 1n, clock: 1n, ...all };
  assert.is(await codeOf(() => shard.write([bad], { ack: "os", step: 1, origin })), "NON_FINITE");
  assert.is(await push(shard, { worker, session: 1n, sequence: 1n }), 1);
  assert.is(await value(), 1);
  await store.close();
});

test("of unlogged tables sequences live as long as their rows: from checkpoint to checkpoint", async () => {
  const machine = new FaultyMachine(1);
  let opened = await openWithItems(machine, false);
  const { number: worker } = await opened.shard.workers.register("w", 1n, false);
  await push(opened.shard, { worker, session: 1n, sequence: 1n });
  await opened.store.checkpoint();
  await push(opened.shard, { worker, session: 1n, sequence: 2n });
  assert.is(await push(opened.shard, { worker, session: 1n, sequence: 2n }), 0);
  machine.kill();
  opened = await openWithItems(machine, false);
  assert.is(await opened.value(), 1);
  assert.is(await push(opened.shard, { worker, session: 1n, sequence: 1n }), 0);
  assert.is(
    await push(opened.shard, { worker, session: 1n, sequence: 2n }),
    1,
    "its rows were lost, and it with them",
  );
  assert.is(await opened.value(), 2);
  await opened.store.close();
});

test("a push to an unlogged table that a checkpoint had logged counts no more than its rows", async () => {
  const machine = new FaultyMachine(1);
  let opened = await openWithItems(machine, false);
  const { shard, store } = opened;
  const { number: worker } = await shard.workers.register("w", 1n, false);
  await push(shard, { worker, session: 1n, sequence: 1n });
  machine.pages.schedule = () => new Promise(() => {});
  void store.checkpoint();
  while (!shard.state.draining) await turns(1);
  const before = shard.log.nextLsn;
  await push(shard, { worker, session: 1n, sequence: 2n });
  assert.is(shard.log.nextLsn, before + 1);
  await shard.log.written(before);
  machine.kill();
  opened = await openWithItems(machine, false);
  assert.is(await opened.value(), 0);
  assert.is(await push(opened.shard, { worker, session: 1n, sequence: 1n }), 1);
  await opened.store.close();
});

test("a rollback does not take sequences back: a retry of a push that it discarded is not a new push", async () => {
  const machine = new FaultyMachine(1);
  let opened = await openWithItems(machine);
  const { number: worker } = await opened.shard.workers.register("w", 1n, false);
  await push(opened.shard, { worker, session: 1n, sequence: 1n });
  await opened.store.checkpoint({ version: "v" });
  await push(opened.shard, { worker, session: 1n, sequence: 2n });
  await opened.shard.workers.register("later", 1n, false);
  await opened.store.rollback("v");
  for (let i = 0; i < 2; i++) {
    assert.is(await opened.value(), 1);
    assert.is(await push(opened.shard, { worker, session: 1n, sequence: 2n }), 0);
    assert.equal(
      [...opened.shard.workers.known.values()].map(({ name }) => name),
      ["w", "later"],
    );
    machine.kill();
    opened = await openWithItems(machine);
  }
  assert.is(await push(opened.shard, { worker, session: 1n, sequence: 3n }), 1);
  assert.is(await opened.value(), 2);
  await opened.store.close();
});

test("a worker that is not seen for an hour is forgotten, durably; one that is seen is not", async () => {
  const hour = 3_600_000;
  const machine = new FaultyMachine(1);
  let opened = await openWithItems(machine);
  const names = () => [...opened.shard.workers.known.values()].map(({ name }) => name);
  const { number: silent } = await opened.shard.workers.register("silent", 1n, false);
  const { number: busy } = await opened.shard.workers.register("busy", 1n, false);
  const { number: reader } = await opened.shard.workers.register("reader", 1n, false);
  await push(opened.shard, { worker: silent, session: 1n, sequence: 1n });
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += hour / 8) {
      opened.clock.advance(hour / 8);
      opened.shard.workers.seen(reader);
      if (opened.shard.workers.known.has(busy))
        await push(opened.shard, { worker: busy, session: 1n, sequence: BigInt(1 + opened.clock.now()) });
    }
  };
  await pass(hour);
  assert.equal(names(), ["silent", "busy", "reader"]);
  await pass(hour / 8);
  assert.equal(names(), ["busy", "reader"]);
  assert.is(
    await codeOf(() => push(opened.shard, { worker: silent, session: 1n, sequence: 1n })),
    "SESSION_EXPIRED",
  );
  assert.is(await codeOf(() => opened.shard.workers.register("silent", 1n, true)), "SESSION_EXPIRED");
  await opened.shard.log.written(opened.shard.log.nextLsn - 1);
  machine.kill();
  opened = await openWithItems(machine);
  assert.equal(names(), ["busy", "reader"]);
  const again = await opened.shard.workers.register("silent", 1n, false);
  assert.ok(again.number > reader, "numbers are not given twice");
  await opened.store.checkpoint();
  // Nobody could be seen while the shard was closed.
  await opened.store.close();
  opened = await openWithItems(machine);
  await pass(hour / 2);
  assert.equal(names(), ["busy", "reader", "silent"]);
  await opened.store.close();
});

test("clocks: the highest of each worker, the lowest of all", async () => {
  const machine = new FaultyMachine(1);
  let opened = await openWithItems(machine);
  assert.is(opened.shard.workers.lowestClock(), undefined);
  const { number: a } = await opened.shard.workers.register("a", 1n, false);
  const { number: b } = await opened.shard.workers.register("b", 1n, false);
  await push(opened.shard, { worker: a, session: 1n, sequence: 1n, clock: 10n });
  assert.is(opened.shard.workers.lowestClock(), 10n, "who has told no clock holds nobody up");
  await push(opened.shard, { worker: b, session: 1n, sequence: 1n, clock: 4n });
  await push(opened.shard, { worker: b, session: 1n, sequence: 2n, clock: 3n });
  assert.is(opened.shard.workers.lowestClock(), 4n);
  machine.kill();
  opened = await openWithItems(machine);
  assert.is(opened.shard.workers.lowestClock(), 4n);
  opened.shard.workers.seen(b, 20n);
  assert.is(opened.shard.workers.lowestClock(), 10n);
  await opened.store.checkpoint();
  await opened.store.close();
  opened = await openWithItems(machine);
  assert.is(opened.shard.workers.lowestClock(), 10n);
  await opened.shard.workers.register("a", 2n, false);
  assert.is(opened.shard.workers.lowestClock(), 20n);
  await opened.store.close();
});

test("two sessions that begin at once: one is fenced, whichever was first in the line", async () => {
  const { shard, store } = await openWithItems(new FaultyMachine(1));
  const outcomes = await Promise.all(
    [2n, 1n, 3n, 3n].map((session) => codeOf(() => shard.workers.register("w", session, false))),
  );
  assert.equal(outcomes, [undefined, "FENCED", undefined, undefined]);
  assert.is(shard.workers.known.size, 1);
  assert.is([...shard.workers.known.values()][0].session, 3n);
  await store.close();
});

test("a write that cannot be made now changes nothing, and is made when it waits", async () => {
  const machine = new FaultyMachine(1);
  const { shard, store, value } = await openWithItems(machine);
  const table = shard.tables.get("items")!;
  const write = { table, kind: "push", keys: key, values: one, learningRate: 1 } as const;
  const request = { ack: "os", step: 1 } as const;
  const now = shard.tryWriteNow([write], request);
  assert.is(now?.touched, 1);
  await now?.settled;
  assert.is(shard.log.writtenLsn, now?.lsn);
  assert.is(shard.tryWriteNow([write], { ack: "memory", step: 1 })?.settled, undefined);
  // The log's buffer is full of a write that the disk does not take.
  let release = () => {};
  machine.files.schedule = () =>
    new Promise((resolve) => {
      release = () => {
        machine.files.schedule = undefined;
        resolve();
      };
    });
  const many = BigUint64Array.from({ length: 2500 }, (_, i) => BigInt(1000 + i));
  const filling = shard.write([{ ...write, keys: many, values: new Float32Array(2500) }], request);
  const before = await value();
  assert.is(
    shard.tryWriteNow([{ ...write, keys: many, values: new Float32Array(2500) }], request),
    undefined,
  );
  const waiting = shard.write([{ ...write, keys: many, values: new Float32Array(2500) }], request);
  assert.is(shard.tryWriteNow([write], request), undefined, "nobody overtakes");
  assert.is(await value(), before);
  const late = shard.write([write], request);
  release();
  await Promise.all([filling, waiting, late]);
  assert.is(await value(), before + 1);
  await store.close();
});

test.run();
