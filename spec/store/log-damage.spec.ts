// Every flip, cut and loss in a log is reported, or without effect, or costs a suffix beyond the durable mark.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EmbershardError } from "../../lib/base/errors.js";
import { Prng } from "../../lib/base/prng.js";
import {
  recordBytes,
  recordHeaderBytes,
  segmentHeaderBytes,
  segmentMarkOffset,
  segmentName,
} from "../../lib/store/log-format.js";
import type { ReadLogOptions } from "../../lib/store/log-reader.js";
import { changedLog } from "./held-files.js";
import { append, payloadOf, readAll, reopen, wrongness } from "./log-fixture.js";
import { MemoryFiles } from "./memory-files.js";

const syncedLsn = 44;
const lastLsn = 52;

/** Three segments or more; records 45 to 52 are written and not synced. */
async function newLog(): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  const { log } = await reopen(files, { syncEveryBytes: 2 ** 30, segmentBytes: 4096 + 3500 });
  while (log.nextLsn <= syncedLsn) await append(log);
  await log.synced(syncedLsn);
  while (log.nextLsn <= lastLsn) await append(log);
  await log.written(lastLsn);
  assert.is(log.syncedLsn, syncedLsn, "the seeds leave the last records unsynced");
  return files.copy();
}

const whole = await newLog();
const segments = whole.names().filter((name) => name.endsWith(".log"));
const last = segments.at(-1)!;

test("the log that is damaged below is whole, and its last segment holds both kinds of records", async () => {
  const found = await readAll(whole.copy());
  assert.is(found.lsns.length, lastLsn);
  assert.is(found.end.mark.lsn, syncedLsn);
  assert.ok(segments.length >= 3);
  assert.ok(Number.parseInt(last, 16) < syncedLsn);
});

test("any flipped bit is reported, without effect, or costs a suffix beyond the mark", async () => {
  const reported = new Set<string>();
  for (const name of whole.names()) {
    for (const bit of bitsToFlip(name)) {
      const files = whole.copy();
      files.flipBit(name, bit);
      const outcome = await judge(files, `bit ${bit} of ${name}`);
      if (outcome === "reported") reported.add(name);
      // Nothing beyond the mark precedes what lies before it.
      if (name !== last && name.endsWith(".log"))
        assert.not.match(outcome, /suffix/, `bit ${bit} of ${name}`);
    }
  }
  assert.equal([...reported].sort(), segments);
});

test("a file cut to any length is reported, without effect, or costs a suffix beyond the mark", async () => {
  for (const name of whole.names()) {
    const length = whole.content(name).length;
    for (let cut = 0; cut < length; cut += cut < segmentHeaderBytes || name !== last ? 61 : 1) {
      const files = whole.copy();
      files.cut(name, cut);
      await judge(files, `${name} cut to ${cut}`);
    }
  }
});

test("any missing file is reported, or is the mark that the last header has too", async () => {
  for (const name of whole.names()) {
    const files = whole.copy();
    files.drop(name);
    const outcome = await judge(files, `without ${name}`);
    assert.is(outcome, name === "MARK" ? "whole" : "reported");
  }
});

test("in a log whose last segment but one is not durable yet, damage is reported, without effect, or costs a suffix beyond the mark", async () => {
  const { held, from, left, entered, syncedLsn: synced, lastLsn: newest } = await changedLog();
  const suffixes = new Set<string>();
  for (const name of held.memory.names().filter((one) => /MARK|\.log$/.test(one))) {
    const bytes = held.memory.content(name).length;
    for (let at = 0; at < bytes; at += at % segmentMarkOffset < 64 && at < 576 ? 1 : 13) {
      for (const damage of ["flip", "cut"] as const) {
        const files = held.memory.copy();
        if (damage === "flip") files.flipBit(name, 8 * at + (at % 8));
        else files.cut(name, at);
        const bounds = { from, synced, newest };
        if ((await judge(files, `${damage} ${at} of ${name}`, {}, bounds)) === "suffix lost")
          suffixes.add(name);
      }
    }
  }
  assert.equal([...suffixes].sort(), [segmentName(left), segmentName(entered)]);
});

