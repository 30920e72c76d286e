// Versions: each is the store at one instant, to the bit, whatever happens to the store later.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import type { EmbeddedStore } from "../../lib/embedded/embedded-store.js";
import { adagrad, type EmbershardError, type Store, sgd } from "../../lib/index.js";
import type { OracleTable } from "../../lib/kernel/oracle/oracle-table.js";
import { MemoryDisk } from "../embedded/memory-store.js";
import { differenceFrom } from "../laws/oracle-of.js";
import { codeOf, keysOfNumbers, randomFloats, randomKeys, Twin } from "../laws/twin.js";

const optimizer = adagrad({ learningRate: 0.1 });

/** A table that is written to while versions are made, and what it was at each LSN. */
class Diary {
  readonly twin: Twin;
  readonly #store: Store;
  readonly #random: Prng;
  readonly #at = new Map<number, OracleTable>();

  constructor(store: Store, twin: Twin, seed: number) {
    this.#store = store;
    this.twin = twin;
    this.#random = new Prng(seed);
    void this.note();
  }

  /** Takes down the state now: what the store says and what the twin has are of one turn. */
  async note(): Promise<void> {
    const rows = this.twin.oracle.clone();
    this.#at.set((await this.#store.stats()).log.lsn, rows);
  }

  async write(): Promise<void> {
    const random = this.#random;
    const keys = randomKeys(random, 10, 400);
    const { dim } = this.twin.table;
    const done =
      random.below(4) === 0
        ? this.twin.delete(keys)
        : random.below(4) === 0
          ? this.twin.assign(keys, randomFloats(random, 10 * dim))
          : this.twin.push(keys, randomFloats(random, 10 * dim), { step: 1 });
    await this.note();
    await done;
  }

  /** What it was when the log ended at `lsn`. */
  asOf(lsn: number): OracleTable {
    for (let at = lsn; ; at--) {
      const oracle = this.#at.get(at);
      if (oracle) return oracle;
      if (at === 0) throw new Error(`nothing was written before LSN ${lsn}`);
    }
  }
}

async function demandVersion(store: Store, name: string, diary: Diary): Promise<void> {
  const version = await store.openVersion(name);
  const { lsn, rows } = (await store.versions()).find((one) => one.name === name)!;
  const table = await version.table(diary.twin.table.name);
  assert.is(await differenceFrom(diary.asOf(lsn), table), undefined, `version ${name}, LSN ${lsn}`);
  assert.is(
    rows,
    (await version.tables()).reduce((sum, one) => sum + one.rows, 0),
  );
  await version.close();
}

async function filled(store: Store, dim = 600): Promise<Diary> {
  const twin = await Twin.open(store, "t", { dim, optimizer });
  const random = new Prng(5);
  await twin.push(randomKeys(random, 1000, 400), randomFloats(random, 1000 * dim));
  return new Diary(store, twin, 7);
}

