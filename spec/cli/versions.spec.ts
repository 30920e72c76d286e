import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { diffText, versionsText } from "../../lib/cli/versions-command.js";
import { openStore, type Store, sgd } from "../../lib/index.js";
import { runHere } from "./run-command.js";

const test = suite<{ directory: string }>("versions");
test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), "versions-spec-"));
});
test.after.each(({ directory }) => rmSync(directory, { recursive: true, force: true }));

const keys = BigUint64Array.of(1n, 2n, 3n);

async function train(store: Store, by: number): Promise<void> {
  const table = await store.table("items", { dim: 2, optimizer: sgd({ learningRate: 1 }) });
  await table.push(keys, new Float32Array(6).fill(-by));
}

async function first(store: Store): Promise<number> {
  return (await (await store.table("items")).pull(keys.subarray(0, 1)))[0];
}

for (const live of [true, false]) {
  test(`versions of a store that is ${live ? "open" : "closed"} are made, compared, rolled back to and deleted`, async ({
    directory,
  }) => {
    const embershard = async (command: string, ...args: string[]) => {
      const { code, out, err } = await runHere(["versions", command, directory, ...args, "--json"]);
      assert.is(code, 0, err);
      return JSON.parse(out);
    };
    const settings = { control: live, checkpoint: false } as const;
    let store = await openStore(directory, settings);
    await train(store, 1);
    if (!live) await store.close();
    const made = await embershard("create", "one", "--note", "the first", "--keep", "5");
    assert.equal(made.version, { name: "one", folded: 0, deleted: [] });
    if (!live) store = await openStore(directory, settings);
    await train(store, 2);
    if (!live) await store.close();
    await embershard("create", "two");
    const { versions } = await embershard("list");
    assert.equal(
      versions.map(({ name, note, rows }: { name: string; note: string; rows: number }) => [
        name,
        note,
        rows,
      ]),
      [
        ["one", "the first", 3],
        ["two", "", 3],
      ],
    );
    const diff = await embershard("diff", "one", "two", "-n", "1");
    assert.equal(
      [diff.from, diff.to, diff.tables[0].changed, diff.tables[0].largest.length],
      ["one", "two", 3, 1],
    );
    assert.is((await embershard("diff", "two")).to, "live");
    const shown = ["inspect", directory, "--table", "items", "--keys", "1", "--json"];
    const rows = async (...more: string[]) => JSON.parse((await runHere([...shown, ...more])).out).rows[0];
    assert.equal((await rows("--at", "one")).weights, [1, 1]);
    assert.equal((await rows()).weights, [3, 3]);
    assert.is((await embershard("rollback", "one")).version, "one");
    if (!live) store = await openStore(directory, settings);
    assert.is(await first(store), 1);
    assert.is((await store.stats()).versions.count, 2);
    if (!live) await store.close();
    const nope = await runHere(["versions", "delete", directory, "one", "nope"]);
    assert.match(
      nope.err,
      /VERSION_NOT_FOUND: no version "nope": there are "one", "two"; nothing was deleted\n$/,
    );
    assert.equal(await embershard("delete", "one", "two", "one"), { deleted: ["one", "two"] });
    assert.equal(await embershard("list"), { versions: [] });
    const missing = await runHere(["versions", "rollback", directory, "one"]);
    assert.is(missing.code, 1);
    assert.match(missing.err, /^error VERSION_NOT_FOUND: no version "one": there are none\n$/);
    if (live) await store.close();
  });
}

test("versions and differences are shown to people", () => {
  const shown = versionsText(
    [
      {
        name: "epoch-3",
        note: "good\nsecond line",
        at: 1000,
        lsn: 12_345,
        generation: 3,
        tables: [],
        rows: 4000,
        pages: 2,
        bytes: 262_144,
        ownBytes: 131_072,
      },
      {
        name: "bad",
        note: "",
        at: 0,
        lsn: 0,
        generation: 0,
        tables: [],
        rows: 0,
        pages: 0,
        bytes: 0,
        ownBytes: 0,
        damage: "torn",
      },
    ],
    61_000,
    (text) => text,
  );
  assert.match(shown, /^version +age +LSN +rows +bytes +its own +note\n/);
  assert.match(shown, /\nepoch-3 +60 s +12,345 +4,000 +256.0 KiB +128.0 KiB +good\n/);
  assert.match(shown, /\nbad +damaged: torn\n/);
  assert.is(
    versionsText([], 0, (text) => text),
    "no versions\n",
  );
  const table = { table: "items", before: 3, after: 4, added: 1, removed: 0, changed: 2 };
  const diff = diffText(
    {
      from: "a",
      to: "live",
      tables: [
        { ...table, status: "kept", largest: [{ key: "7", distance: 0.123456 }] },
        { ...table, table: "new", status: "made", largest: [] },
      ],
    },
    (text) => text,
  );
  assert.match(
    diff,
    /^from a to live\ntable +before +after +added +removed +changed\nitems +3 +4 +1 +0 +2\n/,
  );
  assert.match(diff, /new \(made\)/);
  assert.match(diff, /moved furthest in items: 7 \(0.1235\)\n$/);
});

test.run();
