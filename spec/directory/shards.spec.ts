import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { inspectDirectory } from "../../lib/directory/identity.js";
import { makeDirectory } from "../../lib/directory/making.js";
import { forgetOwner, noteOwner } from "../../lib/directory/owner.js";
import { lockShard, openShardOf, type ShardSettings } from "../../lib/directory/shard-opening.js";
import { EmbershardError, openStore, sgd } from "../../lib/index.js";
import type { Shard } from "../../lib/shard/shard.js";

const test = suite<{ directory: string }>("shards of a directory");
test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), "embershard-shards-"));
});
test.after.each(({ directory }) => rmSync(directory, { recursive: true, force: true }));

const settings: ShardSettings = { arenaBytes: 32 << 20, hugePages: "off" };
const options = { dim: 1, optimizer: sgd({ learningRate: 1 }) };
const keys = BigUint64Array.of(1n);

async function errorOf(work: Promise<unknown>): Promise<EmbershardError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof EmbershardError) return error;
    throw error;
  }
  throw new Error("expected an error");
}

async function push(shard: Shard, gradient: number): Promise<void> {
  const table = await shard.openTable("items", options);
  const values = Float32Array.of(gradient);
  await shard.write([{ table, kind: "push", keys, values, learningRate: 1 }], { ack: "os", step: 1 });
}

function weight(shard: Shard): number {
  const into = new Float32Array(1);
  shard.pull({ table: shard.tables.get("items")!, keys, into, fallback: 0 });
  return into[0];
}

test("each shard of a directory is opened by itself and has rows of its own", async ({ directory }) => {
  const made = await makeDirectory(directory, { shards: 4 });
  assert.is(made.shards, 4);
  assert.equal(await makeDirectory(directory, { shards: 4 }), made);
  assert.equal(await makeDirectory(directory), made, "as many as there are");
  for (let round = 1; round <= 2; round++) {
    const shards = await Promise.all([0, 1, 2, 3].map((number) => openShardOf(directory, number, settings)));
    for (const [number, { shard, identity }] of shards.entries()) {
      assert.equal(identity, made);
      await push(shard, number + 1);
      assert.is(weight(shard), -round * (number + 1));
    }
    await shards[2].shard.checkpoint({});
    for (const { shard } of shards) await shard.close();
  }
});

test("one owner: a shard that is open is LOCKED, and the message says by whom", async ({ directory }) => {
  await makeDirectory(directory, { shards: 2 });
  const { shard } = await openShardOf(directory, 1, settings);
  await noteOwner(directory);
  const locked = await errorOf(openShardOf(directory, 1, settings));
  assert.is(locked.code, "LOCKED");
  assert.match(locked.message, `this process (pid ${process.pid})`);
  const { shard: other } = await openShardOf(directory, 0, settings);
  await other.close();
  await shard.close();
  await forgetOwner(directory);
  assert.not(existsSync(join(directory, "owner")));
});

test("another number of shards is refused, and the message names the command", async ({ directory }) => {
  await makeDirectory(directory, { shards: 3 });
  for (const work of [() => openStore(directory), () => makeDirectory(directory, { shards: 1 })]) {
    const error = await errorOf(work());
    assert.is(error.code, "SHARD_COUNT");
    assert.match(error.message, `embershard reshard ${directory} --shards 1`);
    assert.match(error.message, "3 shards");
  }
  assert.is((await errorOf(openShardOf(directory, 0, settings, 2))).code, "SHARD_COUNT");
  assert.is((await errorOf(openShardOf(directory, 3, settings))).code, "INVALID_ARGUMENT");
  assert.is((await errorOf(openShardOf(directory, -1, settings))).code, "INVALID_ARGUMENT");
  for (const shards of [0, 1025, 1.5])
    assert.is((await errorOf(makeDirectory(directory, { shards }))).code, "INVALID_OPTIONS");
});

test("a shard that has got another path meanwhile is not locked, and nothing is made where it was", async ({
  directory,
}) => {
  const gone = join(directory, "gone");
  assert.is((await errorOf(lockShard(gone, 0, false))).code, "IO");
  assert.not(existsSync(gone));
});

test("a store that openStore made is a directory of one shard, and the other way round", async ({
  directory,
}) => {
  const store = await openStore(directory, { control: false });
  const table = await store.table("items", options);
  await table.push(keys, Float32Array.of(5));
  await store.close();
  assert.is((await makeDirectory(directory, { shards: 1 })).shards, 1);
  const { shard } = await openShardOf(directory, 0, settings);
  assert.is(weight(shard), -5);
  await push(shard, 2);
  await shard.close();
  await using again = await openStore(directory, { control: false });
  assert.equal(await (await again.table("items")).pull(keys), Float32Array.of(-7));
});

test("a placement is kept where there is none yet, and not changed", async ({ directory }) => {
  const placement = { node: "a", fingerprint: "0123456789abcdef" };
  const { placement: none, ...alone } = await makeDirectory(directory, { shards: 2 });
  assert.is(none, undefined);
  assert.equal(await makeDirectory(directory, { shards: 2, placement }), { ...alone, placement });
  assert.equal(await inspectDirectory(directory, { create: false }), { ...alone, placement });
  const other = { ...placement, node: "b" };
  assert.equal((await makeDirectory(directory, { placement: other })).placement, placement);
});

test("a making that was cut short begins anew", async ({ directory }) => {
  mkdirSync(join(directory, "shards", "0001", "log"), { recursive: true });
  writeFileSync(join(directory, "creating"), "");
  writeFileSync(join(directory, "shards", "0001", "log", "00000000000000000001.log"), "what nobody wrote");
  assert.is(await inspectDirectory(directory, { create: true }), undefined);
  await makeDirectory(directory, { shards: 2 });
  assert.not(existsSync(join(directory, "creating")));
  for (const number of [0, 1]) {
    const { shard } = await openShardOf(directory, number, settings);
    assert.is(shard.tables.size, 0);
    await shard.close();
  }
});

test.run();
