// What a failing disk does to those who wait, one case at a time.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Table } from "../../lib/api/store-types.js";
import { EmbershardError } from "../../lib/base/errors.js";
import { sgd } from "../../lib/index.js";
import { Interruption } from "../../lib/shard/interruption.js";
import { readContents } from "../chaos/world.js";
import { FaultyMachine, type OpenedStore, turns } from "./fault-fixture.js";

const gradient = Float32Array.of(1, 1, 1, 1);

async function storeWithTable(machine: FaultyMachine): Promise<OpenedStore & { table: Table }> {
  const opened = await machine.open();
  return { ...opened, table: await opened.store.table("t", { dim: 4, optimizer: sgd({ learningRate: 1 }) }) };
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "none";
  } catch (error) {
    assert.instance(error, EmbershardError);
    return (error as EmbershardError).code;
  }
}

async function heal({ shard, clock }: OpenedStore): Promise<void> {
  for (let tries = 0; shard.failure; tries++) {
    assert.ok(tries < 20, `it does not heal: ${shard.failure.message}`);
    clock.advance(2000);
    await turns();
  }
}

/** The value of every key's weights, by key. */
async function weights(opened: OpenedStore): Promise<Record<string, number>> {
  const { rows } = (await readContents(opened.store)).tables.get("t")!;
  return Object.fromEntries([...rows].map(([key, row]) => [key, row.weights[0]]));
}

test("who opens a table that another is making waits for its record, too", async () => {
  const machine = new FaultyMachine(1);
  const { store } = await machine.open();
  let go = (): void => {};
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  machine.files.schedule = () => gate;
  const options = { dim: 4, optimizer: sgd({ learningRate: 1 }) };
  const opened: number[] = [];
  const both = [1, 2].map((who) => store.table("t", options).then(() => opened.push(who)));
  await turns();
  assert.equal(opened, [], "what is not in the log may be gone after a kill");
  go();
  await Promise.all(both);
  assert.equal(opened, [1, 2]);
});

test("a full log: pushes are refused, reads go on, what was pushed is acknowledged when there is room, once", async () => {
  const machine = new FaultyMachine(1);
  const opened = await storeWithTable(machine);
  const { store, table, shard } = opened;
  machine.files.capacityBytes = 0;
  let acknowledged = 0;
  const first = table.push(BigUint64Array.of(1n), gradient).then(() => acknowledged++);
  const second = table.push(BigUint64Array.of(2n), gradient, { ack: "fsync" }).then(() => acknowledged++);
  await turns();
  assert.is(acknowledged, 0);
  assert.is((await store.stats()).health, "read-only");
  assert.match((await store.stats()).reason!, "ENOSPC");
  assert.is(await codeOf(table.push(BigUint64Array.of(3n), gradient)), "READ_ONLY");
  assert.is(await codeOf(table.assign(BigUint64Array.of(3n), gradient)), "READ_ONLY");
  assert.is(await codeOf(table.delete(BigUint64Array.of(1n))), "READ_ONLY");
  assert.is(await codeOf(store.table("u", { dim: 1, optimizer: sgd({ learningRate: 1 }) })), "READ_ONLY");
  assert.is(await codeOf(store.dropTable("t")), "READ_ONLY");
  assert.is(await codeOf(store.checkpoint()), "READ_ONLY");
  assert.equal(
    [...(await table.pull(BigUint64Array.of(1n, 3n)))],
    [-1, -1, -1, -1, 0, 0, 0, 0],
    "reads go on",
  );
  opened.clock.advance(500);
  await turns();
  assert.ok(shard.failure, "there is no room yet");
  machine.files.capacityBytes = Number.POSITIVE_INFINITY;
  await heal(opened);
  await Promise.all([first, second]);
  assert.is((await store.stats()).health, "ok");
  await table.push(BigUint64Array.of(1n), gradient);
  machine.kill();
  assert.equal(await weights(await machine.open()), { 1: -2, 2: -1 });
});

