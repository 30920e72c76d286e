// Every flip, cut and loss in a store's files is reported, or without effect, or costs a suffix beyond the durable mark.
// STRIDE=1 tries more bits than there is time for every day.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import {
  copy,
  entries,
  expected,
  judge,
  manifest,
  type Outcome,
  pages,
  segments,
  syncedLsn,
  whole,
  written,
} from "./damaged-store.js";
import { FaultyMachine } from "./fault-fixture.js";

const stride = Number(process.env.STRIDE ?? 16);
/** The log by itself has its own spec. */
const damaged = stride === 1 ? whole.files.names() : [...segments.slice(-2), "MARK"];

test("the store that is damaged below has a checkpoint, synced records and others, in several files", async () => {
  assert.ok(segments.length >= 3);
  assert.ok(pages.length >= 5);
  assert.is(expected.k, written);
  assert.is(await judge(await copy(), "nothing", /never/), "whole");
});

test("a flipped bit of a page is reported with the page's number", async () => {
  const random = new Prng(1);
  for (const [i, { key, value }] of pages.entries()) {
    const dense = i === 0 ? 64 : 0;
    const step = Math.max(1, Math.ceil(stride / 5));
    for (
      let byte = 0;
      byte < value.length;
      byte += byte < dense ? step : Math.max(1, (value.length >> 6) * stride)
    ) {
      const disk = await copy();
      disk.pages.flipBit(key, byte * 8 + random.below(8));
      assert.is(await judge(disk, `page ${i}, byte ${byte}`, /page \d+ of arena 0/), "reported");
    }
  }
});

test("a flipped bit of the manifest is reported, or is in the number of a format that nobody has", async () => {
  for (let byte = 0; byte < manifest.value.length; byte += byte < 24 ? 1 : 5 * stride) {
    for (const bit of byte < 8 && stride === 1 ? [0, 1, 2, 3, 4, 5, 6, 7] : [byte % 8]) {
      const disk = await copy();
      disk.pages.flipBit(manifest.key, byte * 8 + bit);
      const outcome = await judge(disk, `manifest, byte ${byte}, bit ${bit}`, /manifest/);
      assert.ok(outcome === "reported" || (byte < 8 && outcome === "whole"));
    }
  }
});

test("a page or manifest that is cut, lost, or another's is reported", async () => {
  for (const { key, value } of stride === 1 ? entries : [manifest, ...pages.slice(0, 3)]) {
    for (const length of [
      0,
      1,
      15,
      16,
      31,
      63,
      64,
      65,
      value.length >> 1,
      value.length - 8,
      value.length - 1,
    ]) {
      const disk = await copy();
      const batch = disk.pages.batch();
      batch.put(key, value.slice(0, length));
      await batch.write();
      assert.is(
        await judge(disk, `${length} of ${value.length} bytes`, /page \d+ of arena 0|manifest/),
        "reported",
      );
    }
    const disk = await copy();
    disk.pages.lose(key);
    assert.is(await judge(disk, "lost", /page \d+ of arena 0|the log begins with|checkpoint/), "reported");
  }
  for (const [i, { key }] of pages.slice(0, 4).entries()) {
    const disk = await copy();
    const batch = disk.pages.batch();
    batch.put(key, pages[(i + 1) % pages.length].value);
    await batch.write();
    assert.is(await judge(disk, "another page's bytes", /page \d+ of arena 0/), "reported");
  }
});

test("a flipped bit of the log is reported with its file, without effect, or costs a suffix beyond the mark", async () => {
  const random = new Prng(2);
  const outcomes = new Set<Outcome>();
  for (const name of damaged) {
    const { length } = whole.files.content(name);
    const [before, last] = segments.slice(-2);
    // The last segment but one is not known to be durable to its end until the mark speaks of the last.
    const mayBeTorn = name === last || (name === before && Number.parseInt(last, 16) > syncedLsn);
    for (
      let byte = 0;
      byte < length;
      byte += byte >= 4096 ? 23 : byte % 4096 < 64 || byte % 4096 >= 4032 ? 3 : 96
    ) {
      const disk = await copy();
      disk.files.flipBit(name, byte * 8 + random.below(8));
      const outcome = await judge(disk, `${name}, byte ${byte}`, new RegExp(name));
      if (!mayBeTorn) assert.is.not(outcome, "suffix", `${name}, byte ${byte}`);
      outcomes.add(outcome);
    }
  }
  assert.equal([...outcomes].sort(), ["reported", "suffix", "whole"]);
});

test("a file of the log that is cut or lost is reported, without effect, or costs a suffix beyond the mark", async () => {
  for (const name of damaged) {
    const { length } = whole.files.content(name);
    for (let cut = 0; cut < length; cut += stride * (cut < 4000 ? 120 : 31)) {
      const disk = await copy();
      disk.files.cut(name, cut);
      await judge(disk, `${name} cut to ${cut}`, /log|MARK/);
    }
    const disk = await copy();
    disk.files.drop(name);
    const outcome = await judge(disk, `without ${name}`, /log|records/);
    // A file that begins behind the mark has nothing that anybody was promised.
    const promised = name !== "MARK" && Number.parseInt(name, 16) <= syncedLsn;
    assert.ok(!promised || outcome === "reported" || name < segments.at(-2)!, `without ${name}: ${outcome}`);
  }
});

test("both places of the durable mark lost: reported", async () => {
  const disk = await copy();
  disk.files.drop("MARK");
  disk.files.flipBit(segments.at(-1)!, 8 * 520);
  assert.is(await judge(disk, "no mark", /both places/), "reported");
});

test("a page store that fell back to an older checkpoint is reported", async () => {
  const disk = await copy();
  const machine = new FaultyMachine(1, disk.files, disk.pages);
  const { store } = await machine.open();
  await store.checkpoint();
  machine.kill();
  const older = await copy();
  assert.is(
    await judge(
      { files: disk.files, pages: older.pages },
      "older pages",
      /knows of checkpoint|records \d+ to \d+ are missing/,
    ),
    "reported",
  );
});

test.run();
