import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { statsText } from "../../lib/cli/store-text.js";
import { adagrad, constant, keysOf, openStore, type StoreStats, sgd } from "../../lib/index.js";
import { runHere } from "./run-command.js";

const test = suite<{ directory: string }>("inspect");

test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), "inspect-spec-"));
});
test.after.each(({ directory }) => rmSync(directory, { recursive: true, force: true }));

/** A store with one row of one table, and a tensor of three blocks. */
async function openSample(directory: string, control: boolean) {
  const store = await openStore(directory, { control });
  const items = await store.table("items", { dim: 2, optimizer: adagrad({ learningRate: 0.5 }) });
  await items.push(keysOf("item", ["a"]), Float32Array.of(2, -4));
  await store.tensor("w", {
    shape: [5],
    block: 2,
    optimizer: sgd({ learningRate: 1 }),
    initializer: constant(7),
  });
  return store;
}

const ITEM_A = String(keysOf("item", ["a"])[0]);
const ROWS = {
  table: "items",
  dim: 2,
  rows: [
    { key: ITEM_A, found: true, weights: [-0.5, 0.5], state: [4, 16] },
    { key: "5", found: false, weights: [0, 0], state: [0, 0] },
  ],
};
const BLOCKS = {
  table: "w",
  dim: 2,
  rows: [
    { key: "0", found: true, weights: [7, 7], state: [] },
    { key: "2", found: true, weights: [7], state: [] },
    { key: "3", found: false, weights: [], state: [] },
  ],
};

test("rows and blocks are the same of an open store and of a closed one, and none is made", async ({
  directory,
}) => {
  const inspect = (...args: string[]) => runHere(["inspect", directory, "--json", ...args]);
  const look = async () => {
    const rows = await inspect("--table", "items", "--keys", `${ITEM_A},0x5`);
    assert.equal(JSON.parse(rows.out), ROWS, rows.err);
    const blocks = await inspect("--table", "w", "--keys", "0,2,3");
    assert.equal(JSON.parse(blocks.out), BLOCKS, blocks.err);
    const { owner, tables } = JSON.parse((await inspect()).out);
    const counts = tables.map(({ name, rows }: { name: string; rows: number }) => [name, rows]);
    assert.equal(counts, [
      ["items", 1],
      ["w", 0],
    ]);
    return owner;
  };
  const store = await openSample(directory, true);
  assert.is(await look(), process.pid);
  await store.close();
  assert.ok(!readdirSync(directory).includes("control.sock"));
  assert.is(await look(), null);
});

test("values are shown beside their rows", async ({ directory }) => {
  await (await openSample(directory, true)).close();
  const args = ["inspect", directory, "--table", "items", "--feature", "item", "--values", "a,b"];
  const { out } = await runHere(args);
  const [table, titles, first, second] = out.split("\n");
  assert.is(table, "items, dim 2");
  assert.match(titles, /^value +key +weights +state$/);
  assert.match(first, new RegExp(`^a +${ITEM_A} +-0\\.5 0\\.5 +4 16$`));
  assert.match(second, /^b +\d+ +no such row$/);
});

test("an owner whose socket is switched off is named; it goes on", async ({ directory }) => {
  const store = await openSample(directory, false);
  const { code, err } = await runHere(["inspect", directory]);
  assert.is(code, 1);
  assert.match(err, new RegExp(`^error LOCKED: .*\\b${process.pid}\\b.*\\n$`));
  assert.is(await (await store.table("items")).push(keysOf("item", ["a"]), Float32Array.of(1, 1)), undefined);
  await store.close();
});

test("what the owner refuses arrives with its code", async ({ directory }) => {
  const store = await openSample(directory, true);
  const keys = (list: string) => runHere(["inspect", directory, "--table", "items", "--keys", list]);
  assert.match(
    (await keys("1x")).err,
    /^error INVALID_ARGUMENT: found key "1x", expected an integer from 0 to 2\^64 - 1\n$/,
  );
  assert.match((await keys("18446744073709551616")).err, /^error INVALID_ARGUMENT: found key/);
  assert.match(
    (await keys(Array(1001).fill("1").join())).err,
    /^error TOO_LARGE: found 1001 keys, at most 1000/,
  );
  await store.close();
});

test("health, a missing checkpoint and a store without tables are told", () => {
  const stats: StoreStats = {
    directory: "/d",
    format: 1,
    tables: [],
    memory: { arenas: 2, bytes: 3 << 20, hugePages: false, moving: false },
    log: {
      lsn: 1234,
      writtenLsn: 1234,
      syncedLsn: 1000,
      pendingBytes: 0,
      bytes: 2048,
      segments: 1,
      replayed: 0,
    },
    checkpoint: null,
    versions: { count: 2, ownBytes: 262_144 },
    health: "read-only",
    reason: "no space left",
  };
  assert.equal(statsText(stats, 12, (text) => text).split("\n"), [
    "store       /d, format 1",
    "state       open in process 12",
    "health      read-only: no space left",
    "memory      3.0 MiB in 2 arenas",
    "log         2.0 KiB in 1 segment, up to LSN 1,234",
    "checkpoint  none yet",
    "versions    2, 256.0 KiB only for them",
    "",
    "no tables",
    "",
  ]);
  const checkpoint = { generation: 3, lsn: 1000, at: 0, ageMs: 150_000, pages: 4 };
  assert.match(
    statsText({ ...stats, checkpoint, health: "ok" }, undefined, (text) => text),
    /state {7}closed\nhealth {6}ok\n[\s\S]*checkpoint {2}3, 3 min old, LSN 1,000\n/,
  );
});

test("candidates are shown beside rows, and are no table of their own", async ({ directory }) => {
  const store = await openStore(directory, { control: false });
  const settings = { dim: 2, optimizer: sgd({ learningRate: 1 }) };
  const rare = await store.table("rare", { ...settings, admission: { after: 2 } });
  const counter = { sketchBytes: 2 << 20 };
  await store.table("faint", { ...settings, admission: { after: 2, counter } });
  await rare.push(BigUint64Array.of(1n, 1n, 2n, 3n), new Float32Array(8));
  assert.equal(
    (await store.tables()).map(({ name, rows }) => [name, rows]),
    [
      ["rare", 1],
      ["faint", 0],
    ],
  );
  await store.close();
  const { out } = await runHere(["inspect", directory]);
  assert.match(out, /^table .* candidates$/m);
  assert.match(out, /^rare +1 .* 2, [\d.]+ KiB$/m);
  assert.match(out, /^faint +0 .* sketch of [\d.]+ KiB$/m);
  const { tables } = JSON.parse((await runHere(["inspect", directory, "--json"])).out);
  assert.is(tables.length, 2);
  assert.is(tables[0].admission.candidates, 2);
});

test.run();
