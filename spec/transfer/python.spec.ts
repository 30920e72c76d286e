// Exports are read by Python's own libraries, and what those write is imported. EMBERSHARD_PYTHON names an interpreter
// that has what requirements.txt lists; without it these tests are skipped, and say so.
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { exportTable, importTable, type Table } from "../../lib/index.js";
import { ROOT, readDocuments } from "../docs/documents.js";
import { codeOf } from "../laws/twin.js";
import { fill, options, Place, scanAll } from "./fixture.js";

const python = process.env.EMBERSHARD_PYTHON;

const test = suite<{ place: Place }>("files that Python reads and writes");
test.before.each((context) => {
  context.place = new Place();
});
test.after.each(({ place }) => place.end());

function run(script: string, ...args: string[]): string {
  const path = join(ROOT, "spec", "transfer", script);
  return execFileSync(python!, [path, ...args], { encoding: "utf8", maxBuffer: 1 << 28 });
}

/** All rows in the order of their keys, as columns of bytes in base64. */
async function columnsOf(table: Table): Promise<Record<string, string>> {
  const rows = [...(await scanAll(table))].sort(([a], [b]) => (a < b ? -1 : 1));
  const base64 = (arrays: readonly ArrayBufferView[]) =>
    Buffer.concat(
      arrays.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength)),
    ).toString("base64");
  return {
    keys: base64([BigUint64Array.from(rows, ([key]) => key)]),
    weights: base64(rows.map(([, { weights }]) => weights)),
    state: base64(rows.map(([, { state }]) => state)),
    frequency: base64([Uint32Array.from(rows, ([, { frequency }]) => frequency)]),
    last_step: base64([Uint32Array.from(rows, ([, { lastStep }]) => lastStep)]),
  };
}

if (python === undefined) {
  test("skipped: EMBERSHARD_PYTHON does not name a Python with numpy, pandas, pyarrow and safetensors", () => {});
} else {
  const reads = [
    ["safetensors", "rows.safetensors"],
    ["npy", "rows"],
    ["pyarrow", "rows.parquet"],
    ["pandas", "rows.parquet"],
  ] as const;
  for (const [how, name] of reads) {
    test(`an export is read by ${how}`, async ({ place }) => {
      const store = await place.open("store");
      const table = await store.table("t", options);
      await fill(table, new Prng(1), 2000);
      const expected = await columnsOf(table);
      await exportTable(store, "t", place.path(name), { state: true });
      const { columns, description } = JSON.parse(run("read_export.py", how, place.path(name)));
      assert.equal(columns, expected);
      if (how !== "pandas") assert.is(JSON.parse(description).optimizer.kind, "adagrad");
    });
  }

  test("what Python writes is imported, whatever its types, encodings, pages and groups", async ({
    place,
  }) => {
    const [n, dim] = [1500, 6];
    const made = place.path("made");
    mkdirSync(made);
    run("make_files.py", made, String(n), String(dim));
    const store = await place.open("store");
    const files = readdirSync(made);
    assert.is(files.length, 20);
    for (const file of files) {
      const name = file.replace(".", "-");
      const report = await importTable(store, name, join(made, file), {
        table: { dim, optimizer: options.optimizer! },
      });
      assert.is(report.rows, n, file);
      const rows = await scanAll(await store.table(name));
      assert.is(rows.size, n, file);
      for (let i = 0; i < n; i++) {
        const row = rows.get(BigInt.asUintN(64, BigInt(i + 1) * 0x9e37_79b9_7f4a_7c15n));
        const expected = Array.from({ length: dim }, (_, j) => (((i * 7 + j * 3) % 64) - 32) / 8);
        assert.equal([...row!.weights], expected, `${file}, row ${i}`);
        if (report.history) assert.equal([row!.frequency, row!.lastStep], [i % 1000, i % 1000], file);
      }
    }
  });

  test("what the document shows works", async ({ place }) => {
    const store = await place.open("store");
    await fill(await store.table("items", options), new Prng(2), 50);
    for (const name of ["items.safetensors", "items.parquet", "items-arrays"])
      await exportTable(store, "items", place.path(name), { state: true });
    const page = readDocuments().find(({ path }) => path === "docs/export-and-import.md");
    const programs = page!.fences.filter(({ language }) => language === "python");
    assert.is(programs.length, 1);
    for (const { text } of programs)
      assert.match(
        execFileSync(python!, ["-c", text], { encoding: "utf8", cwd: place.directory }),
        /last_step/,
      );
  });

  test("a file says nothing of how to make its table: that must be said", async ({ place }) => {
    const made = place.path("made");
    mkdirSync(made);
    run("make_files.py", made, "10", "2");
    const store = await place.open("store");
    assert.is(await codeOf(() => importTable(store, "t", join(made, "usual.parquet"))), "TABLE_NOT_FOUND");
  });
}

test.run();
