import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openLevelPageStore } from "../../lib/store/level-page-store.js";
import { compactionIsDue } from "../../lib/store/page-store.js";
import { openThreadPageStore } from "../../lib/store/thread-page-store.js";
import { MemoryPageStore } from "./memory-page-store.js";
import { codeOf, keyOf, pageStoreLaws } from "./page-store-laws.js";

const root = mkdtempSync(join(tmpdir(), "embershard-pages-"));
let directories = 0;
const newDirectory = () => join(root, String(directories++));

pageStoreLaws("memory", test, async () => new MemoryPageStore(1));
pageStoreLaws("LevelDB", test, () => openLevelPageStore(newDirectory()));
pageStoreLaws("LevelDB in a thread", test, () => openThreadPageStore(newDirectory()));

for (const [name, open] of [
  ["LevelDB", openLevelPageStore],
  ["LevelDB in a thread", openThreadPageStore],
] as const) {
  test(`${name}: a second opener is told that the directory is locked`, async () => {
    const directory = newDirectory();
    const store = await open(directory);
    assert.is(await codeOf(() => open(directory)), "LOCKED");
    await store.close();
    await (await open(directory)).close();
  });

  test(`${name}: a directory that cannot be made is an I/O error`, async () => {
    const file = join(root, "file");
    writeFileSync(file, "");
    assert.is(await codeOf(() => open(join(file, "pages"))), "IO");
  });

  test(`${name}: a damaged manifest is corruption, not a new store`, async () => {
    const directory = newDirectory();
    const store = await open(directory);
    const batch = store.batch();
    batch.put(keyOf(1, 1), new Uint8Array(10));
    await batch.write();
    await store.close();
    const manifest = join(directory, readdirSync(directory).find((name) => name.startsWith("MANIFEST"))!);
    const bytes = readFileSync(manifest);
    bytes[10] ^= 1;
    writeFileSync(manifest, bytes);
    assert.is(await codeOf(() => open(directory)), "CORRUPT");
  });
}

test("LevelDB: deleted pages give their space back when they are compacted", async () => {
  const directory = newDirectory();
  const store = await openLevelPageStore(directory);
  for (let generation = 1; generation <= 4; generation++) {
    const batch = store.batch();
    for (let page = 0; page < 64; page++) {
      batch.put(keyOf(generation, page), new Uint8Array(2 ** 17).fill(page));
      if (generation > 1) batch.del(keyOf(generation - 1, page));
    }
    await batch.write();
  }
  await store.compact({ gte: keyOf(0, 0), lt: keyOf(5, 0) });
  const bytes = readdirSync(directory).reduce(
    (sum, name) => sum + readFileSync(join(directory, name)).length,
    0,
  );
  assert.ok(bytes < 1.5 * 64 * 2 ** 17, `${bytes} bytes are left`);
  await store.close();
});

test("memory: after an error every call fails alike until it is opened again, and the batch is whole or not there", async () => {
  const outcomes = new Set<number>();
  for (let seed = 0; seed < 20; seed++) {
    const store = new MemoryPageStore(seed);
    store.failOnce("write", 0, "ENOSPC");
    const batch = store.batch();
    for (let page = 0; page < 3; page++) batch.put(keyOf(1, page), new Uint8Array(1));
    assert.is(await codeOf(() => batch.write()), "IO");
    assert.is(await codeOf(() => store.get(keyOf(1, 0))), "IO");
    await store.reopen();
    outcomes.add(store.keys().length);
  }
  assert.equal([...outcomes].sort(), [0, 3]);
});

test("memory: fills up, and has room again after a compaction", async () => {
  const store = new MemoryPageStore(1);
  store.capacityBytes = 5000;
  for (let generation = 1; generation < 5; generation++) {
    const batch = store.batch();
    batch.put(keyOf(generation, 1), new Uint8Array(1000));
    batch.del(keyOf(generation - 1, 1));
    await batch.write();
  }
  const full = store.batch();
  full.put(keyOf(9, 1), new Uint8Array(1000));
  assert.is(await codeOf(() => full.write()), "IO");
  await store.reopen();
  await store.compact({ gte: keyOf(0, 0), lt: keyOf(9, 0) });
  const again = store.batch();
  again.put(keyOf(9, 1), new Uint8Array(1000));
  await again.write();
  assert.is((await store.get(keyOf(9, 1)))?.length, 1000);
});

test("thread: leaving an iteration early, and an iteration under way while batches are written", async () => {
  const store = await openThreadPageStore(newDirectory());
  for (let page = 0; page < 100; page += 20) {
    const batch = store.batch();
    for (let i = 0; i < 20; i++) batch.put(keyOf(1, page + i), new Uint8Array(2 ** 17).fill(page + i));
    await batch.write();
  }
  for await (const entries of store.entries({ gte: keyOf(1, 0), lt: keyOf(2, 0) })) {
    assert.ok(entries.length > 0);
    break;
  }
  let pages = 0;
  for await (const entries of store.entries({ gte: keyOf(1, 0), lt: keyOf(2, 0) })) {
    for (const { value } of entries) {
      assert.is(value.byteOffset % 8, 0);
      assert.ok(value.every((byte) => byte === pages));
      pages++;
    }
    const batch = store.batch();
    for (let page = 0; page < 100; page++) batch.del(keyOf(1, page));
    await batch.write();
  }
  assert.is(pages, 100);
  assert.is(await store.get(keyOf(1, 5)), undefined);
  await store.close();
});

test("compaction is due when more is dead than alive, and not for little", () => {
  const mebibyte = 2 ** 20;
  assert.not(compactionIsDue({ liveBytes: 0, deadBytes: 10 * mebibyte }));
  assert.not(compactionIsDue({ liveBytes: 500 * mebibyte, deadBytes: 400 * mebibyte }));
  assert.ok(compactionIsDue({ liveBytes: 500 * mebibyte, deadBytes: 500 * mebibyte }));
});

test.after(() => rmSync(root, { recursive: true, force: true }));

test.run();
