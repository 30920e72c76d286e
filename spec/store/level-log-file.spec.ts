import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { createHashBlock } from "../../lib/kernel/hash-block.js";
import { maskedCrc32c } from "../../lib/store/crc32c.js";
import { readLevelLog } from "../../lib/store/level-log-file.js";

/** A file as LevelDB writes it (doc/log_format.md): records in parts that do not leave their blocks of 32 KiB. */
function logOf(payloads: readonly Uint8Array[]): Uint8Array {
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const payload of payloads) {
    for (let done = 0, first = true; first || done < payload.length; first = false) {
      const left = 32_768 - (at % 32_768);
      if (left < 7) {
        parts.push(new Uint8Array(left));
        at += left;
      }
      const length = Math.min(payload.length - done, 32_768 - (at % 32_768) - 7);
      const last = done + length === payload.length;
      const part = new Uint8Array(7 + length);
      part[6] = first ? (last ? 1 : 2) : last ? 4 : 3;
      part.set(payload.subarray(done, done + length), 7);
      const view = new DataView(part.buffer);
      view.setUint16(4, length, true);
      view.setUint32(0, maskedCrc32c(part, 6, part.length), true);
      parts.push(part);
      done += length;
      at += part.length;
    }
  }
  return Uint8Array.from(Buffer.concat(parts));
}

const random = new Prng(3);
const payloads = [0, 1, 100, 32_754, 40_000, 7, 200_000, 32_761, 32_760, 3, 65_536].map((length) =>
  Uint8Array.from({ length }, () => random.below(256)),
);

/** Reads a file with the checksums of TypeScript, and with those of a block, and demands that they say the same. */
function read(file: Uint8Array): ReturnType<typeof readLevelLog> {
  const block = createHashBlock(file.length);
  block.bytes.set(file);
  const inBlock = readLevelLog(block.bytes, (from, to) => block.crc32c(from, to - from));
  const plain = readLevelLog(file.slice());
  assert.equal(inBlock.defects, plain.defects);
  assert.equal(
    inBlock.records.map(({ payload }) => [...payload]),
    plain.records.map(({ payload }) => [...payload]),
  );
  return plain;
}

test("records of any length come back, those of many parts in one piece", () => {
  const { records, defects } = read(logOf(payloads));
  assert.equal(defects, []);
  assert.is(records.length, payloads.length);
  for (const [i, { payload }] of records.entries())
    assert.is(Buffer.compare(payload, payloads[i]), 0, `${i}`);
});

test("a damaged part costs its record and what follows in its block, and nothing before", () => {
  const file = logOf(payloads);
  // In the third part of the record of 200,000 bytes.
  file[32_768 * 5 + 1000] ^= 4;
  const { records, defects } = read(file);
  assert.is(defects[0].reason, "a record's checksum does not match");
  for (const [i, { payload }] of records.slice(0, 6).entries())
    assert.is(Buffer.compare(payload, payloads[i]), 0, `${i}`);
  assert.ok(records.length < payloads.length);
  assert.is(Buffer.compare(records.at(-1)!.payload, payloads.at(-1)!), 0);
});

test.run();
