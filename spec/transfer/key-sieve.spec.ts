// Keys that come twice in a file are found, whatever the others are, and no others are taken for such.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { EmbershardError } from "../../lib/index.js";
import { demandDistinct } from "../../lib/transfer/file-survey.js";
import { wordsOf } from "../../lib/transfer/key-set.js";
import { KeySieve } from "../../lib/transfer/key-sieve.js";
import type { RowReader } from "../../lib/transfer/row-file.js";

/** What of a reader is asked for keys: pieces of at most 1000. */
function readerOf(keys: BigUint64Array, removed: BigUint64Array): RowReader {
  async function* pieces(all: BigUint64Array) {
    for (let at = 0; at < all.length; at += 1000) yield all.slice(at, at + 1000);
  }
  const shape = { rows: keys.length, removedRows: removed.length };
  return { ...shape, keys: () => pieces(keys), removed: () => pieces(removed) } as unknown as RowReader;
}

async function messageOf(
  keys: BigUint64Array,
  removed: BigUint64Array = new BigUint64Array(0),
): Promise<string | undefined> {
  try {
    await demandDistinct("file", readerOf(keys, removed));
    return undefined;
  } catch (error) {
    if (!(error instanceof EmbershardError) || error.code !== "CORRUPT") throw error;
    return error.message;
  }
}

function randomKeys(n: number, seed: number, bits: 8 | 40): BigUint64Array {
  const prng = new Prng(seed);
  const keys = new Set<bigint>();
  // Few bits that differ, at either end of a key, are what keys often have.
  while (keys.size < n) {
    const high = BigInt(bits === 8 ? prng.below(256) : prng.below(2 ** 31));
    keys.add((high << 56n) ^ BigInt(prng.below(2 ** 31)));
  }
  return BigUint64Array.from(keys);
}

test("of different keys none", async () => {
  assert.is(await messageOf(new BigUint64Array(0)), undefined);
  assert.is(await messageOf(BigUint64Array.of(0n)), undefined);
  for (const bits of [8, 40] as const) assert.is(await messageOf(randomKeys(20_000, bits, bits)), undefined);
  assert.is(await messageOf(BigUint64Array.from({ length: 20_000 }, (_, i) => BigInt(i))), undefined);
});

test("one that comes again, anywhere", async () => {
  const prng = new Prng(3);
  for (let round = 0; round < 40; round++) {
    const keys = randomKeys(3 + prng.below(3000), round, 40);
    if (round % 4 === 0) keys[0] = 0n;
    const from = round % 4 === 0 ? 0 : prng.below(keys.length - 1);
    const to = from + 1 + prng.below(keys.length - from - 1);
    keys[to] = keys[from];
    assert.is(
      await messageOf(keys),
      `file: key ${keys[to]} of row ${to} came before: expected each key once`,
    );
    const at = prng.below(100);
    const removed = randomKeys(100, 1000 + round, 40);
    const others = BigUint64Array.from(keys.filter((_, i) => i !== to));
    assert.is(await messageOf(others, removed), undefined);
    removed[at] = keys[from];
    assert.match((await messageOf(others, removed))!, `of removed row ${at} came before`);
  }
});

test("few keys share a cell, and equal ones always do", () => {
  const keys = randomKeys(50_000, 9, 40);
  keys[49_999] = keys[5];
  const words = wordsOf(keys);
  const sieve = new KeySieve(keys.length);
  sieve.take(words.subarray(0, 40_000));
  sieve.take(words.subarray(40_000));
  let shared = 0;
  for (let i = 0; i < words.length; i += 2) if (sieve.shares(words[i], words[i + 1])) shared++;
  assert.ok(sieve.shares(words[10], words[11]), "a key that came twice");
  assert.ok(
    shared <= sieve.most && shared < keys.length / 7,
    `${shared} of ${keys.length}, at most ${sieve.most}`,
  );
});

test.run();