/** Makes a version while the table is written to. Returns the pages that were folded. */
async function versionWhileWriting(store: EmbeddedStore, name: string, diary: Diary): Promise<number> {
  let done = false;
  const making = store.checkpoint({ version: name, note: `about ${name}` }).finally(() => {
    done = true;
  });
  while (!done) {
    await diary.write();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return (await making).version!.folded;
}

test("versions that are made while rows are written are the store at their instants, for good", async () => {
  const disk = new MemoryDisk(1);
  const options = { foldPages: 3, segmentBytes: 1 << 16 };
  let store = await disk.open(options);
  const diary = await filled(store);
  let folded = 0;
  for (const name of ["a", "b", "c"]) {
    folded += await versionWhileWriting(store, name, diary);
    for (let i = 0; i < 5; i++) await diary.write();
  }
  assert.ok(folded > 10, `${folded} pages were folded, too few to say anything`);
  for (const name of ["a", "b", "c"]) await demandVersion(store, name, diary);
  for (let i = 0; i < 3; i++) await store.checkpoint();
  disk.kill();
  store = await disk.open(options);
  diary.twin.table = await store.table("t");
  await diary.twin.compareAll();
  assert.equal(
    (await store.versions()).map(({ name, note }) => [name, note]),
    [
      ["a", "about a"],
      ["b", "about b"],
      ["c", "about c"],
    ],
  );
  for (const name of ["c", "a", "b"]) await demandVersion(store, name, diary);
  await store.close();
});

test("a version costs the pages that changed, and deleting it gives back what only it has", async () => {
  const disk = new MemoryDisk(1);
  const store = await disk.open();
  const table = await store.table("t", { dim: 1000, optimizer: sgd({ learningRate: 1 }) });
  const keys = BigUint64Array.from({ length: 320 }, (_, i) => BigInt(i));
  await table.push(keys, new Float32Array(320_000).fill(1));
  await store.checkpoint({ version: "a" });
  const images = () => disk.pages.keys().filter((key) => key[0] === 1).length;
  const pages = images();
  assert.is((await store.versions())[0].pages, pages);
  assert.is((await store.versions())[0].ownBytes, 0, "the live state has all of it");
  await table.push(keysOfNumbers(7), new Float32Array(1000));
  await store.checkpoint({ version: "b" });
  assert.is(images(), pages + 1, "one page changed");
  const [a, b] = await store.versions();
  assert.is(a.ownBytes, 64 + 32 * 4016);
  assert.is(b.ownBytes, 0);
  assert.is(a.bytes, b.bytes);
  await store.checkpoint({ version: "same" });
  assert.is(images(), pages + 1, "nothing changed");
  await store.deleteVersion("a");
  assert.is(images(), pages);
  await table.push(keys, new Float32Array(320_000));
  await store.checkpoint();
  assert.is(images(), 2 * pages);
  await store.deleteVersion("same");
  assert.is(images(), 2 * pages, "the other one has the same images");
  await store.deleteVersion("b");
  assert.is(images(), pages);
  assert.equal(await store.versions(), []);
  assert.is(await codeOf(() => store.deleteVersion("b")), "VERSION_NOT_FOUND");
  await store.close();
});

test("the oldest versions go where there may be no more", async () => {
  const disk = new MemoryDisk(1);
  const store = await disk.open({ keepVersions: 2 });
  const names = async () => (await store.versions()).map(({ name }) => name);
  for (const name of ["a", "b"]) await store.checkpoint({ version: name });
  assert.equal((await store.checkpoint({ version: "c" })).version, { name: "c", folded: 0, deleted: ["a"] });
  assert.equal(await names(), ["b", "c"]);
  await store.checkpoint({ version: "d", keep: 3 });
  assert.equal(await names(), ["b", "c", "d"]);
  await store.checkpoint({ version: "e", keep: 1 });
  assert.equal(await names(), ["e"]);
  assert.is(await codeOf(() => store.checkpoint({ version: "e" })), "VERSION_EXISTS");
  await store.close();
});

test("a version cannot be written to, and needs neither the store nor the directory once it is open", async () => {
  const disk = new MemoryDisk(1);
  const store = await disk.open();
  const diary = await filled(store, 4);
  await diary.twin.push(keysOfNumbers(1), new Float32Array(4), { mark: Uint8Array.of(1, 2) });
  await diary.note();
  await store.checkpoint({ version: "v" });
  await diary.twin.push(keysOfNumbers(1), new Float32Array(4), { mark: Uint8Array.of(3) });
  const version = await store.openVersion("v");
  await store.deleteVersion("v");
  await store.close();
  assert.equal(await version.mark(), Uint8Array.of(1, 2));
  assert.is((await version.stats()).version, "v");
  const table = await version.table("t");
  assert.is(await differenceFrom(diary.asOf((await version.stats()).log.lsn), table), undefined);
  const refused = [
    () => table.push(keysOfNumbers(1), new Float32Array(4)),
    () => table.delete(keysOfNumbers(1)),
    () => table.pull(keysOfNumbers(1), { create: true }),
    () => version.table("t", { optimizer: adagrad({ learningRate: 3 }) }),
    () => version.table("new", { dim: 1, optimizer }),
    () => version.dropTable("t"),
    () => version.checkpoint(),
    () => version.checkpoint({ version: "w" }),
    () => version.deleteVersion("v"),
    () => version.rollback("v"),
    () => version.openVersion("v"),
  ];
  for (const write of refused) assert.is(await codeOf(write), "VERSION_IS_READ_ONLY", String(write));
  await version.close();
  assert.is(await codeOf(() => table.pull(keysOfNumbers(1))), "CLOSED");
});

test("a version that is aborted while it is folded is not there, and leaves nothing", async () => {
  const disk = new MemoryDisk(1);
  const store = await disk.open();
  const diary = await filled(store);
  const ending = new AbortController();
  const making = codeOf(() =>
    store.checkpoint({
      version: "v",
      signal: ending.signal,
      onProgress: ({ phase }) => phase === "folding" && ending.abort(),
    }),
  );
  while (!ending.signal.aborted) {
    await diary.write();
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.is(await making, "ABORTED");
  assert.equal(await store.versions(), []);
  await store.checkpoint();
  await store.checkpoint({ version: "all" });
  assert.is(disk.pages.keys().filter((key) => key[0] === 1).length, (await store.versions())[0].pages);
  await store.close();
});

test("a damaged version is listed and refused, can be deleted, and stops nothing else", async () => {
  for (const what of ["image", "manifest", "lost image"]) {
    const disk = new MemoryDisk(1);
    let store = await disk.open();
    const diary = await filled(store);
    await store.checkpoint({ version: "good" });
    await store.checkpoint({ version: "v" });
    for (let i = 0; i < 50; i++) await diary.write();
    await store.checkpoint();
    await store.close();
    const isManifest = (key: Uint8Array) => key[0] === 2 && key[1] === "v".charCodeAt(0);
    const key = disk.pages.keys().find((one) => (what === "manifest" ? isManifest(one) : one[0] === 1))!;
    if (what === "lost image") disk.pages.lose(key);
    else disk.pages.flipBit(key, 8 * 300 + 3);
    store = await disk.open();
    diary.twin.table = await store.table("t");
    await diary.twin.compareAll();
    try {
      await store.openVersion("v");
      assert.unreachable();
    } catch (error) {
      const { code, message } = error as EmbershardError;
      assert.is(code, "CORRUPT", message);
      assert.match(message, /version "v"/);
    }
    assert.is(
      (await store.versions()).find(({ name }) => name === "v")!.damage !== undefined,
      what === "manifest",
    );
    if (what === "manifest") await demandVersion(store, "good", diary);
    await store.checkpoint();
    await store.deleteVersion("v");
    await store.deleteVersion("good");
    await store.close();
    store = await disk.open();
    diary.twin.table = await store.table("t");
    await diary.twin.compareAll();
    const { pages } = (await store.stats()).checkpoint!;
    assert.is(disk.pages.keys().filter((one) => one[0] === 1).length, pages);
    await store.close();
  }
});

test.run();
