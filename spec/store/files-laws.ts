import type { Test } from "uvu";
import * as assert from "uvu/assert";
import { EmbershardError } from "../../lib/base/errors.js";
import { type Files, replaceFile } from "../../lib/store/files.js";

/** What every `Files` obeys. `make` gives an empty directory. */
export function filesLaws(name: string, test: Test, make: () => Files): void {
  const law = (title: string, check: (files: Files) => Promise<void>) =>
    test(`${name}: ${title}`, () => check(make()));

  law("writes lie where they were put, and holes are zeros", async (files) => {
    const file = await files.open("a", "create");
    await file.write(Uint8Array.of(1, 2, 3), 5);
    await file.write(Uint8Array.of(9), 6);
    assert.is(await file.size(), 8);
    assert.equal(await readWhole(files, "a"), [0, 0, 0, 0, 0, 1, 9, 3]);
    await file.datasync();
    await file.close();
  });

  law("reading stops at the end of the file", async (files) => {
    const file = await files.open("a", "create");
    await file.write(Uint8Array.of(1, 2, 3), 0);
    const into = new Uint8Array(5);
    assert.is(await file.read(into, 1), 2);
    assert.equal([...into], [2, 3, 0, 0, 0]);
    assert.is(await file.read(into, 3), 0);
    assert.is(await file.read(into, 100), 0);
    await file.close();
  });

  law("a view of a larger memory writes its own bytes only", async (files) => {
    const memory = Uint8Array.from({ length: 64 }, (_, i) => i);
    const file = await files.open("a", "create");
    await file.write(memory.subarray(10, 14), 0);
    assert.equal(await readWhole(files, "a"), [10, 11, 12, 13]);
    await file.close();
  });

  law("zeros behind a write take the place of what was there", async (files) => {
    const file = await files.open("a", "create");
    await file.write(Uint8Array.of(1, 2, 3, 4, 5, 6), 0);
    await file.write(Uint8Array.of(7, 8), 1, 2);
    assert.equal(await readWhole(files, "a"), [1, 7, 8, 0, 0, 6]);
    await file.write(Uint8Array.of(9), 5, 4096);
    assert.is(await file.size(), 5 + 1 + 4096);
    await file.close();
  });

  law("create empties, write keeps, read finds", async (files) => {
    await (await files.open("a", "create")).write(Uint8Array.of(1, 2, 3, 4), 0);
    const again = await files.open("a", "write");
    await again.write(Uint8Array.of(9), 0);
    assert.equal(await readWhole(files, "a"), [9, 2, 3, 4]);
    await again.truncate(2);
    assert.equal(await readWhole(files, "a"), [9, 2]);
    await again.truncate(3);
    assert.equal(await readWhole(files, "a"), [9, 2, 0]);
    await files.open("a", "create");
    assert.equal(await readWhole(files, "a"), []);
  });

  law("what is not there is an I/O error", async (files) => {
    const uses = [
      () => files.open("a", "write"),
      () => files.open("a", "read"),
      () => files.remove("a"),
      () => files.rename("a", "b"),
    ];
    for (const use of uses) {
      try {
        await use();
        assert.unreachable();
      } catch (error) {
        assert.instance(error, EmbershardError);
        assert.is((error as EmbershardError).code, "IO");
        assert.is(((error as EmbershardError).cause as { code: string }).code, "ENOENT");
      }
    }
  });

  law("names are listed, removed and renamed over", async (files) => {
    for (const name of ["a", "b", "c"]) await (await files.open(name, "create")).write(Buffer.from(name), 0);
    await files.remove("b");
    await files.rename("a", "c");
    await files.syncDirectory();
    assert.equal(await files.list(), ["c"]);
    assert.equal(await readWhole(files, "c"), [97]);
  });

  law("a file is replaced whole", async (files) => {
    await replaceFile(files, "a", Uint8Array.of(1, 2, 3));
    await replaceFile(files, "a", Uint8Array.of(4));
    assert.equal(await files.list(), ["a"]);
    assert.equal(await readWhole(files, "a"), [4]);
  });
}

async function readWhole(files: Files, name: string): Promise<number[]> {
  const file = await files.open(name, "read");
  const bytes = new Uint8Array(await file.size());
  await file.read(bytes, 0);
  await file.close();
  return [...bytes];
}
