import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { firstMap } from "../../lib/ring/placement.js";
import { Routes } from "../../lib/ring/routes.js";

test("slots are ordered by owner, then by number", () => {
  const property = fc.property(
    fc.array(fc.record({ shards: fc.integer({ min: 1, max: 4 }) }), { minLength: 1, maxLength: 5 }),
    (nodes) => {
      const members = nodes.map((one, i) => ({ ...one, name: `n${i}` }));
      const map = firstMap(members, { slots: 32, points: 4 });
      const { rankOf, slotAt } = new Routes(map);
      const expected = [...map.ownerOf]
        .map((owner, slot) => ({ owner, slot }))
        .sort((a, b) => a.owner - b.owner || a.slot - b.slot)
        .map(({ slot }) => slot);
      assert.equal([...slotAt], expected);
      assert.equal(
        expected.map((slot) => rankOf[slot]),
        expected.map((_, rank) => rank),
      );
    },
  );
  fc.assert(property, { seed: 1, numRuns: 100 });
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