test("who waited for room can write again when that is there, at once", async () => {
  for (const ack of ["os", "fsync"] as const) {
    const machine = new FaultyMachine(1);
    const opened = await storeWithTable(machine);
    const { table, shard } = opened;
    machine.files.capacityBytes = 0;
    const push = () => table.push(BigUint64Array.of(1n), gradient, { ack });
    const both = codeOf(push().then(push));
    await turns();
    assert.ok(shard.failure);
    machine.files.capacityBytes = Number.POSITIVE_INFINITY;
    await heal(opened);
    assert.is(await both, "none");
    assert.equal(await weights(opened), { 1: -2 });
  }
});

test("a crash while read-only loses nothing that was acknowledged", async () => {
  for (const end of ["kill", "crash"] as const) {
    const machine = new FaultyMachine(2);
    const { table, shard } = await storeWithTable(machine);
    await table.push(BigUint64Array.of(1n), gradient, { ack: "fsync" });
    machine.files.failOnce("datasync", 0);
    void table.push(BigUint64Array.of(2n), gradient, { ack: "fsync" });
    await turns();
    assert.ok(shard.failure);
    machine[end]();
    const recovered = await weights(await machine.open());
    assert.is(recovered[1], -1);
    if (end === "kill") assert.is(recovered[2], -1);
  }
});

// Healing waited for the checkpoint, and the checkpoint for the log that healing was to mend.
test("a log that fails while a checkpoint waits for it heals, and the checkpoint says that it failed", async () => {
  for (const failing of ["datasync", "write"] as const) {
    for (let after = 0; after < 6; after++) {
      const machine = new FaultyMachine(3);
      const opened = await storeWithTable(machine);
      const { store, table } = opened;
      await table.push(BigUint64Array.of(1n), gradient);
      machine.files.failOnce(failing, after);
      const code = codeOf(store.checkpoint());
      await turns();
      await heal(opened);
      assert.ok(["IO", "none"].includes(await code));
      machine.files.clearFaults();
      await table.push(BigUint64Array.of(1n), gradient, { ack: "fsync" });
      await store.checkpoint();
      machine.crash();
      assert.equal(await weights(await machine.open()), { 1: -2 });
    }
  }
});

test("a page store that fails in a checkpoint heals; a manifest whose write failed may be there or not", async () => {
  const seen = new Set<number>();
  for (let seed = 0; seed < 24; seed++) {
    const machine = new FaultyMachine(seed);
    const opened = await storeWithTable(machine);
    const { store, table, shard } = opened;
    await table.push(BigUint64Array.of(1n), gradient);
    await store.checkpoint();
    await table.push(BigUint64Array.of(1n), gradient);
    machine.pages.failOnce("write", seed % 3);
    const code = await codeOf(store.checkpoint());
    assert.is(code, "IO");
    assert.ok(shard.failure);
    if (seed % 2 === 0) {
      // Killed before it could heal.
      machine.kill();
      const recovered = await machine.open();
      seen.add((await recovered.store.stats()).checkpoint!.generation);
      assert.equal(await weights(recovered), { 1: -2 });
      continue;
    }
    await heal(opened);
    await table.push(BigUint64Array.of(1n), gradient);
    await store.checkpoint();
    machine.crash();
    assert.equal(await weights(await machine.open()), { 1: -3 });
  }
  assert.ok(seen.size > 1, "both have happened: the manifest was there, and it was not");
});

test("a failed commit whose manifest is there stays whole when healing fails too, and the process is killed", async () => {
  for (let seed = 0; seed < 12; seed++) {
    for (let after = 0; after < 3; after++) {
      const machine = new FaultyMachine(seed);
      const opened = await storeWithTable(machine);
      const { store, table } = opened;
      await table.push(BigUint64Array.of(1n), gradient);
      await store.checkpoint();
      await table.push(BigUint64Array.of(1n), gradient);
      // Pages, then the manifest.
      machine.pages.failOnce("write", 1);
      assert.is(await codeOf(store.checkpoint()), "IO");
      machine.pages.failOnce("write", after);
      opened.clock.advance(2000);
      await turns();
      machine.kill();
      assert.equal(await weights(await machine.open()), { 1: -2 });
    }
  }
});

