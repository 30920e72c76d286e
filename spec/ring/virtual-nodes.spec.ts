import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import xxhash from "xxhash-wasm";
import { Prng } from "../../lib/base/prng.js";
import { xxh64, xxh64OfWord } from "../../lib/ring/hash.js";
import { Ring } from "../../lib/ring/virtual-nodes.js";
import { membersOf } from "./clusters.js";

const { h64, h64Raw } = await xxhash();
const small = { slots: 64, points: 8, mostPoints: 512 };

test("hashes are XXH64, of every length", () => {
  const random = new Prng(1);
  const bytes = Uint8Array.from({ length: 300 }, () => random.below(256));
  for (let length = 0; length < 140; length++) {
    const part = bytes.subarray(random.below(100)).subarray(0, length);
    const seed = (BigInt(random.u32()) << 32n) | BigInt(random.u32());
    assert.is(xxh64(part, seed), h64Raw(part, seed), `${length} bytes`);
  }
  for (const word of [0n, 1n, 2n ** 64n - 1n, 12_345n]) {
    const raw = new Uint8Array(BigUint64Array.of(word).buffer);
    assert.is(xxh64OfWord(word, 7n), h64Raw(raw, 7n));
  }
});

test("points are where the document says, and a slot begins with the first at or after its place", () => {
  const members = [{ name: "b", weight: 2 }, { name: "a" }, { name: "c", weight: 0.001 }];
  const ring = new Ring(members, { slots: 256, points: 5 });
  const places = ring.members.flatMap(({ name }, member) => {
    const count = [5, 10, 1][member];
    return Array.from({ length: count }, (_, i) => {
      const word = new Uint8Array(BigUint64Array.of(BigInt(i >> 1)).buffer);
      const hash = h64Raw(word, h64(name));
      return { place: Number(i % 2 === 0 ? hash >> 32n : hash & 0xffff_ffffn), member };
    });
  });
  places.sort((a, b) => a.place - b.place || a.member - b.member);
  assert.equal(
    [...ring.memberOf],
    places.map(({ member }) => member),
  );
  for (let slot = 0; slot < 256; slot++) {
    const first = places.findIndex(({ place }) => place >= slot * 2 ** 24);
    assert.is(ring.startOf[slot], Math.max(0, first));
  }
});

test("many points are halved until they are few enough, and every member keeps one", () => {
  const ring = new Ring([{ name: "a", weight: 100_000 }, { name: "b", weight: 50_000 }, { name: "c" }]);
  const counts = [0, 0, 0];
  for (const member of ring.memberOf) counts[member]++;
  assert.equal(counts, [12_800_000 >> 8, 6_400_000 >> 8, 1]);
  assert.equal(
    new Ring(
      Array.from({ length: 1000 }, (_, i) => ({ name: `${i}` })),
      { slots: 2 },
    ).memberOf.length,
    128_000,
  );
});

test("a slot prefers every member once, in the order of its ring", () => {
  const story = fc.property(membersOf(12), fc.nat(63), (members, slot) => {
    const ring = new Ring(members, small);
    const order = ring.preferred(slot);
    assert.equal(
      [...order].sort((a, b) => a - b),
      members.map((_, i) => i),
    );
    assert.is(order[0], ring.memberOf[ring.startOf[slot]]);
    assert.equal(ring.preferred(slot, 3), order.slice(0, 3));
  });
  fc.assert(story, { seed: 2, numRuns: 200 });
});

test("who joins changes nobody else's place in the order", () => {
  const story = fc.property(membersOf(12), fc.nat(63), (members, slot) => {
    const few = members.map((one) => ({ ...one, weight: 1 }));
    const before = new Ring(few, small);
    const after = new Ring([...few, { name: "joined" }], small);
    const names = (ring: Ring) => ring.preferred(slot).map((i) => ring.members[i].name);
    assert.equal(
      names(after).filter((name) => name !== "joined"),
      names(before),
    );
  });
  fc.assert(story, { seed: 3, numRuns: 200 });
});

test("copies are on distinct nodes, and in distinct zones while there are any", () => {
  const story = fc.property(
    membersOf(12),
    fc.nat(63),
    fc.integer({ min: 1, max: 6 }),
    fc.nat(),
    (members, slot, n, turn) => {
      const ring = new Ring(members, small);
      const owner = turn % members.length;
      const set = ring.replicaSet(slot, owner, n);
      assert.is(set[0], owner);
      assert.is(set.length, Math.min(n, members.length));
      assert.is(new Set(set).size, set.length);
      const zonesOf = (numbers: readonly number[]) => new Set(numbers.map((i) => ring.members[i].zone)).size;
      const zones = zonesOf(members.map((_, i) => i));
      assert.is(zonesOf(set), Math.min(n, zones));
      // Those in new zones first: what is left of a set when n is smaller is the smaller set.
      assert.equal(ring.replicaSet(slot, owner, Math.min(n, 2)), set.slice(0, 2));
    },
  );
  fc.assert(story, { seed: 4, numRuns: 500 });
});

test.run();
