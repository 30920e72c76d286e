// Versions and rollbacks on disks that fail, and under kills: a version is there whole or not at all, and so is a rollback.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { adagrad, type EmbershardError, type Store } from "../../lib/index.js";
import type { OracleRow } from "../../lib/kernel/oracle/oracle-table.js";
import { scanAll } from "../laws/oracle-of.js";
import { randomFloats, randomKeys } from "../laws/twin.js";
import { FaultyMachine, type OpenedStore, turns } from "./fault-fixture.js";

const options = { dim: 700, optimizer: adagrad({ learningRate: 0.1 }) };
const settings = { logBufferBytes: 1 << 20, segmentBytes: 1 << 18, foldPages: 4 };

type Rows = Map<bigint, OracleRow>;

interface Scene {
  readonly machine: FaultyMachine;
  readonly opened: OpenedStore;
  readonly random: Prng;
}

async function write(store: Store, random: Prng, n = 60): Promise<void> {
  const table = await store.table("t", options);
  const keys = randomKeys(random, n, 300);
  await table.push(keys, randomFloats(random, n * options.dim), { step: 1 });
}

const rowsOf = async (store: Store): Promise<Rows> => scanAll(await store.table("t"));

/** A store with version "v" and later writes. */
async function scene(seed: number): Promise<Scene & { atVersion: Rows; live: Rows }> {
  const machine = new FaultyMachine(seed);
  const opened = await machine.open(settings);
  const random = new Prng(seed);
  await write(opened.store, random, 250);
  await opened.store.checkpoint({ version: "v" });
  const atVersion = await rowsOf(opened.store);
  await write(opened.store, random);
  return { machine, opened, random, atVersion, live: await rowsOf(opened.store) };
}

async function heal({ opened: { shard, clock } }: Scene): Promise<void> {
  for (let tries = 0; shard.failure; tries++) {
    assert.ok(tries < 60, `never heals: ${shard.failure.stack}`);
    clock.advance(2000);
    await turns(20);
  }
}

async function settled(work: Promise<unknown>): Promise<EmbershardError | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return error as EmbershardError;
  }
}

/** Everything that the store has is what its tables, versions and nothing else need. */
async function demandTidy(machine: FaultyMachine, store: Store): Promise<void> {
  await store.checkpoint();
  for (const { name } of await store.versions()) await store.deleteVersion(name);
  await store.checkpoint({ version: "all" });
  assert.is(machine.pages.keys().filter((key) => key[0] === 1).length, (await store.versions())[0].pages);
}

for (const operation of ["read", "write"] as const) {
  for (const ending of ["heal", "kill", "crash"] as const) {
    test(`a rollback whose page store fails to ${operation} has happened or not, after a ${ending}`, async () => {
      let failed = 0;
      for (let after = 0; after < 4; after++) {
        const there = await scene(10 * after + 1);
        const { machine, atVersion, live } = there;
        machine.pages.failOnce(operation, after);
        const error = await settled(there.opened.store.rollback("v"));
        if (error) assert.is(error.code, "IO", error.stack);
        failed += error ? 1 : 0;
        let { store } = there.opened;
        if (ending === "heal") {
          await heal(there);
          assert.equal(await rowsOf(store), error ? live : atVersion);
          await write(store, there.random);
          const now = await rowsOf(store);
          machine.kill();
          ({ store } = await machine.open(settings));
          assert.equal(await rowsOf(store), now);
        } else {
          if (ending === "kill") machine.kill();
          else machine.crash();
          ({ store } = await machine.open(settings));
          const found = await rowsOf(store);
          const rolled = same(found, atVersion);
          assert.ok(
            rolled || (error !== undefined && same(found, live)),
            "neither the version nor the live state",
          );
        }
        const version = await store.openVersion("v");
        assert.equal(await rowsOf(version), atVersion);
        await version.close();
        await demandTidy(machine, store);
        await store.close();
      }
      assert.ok(failed > 0, "nothing failed");
    });
  }
}

function same(a: Rows, b: Rows): boolean {
  return (
    a.size === b.size && [...a].every(([key, row]) => JSON.stringify(row) === JSON.stringify(b.get(key)))
  );
}

test("versions whose making or deleting fails are there whole or not at all, and nothing is left behind", async () => {
  let failed = 0;
  for (let after = 0; after < 9; after++) {
    const there = await scene(100 + after);
    const { machine, opened, random, atVersion } = there;
    const { store } = opened;
    machine.pages.schedule = () => turns(3);
    const making = settled(store.checkpoint({ version: "w" }));
    for (let i = 0; i < 3; i++) {
      await write(store, random, 20).catch((error: EmbershardError) => assert.is(error.code, "READ_ONLY"));
      if (i === 0) machine.pages.failOnce(after % 2 === 0 ? "write" : "read", after >> 1);
    }
    const error = await making;
    if (error) assert.is(error.code, "IO", error.stack);
    await heal(there);
    const deleting = after % 3 === 0 ? await settled(store.deleteVersion("v")) : undefined;
    failed += error || deleting ? 1 : 0;
    await heal(there);
    const now = await rowsOf(store);
    const names = (await store.versions()).map(({ name }) => name);
    if (!error) assert.ok(names.includes("w"));
    if (after % 3 !== 0) assert.ok(names.includes("v"));
    machine.kill();
    const again = await machine.open(settings);
    assert.equal(await rowsOf(again.store), now);
    assert.equal(
      (await again.store.versions()).map(({ name }) => name),
      names,
    );
    for (const name of names) {
      const version = await again.store.openVersion(name);
      const rows = await rowsOf(version);
      if (name === "v") assert.equal(rows, atVersion);
      assert.is(rows.size, (await again.store.versions()).find((one) => one.name === name)!.rows);
      await version.close();
    }
    await demandTidy(machine, again.store);
    await again.store.close();
  }
  assert.ok(failed > 2, `only ${failed} failed`);
});

test("writes that are called during a rollback change the version, in the order of their calls", async () => {
  const { opened, atVersion, machine } = await scene(5);
  const { store } = opened;
  const table = await store.table("t");
  machine.pages.schedule = () => turns(2);
  const rolling = store.rollback("v");
  const key = BigUint64Array.of(12_345n);
  const pushed = table.push(key, new Float32Array(options.dim).fill(1), { ack: "memory" });
  const made = store.table("made", { ...options, dim: 2 });
  await Promise.all([rolling, pushed, made]);
  const rows = await rowsOf(store);
  assert.is(rows.size, atVersion.size + 1);
  assert.is(rows.get(12_345n)!.frequency, 1);
  assert.is((await store.tables()).length, 2);
  await store.close();
});

test.run();
