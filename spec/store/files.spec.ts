import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { nodeFiles } from "../../lib/store/node-files.js";
import { filesLaws } from "./files-laws.js";
import { append, readAll, reopen, wrongness } from "./log-fixture.js";
import { MemoryFiles } from "./memory-files.js";

const root = mkdtempSync(join(tmpdir(), "embershard-files-"));
let directories = 0;

function newDirectory(): string {
  const directory = join(root, String(directories++));
  mkdirSync(directory);
  return directory;
}

filesLaws("memory", test, () => new MemoryFiles());
filesLaws("node", test, () => nodeFiles(newDirectory()));

test("a log works the same in real files", async () => {
  const files = nodeFiles(newDirectory());
  for (let opening = 0; opening < 3; opening++) {
    const { log, found } = await reopen(files);
    assert.is(found.lsns.length, opening * 200);
    for (let i = 0; i < 200; i++) {
      const lsn = await append(log);
      if (i % 20 === 0) await log.synced(lsn);
    }
    await log.discardBefore(0);
    await log.close();
  }
  const found = await readAll(files);
  assert.is(found.lsns.length, 600);
  assert.is(wrongness(found), undefined);
});

test("memory: power loss keeps what was synced, and any part of what was not", async () => {
  const kept = new Set<string>();
  for (let seed = 0; seed < 200; seed++) {
    const files = new MemoryFiles();
    const file = await files.open("a", "create");
    await files.syncDirectory();
    await file.write(Uint8Array.of(1, 1, 1, 1), 0);
    await file.datasync();
    await file.write(Uint8Array.of(2, 2), 4);
    await file.write(Uint8Array.of(3, 3), 6);
    files.crash(seed);
    const content = [...files.content("a")];
    assert.equal(content.slice(0, 4), [1, 1, 1, 1]);
    kept.add(content.slice(4).join(""));
  }
  for (const outcome of ["", "22", "2233", "0033", "2", "2203"])
    assert.ok(kept.has(outcome), `${outcome} of ${[...kept]}`);
});

test("memory: a file that was made or removed and not synced may be lost or back after power loss", async () => {
  const outcomes = new Set<string>();
  for (let seed = 0; seed < 50; seed++) {
    const files = new MemoryFiles();
    await files.open("old", "create");
    await files.syncDirectory();
    await files.remove("old");
    await files.open("new", "create");
    files.crash(seed);
    outcomes.add(files.names().join());
  }
  assert.equal([...outcomes].sort(), ["", "new", "new,old", "old"]);
});

test("memory: a failed sync leaves the data to be seen, and no later sync makes it durable", async () => {
  const files = new MemoryFiles();
  const file = await files.open("a", "create");
  await files.syncDirectory();
  await file.write(Uint8Array.of(7), 0);
  files.failOnce("datasync", 0);
  const failed = await file.datasync().then(
    () => false,
    () => true,
  );
  assert.ok(failed);
  await file.datasync();
  assert.equal([...files.content("a")], [7]);
  files.crash(1);
  assert.equal([...files.content("a")], []);
});

test.after(() => rmSync(root, { recursive: true, force: true }));

test.run();
