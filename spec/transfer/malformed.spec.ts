// Files that do not add up: a coded error that says what and where, and a store that is as it was.
import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { EmbershardError, exportTable, importTable, type Store, sgd } from "../../lib/index.js";
import {
  badNpy,
  badSafetensors,
  goodData,
  goodHeader,
  goodNpy,
  npyFile,
  safetensorsFile,
} from "./bad-files.js";
import { badParquet, goodParquet } from "./bad-parquet.js";
import { ALL, fill, options, Place, sameRows, scanAll } from "./fixture.js";

const test = suite<{ place: Place }>("files that do not add up");
test.before.each((context) => {
  context.place = new Place();
});
test.after.each(({ place }) => place.end());

async function tableOfTwo(store: Store): Promise<void> {
  const table = await store.table("t", { dim: 2, optimizer: sgd({ learningRate: 1 }) });
  await table.push(BigUint64Array.of(1n, 8n), Float32Array.of(1, 2, 3, 4), { step: 5 });
}

/** Demands that an import fails as it should, whether the table is there or is to be made, and changes nothing. */
async function refused(
  store: Store,
  path: string,
  what: string,
  code: string,
  message: RegExp,
): Promise<void> {
  const before = await scanAll(await store.table("t"));
  const { lsn } = (await store.stats()).log;
  for (const existing of ["merge", "replace", "fail"] as const) {
    try {
      await importTable(store, "t", path, { existing });
      assert.unreachable(what);
    } catch (error) {
      if (!(error instanceof EmbershardError)) throw error;
      assert.is(error.code, code, `${what}: ${error.message}`);
      assert.match(error.message, message, what);
    }
  }
  assert.is((await store.stats()).log.lsn, lsn, `${what}: nothing is logged`);
  sameRows(await scanAll(await store.table("t")), before, ALL);
  // Into a table that is made for it.
  try {
    await importTable(store, "new", path, { table: { dim: 2, optimizer: sgd({ learningRate: 1 }) } });
    assert.unreachable(what);
  } catch (error) {
    if (!(error instanceof EmbershardError)) throw error;
    assert.is(error.code, code, `${what}: ${error.message}`);
    assert.match(error.message, message, what);
  }
  const names = (await store.tables()).map(({ name }) => name);
  assert.not.ok(names.includes("new"), `${what}: no table is left`);
}

test("safetensors", async ({ place }) => {
  const store = await place.open("store");
  await tableOfTwo(store);
  const path = place.path("file.safetensors");
  for (const [what, bytes, code, message] of badSafetensors) {
    writeFileSync(path, bytes);
    await refused(store, path, what, code, message);
  }
  writeFileSync(path, safetensorsFile(goodHeader, goodData));
  await importTable(store, "t", path, { existing: "merge" });
  assert.is((await (await store.table("t")).stats()).rows, 3);
});

test("npy", async ({ place }) => {
  const store = await place.open("store");
  await tableOfTwo(store);
  const path = place.path("arrays");
  mkdirSync(path);
  writeFileSync(`${path}/keys.npy`, goodNpy.keys);
  for (const [what, bytes, code, message] of badNpy) {
    writeFileSync(`${path}/weights.npy`, bytes);
    await refused(store, path, what, code, message);
  }
  rmSync(`${path}/weights.npy`);
  await refused(store, path, "no weights", "CORRUPT", /found keys, expected keys and weights/);
  writeFileSync(`${path}/weights.npy`, goodNpy.weights);
  const twice = npyFile("{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }", Buffer.alloc(16, 1));
  writeFileSync(`${path}/keys.npy`, twice);
  await refused(store, path, "a key twice", "CORRUPT", /key 72340172838076673 of row 1 came before/);
  writeFileSync(`${path}/keys.npy`, goodNpy.keys);
  const floats = npyFile("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", Buffer.alloc(16, 1));
  writeFileSync(`${path}/keys.npy`, floats);
  await refused(store, path, "keys that are floats", "UNSUPPORTED", /keys/);
  writeFileSync(`${path}/keys.npy`, goodNpy.keys);
  writeFileSync(`${path}/table.json`, Buffer.from([0xff, 0xfe]));
  await refused(store, path, "a description that is not UTF-8", "CORRUPT", /not UTF-8/);
  writeFileSync(`${path}/table.json`, Buffer.alloc((1 << 20) + 1, 0x20));
  await refused(store, path, "a huge description", "TOO_LARGE", /at most 1 MiB/);
  rmSync(`${path}/table.json`);
  await importTable(store, "t", path, { existing: "merge" });
  assert.is((await (await store.table("t")).stats()).rows, 3);
  await refused(
    store,
    place.path("nowhere"),
    "no directory",
    "IO",
    /nowhere: there is no such file or directory$/,
  );
  writeFileSync(place.path("words.csv"), "1,2");
  const csv = [
    place.path("words.csv"),
    "a file",
    "INVALID_OPTIONS",
    /neither \.safetensors nor \.parquet/,
  ] as const;
  await refused(store, ...csv);
});

