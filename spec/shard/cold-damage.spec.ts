// Damage to cold rows: whatever becomes of a value, the store does not open, or every row is what it was.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { EmbershardError } from "../../lib/base/errors.js";
import { Prng } from "../../lib/base/prng.js";
import { adagrad } from "../../lib/index.js";
import type { OracleTable } from "../../lib/kernel/oracle/oracle-table.js";
import { randomFloats, Twin } from "../laws/twin.js";
import { FaultyMachine, turns } from "./fault-fixture.js";

const options = { dim: 3, optimizer: adagrad({ learningRate: 0.1 }), memory: 1 << 20 };

/** A closed store with cold rows, remains of others, and what it holds. */
async function make(seed: number): Promise<{ machine: FaultyMachine; oracle: OracleTable }> {
  const machine = new FaultyMachine(seed);
  const random = new Prng(seed);
  const { store } = await machine.open({ hotRows: () => 6 });
  const twin = await Twin.open(store, "t", options);
  for (let i = 0; i < 12; i++) {
    const keys = BigUint64Array.from({ length: 10 }, () => BigInt(random.below(60)) << 20n);
    if (i % 5 === 4) await twin.delete(BigUint64Array.from(new Set(keys)));
    else await twin.push(keys, randomFloats(random, 30), { step: i + 1 });
    await turns(12);
    if (i === 6) await store.checkpoint();
  }
  await store.close();
  return { machine, oracle: twin.oracle };
}

/** Opens a damaged store. Returns whether the damage was reported. */
async function isReported(machine: FaultyMachine, oracle: OracleTable): Promise<boolean> {
  try {
    const { store } = await machine.open({ hotRows: () => 6 });
    await new Twin(await store.table("t"), oracle).compareAll();
    await store.close();
    return false;
  } catch (error) {
    assert.is((error as EmbershardError).code, "CORRUPT", (error as Error).stack);
    return true;
  }
}

function coldKeys({ pages }: FaultyMachine): Uint8Array[] {
  return pages.keys().filter((key) => key[0] === 4);
}

test("a flipped bit anywhere in the value of a cold row is reported, or without effect", async () => {
  let reported = 0;
  const bytes = 24 + 40;
  for (let bit = 0; bit < 8 * bytes; bit += 5) {
    const { machine, oracle } = await make(bit % 3);
    const keys = coldKeys(machine);
    machine.pages.flipBit(keys[bit % keys.length], bit);
    if (await isReported(machine, oracle)) reported++;
  }
  assert.ok(reported > 50, String(reported));
});

test("a cold row that is lost, older than it was, or another's, is reported, or without effect", async () => {
  let reported = 0;
  for (let seed = 0; seed < 12; seed++) {
    for (const damage of ["lose", "older", "other", "strange"] as const) {
      const { machine, oracle } = await make(seed);
      const keys = coldKeys(machine);
      const key = keys[seed % keys.length];
      if (damage === "lose") machine.pages.lose(key);
      else if (damage === "other") machine.pages.copy(keys[(seed + 1) % keys.length], key);
      else if (damage === "strange") machine.pages.copy(key, Uint8Array.of(4, 0, 0, 0, 1, 9));
      else if (!(await makeOlder(machine, key, seed))) continue;
      if (await isReported(machine, oracle)) reported++;
    }
  }
  assert.ok(reported > 20, String(reported));
});

/** Gives a cold row back the value that it had before. */
async function makeOlder(machine: FaultyMachine, key: Uint8Array, seed: number): Promise<boolean> {
  const before = await machine.pages.get(key).catch(() => undefined);
  await machine.pages.reopen();
  const value = before ?? (await machine.pages.get(key));
  const { machine: other } = await make(seed + 100);
  await other.pages.reopen();
  const older = await other.pages.get(key);
  if (!older || !value || Buffer.compare(older, value) === 0) return false;
  const batch = machine.pages.batch();
  batch.put(key, older);
  await batch.write();
  return true;
}

test.run();
