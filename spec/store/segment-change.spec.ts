// The log goes on in a new segment before the old one is durable: nothing that was acknowledged depends on it.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EmbershardError } from "../../lib/base/errors.js";
import {
  recordBytes,
  segmentHeaderBytes,
  segmentMarkOffset,
  segmentName,
} from "../../lib/store/log-format.js";
import type { ReadLogOptions } from "../../lib/store/log-reader.js";
import { type ChangedLog, changedLog, HeldFiles } from "./held-files.js";
import { append, payloadOf, type ReadBack, readAll, reopen, wrongness } from "./log-fixture.js";
import type { MemoryFiles } from "./memory-files.js";

test("a change of segment waits for no sync, the next one waits for the one before", async () => {
  const { held, log, left, entered, syncedLsn, lastLsn } = await changedLog();
  assert.ok(syncedLsn < entered - 1 && left < entered && entered < lastLsn);
  assert.is(log.writtenLsn, lastLsn);
  assert.is(log.syncedLsn, syncedLsn);
  let synced = false;
  const waiting = log.synced(left + 1)?.then(() => {
    synced = true;
  });
  while (log.nextLsn < lastLsn + 30) await append(log);
  for (let turns = 0; turns < 1000; turns++) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(log.writtenLsn > lastLsn && log.writtenLsn < log.nextLsn - 1, `${log.writtenLsn}`);
  assert.not(synced);
  held.release();
  await waiting;
  await log.close();
  assert.is(held.openFiles, 0);
});

test("killed between the change and the sync, a log has all; its next opening makes it durable", async () => {
  for (let seed = 0; seed < 60; seed++) {
    const { held, from, lastLsn } = await changedLog();
    held.memory.kill(seed);
    demandAll(await readAll(held.memory, { from, holes: "damage" }), from, lastLsn);
    await reopen(held.memory, {}, { from });
    held.memory.crash(seed);
    demandAll(await readAll(held.memory, { from }), from, lastLsn);
  }
});

test("killed between the change and the sync, then without power while it is opened, it keeps what was promised", async () => {
  for (let seed = 0; seed < 120; seed++) {
    const { held, from, syncedLsn } = await changedLog();
    held.memory.kill(seed);
    held.memory.failOnce("syncDirectory", seed % 3);
    await reopen(held.memory, {}, { from }).then(
      () => assert.unreachable(),
      () => undefined,
    );
    held.memory.crash(seed);
    const found = await readAll(held.memory, { from });
    demandAll(found, from, found.end.nextLsn - 1);
    assert.ok(found.end.nextLsn > syncedLsn);
  }
});

