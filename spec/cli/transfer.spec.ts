import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { openStore, type Store } from "../../lib/index.js";
import { ALL, fill, options, Place, sameRows, scanAll } from "../transfer/fixture.js";
import { BUCKET, S3Server } from "../transfer/s3-server.js";
import { COMMAND, runHere } from "./run-command.js";

const test = suite<{ place: Place; store: Store; directory: string }>("export and import");
test.before.each(async (context) => {
  context.place = new Place();
  context.directory = context.place.path("model");
  context.store = await openStore(context.directory, { checkpoint: false });
  await fill(await context.store.table("items", options), new Prng(1), 400);
});
test.after.each(async ({ place, store }) => {
  await store.close();
  await place.end();
});

const done = async (args: readonly string[], environment = {}) => {
  const { code, out, err } = await runHere(args, environment);
  assert.is(code, 0, err);
  assert.is(err, "", "no progress where nobody looks");
  return out;
};

test("to files and back, of an open store and of a closed one", async ({ place, store, directory }) => {
  const expected = await scanAll(await store.table("items"));
  const roundTrip = async (name: string, table: string) => {
    const path = place.path(name);
    const exported = JSON.parse(
      await done(["export", directory, path, "--table", "items", "--state", "--json"]),
    );
    assert.is(exported.rows, expected.size);
    const text = await done(["import", directory, path, "--table", table]);
    assert.match(
      text,
      new RegExp(`^${expected.size} rows into new table ${table}; optimizer state: restored\n$`),
    );
  };
  await roundTrip("a.safetensors", "a");
  await roundTrip("b.parquet", "b");
  await store.close();
  await roundTrip("c", "c");
  await roundTrip("d.parquet", "d");
  const again = await openStore(directory);
  for (const name of ["a", "b", "c", "d"]) sameRows(await scanAll(await again.table(name)), expected, ALL);
  await again.close();
});

test("what changed since a version, of an open store and of a closed one", async ({
  place,
  store,
  directory,
}) => {
  const table = await store.table("items");
  await store.checkpoint({ version: "v" });
  await done(["export", directory, place.path("base.safetensors"), "--table", "items", "--state"]);
  await table.delete((await scanAll(table)).size > 0 ? BigUint64Array.of(0n) : new BigUint64Array(0));
  await table.push(BigUint64Array.of(7n), new Float32Array(5).fill(1));
  const expected = await scanAll(table);
  const round = async (name: string) => {
    const path = place.path(`${name}.safetensors`);
    const since = ["--table", "items", "--state", "--since", "v"];
    assert.match(await done(["export", directory, path, ...since]), /^1 rows?, 1 removed, /);
    await done(["import", directory, place.path("base.safetensors"), "--table", name]);
    const text = await done(["import", directory, path, "--table", name, "--existing", "merge"]);
    assert.match(text, /^1 rows? into table .*, 1 deleted;/);
  };
  await round("a");
  await store.close();
  await round("b");
  const again = await openStore(directory);
  for (const name of ["a", "b"]) sameRows(await scanAll(await again.table(name)), expected, ALL);
  await again.close();
});

test("thresholds, and what becomes of rows that are there", async ({ place, store, directory }) => {
  const path = place.path("items.safetensors");
  const out = await done([
    "export",
    directory,
    path,
    "--table",
    "items",
    "--min-frequency",
    "4",
    "--min-norm",
    "0.5",
  ]);
  assert.match(out, /^\d+ rows, [\d.]+ KiB in .*items\.safetensors\n$/);
  const rows = Number(out.split(" ")[0]);
  assert.ok(rows > 0 && rows < 200);
  const refused = await runHere(["import", directory, path, "--table", "items"]);
  assert.is(refused.code, 1);
  assert.match(refused.err, /^error INVALID_ARGUMENT: .* has a row in "items" already/);
  await done(["import", directory, path, "--table", "items", "--existing", "merge"]);
  const replaced = await done([
    "import",
    directory,
    path,
    "--table",
    "items",
    "--existing",
    "replace",
    "--json",
  ]);
  assert.is(
    JSON.parse(replaced).deleted,
    (await scanAll(await store.table("items"))).size + JSON.parse(replaced).deleted - rows,
  );
  assert.is((await (await store.table("items")).stats()).rows, rows);
});

test("wrong usage is said before anything is done", async ({ place, directory }) => {
  const wrong = [
    ["export", directory, place.path("x")],
    ["export", directory, place.path("x"), "--table", "items", "--min-norm", "-1"],
    ["export", directory, place.path("x"), "--table", "items", "--format", "csv"],
    ["import", directory, place.path("x"), "--table", "items", "--existing", "maybe"],
    ["export", directory, "--table", "items"],
  ];
  for (const args of wrong) {
    const { code, err } = await runHere(args);
    assert.is(code, 2, args.join(" "));
    assert.match(err, /^error INVALID_OPTIONS: .*; see embershard (export|import) --help\n$/);
  }
  assert.equal(place.names(), []);
});

for (const open of [true, false]) {
  test(`Ctrl-C ends an export ${open ? "that the owner does" : "of a closed store"}, and leaves nothing`, async ({
    place,
    store,
    directory,
  }) => {
    if (!open) await store.close();
    const server = await S3Server.start(place.path("s3"));
    let asked = () => {};
    const uploading = new Promise<void>((resolve) => {
      asked = resolve;
    });
    // The upload never ends by itself.
    server.fault = () => {
      asked();
      return new Promise(() => {});
    };
    const scratch = place.path("scratch");
    const args = ["export", directory, `s3://${BUCKET}/x.parquet`, "--table", "items", "--scratch", scratch];
    const child = spawn(process.execPath, [COMMAND, ...args], {
      env: { ...process.env, ...server.environment },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let err = "";
    child.stderr.on("data", (data) => (err += data));
    await uploading;
    child.kill("SIGINT");
    const [code] = await once(child, "close");
    assert.is(code, 130, err);
    assert.match(err, /^error ABORTED: /);
    // The owner hears of it when the connection closes.
    while (readdirSync(scratch).length > 0) await new Promise((resolve) => setImmediate(resolve));
    server.fault = () => undefined;
    const answer = await done([...args, "--json"], server.environment);
    assert.equal(JSON.parse(answer).files, [`s3://${BUCKET}/x.parquet`]);
    await done(["import", directory, `s3://${BUCKET}/x.parquet`, "--table", "back"], server.environment);
    assert.ok(!existsSync(scratch) || readdirSync(scratch).length === 0);
    await server.close();
  });
}

test.run();
