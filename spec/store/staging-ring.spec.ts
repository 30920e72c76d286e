import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { StagingRing } from "../../lib/store/staging-ring.js";
import { xxhashBlock } from "./xxhash-block.js";

interface File {
  endBytes: number;
  bytes: Uint8Array;
}

function place(ring: StagingRing<File>, file: File, lsn: number, bytes: number): void {
  const { block, offset } = ring.place(bytes, lsn, file);
  block.bytes.fill(lsn, offset, offset + bytes);
}

function write(ring: StagingRing<File>): number {
  const run = ring.first!;
  run.target.bytes.set(run.block.bytes.subarray(run.offset, run.offset + run.bytes), run.fileOffset);
  ring.finishFirst();
  return run.lastLsn;
}

test("neighbours in the ring that are none in the file are not written as one", () => {
  const ring = new StagingRing<File>(xxhashBlock, 64, 1024);
  const file = { endBytes: 0, bytes: new Uint8Array(1000) };
  place(ring, file, 1, 8);
  write(ring);
  place(ring, file, 2, 80);
  place(ring, file, 3, 8);
  write(ring);
  write(ring);
  ring.release(2);
  assert.ok(ring.canRewind);
  ring.rewind();
  while (ring.first) write(ring);
  assert.equal(
    [...file.bytes.subarray(0, 96)],
    [...Array(8).fill(1), ...Array(80).fill(2), ...Array(8).fill(3)],
  );
});

test("random placing, writing, releasing and rewinding writes every record to its place", () => {
  let rewinds = 0;
  for (let seed = 0; seed < 300; seed++) {
    const random = new Prng(seed);
    const ring = new StagingRing<File>(xxhashBlock, 256, 64 + random.below(128));
    let file = { endBytes: 0, bytes: new Uint8Array(40_000) };
    const wanted: { file: File; at: number; bytes: number; lsn: number }[] = [];
    let lsn = 0;
    let writtenLsn = 0;
    let releasedLsn = 0;
    for (let step = 0; step < 200; step++) {
      const act = random.below(10);
      if (act < 5) {
        const bytes = 8 * (1 + random.below(random.below(15) === 0 ? 60 : 10));
        if (!ring.fits(bytes)) continue;
        wanted.push({ file, at: file.endBytes, bytes, lsn: ++lsn });
        place(ring, file, lsn % 256, bytes);
      } else if (act < 8 && ring.first) {
        writtenLsn = Math.max(writtenLsn, write(ring));
      } else if (act === 8) {
        releasedLsn = Math.max(releasedLsn, random.below(writtenLsn + 1));
        ring.release(releasedLsn);
      } else if (ring.canRewind && random.below(3) === 0) {
        // The disk loses what it was not asked to keep; all of it has to come again.
        for (const record of wanted) {
          const { file, at, bytes } = record;
          if (record.lsn > releasedLsn && record.lsn <= writtenLsn) file.bytes.fill(0, at, at + bytes);
        }
        ring.rewind();
        rewinds++;
      } else if (random.below(10) === 0) {
        file = { endBytes: 0, bytes: new Uint8Array(40_000) };
      }
    }
    while (ring.first) write(ring);
    assert.is(ring.pendingBytes, 0);
    for (const { file, at, bytes, lsn } of wanted) {
      assert.ok(
        file.bytes.subarray(at, at + bytes).every((byte) => byte === lsn % 256),
        `seed ${seed}, record ${lsn}`,
      );
    }
  }
  assert.ok(rewinds > 100);
});

test.run();
