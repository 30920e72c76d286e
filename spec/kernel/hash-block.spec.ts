import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { createHashBlock, instantiateChecksums, reservedBytes } from "../../lib/kernel/hash-block.js";
import { crc32c } from "../../lib/store/crc32c.js";
import { xxhashBlock } from "../store/xxhash-block.js";

test("the module's static data ends before the block begins", () => {
  const end = instantiateChecksums(reservedBytes).exports.staticEnd();
  assert.ok(end > 16 * 1024 && end <= reservedBytes, `it ends at ${end}`);
});

test("a block is as long as was asked for, and zeroed", () => {
  for (const length of [0, 1, 65_536 - reservedBytes, 65_537 - reservedBytes, 3 << 20]) {
    const { bytes } = createHashBlock(length);
    assert.is(bytes.length, length);
    assert.ok(bytes.every((byte) => byte === 0));
  }
});

test("XXH64 of every short length and of long ones is xxhash-wasm's", () => {
  const random = new Prng(5);
  const [ours, theirs] = [createHashBlock(100_000), xxhashBlock(100_000)];
  for (let i = 0; i < 100_000; i++) ours.bytes[i] = theirs.bytes[i] = random.below(256);
  for (const length of [...Array(100).keys(), 4096, 99_000])
    for (const offset of [0, 1, 7, 64])
      assert.is(ours.checksum(offset, length, 77n), theirs.checksum(offset, length, 77n));
});

test("CRC-32C gives RFC 3720's examples (appendix B.4)", () => {
  const block = createHashBlock(32);
  const examples: [(i: number) => number, number][] = [
    [() => 0, 0x8a9136aa],
    [() => 0xff, 0x62a8ab43],
    [(i) => i, 0x46dd794e],
    [(i) => 31 - i, 0x113fdb5c],
  ];
  for (const [byte, expected] of examples) {
    for (let i = 0; i < 32; i++) block.bytes[i] = byte(i);
    assert.is(block.crc32c(0, 32), expected);
    assert.is(crc32c(block.bytes, 0, 32), expected);
  }
});

test("CRC-32C of every length and alignment is that of TypeScript", () => {
  const random = new Prng(6);
  const block = createHashBlock(5000);
  for (let i = 0; i < 5000; i++) block.bytes[i] = random.below(256);
  for (const length of [...Array(100).keys(), 4096, 4900])
    for (const offset of [0, 1, 3, 8, 99])
      assert.is(block.crc32c(offset, length), crc32c(block.bytes, offset, offset + length));
});

test.run();