test("Parquet: cut off anywhere, and lies in its footer and its pages", async ({ place }) => {
  const store = await place.open("store");
  await tableOfTwo(store);
  const made = await store.table("made", { ...options, dim: 2 });
  await fill(made, new Prng(1), 40);
  const path = place.path("file.parquet");
  await exportTable(store, "made", path, { state: true });
  const good = readFileSync(path);
  const change = (at: number, value: number) => {
    const bytes = Buffer.from(good);
    bytes[at < 0 ? bytes.length + at : at] = value;
    writeFileSync(path, bytes);
  };
  for (let length = 0; length < good.length; length += 1 + (length >> 3)) {
    writeFileSync(path, good);
    truncateSync(path, length);
    await refused(store, path, `the first ${length} bytes`, "CORRUPT", /expected a Parquet file/);
  }
  change(0, 0);
  await refused(store, path, "no magic", "CORRUPT", /PAR1/);
  change(-1, 0);
  await refused(store, path, "no magic at the end", "CORRUPT", /PAR1/);
  change(-6, 255);
  await refused(store, path, "a footer that lies about its length", "CORRUPT", /claims \d+ bytes/);
  const huge = Buffer.alloc((64 << 20) + 100);
  good.copy(huge, 0, 0, 8);
  huge.writeUInt32LE((64 << 20) + 1, huge.length - 8);
  huge.write("PAR1", huge.length - 4, "latin1");
  writeFileSync(path, huge);
  await refused(store, path, "a huge footer", "TOO_LARGE", /at most 67108864/);
  // The first page's header: its fields are its type, its bytes unpacked, and its bytes.
  assert.equal([...good.subarray(4, 6)], [0x15, 6], "a page of the second version");
  change(5, 4);
  await refused(store, path, "a page of another type", "CORRUPT", /column keys, the page at byte 4/);
  change(7, 2);
  await refused(
    store,
    path,
    "a page that lies about its length",
    "CORRUPT",
    /column keys, the page at byte 4/,
  );
  writeFileSync(path, good);
  await importTable(store, "back", path);
  sameRows(await scanAll(await store.table("back")), await scanAll(made), ALL);
});

test("Parquet: columns that a table does not take", async ({ place }) => {
  const store = await place.open("store");
  await tableOfTwo(store);
  const path = place.path("file.parquet");
  for (const [what, bytes, code, message] of badParquet) {
    writeFileSync(path, bytes);
    await refused(store, path, what, code, message);
  }
  writeFileSync(path, goodParquet);
  await importTable(store, "t", path, { existing: "merge" });
  assert.is((await (await store.table("t")).stats()).rows, 3);
});

test("a file that is changed between check and import is not imported", async ({ place }) => {
  const store = await place.open("store");
  await tableOfTwo(store);
  const path = place.path("file.safetensors");
  writeFileSync(path, safetensorsFile(goodHeader, goodData));
  const { lsn } = (await store.stats()).log;
  try {
    await importTable(store, "t", path, {
      existing: "merge",
      onProgress: () => writeFileSync(path, Buffer.concat([safetensorsFile(goodHeader, goodData), goodData])),
    });
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /changed while it was read/);
  }
  assert.is((await store.stats()).log.lsn, lsn);
});