test("a checkpoint can be aborted, even one with nothing to write, and the one before it stands", async () => {
  const machine = new FaultyMachine(4);
  const { store, table } = await storeWithTable(machine);
  await table.push(BigUint64Array.of(1n), gradient);
  const before = await store.checkpoint();
  assert.is(await codeOf(store.checkpoint({ signal: AbortSignal.abort() })), "ABORTED");
  await table.push(BigUint64Array.of(1n, 2n), new Float32Array(8).fill(1));
  const controller = new AbortController();
  const aborted = codeOf(store.checkpoint({ signal: controller.signal }));
  controller.abort();
  assert.is(await aborted, "ABORTED");
  assert.is((await store.stats()).checkpoint!.generation, before.generation);
  machine.kill();
  const recovered = await machine.open();
  assert.equal(await weights(recovered), { 1: -2, 2: -1 });
  assert.is((await recovered.store.checkpoint()).pages, 1, "the page is still to be written");
});

test("closing a store that cannot write rejects, and those who wait are told", async () => {
  const machine = new FaultyMachine(5);
  const { store, table } = await storeWithTable(machine);
  machine.files.capacityBytes = 0;
  const waiting = codeOf(table.push(BigUint64Array.of(1n), gradient));
  await turns();
  assert.is(await codeOf(store.close()), "IO");
  assert.is(await waiting, "IO");
  assert.is(await codeOf(table.push(BigUint64Array.of(1n), gradient)), "CLOSED");
});

test("a disk slower than the pushes slows them: what waits never exceeds the log's buffer", async () => {
  const machine = new FaultyMachine(6);
  const { table, shard } = await storeWithTable(machine);
  // Several at once: the next segment's file is made while records are written.
  const held: (() => void)[] = [];
  machine.files.schedule = () => new Promise((resolve) => held.push(resolve));
  let acknowledged = 0;
  let most = 0;
  const keys = BigUint64Array.from({ length: 100 }, (_, i) => BigInt(i));
  const pushes = Array.from({ length: 200 }, () =>
    table.push(keys, new Float32Array(400).fill(1), { ack: "os" }).then(() => acknowledged++),
  );
  for (let turn = 0; acknowledged < pushes.length; turn++) {
    await turns(1);
    most = Math.max(most, shard.log.pendingBytes);
    // Records of 3.3 KB in a buffer of 64 KiB: nobody is let in beyond it.
    assert.ok(
      shard.log.nextLsn - shard.log.writtenLsn < 25,
      `${shard.log.nextLsn - shard.log.writtenLsn} records wait`,
    );
    assert.ok(turn < 5000);
    for (const release of held.splice(0)) release();
  }
  assert.ok(most <= 1 << 16, `${most} bytes waited`);
  assert.ok(most > 1 << 15, "the buffer was used");
  machine.files.schedule = undefined;
  machine.kill();
  assert.is((await weights(await machine.open()))[0], -200);
});

test("of waits that have ended nothing is kept", async () => {
  const interruption = new Interruption();
  for (let i = 0; i < 100; i++) await interruption.guard(Promise.resolve(i));
  await codeOf(interruption.guard(Promise.reject(new EmbershardError("IO", "no"))));
  assert.is(interruption.size, 0);
  const waiting = codeOf(interruption.guard(new Promise(() => {})));
  interruption.interrupt(new EmbershardError("CLOSED", "over"));
  assert.is(await waiting, "CLOSED");
  assert.is(interruption.size, 0);
});

test.run();
