import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { firstMap } from "../../lib/ring/placement.js";
import { Routes } from "../../lib/ring/routes.js";

test("keys are ordered by owner, by slot, by position", () => {
  const property = fc.property(
    fc.array(fc.record({ shards: fc.integer({ min: 1, max: 4 }) }), { minLength: 1, maxLength: 5 }),
    fc.array(fc.nat(31), { maxLength: 200 }),
    (nodes, list) => {
      const members = nodes.map((one, i) => ({ ...one, name: `n${i}` }));
      const map = firstMap(members, { slots: 32, points: 4 });
      const routes = new Routes(map);
      const n = list.length;
      // What lies behind the first n is somebody else's.
      const slots = Uint16Array.from([...list, 7, 7]);
      const order = new Uint32Array(n + 1).fill(99_999);
      const ends = new Uint32Array(map.owners.length);
      for (let round = 0; round < 2; round++) routes.sort(slots, n, order, ends);
      const expected = list
        .map((slot, i) => ({ owner: map.ownerOf[slot], slot, i }))
        .sort((a, b) => a.owner - b.owner || a.slot - b.slot || a.i - b.i);
      assert.equal(
        [...order.subarray(0, n)],
        expected.map(({ i }) => i),
      );
      assert.is(order[n], 99_999);
      assert.equal(
        [...ends],
        map.owners.map((_, owner) => expected.filter((one) => one.owner <= owner).length),
      );
    },
  );
  fc.assert(property, { seed: 1, numRuns: 300 });
});

test("an owner's slots are a range of places", () => {
  const map = firstMap([{ name: "a", shards: 3 }, { name: "b" }], { slots: 64 });
  const { slotAt, endOf } = new Routes(map);
  assert.equal(
    [...slotAt].sort((a, b) => a - b),
    Array.from(slotAt, (_, i) => i),
  );
  for (const [owner, end] of endOf.entries())
    for (let i = owner === 0 ? 0 : endOf[owner - 1]; i < end; i++) assert.is(map.ownerOf[slotAt[i]], owner);
});

test.run();
