import { test } from "uvu";
import * as assert from "uvu/assert";
import { EmbershardError } from "../../lib/base/errors.js";
import { segmentName } from "../../lib/store/log-format.js";
import { append, identity, payloadOf, readAll, reopen, wrongness } from "./log-fixture.js";
import { MemoryFiles } from "./memory-files.js";

test("what was appended is read back in order, over segments and openings", async () => {
  const files = new MemoryFiles();
  for (let opening = 0; opening < 3; opening++) {
    const { log, found } = await reopen(files);
    assert.is(found.lsns.length, opening * 50);
    for (let i = 0; i < 50; i++) await append(log);
    await log.close();
  }
  const found = await readAll(files);
  assert.is(found.lsns.length, 150);
  assert.is(wrongness(found), undefined);
  assert.ok(found.end.segments.length > 3);
  assert.is(found.end.nextLsn, 151);
  assert.is(found.end.mark.lsn, 150);
});

test("appending copies its parts before it returns", async () => {
  const files = new MemoryFiles();
  const { log } = await reopen(files);
  const part = Uint8Array.of(1, 2, 3);
  log.append(1, 0, [part]);
  part.fill(9);
  await log.close();
  assert.equal([...(await readAll(files)).payloads[0]], [1, 2, 3]);
});

test("a record longer than the buffer waits until nothing else does, and is written whole", async () => {
  const files = new MemoryFiles();
  const { log } = await reopen(files);
  const long = new Uint8Array(50_000).fill(5);
  await append(log);
  assert.ok(log.room(long.length));
  for (let wait = log.room(long.length); wait; wait = log.room(long.length)) await wait;
  const lsn = log.append(1, 0, [long]);
  await append(log);
  await log.synced(lsn + 1);
  await log.close();
  const { payloads } = await readAll(files);
  assert.is(payloads.length, 3);
  assert.is(Buffer.compare(payloads[1], long), 0);
});

test("one sync serves all who wait", async () => {
  const files = new MemoryFiles();
  const { log } = await reopen(files, { segmentBytes: 2 ** 20 });
  const lsns: number[] = [];
  for (let i = 0; i < 10; i++) lsns.push(await append(log));
  await log.written(lsns.at(-1)!);
  const before = files.operations;
  await Promise.all(lsns.map((lsn) => log.synced(lsn)));
  // Data, the header's mark (write and sync), the file's mark (write and sync).
  assert.is(files.operations - before, 5);
  assert.is(log.synced(lsns[0]), undefined);
  assert.is(log.syncedLsn, 10);
  await log.close();
});

test("segments wholly before an LSN are removed, and the log reads from there", async () => {
  const files = new MemoryFiles();
  const { log } = await reopen(files);
  while (log.nextLsn <= 100) await append(log);
  await log.written(100);
  await log.discardBefore(60);
  const first = Number.parseInt(files.names().find((name) => name.endsWith(".log"))!, 16);
  assert.ok(first > 1 && first <= 60);
  await log.close();
  const found = await readAll(files, { from: 60, mayBeNew: false });
  assert.is(found.lsns[0], 60);
  assert.is(wrongness(found, 60), undefined);
  try {
    await readAll(files, { from: 1 });
    assert.unreachable();
  } catch (error) {
    assert.is((error as EmbershardError).code, "CORRUPT");
    assert.match((error as Error).message, /records 1 to \d+ are missing/);
  }
});

test("the generation of a checkpoint is part of the durable mark", async () => {
  const files = new MemoryFiles();
  const { log } = await reopen(files);
  await log.written(await append(log));
  await log.commitGeneration(4);
  assert.is(log.commitGeneration(4), undefined);
  files.crash(1);
  const { end } = await readAll(files);
  assert.is(end.mark.generation, 4);
  assert.is(end.mark.lsn, 1);
});

test("a log of another store, of another shard, or of a newer format is refused", async () => {
  const files = new MemoryFiles();
  const { log } = await reopen(files);
  await append(log);
  await log.close();
  for (const other of [
    { ...identity, shard: 4 },
    { shard: 3, storeId: new Uint8Array(16) },
  ]) {
    assert.match(
      await codeOf(readAll(files, { identity: other })),
      /CORRUPT: log segment .* belongs to another/,
    );
  }
});

