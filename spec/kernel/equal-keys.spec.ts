// Equal keys of a batch are summed and numbered as a Map would, however often a key comes and wherever keys meet.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { distinctSlots } from "../../lib/kernel/equal-keys.js";
import { Arena } from "../../lib/table/arena.js";

const arena = new Arena(0, { limitBytes: 64 << 20, hugePages: "off" });
const { kernel } = arena;
const FACTOR = 0x9e37_79b9_7f4a_7c15n;

/** Keys that the kernel's table of equal keys puts into one slot of the first 2^20, whatever its size below that. */
function meetingKeys(n: number): bigint[] {
  // The inverse of an odd factor modulo 2^64, by Newton's iteration.
  let inverse = FACTOR;
  for (let i = 0; i < 6; i++) inverse = BigInt.asUintN(64, inverse * (2n - FACTOR * inverse));
  // Bits 32 to 51 of h ^ h >> 29 are 0 where h has them below bit 32 only.
  return Array.from({ length: n }, (_, i) => BigInt.asUintN(64, BigInt(i + 1) * inverse));
}

function draw(prng: Prng, n: number, from: readonly bigint[]): BigUint64Array {
  return BigUint64Array.from({ length: n }, () => from[prng.below(from.length)]);
}

/** The places of each key, in the order of first occurrences. */
function placesOf(keys: BigUint64Array): Map<bigint, number[]> {
  const places = new Map<bigint, number[]>();
  keys.forEach((key, i) => {
    const known = places.get(key);
    if (known) known.push(i);
    else places.set(key, [i]);
  });
  return places;
}

function check(keys: BigUint64Array, name: string): void {
  const n = keys.length;
  const slots = distinctSlots(n);
  arena.beginScratch(4 * slots + 32 * n + 1024);
  const at = arena.takeScratch(8 * n);
  const [unique, counts, numbers, rows] = [8, 4, 4, 4].map((bytes) => arena.takeScratch(bytes * n));
  const scratch = arena.takeScratch(4 * slots);
  arena.bytes.fill(0xa5, scratch, scratch + 4 * slots);
  const expected = placesOf(keys);
  const distinct = [...expected.keys()];

  arena.u64.set(keys, at / 8);
  assert.is(kernel.numberKeys(at, n, unique, counts, numbers, scratch, slots), distinct.length, name);
  assert.equal([...arena.u64.subarray(unique / 8, unique / 8 + distinct.length)], distinct, name);
  assert.equal(
    [...arena.u32.subarray(counts / 4, counts / 4 + distinct.length)],
    distinct.map((key) => expected.get(key)!.length),
    name,
  );
  const order = new Map(distinct.map((key, i) => [key, i]));
  assert.equal(
    [...arena.u32.subarray(numbers / 4, numbers / 4 + n)],
    [...keys].map((key) => order.get(key)!),
    name,
  );

  // Powers of two far apart would hide an order: thirds round differently in another.
  const value = (i: number) => Math.fround(1 / (3 + i));
  for (let i = 0; i < n; i++) arena.f32[rows / 4 + i] = value(i);
  assert.is(kernel.sumEqualKeys(at, counts, rows, n, 1, scratch, slots, 0), distinct.length, name);
  const seen = new Set<bigint>();
  for (let i = 0; i < distinct.length; i++) {
    const key = arena.u64[at / 8 + i];
    const places = expected.get(key)!;
    seen.add(key);
    assert.is(arena.u32[counts / 4 + i], places.length, name);
    assert.is(
      arena.f32[rows / 4 + i],
      places.slice(1).reduce((sum, place) => Math.fround(sum + value(place)), value(places[0])),
      name,
    );
  }
  assert.is(seen.size, distinct.length, name);
}

test("random keys, few and many, rare and frequent", () => {
  const prng = new Prng(3);
  for (const n of [1, 2, 3, 4, 5, 17, 255, 1000, 4096]) {
    for (const kinds of [1, 2, 7, n, 10 * n]) {
      const from = Array.from({ length: kinds }, () => (BigInt(prng.u32()) << 32n) | BigInt(prng.u32()));
      check(draw(prng, n, from), `${n} of ${kinds}`);
    }
  }
});

test("keys that meet in one slot, one of them most of the time", () => {
  const prng = new Prng(4);
  const meeting = meetingKeys(40);
  for (const from of [
    meeting,
    [...Array.from({ length: 400 }, () => meeting[7]), ...meeting],
    [0n, ...meeting],
  ])
    check(draw(prng, 3000, from), `${from.length}`);
});

test("a key that fills a batch but for two places", () => {
  const keys = new BigUint64Array(20_000).fill(5n);
  keys[1] = 6n;
  keys[19_999] = 6n;
  check(keys, "two keys");
});

test.run();
