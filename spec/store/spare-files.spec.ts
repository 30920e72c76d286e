// Files of given-up segments: written over only when their new name is durable.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Files } from "../../lib/store/files.js";
import { SpareFiles } from "../../lib/store/spare-files.js";
import { MemoryFiles } from "./memory-files.js";

const header = Uint8Array.of(1);

/** Makes a file and gives it its name at once. */
async function create(spares: SpareFiles, name: string): Promise<{ longer: boolean }> {
  const prepared = await spares.prepare(header);
  await spares.publish(prepared, name);
  return prepared;
}

/** The files a.log and b.log, what is done to them, and something to do while the directory is synced. */
function watchedFiles(): { files: Files; done: string[]; duringSync: (work: () => Promise<void>) => void } {
  const memory = new MemoryFiles();
  for (const name of ["a.log", "b.log"]) memory.put(name, Uint8Array.of(2, 3));
  const done: string[] = [];
  let during: (() => Promise<void>) | undefined;
  const files: Files = {
    list: () => memory.list(),
    open: (name, mode) => {
      done.push(`open ${name}`);
      return memory.open(name, mode);
    },
    remove: (name) => memory.remove(name),
    rename: (from, to) => {
      done.push(`rename ${from}`);
      return memory.rename(from, to);
    },
    syncDirectory: async () => {
      done.push("sync");
      const work = during;
      during = undefined;
      await work?.();
      await memory.syncDirectory();
    },
  };
  return { files, done, duringSync: (work) => (during = work) };
}

test("a spare whose name is durable is written over at once", async () => {
  const { files, done } = watchedFiles();
  const spares = await SpareFiles.find(files);
  await spares.keep("a.log");
  await spares.settle();
  done.length = 0;
  const { longer } = await create(spares, "c.log");
  assert.ok(longer);
  assert.equal(done, ["open spare-0", "rename spare-0"]);
});

test("a spare that is kept while others' names are made durable waits for a sync of its own", async () => {
  const { files, done, duringSync } = watchedFiles();
  const spares = await SpareFiles.find(files);
  await spares.keep("a.log");
  duringSync(() => spares.keep("b.log"));
  await spares.settle();
  await create(spares, "c.log");
  done.length = 0;
  const { longer } = await create(spares, "d.log");
  assert.ok(longer);
  assert.equal(done, ["sync", "open spare-1", "rename spare-1"]);
});

test("clearing removes those whose name is durable and those whose name is not", async () => {
  const { files } = watchedFiles();
  const spares = await SpareFiles.find(files);
  await spares.keep("a.log");
  await spares.settle();
  await spares.keep("b.log");
  assert.ok(await spares.clear());
  assert.equal(await files.list(), []);
  assert.not((await create(spares, "c.log")).longer);
});

test("what was prepared for nobody is a spare again, once its name is durable", async () => {
  const { files, done } = watchedFiles();
  const spares = await SpareFiles.find(files);
  const prepared = await spares.prepare(header);
  assert.not(prepared.longer);
  await spares.giveBack(prepared);
  done.length = 0;
  assert.ok((await create(spares, "c.log")).longer);
  assert.equal(done, ["sync", "open spare-0", "rename spare-0"]);
});

test.run();
