import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { openLevelPageStore } from "../../lib/store/level-page-store.js";
import type { PageStore, PlacedValues } from "../../lib/store/page-store.js";
import { openThreadPageStore } from "../../lib/store/thread-page-store.js";
import { keyOf } from "./page-store-laws.js";

const root = mkdtempSync(join(tmpdir(), "embershard-places-"));
let directories = 0;
const newDirectory = () => join(root, String(directories++));
const all = { gte: keyOf(0, 0), lt: keyOf(0xffffffff, 0) };

for (const [name, open] of [
  ["LevelDB", openLevelPageStore],
  ["LevelDB in a thread", openThreadPageStore],
] as const) {
  test(`${name}: values lie where the files say, after random batches, deletions and compactions`, async () => {
    const random = new Prng(5);
    const directory = newDirectory();
    let store = await open(directory);
    let unseen = 0;
    for (let round = 0; round < 12; round++) {
      for (let some = 0; some < 6; some++) await writeRandomly(store, random);
      if (random.below(3) === 0) await store.compact(all);
      // Closed, not reopened: LevelDB moves on to new files either way.
      await store.close();
      store = await open(directory);
      const placed = (await store.place!([all]))!;
      unseen += placed.places.filter((place) => place.unseen !== undefined).length;
      await demandSame(store, placed, [all]);
      await placed.close();
    }
    assert.ok(unseen > 30, `only ${unseen} values were found without looking at them`);
    await store.close();
  });

  test(`${name}: ranges are kept to`, async () => {
    const directory = newDirectory();
    const store = await open(directory);
    const random = new Prng(6);
    for (let i = 0; i < 20; i++) await writeRandomly(store, random);
    await store.reopen();
    const ranges = [
      { gte: keyOf(1, 3), lt: keyOf(1, 20) },
      { gte: keyOf(1, 25), lt: keyOf(2, 9) },
    ];
    const placed = (await store.place!(ranges))!;
    await demandSame(store, placed, ranges);
    await placed.close();
    await store.close();
  });

  test(`${name}: once something is written nobody can tell, until it is opened again`, async () => {
    const store = await open(newDirectory());
    await writeRandomly(store, new Prng(7));
    assert.is(await store.place!([all]), undefined);
    await store.reopen();
    await (await store.place!([all]))!.close();
    await store.close();
  });
}

test("a value whose key does not stand before it is not read", async () => {
  const directory = newDirectory();
  let store = await openLevelPageStore(directory);
  const batch = store.batch();
  for (let page = 0; page < 8; page++) batch.put(keyOf(1, page), new Uint8Array(2 ** 17).fill(page + 1));
  await batch.write();
  await store.close();
  await (await openLevelPageStore(directory)).close();
  for (const name of readdirSync(directory).filter((one) => one.endsWith(".ldb"))) {
    const path = join(directory, name);
    const bytes = readFileSync(path);
    // In its block, not in the table's index, which lies behind all blocks.
    const at = bytes.indexOf(keyOf(1, 3));
    bytes[at] ^= 1;
    writeFileSync(path, bytes);
  }
  store = await openLevelPageStore(directory);
  const placed = (await store.place!([all]))!;
  const outcomes: boolean[] = [];
  for (const place of placed.places) outcomes.push(await placed.read(place, [new Uint8Array(place.length)]));
  assert.equal(outcomes, [true, true, true, false, true, true, true, true]);
  await placed.close();
  await store.close();
});

test("files that do not add up are left to LevelDB", async () => {
  const directory = newDirectory();
  let store = await openLevelPageStore(directory);
  await writeRandomly(store, new Prng(8));
  await store.close();
  await (await openLevelPageStore(directory)).close();
  for (const name of readdirSync(directory).filter((one) => one.endsWith(".ldb"))) {
    const path = join(directory, name);
    const bytes = readFileSync(path);
    // The index block ends 48 bytes of footer and 5 of trailer before the end.
    bytes[bytes.length - 60] ^= 1;
    writeFileSync(path, bytes);
  }
  store = await openLevelPageStore(directory);
  assert.is(await store.place!([all]), undefined);
  await store.close();
});

/** Values short and long, of keys that follow one another and of some that do not; now and then a key is written again. */
async function writeRandomly(store: PageStore, random: Prng): Promise<void> {
  const batch = store.batch();
  const first = random.below(30);
  for (let i = random.below(8); i >= 0; i--) {
    const key = keyOf(1 + random.below(2), first + i * (1 + random.below(2)));
    if (random.below(4) === 0) batch.del(key);
    else batch.put(key, randomValue(random));
  }
  await batch.write();
}

function randomValue(random: Prng): Uint8Array {
  const length = random.below(3) === 0 ? random.below(3000) : 16_000 + random.below(60_000);
  return new Uint8Array(length).fill(random.below(256));
}

async function demandSame(
  store: PageStore,
  placed: PlacedValues,
  ranges: readonly { gte: Uint8Array; lt: Uint8Array }[],
): Promise<void> {
  const wanted = new Map<string, string>();
  for (const range of ranges)
    for await (const entries of store.entries(range))
      for (const { key, value } of entries)
        wanted.set(Buffer.from(key).toString("hex"), Buffer.from(value).toString("latin1"));
  const found = new Map<string, string>();
  for (const place of placed.places) {
    const value = Buffer.alloc(place.length);
    const half = place.length >> 1;
    const there = await placed.read(place, [value.subarray(0, half), value.subarray(half)]);
    // One that was deleted soon after it was written may only be seen to be gone now.
    const known = there ? value : await store.get(place.key);
    if (known) found.set(Buffer.from(place.key).toString("hex"), Buffer.from(known).toString("latin1"));
    else assert.is.not(place.unseen, undefined);
  }
  assert.is(found.size, wanted.size);
  for (const [key, value] of wanted) assert.ok(found.get(key) === value, key);
}

test.after(() => rmSync(root, { recursive: true, force: true }));

test.run();
