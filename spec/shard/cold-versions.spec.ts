// Versions of tables larger than their memory: what is written over or taken out is kept for them, and goes with them.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Store } from "../../lib/api/store-types.js";
import type { EmbershardError } from "../../lib/base/errors.js";
import { Prng } from "../../lib/base/prng.js";
import { adagrad, uniform } from "../../lib/index.js";
import type { OracleTable } from "../../lib/kernel/oracle/oracle-table.js";
import type { Version } from "../../lib/shard/version.js";
import { differenceFrom } from "../laws/oracle-of.js";
import { codeOf, randomFloats, Twin } from "../laws/twin.js";
import { FaultyMachine, type OpenedStore, turns } from "./fault-fixture.js";

const options = {
  dim: 3,
  optimizer: adagrad({ learningRate: 0.1 }),
  initializer: uniform(-1, 1),
  memory: 1 << 20,
};
const hot = { hotRows: () => 5 };

interface Lived extends OpenedStore {
  readonly machine: FaultyMachine;
  readonly twin: Twin;
  readonly versions: Map<string, OracleTable>;
}

/** A store with versions a, b and c, between which rows are pushed to, made and deleted. */
async function live(seed: number): Promise<Lived> {
  const machine = new FaultyMachine(seed);
  const random = new Prng(seed);
  const opened = await machine.open(hot);
  const twin = await Twin.open(opened.store, "t", options);
  const versions = new Map<string, OracleTable>();
  for (const name of ["a", "b", "c"]) {
    for (let i = 0; i < 8; i++) {
      const keys = BigUint64Array.from({ length: 9 }, () => BigInt(random.below(70)));
      if (i % 4 === 3) await twin.delete(BigUint64Array.from(new Set(keys)));
      else await twin.push(keys, randomFloats(random, 27), { step: i + 1 });
      await turns(random.below(14));
    }
    await opened.store.checkpoint({ version: name });
    versions.set(name, twin.oracle.clone());
  }
  for (let i = 0; i < 4; i++) {
    const keys = BigUint64Array.from({ length: 9 }, () => BigInt(random.below(70)));
    await twin.push(keys, randomFloats(random, 27), { step: i + 20 });
    await turns(random.below(14));
  }
  return { ...opened, machine, twin, versions };
}

async function compare(store: Store, versions: ReadonlyMap<string, OracleTable>): Promise<void> {
  for (const [name, oracle] of versions) {
    const version = await store.openVersion(name);
    await new Twin(await version.table("t"), oracle).compareAll();
    await version.close();
  }
}

function kept({ pages }: FaultyMachine): number {
  return pages.keys().filter((key) => key[0] === 5).length;
}

async function heal({ shard, clock }: OpenedStore): Promise<void> {
  for (let i = 0; shard.failure && i < 40; i++) {
    clock.advance(2000);
    await turns(20);
  }
  assert.is(shard.failure, undefined);
}

test("cold rows that outgrow a version's arenas are halved into more, also where rows were being handed over", async () => {
  const machine = new FaultyMachine(9);
  const random = new Prng(9);
  const { store, shard } = await machine.open({ hotRows: () => 60, logBufferBytes: 4 << 20 });
  const { optimizer, initializer, memory } = options;
  const wide = { dim: 1500, optimizer, initializer, ack: "memory" } as const;
  const cold = await Twin.open(store, "cold", { ...wide, memory });
  const resident = await Twin.open(store, "resident", wide);
  const range = (from: number) => BigUint64Array.from({ length: 50 }, (_, i) => BigInt(from + i));
  for (let from = 0; from < 2500; from += 50) await cold.push(range(from), randomFloats(random, 75_000));
  for (let from = 0; shard.state.arenas.all.length === 1; from += 50)
    await resident.push(range(from), randomFloats(random, 75_000));
  // The hand-over stands still meanwhile.
  const state = shard.state as { held: boolean };
  state.held = true;
  await store.checkpoint({ version: "v" });
  state.held = false;
  const { manifest } = shard.state.versions.get("v") as Version;
  assert.ok(manifest.handOver, "rows are handed over");
  const version = await store.openVersion("v");
  for (const { table, oracle } of [cold, resident])
    await new Twin(await version.table(table.name), oracle).compareAll();
  const { arenas } = (await version.stats()).memory;
  assert.ok(arenas > 2 && arenas < 12, `${arenas} arenas`);
  await version.close();
  await cold.compareAll();
  await resident.compareAll();
  await store.close();
});

test("each is what the table was, through openings, and what is kept goes with the last of them", async () => {
  for (let seed = 0; seed < 2; seed++) {
    const { machine, store, twin, versions } = await live(seed);
    assert.ok(kept(machine) > 10, `${kept(machine)} values are kept`);
    await compare(store, versions);
    await twin.compareAll();
    await store.close();
    const again = await machine.open(hot);
    await compare(again.store, versions);
    await again.store.deleteVersion("b");
    versions.delete("b");
    await turns(30);
    await compare(again.store, versions);
    await again.store.deleteVersion("a");
    await again.store.deleteVersion("c");
    await turns(60);
    assert.is(kept(machine), 0);
    await new Twin(await again.store.table("t"), twin.oracle).compareAll();
    await again.store.close();
  }
});

