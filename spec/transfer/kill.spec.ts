// Imports that are killed: what is recovered is whole batches of the file, and importing again completes them.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { exportTable, importTable, openStore } from "../../lib/index.js";
import { openSafetensors } from "../../lib/transfer/array-files.js";
import { slicesOf } from "../../lib/transfer/row-slices.js";
import { ALL, fill, options, Place, sameRows, scanAll } from "./fixture.js";

const test = suite<{ place: Place }>("imports that are killed");
test.before.each((context) => {
  context.place = new Place();
});
test.after.each(({ place }) => place.end());

const script = fileURLToPath(import.meta.url);

/** What the child does: imports, and is killed once so many batches were taken. */
async function importAndDie(directory: string, path: string, batches: number): Promise<never> {
  const store = await openStore(directory, { control: false, hugePages: "off", logBufferBytes: 1 << 20 });
  let left = batches;
  await importTable(store, "t", path, {
    existing: "merge",
    onProgress: ({ phase }) => {
      if (phase === "import" && left-- === 0) process.kill(process.pid, "SIGKILL");
    },
  });
  process.exit(3);
}

test("kill -9 in the middle leaves whole batches; importing again completes them", async ({ place }) => {
  const source = await place.open("source");
  const wide = await source.table("t", { ...options, dim: 300 });
  await fill(wide, new Prng(1), 9000);
  const path = place.path("rows.safetensors");
  await exportTable(source, "t", path, { state: true });
  const all = await scanAll(wide);
  const reader = await openSafetensors(path);
  const ends = [0];
  const order: bigint[] = [];
  for await (const batch of reader.batches({ state: true, counters: false })) {
    for (const { keys } of slicesOf(batch)) {
      order.push(...keys);
      ends.push(order.length);
    }
  }
  await reader.close();
  assert.ok(ends.length > 60, `${ends.length - 1} batches`);
  let found = 0;
  // The log may hold back a buffer of four batches and as many being written: of 40, some must be found.
  for (const batches of [0, 3, 40]) {
    const directory = place.path(`store-${batches}`);
    const { signal, stderr } = spawnSync(process.execPath, [script, directory, path, String(batches)]);
    assert.is(signal, "SIGKILL", String(stderr));
    const store = await place.open(`store-${batches}`);
    const table = await store.table("t");
    const rows = await scanAll(table);
    assert.ok(ends.includes(rows.size), `${rows.size} rows are whole batches of ${ends.join(", ")}`);
    const taken = order.slice(0, rows.size);
    sameRows(rows, new Map(taken.map((key) => [key, all.get(key)!])), ALL);
    found = rows.size;
    await importTable(store, "t", path, { existing: "merge" });
    sameRows(await scanAll(table), all, ALL);
  }
  assert.ok(found > 0 && found < order.length, `the last died in the middle, with ${found} rows`);
});

if (process.argv.length > 4) await importAndDie(process.argv[2], process.argv[3], Number(process.argv[4]));
else test.run();