test("either place of the mark is enough; without both the damage is reported", async () => {
  const markPlaces: [string, (files: MemoryFiles) => void][] = [
    ["the older slot", (files) => files.flipBit("MARK", 8 * 70)],
    ["slot 0", (files) => files.flipBit("MARK", 8 * 10)],
    ["slot 1", (files) => files.flipBit("MARK", 8 * (4096 + 10))],
    ["the file", (files) => files.drop("MARK")],
  ];
  for (const [place, damage] of markPlaces) {
    const files = whole.copy();
    damage(files);
    assert.is((await readAll(files)).end.mark.lsn, syncedLsn, place);
    files.flipBit(last, 8 * (segmentMarkOffset + 9));
    if (place === "the older slot") continue;
    assert.match(await judge(files, place), /reported/, place);
  }
  const files = whole.copy();
  files.flipBit(last, 8 * (segmentMarkOffset + 9));
  assert.is((await readAll(files)).end.mark.lsn, syncedLsn);
});

test("beyond the mark, damage before good records is a torn end after power loss, and is reported otherwise", async () => {
  const files = whole.copy();
  const bit = 8 * (offsetOf(last, syncedLsn + 2) + 40);
  files.flipBit(last, bit);
  const torn = await readAll(files, { holes: "torn" });
  assert.is(torn.lsns.length, syncedLsn + 1);
  assert.is(torn.end.tail?.lsn, syncedLsn + 2);
  const reason = await judge(files, "flip", { holes: "damage" });
  assert.is(reason, "reported");
  const end = whole.copy();
  end.flipBit(last, 8 * (offsetOf(last, lastLsn) + 40));
  assert.is((await readAll(end, { holes: "damage" })).lsns.length, lastLsn - 1);
});

test("a report names the file, the offset, the LSN and what is missing", async () => {
  const files = whole.copy();
  const offset = offsetOf(last, syncedLsn - 1);
  files.flipBit(last, 8 * (offset + 3));
  try {
    await readAll(files);
    assert.unreachable();
  } catch (error) {
    const { message } = error as Error;
    assert.match(
      message,
      `log segment ${last}, offset ${offset}, LSN ${syncedLsn - 1}: the record's checksum`,
    );
    assert.match(message, `records ${syncedLsn - 1} to ${syncedLsn} were durable and are missing`);
  }
});

test("an existing store whose log is gone is reported", async () => {
  try {
    await readAll(new MemoryFiles(), { mayBeNew: false });
    assert.unreachable();
  } catch (error) {
    assert.is((error as EmbershardError).code, "CORRUPT");
  }
});

/** What became of the log: an assertion fails when anything wrong is served or anything durable is lost unnoticed. */
async function judge(
  files: MemoryFiles,
  what: string,
  options: Partial<ReadLogOptions> = {},
  { from, synced, newest } = { from: 1, synced: syncedLsn, newest: lastLsn },
): Promise<string> {
  try {
    const found = await readAll(files, { mayBeNew: false, from, ...options });
    assert.is(wrongness(found, from), undefined, what);
    const last = from + found.lsns.length - 1;
    assert.ok(last >= synced, `${what}: ${found.lsns.length} records are left`);
    return last === newest ? "whole" : "suffix lost";
  } catch (error) {
    if (!(error instanceof EmbershardError)) throw error;
    assert.is(error.code, "CORRUPT", `${what}: ${error.message}`);
    return "reported";
  }
}

function offsetOf(name: string, lsn: number): number {
  let offset = segmentHeaderBytes;
  for (let before = Number.parseInt(name, 16); before < lsn; before++)
    offset += recordBytes(payloadOf(before).length);
  return offset;
}

/** Every bit of headers, slots and record headers; of the rest, one bit of each 8 bytes. */
function bitsToFlip(name: string): number[] {
  const length = whole.content(name).length;
  const every = new Set<number>();
  const dense = (from: number, bytes: number) => {
    for (let byte = from; byte < from + bytes; byte++) every.add(byte);
  };
  if (name === "MARK") {
    dense(0, 64);
    dense(4096, 64);
  } else {
    dense(0, 64);
    dense(segmentMarkOffset, 64);
    for (let lsn = Number.parseInt(name, 16), at = segmentHeaderBytes; at < length; lsn++) {
      dense(at, recordHeaderBytes);
      at += recordBytes(payloadOf(lsn).length);
    }
  }
  const random = new Prng(length);
  const bits: number[] = [];
  for (let byte = 0; byte < length; byte++) {
    if (every.has(byte)) for (let bit = 0; bit < 8; bit++) bits.push(byte * 8 + bit);
    else if (byte % 8 === 0 && (byte >= segmentHeaderBytes || byte % 256 === 0))
      bits.push(byte * 8 + random.below(64));
  }
  return bits;
}

test.run();
