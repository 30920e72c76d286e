// A version that the page store has lost without a word is missed.
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openStore, repairStore, sgd, verifyStore } from "../../lib/index.js";
import { encodeVersionKey } from "../../lib/shard/version.js";
import { openLevelPageStore } from "../../lib/store/level-page-store.js";
import { codeOf } from "../laws/twin.js";
import { quietly } from "./lived-store.js";

const home = mkdtempSync(join(tmpdir(), "embershard-versions-"));
const whole = join(home, "whole");
const keys = BigUint64Array.of(1n, 2n);

const test = suite("missing versions");

test.before(async () => {
  const store = await openStore(whole, quietly);
  const table = await store.table("t", { dim: 2, optimizer: sgd({ learningRate: 1 }) });
  for (const version of ["gone", "first", "second"]) {
    await table.push(keys, Float32Array.of(1, 2, 3, 4));
    await store.checkpoint({ version });
  }
  await store.deleteVersion("gone");
  await store.close();
});

test.after(() => rmSync(home, { recursive: true }));

function copied(name: string): string {
  const directory = join(home, name);
  cpSync(whole, directory, { recursive: true });
  return directory;
}

/** A store whose LevelDB has no version "first" any more. */
async function withoutFirst(name: string): Promise<string> {
  const directory = copied(name);
  const pages = await openLevelPageStore(join(directory, "shards", "0000", "pages"));
  const batch = pages.batch();
  batch.del(encodeVersionKey("first"));
  await batch.write();
  await pages.close();
  return directory;
}

test("a whole store misses none, and a deleted one is not missed", async () => {
  const directory = copied("untouched");
  assert.is((await verifyStore(directory)).status, "ok");
  const store = await openStore(directory, quietly);
  assert.equal(
    (await store.versions()).map(({ name, damage }) => [name, damage]),
    [
      ["first", undefined],
      ["second", undefined],
    ],
  );
  await store.close();
});

test("verification and the store say that it is missing; deleting it settles that", async () => {
  const directory = await withoutFirst("verified");
  const { status, findings } = await verifyStore(directory);
  assert.is(status, "damaged");
  assert.equal(
    findings.map(({ severity, part, affects }) => [severity, part, affects.versions]),
    [["damage", "version", ["first"]]],
  );
  let store = await openStore(directory, quietly);
  const [first] = await store.versions();
  assert.is(first.name, "first");
  assert.match(first.damage!, "missing");
  assert.is(await codeOf(() => store.openVersion("first")), "CORRUPT");
  await store.deleteVersion("first");
  await store.close();
  store = await openStore(directory, quietly);
  assert.is((await store.versions()).length, 1);
  await store.close();
  assert.is((await verifyStore(directory)).status, "ok");
});

test("a repair announces it, and keeps the others", async () => {
  const directory = await withoutFirst("repaired");
  const refused = await repairStore(directory);
  assert.is(refused.status, "refused");
  const { status, losses } = await repairStore(directory, { acceptLoss: true });
  assert.is(status, "repaired");
  assert.equal(
    losses.map(({ kind, version }) => [kind, version]),
    [["version", "first"]],
  );
  assert.is((await verifyStore(directory)).status, "ok");
  const roll = join(directory, "shards", "0000", "log", "VERSIONS");
  assert.match(readFileSync(roll, "latin1"), '"names":["second"]');
});

test("a damaged list of versions harms nothing, is reported, and is repaired without loss", async () => {
  const directory = copied("list");
  const roll = join(directory, "shards", "0000", "log", "VERSIONS");
  const bytes = readFileSync(roll);
  for (const [what, damaged] of [
    ["flipped", bytes.map((byte, i) => (i === 20 ? byte ^ 1 : byte))],
    ["cut", bytes.subarray(0, 5)],
  ] as const) {
    writeFileSync(roll, damaged);
    const { findings } = await verifyStore(directory);
    assert.equal(
      findings.map(({ severity, part }) => [severity, part]),
      [["harmless", "version"]],
      what,
    );
    const { status, losses, original } = await repairStore(directory);
    assert.is(status, "repaired", what);
    assert.equal(losses, []);
    assert.ok(existsSync(original!));
    rmSync(original!, { recursive: true });
    assert.is(Buffer.compare(readFileSync(roll), bytes), 0, what);
  }
});

test.run();