test("a table that is dropped while its rows become cold leaves each value that they need once", async () => {
  for (let wait = 0; wait < 24; wait++) {
    const { machine, store, twin, versions } = await live(30);
    machine.pages.schedule = () => turns(4);
    const keys = BigUint64Array.from({ length: 40 }, (_, i) => BigInt(i));
    await twin.push(keys, new Float32Array(120).fill(0.1), { step: 40 });
    await turns(wait);
    await store.dropTable("t");
    await turns(120);
    machine.pages.schedule = undefined;
    await compare(store, versions);
    await store.close();
  }
});

test("changes from one to another, and to the live state, are what differs", async () => {
  for (let seed = 10; seed < 12; seed++) {
    const { store, twin, versions } = await live(seed);
    const states = [...versions, ["live", twin.oracle] as const];
    for (const [since, from] of versions) {
      for (const [until, to] of states) {
        const copy = new Map([...from.entries()].map(([key, row]) => [key, [...row.weights]]));
        const expected = new Map([...to.entries()].map(([key, row]) => [key, [...row.weights]]));
        const changes = store.changes({ since, ...(until !== "live" && { until }), batch: 7 });
        for await (const { keys, rows, removed, added } of changes) {
          for (const [i, key] of keys.entries()) {
            assert.is(copy.has(key), added[i] === 0, `key ${key} from ${since} to ${until}`);
            copy.set(key, [...rows.subarray(3 * i, 3 * i + 3)]);
          }
          for (const key of removed) assert.ok(copy.delete(key), `key ${key} is removed`);
        }
        const sorted = (rows: typeof copy) => [...rows].sort(([a], [b]) => (a < b ? -1 : 1));
        assert.equal(sorted(copy), sorted(expected), `from ${since} to ${until}, seed ${seed}`);
      }
    }
    await store.close();
  }
});

test("a rollback that fails anywhere has happened or not, heals, and harms no version", async () => {
  let [failed, happened] = [0, 0];
  for (let write = 0; write < 8; write++) {
    const lived = await live(20 + (write % 3));
    const { machine, store, twin, versions } = lived;
    machine.pages.failOnce("write", write);
    const code = await codeOf(() => store.rollback("a"));
    machine.pages.clearFaults();
    if (code !== undefined) failed++;
    await heal(lived);
    const table = await store.table("t");
    const before = await differenceFrom(twin.oracle, table);
    const after = await differenceFrom(versions.get("a")!, table);
    if (after === undefined) happened++;
    assert.ok(before === undefined || after === undefined, `write ${write}, ${code}: ${before}; ${after}`);
    assert.ok(code !== undefined || after === undefined, after);
    await compare(store, versions);
    await store.close();
    const again = await machine.open(hot);
    await new Twin(
      await again.store.table("t"),
      after === undefined ? versions.get("a") : twin.oracle,
    ).compareAll();
    await compare(again.store, versions);
    await again.store.close();
  }
  assert.ok(failed > 2 && happened > 2, `${failed} failed, ${happened} happened`);
});

test("a process that ends during a rollback finds the version or what was before, and all versions", async () => {
  let happened = 0;
  for (let cut = 0; cut < 14; cut++) {
    const { machine, store, twin, versions } = await live(30 + (cut % 4));
    machine.pages.schedule = () => turns(1);
    store.rollback(["a", "b"][cut % 2]).catch((error: EmbershardError) => assert.is(error.code, "CLOSED"));
    await turns(3 * cut);
    machine.pages.schedule = undefined;
    if (cut % 3 === 0) machine.crash();
    else machine.kill();
    const again = await machine.open(hot);
    const table = await again.store.table("t");
    const after = await differenceFrom(versions.get(["a", "b"][cut % 2])!, table);
    const before = await differenceFrom(twin.oracle, table);
    // What was pushed since the last version may not have been durable.
    const since = await differenceFrom(versions.get("c")!, table);
    if (after === undefined) happened++;
    assert.ok(
      [after, before].includes(undefined) || cut % 3 === 0,
      `cut ${cut}: ${after}; ${before}; ${since}`,
    );
    await compare(again.store, versions);
    // And forward again.
    await again.store.rollback("c");
    await new Twin(await again.store.table("t"), versions.get("c")).compareAll();
    await compare(again.store, versions);
    await again.store.close();
  }
  assert.ok(happened > 1 && happened < 14, String(happened));
});

test("a kept value that is damaged or lost is said of the version that needs it, and of nothing else", async () => {
  let reported = 0;
  for (let seed = 40; seed < 45; seed++) {
    const { machine, store, twin, versions } = await live(seed);
    await store.close();
    const keys = machine.pages.keys().filter((key) => key[0] === 5);
    const key = keys[seed % keys.length];
    if (seed % 2 === 0) machine.pages.lose(key);
    else machine.pages.flipBit(key, 64 + (seed % 5) * 40);
    const again = await machine.open(hot);
    await new Twin(await again.store.table("t"), twin.oracle).compareAll();
    for (const [name, oracle] of versions) {
      const code = await codeOf(async () => {
        const version = await again.store.openVersion(name);
        await new Twin(await version.table("t"), oracle).compareAll();
      });
      if (code === undefined) continue;
      assert.is(code, "CORRUPT");
      assert.is(await codeOf(() => again.store.rollback(name)), "CORRUPT");
      reported++;
    }
    await new Twin(await again.store.table("t"), twin.oracle).compareAll();
    await again.store.close();
  }
  assert.ok(reported > 2, String(reported));
});

test.run();