test("a table that is made is dropped when the end of its file does not add up", async ({ place }) => {
  const store = await place.open("store");
  const source = await store.table("source", { ...options, dim: 300 });
  await fill(source, new Prng(1), 2600);
  const path = place.path("file.safetensors");
  await exportTable(store, "source", path);
  const good = readFileSync(path);
  const header = JSON.parse(good.toString("utf8", 8, 8 + good.readUInt32LE(0)));
  const bytes = Buffer.from(good);
  bytes.writeFloatLE(Number.NaN, 8 + good.readUInt32LE(0) + header.weights.data_offsets[1] - 4);
  writeFileSync(path, bytes);
  let batches = 0;
  const count = ({ phase }: { phase: string }) => {
    if (phase === "import") batches++;
  };
  const fails = async (message: RegExp, onProgress: typeof count) => {
    try {
      await importTable(store, "made", path, { onProgress });
      assert.unreachable();
    } catch (error) {
      assert.match((error as Error).message, message);
    }
    assert.ok(batches > 1, `${batches} batches came first`);
    assert.equal(
      (await store.tables()).map(({ name }) => name),
      ["source"],
    );
  };
  await fails(/the weights of row \d+, key \d+, are NaN at element 299 /, count);
  writeFileSync(path, good);
  batches = 0;
  await fails(/changed while it was read/, (progress) => {
    count(progress);
    if (batches === 2) writeFileSync(path, Buffer.concat([good, Buffer.of(0)]));
  });
  writeFileSync(path, good);
  await importTable(store, "made", path);
  const but = ALL.filter((column) => column !== "state");
  sameRows(await scanAll(await store.table("made")), await scanAll(source), but);
});

/** A store with a table "t" of some rows, and a file of them. */
async function exported(place: Place): Promise<{ store: Store; path: string }> {
  const store = await place.open("store");
  await fill(await store.table("t", options), new Prng(9), 40);
  const path = place.path("t.safetensors");
  await exportTable(store, "t", path);
  return { store, path };
}

test("a level of durability that cannot be promised is refused before anything changes", async ({
  place,
}) => {
  const { store, path } = await exported(place);
  const before = await scanAll(await store.table("t"));
  const { lsn } = (await store.stats()).log;
  const codeOf = async (name: string, asked: object): Promise<string> =>
    importTable(store, name, path, { existing: "merge", ...asked }).then(
      () => "none",
      ({ code }) => code,
    );
  assert.is(await codeOf("t", { ack: "bogus" }), "INVALID_OPTIONS");
  assert.is((await store.stats()).log.lsn, lsn);
  assert.is(await codeOf("u", { ack: "os", table: { ...options, logged: false } }), "NOT_LOGGED");
  sameRows(await scanAll(await store.table("t")), before, ALL);
  assert.equal(
    (await store.tables()).map(({ name }) => name),
    ["t"],
  );
});

test("a table that somebody else makes while an import reads its file stays when that fails", async ({
  place,
}) => {
  const { store, path } = await exported(place);
  const [key] = (await scanAll(await store.table("t"))).keys();
  let theirs: Promise<void> | undefined;
  const make = async () => {
    const table = await store.table("mine", options);
    await table.push(BigUint64Array.of(key), new Float32Array(table.dim), { ack: "fsync" });
  };
  const importing = importTable(store, "mine", path, {
    table: options,
    onProgress: ({ phase }) => {
      if (phase === "check") theirs ??= make();
    },
  });
  const code = await importing.then(
    () => "none",
    ({ code }) => code,
  );
  await theirs;
  assert.is(code, "INVALID_ARGUMENT");
  assert.is((await (await store.table("mine")).stats()).rows, 1);
});

test.run();