test("a full disk loses nothing: what was staged is written when there is room", async () => {
  for (let free = 0; free < 6000; free += 97) {
    const files = new MemoryFiles();
    const { log, failures } = await reopen(files);
    for (let i = 0; i < 5; i++) await append(log);
    await log.synced(5);
    files.capacityBytes = used(files) + free;
    let acknowledged = 5;
    while (!log.failure) {
      const lsn = await append(log);
      await until(() => log.failure !== undefined || log.writtenLsn >= lsn);
      if (log.writtenLsn >= lsn) acknowledged = lsn;
    }
    assert.is(failures.length, 1);
    assert.is((failures[0].cause as { code: string }).code, "ENOSPC");
    assert.is(await log.retry(), "failed");
    const killed = files.copy();
    killed.capacityBytes = Number.POSITIVE_INFINITY;
    const left = await readAll(killed);
    assert.ok(left.lsns.length >= acknowledged, `${left.lsns.length} of ${acknowledged} left`);
    files.capacityBytes = Number.POSITIVE_INFINITY;
    assert.is(await log.retry(), "running");
    for (let i = 0; i < 30; i++) await append(log);
    const last = log.nextLsn - 1;
    await log.close();
    const found = await readAll(files);
    assert.is(found.lsns.length, last);
    assert.is(wrongness(found), undefined);
  }
});

test("after a failed sync what is staged is written again, and then survives power loss", async () => {
  for (let nth = 0; nth < 3; nth++) {
    const files = new MemoryFiles();
    const { log } = await reopen(files, { segmentBytes: 2 ** 20, syncEveryBytes: 2 ** 20 });
    for (let i = 0; i < 8; i++) await append(log);
    files.failOnce("datasync", nth);
    const synced = log.synced(8)!;
    await until(() => log.failure !== undefined);
    assert.is(await log.retry(), "running");
    await synced;
    files.crash(nth);
    const found = await readAll(files);
    assert.is(found.lsns.length, 8);
    assert.is(wrongness(found), undefined);
  }
});

test("when a failed sync took what is staged no more, a checkpoint and a restart go on", async () => {
  const files = new MemoryFiles();
  const { log } = await reopen(files, {
    segmentBytes: 2 ** 20,
    syncEveryBytes: 2 ** 20,
    logBufferBytes: 1024,
  });
  for (let i = 0; i < 20; i++) await append(log);
  await log.written(20);
  files.failOnce("datasync", 0);
  const synced = log.synced(20)!;
  await until(() => log.failure !== undefined);
  assert.is(await log.retry(), "restart");
  assert.is(await log.retry(), "restart");
  const restarted = log.restart(21);
  // Whoever asks while there is no segment waits for it.
  for (let turns = 0; turns < 12; turns++) {
    void log.synced(20);
    await Promise.resolve();
  }
  await restarted;
  await synced;
  assert.equal(files.names(), [segmentName(21), "MARK", "spare-2"]);
  await append(log);
  await log.synced(21);
  files.crash(5);
  const found = await readAll(files, { from: 21 });
  assert.equal(found.lsns, [21]);
  assert.is(Buffer.compare(found.payloads[0], payloadOf(21)), 0);
});

test("a closed log refuses records; closing a failed one says why it failed", async () => {
  const files = new MemoryFiles();
  const { log } = await reopen(files);
  await log.close();
  assert.throws(
    () => log.append(1, 0, []),
    (error: unknown) => (error as EmbershardError).code === "CLOSED",
  );
  const second = await reopen(files);
  files.failOnce("write", 0);
  await append(second.log);
  assert.match(await codeOf(second.log.close()), /^IO: the disk said EIO/);
});

function used(files: MemoryFiles): number {
  return files.names().reduce((sum, name) => sum + files.content(name).length, 0);
}

async function until(condition: () => boolean): Promise<void> {
  for (let turns = 0; !condition(); turns++) {
    if (turns > 10_000) throw new Error(`never came: ${condition}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "nothing was thrown";
  } catch (error) {
    assert.instance(error, EmbershardError);
    return `${(error as EmbershardError).code}: ${(error as Error).message}`;
  }
}

test.run();