test("what is said to be synced survives power loss, however fast segments change", async () => {
  for (let seed = 0; seed < 100; seed++) {
    const held = new HeldFiles();
    const { log } = await reopen(held, { segmentBytes: 4096 + 400, syncEveryBytes: 2 ** 30 });
    for (let i = 0; i < 5 + (seed % 20); i++) await append(log);
    void log.synced(log.nextLsn - 1);
    while (log.syncedLsn < 1 + (seed % 5)) {
      if (log.nextLsn < 60) await append(log);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { syncedLsn } = log;
    held.memory.crash(seed);
    const found = await readAll(held.memory);
    demandAll(found, 1, found.end.nextLsn - 1);
    assert.ok(found.end.nextLsn > syncedLsn);
  }
});

test("when power fails between the change and the sync, a suffix beyond the mark is lost, and the log goes on", async () => {
  let gaps = 0;
  let leftOver = 0;
  for (let seed = 0; seed < 300; seed++) {
    const { held, left, from, syncedLsn, lastLsn } = await changedLog();
    const { memory } = held;
    memory.crash(seed);
    const found = await readAll(memory, { from });
    const kept = found.end.nextLsn - 1;
    demandAll(found, from, kept);
    assert.ok(kept >= syncedLsn && kept <= lastLsn);
    gaps += found.end.givenUp.length;
    const part = found.end.unsynced.find(({ firstLsn }) => firstLsn === left);
    const whole = found.end.segments.at(-1) !== left;
    if (whole && part && part.to < memory.content(segmentName(left)).length) leftOver++;
    await goOn(memory, from, kept + 1);
  }
  assert.ok(gaps > 100 && leftOver > 0, `${gaps} ${leftOver}`);
});

test("a hole in what was left ends the log beyond the mark, where power may have failed", async () => {
  const changed = await changedLog();
  const { left, entered, from, syncedLsn } = changed;
  for (const [what, damage] of damages(changed)) {
    const files = changed.held.memory.copy();
    damage(files);
    const { lsns, end } = await readAll(files, { from });
    assert.is(lsns.at(-1), entered - 2, what);
    assert.is(end.nextLsn, entered - 1, what);
    assert.equal(end.givenUp, [entered], what);
    assert.is(end.segments.at(-1), left, what);
    assert.is(end.tail?.file, segmentName(left), what);
    assert.is(await verdict(files, { from, holes: "damage" }), "CORRUPT", what);
    await goOn(files, from, entered - 1);
  }
  assert.ok(syncedLsn < entered - 1);
});

test("the same is reported once a mark speaks of it, and so is a hole further back", async () => {
  const changed = await changedLog();
  const { held, log, from, left, lastLsn } = changed;
  for (const [what, damage] of damages({ ...changed, entered: left })) {
    const files = held.memory.copy();
    damage(files);
    assert.is(await verdict(files, { from }), "CORRUPT", `before it: ${what}`);
  }
  held.release();
  await log.synced(lastLsn);
  for (const [what, damage] of damages(changed)) {
    const files = held.memory.copy();
    damage(files);
    assert.is(await verdict(files, { from }), "CORRUPT", what);
  }
});

test("the mark is that of the segment that was left, where no other place has it", async () => {
  const { held, from, left, entered, syncedLsn, lastLsn } = await changedLog();
  const files = held.memory.copy();
  files.drop("MARK");
  const { end, ...found } = await readAll(files, { from });
  demandAll({ end, ...found }, from, lastLsn);
  assert.is(end.mark.lsn, syncedLsn);
  const newest = files.copy();
  newest.flipBit(segmentName(entered), 8 * (segmentMarkOffset + 9));
  assert.is(await verdict(newest, { from }), "CORRUPT");
  files.flipBit(segmentName(left), 8 * (segmentMarkOffset + 9));
  assert.is(await verdict(files, { from }), "CORRUPT");
});

test("a sync that is under way at the change marks the segment that was left, and the new one's older mark hides nothing", async () => {
  let syncing: Promise<void> | undefined;
  const { held, from, left, entered, syncedLsn } = await changedLog(2 ** 16, (synced) => {
    syncing = synced;
  });
  const files = await new Promise<MemoryFiles>((resolve) => {
    void syncing!.then(() => resolve(held.memory.copy()));
    held.release();
  });
  files.drop("MARK");
  const promised = syncedLsn + 1;
  assert.is((await readAll(files, { from })).end.mark.lsn, promised);
  const newest = files.copy();
  newest.drop(segmentName(left));
  const { end } = await readAll(newest, { from: entered });
  assert.ok(end.mark.lsn < promised);
  files.cut(segmentName(left), segmentHeaderBytes);
  assert.is(await verdict(files, { from }), "CORRUPT");
});

test("a segment that lost its name is no spare: it holds records that others take the place of", async () => {
  const { held, from, entered } = await changedLog();
  const files = held.memory.copy();
  const name = segmentName(entered);
  for (const spare of ["spare-97", "spare-98", "spare-99"]) files.put(spare, files.content(name));
  files.drop(name);
  const { log, found } = await reopen(files, {}, { from });
  assert.is(found.end.nextLsn, entered);
  assert.not(files.names().some((other) => other.startsWith("spare-9")));
  await log.close();
});

test("what was left is not given up before it is durable", async () => {
  const { held, log, left, entered, lastLsn } = await changedLog();
  await Promise.race([log.discardBefore(lastLsn + 1), new Promise((resolve) => setTimeout(resolve, 5))]);
  const logs = () => held.memory.names().filter((name) => name.endsWith(".log"));
  assert.equal(logs(), [segmentName(left), segmentName(entered)]);
  held.release();
  await log.synced(lastLsn);
  await log.discardBefore(lastLsn + 1);
  assert.equal(logs(), [segmentName(entered)]);
  await log.close();
});

test("after a failed sync what was left is written again, and then survives power loss", async () => {
  for (const operation of ["datasync", "syncDirectory", "truncate"] as const) {
    for (let nth = 0; nth < (operation === "datasync" ? 4 : 1); nth++) {
      const { held, log, from, lastLsn } = await changedLog();
      held.memory.failOnce(operation, nth);
      held.release();
      await until(() => log.failure !== undefined);
      assert.is(await log.retry(), "running", `${operation} ${nth}`);
      await log.synced(lastLsn);
      held.memory.crash(nth);
      demandAll(await readAll(held.memory, { from }), from, lastLsn);
    }
  }
});

test("what is written again in pieces is settled when all of it is", async () => {
  const held = new HeldFiles();
  const { log } = await reopen(held, {
    segmentBytes: 11 * 2 ** 20,
    syncEveryBytes: 2 ** 30,
    logBufferBytes: 2 ** 24,
  });
  held.hold();
  // Each is a write of its own.
  const payloads = [1, 2, 3, 4].map((byte) => new Uint8Array(3 * 2 ** 20).fill(byte));
  for (const payload of payloads) await log.written(log.append(1, 0, [payload]));
  assert.is(log.segments, 2);
  held.memory.failOnce("datasync", 0);
  held.release();
  await until(() => log.failure !== undefined);
  held.slowWrites = true;
  assert.is(await log.retry(), "running");
  held.memory.crash(1);
  const found = await readAll(held.memory);
  assert.equal(found.lsns, [1, 2, 3, 4]);
  for (const [i, payload] of payloads.entries()) assert.is(Buffer.compare(found.payloads[i], payload), 0);
});

test("whatever fails while segments change, all arrives in the end, once, and no file stays open", async () => {
  for (const operation of [
    "any",
    "open",
    "write",
    "datasync",
    "truncate",
    "rename",
    "syncDirectory",
  ] as const) {
    for (let nth = 0; nth < 60; nth++) {
      const held = new HeldFiles();
      const { log } = await reopen(held, {
        segmentBytes: 4096 + 900,
        syncEveryBytes: 2 ** 30,
        logBufferBytes: 2 ** 16,
      });
      while (log.nextLsn < 20) await log.synced(await append(log));
      await log.discardBefore(20);
      held.memory.failOnce(operation, nth);
      while (log.nextLsn < 40) {
        await append(log);
        if (log.nextLsn % 3 === nth % 3) await new Promise((resolve) => setImmediate(resolve));
      }
      const synced = log.synced(39);
      await until(() => log.failure !== undefined || log.syncedLsn === 39);
      if (log.failure) assert.is(await log.retry(), "running", `${operation} ${nth}`);
      await synced;
      const from = Number.parseInt(held.memory.names().find((name) => name.endsWith(".log"))!, 16);
      demandAll(await readAll(held.memory.copy(), { from, holes: "damage" }), from, 39);
      await log.close();
      assert.is(held.openFiles, 0, `${operation} ${nth}`);
      held.memory.crash(nth);
      demandAll(await readAll(held.memory, { from }), from, 39);
    }
  }
});

/** Ways in which the last record before `entered` is lost, where the segment that holds it goes on or does not. */
function damages({ held, entered }: ChangedLog): [string, (files: MemoryFiles) => void][] {
  const name = held.memory
    .names()
    .filter((other) => other.endsWith(".log"))
    .findLast((other) => Number.parseInt(other, 16) < entered)!;
  let offset = segmentHeaderBytes;
  for (let lsn = Number.parseInt(name, 16); lsn < entered - 1; lsn++)
    offset += recordBytes(payloadOf(lsn).length);
  return [
    ["cut off", (files) => files.cut(name, offset)],
    ["cut short", (files) => files.cut(name, offset + 9)],
    ["flipped", (files) => files.flipBit(name, 8 * offset + 3)],
  ];
}

/** Opens the log, appends, and demands that all of it is there after a loss of power. */
async function goOn(files: MemoryFiles, from: number, nextLsn: number): Promise<void> {
  const { log } = await reopen(files, {}, { from });
  assert.is(log.nextLsn, nextLsn);
  for (let i = 0; i < 12; i++) await append(log);
  await log.synced(nextLsn + 11);
  files.crash(nextLsn);
  demandAll(await readAll(files, { from, holes: "damage" }), from, nextLsn + 11);
}

function demandAll(found: ReadBack, from: number, lastLsn: number): void {
  assert.is(wrongness(found, from), undefined);
  assert.is(found.lsns.length, lastLsn - from + 1);
}

async function verdict(files: MemoryFiles, options: Partial<ReadLogOptions>): Promise<string> {
  try {
    await readAll(files.copy(), options);
    return "read";
  } catch (error) {
    assert.instance(error, EmbershardError);
    return (error as EmbershardError).code;
  }
}

async function until(condition: () => boolean): Promise<void> {
  for (let turns = 0; !condition(); turns++) {
    if (turns > 10_000) throw new Error(`never came: ${condition}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test.run();
