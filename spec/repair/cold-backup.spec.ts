// Backups of stores with tables larger than their memory: closed, and at work, with versions.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { adagrad, openStore, type Store, type TableOptions } from "../../lib/index.js";
import type { OracleTable } from "../../lib/kernel/oracle/oracle-table.js";
import { backupStore } from "../../lib/repair/backup-store.js";
import { restoreStore } from "../../lib/repair/restore-store.js";
import { verifyStore } from "../../lib/repair/verify-store.js";
import { differenceFrom } from "../laws/oracle-of.js";
import { randomFloats, Twin } from "../laws/twin.js";
import { quietly } from "./lived-store.js";

const test = suite<{ home: string }>("backups of cold rows");
test.before.each((context) => {
  context.home = mkdtempSync(join(tmpdir(), "embershard-repair-"));
});
test.after.each(({ home }) => rmSync(home, { recursive: true }));

const dim = 400;
const options: TableOptions = {
  dim,
  optimizer: adagrad({ learningRate: 0.1 }),
  memory: 1 << 20,
  eviction: { maxRows: 2000 },
};

async function push(twin: Twin, random: Prng, batches: number): Promise<void> {
  for (let i = 0; i < batches; i++) {
    const keys = BigUint64Array.from({ length: 60 }, () => BigInt(random.below(900)));
    if (i % 5 === 4) await twin.delete(BigUint64Array.from(new Set(keys)));
    else await twin.push(keys, randomFloats(random, 60 * dim), { step: i + 1 });
  }
}

async function demandSame(directory: string, oracles: ReadonlyMap<string | undefined, OracleTable>) {
  assert.equal((await verifyStore(directory)).findings, []);
  const store = await openStore(directory, quietly);
  for (const [version, oracle] of oracles) {
    const state: Store = version === undefined ? store : await store.openVersion(version);
    await new Twin(await state.table("bounded"), oracle).compareAll();
    if (state !== store) await state.close();
  }
  await store.close();
}

test("of a closed store, with versions: the same rows, and the same versions", async ({ home }) => {
  const [directory, backups] = [join(home, "store"), join(home, "backups")];
  const random = new Prng(1);
  const store = await openStore(directory, quietly);
  const twin = await Twin.open(store, "bounded", options);
  await push(twin, random, 25);
  const oracles = new Map<string | undefined, OracleTable>();
  await store.checkpoint({ version: "first" });
  oracles.set("first", twin.oracle.clone());
  await push(twin, random, 10);
  await store.checkpoint();
  await push(twin, random, 10);
  assert.ok((await twin.table.stats()).cold!.rows > 100);
  await store.close();
  oracles.set(undefined, twin.oracle);
  const { values, records } = await backupStore(directory, backups);
  assert.ok(values > 100 && records > 0, `${values} values, ${records} records`);
  assert.is((await verifyStore(backups)).status, "ok");
  await restoreStore(backups, join(home, "restored"));
  await demandSame(join(home, "restored"), oracles);
});

test("of a store at work, whose rows change meanwhile: what it was at one moment", async ({ home }) => {
  const [directory, backups] = [join(home, "store"), join(home, "backups")];
  const random = new Prng(2);
  const store = await openStore(directory, quietly);
  const twin = await Twin.open(store, "bounded", options);
  await push(twin, random, 25);
  await store.checkpoint({ version: "first" });
  const first = twin.oracle.clone();
  await push(twin, random, 10);
  // The moment is that of the hold, which writes a checkpoint: what is pushed until then is in it.
  const states = [twin.oracle.clone()];
  let going = true;
  const pushing = (async () => {
    while (going) {
      await push(twin, random, 1);
      states.push(twin.oracle.clone());
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  await backupStore(store, backups).finally(() => {
    going = false;
  });
  await pushing;
  const restored = join(home, "restored");
  await restoreStore(backups, restored);
  assert.equal((await verifyStore(restored)).findings, []);
  const copy = await openStore(restored, quietly);
  const version = await copy.openVersion("first");
  await new Twin(await version.table("bounded"), first).compareAll();
  await version.close();
  const table = await copy.table("bounded");
  const differences = await Promise.all(states.map((oracle) => differenceFrom(oracle, table)));
  assert.ok(differences.includes(undefined), `none of ${states.length} states: ${differences.at(-1)}`);
  await copy.close();
  await twin.compareAll();
  await store.close();
});

test("of a store that another process works on", async ({ home }) => {
  const [directory, backups] = [join(home, "store"), join(home, "backups")];
  const store = await openStore(directory, { ...quietly, control: true });
  const twin = await Twin.open(store, "bounded", options);
  await push(twin, new Prng(3), 25);
  // By its directory: it is asked over the control socket, as another process would.
  await backupStore(directory, backups);
  await store.close();
  await restoreStore(backups, join(home, "restored"));
  await demandSame(join(home, "restored"), new Map([[undefined, twin.oracle]]));
});

test.run();
