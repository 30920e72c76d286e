// Quotas against all divisions that there are, one by one.
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { quotasOf } from "../../lib/ring/quotas.js";

/** The fewest slots that change hands in any division whose parts are shares rounded down or up. */
function fewest(slots: number, weights: readonly number[], before: readonly number[]): number {
  const total = weights.reduce((a, b) => a + b, 0);
  const visit = (i: number, left: number, taken: number, given: number): number => {
    if (i === weights.length) return left === 0 ? Math.max(taken, given) : Number.POSITIVE_INFINITY;
    const share = (slots * weights[i]) / total;
    const parts = new Set([Math.floor(share), Math.ceil(share)]);
    return Math.min(
      ...[...parts].map((part) =>
        visit(
          i + 1,
          left - part,
          taken + Math.max(0, part - before[i]),
          given + Math.max(0, before[i] - part),
        ),
      ),
    );
  };
  return visit(0, slots, 0, 0);
}

const holders = fc.array(
  fc.record({ weight: fc.integer({ min: 1, max: 9 }), before: fc.nat(12), joined: fc.boolean() }),
  {
    minLength: 1,
    maxLength: 9,
    size: "max",
  },
);

test("no division of rounded shares moves fewer slots", () => {
  const property = fc.property(holders, fc.nat(20), (all, spare) => {
    const weights = all.map(({ weight }) => weight);
    const before = all.map((one) => (one.joined ? 0 : one.before));
    const slots = before.reduce((a, b) => a + b, 0) + spare;
    const quotas = quotasOf({ slots, weights, before, joined: all.map(({ joined }) => joined) });
    const total = weights.reduce((a, b) => a + b, 0);
    weights.forEach((weight, i) => {
      assert.ok(Math.abs(quotas[i] - (slots * weight) / total) < 1, `${quotas[i]} of ${slots}`);
    });
    const taken = quotas.reduce((sum, quota, i) => sum + Math.max(0, quota - before[i]), 0);
    assert.is(taken, fewest(slots, weights, before));
  });
  fc.assert(property, { seed: 1, numRuns: 3000 });
});

test("who joins takes before others do, though they are further below their shares", () => {
  // Shares 3, 6.9 and 0.1. The first must give one: to the third, which joins, and not to the second.
  const division = { slots: 10, weights: [30, 69, 1], before: [4, 6, 0] };
  assert.equal([...quotasOf({ ...division, joined: [false, false, true] })], [3, 6, 1]);
  assert.equal([...quotasOf({ ...division, joined: [false, false, false] })], [3, 7, 0]);
});

test("the first division rounds up the largest remainders (Hamilton 1792)", () => {
  const joined = [true, true, true, true];
  const quotas = quotasOf({ slots: 10, weights: [15, 14, 13, 8], before: [0, 0, 0, 0], joined });
  // Shares 3, 2.8, 2.6 and 1.6.
  assert.equal([...quotas], [3, 3, 3, 1]);
});

test("shares that are whole stay whole where weights are greatest", () => {
  const weights = new Array<number>(1024).fill(1e8);
  const quotas = quotasOf({
    slots: 65_536,
    weights,
    before: new Array<number>(1024).fill(0),
    joined: new Array<boolean>(1024).fill(true),
  });
  assert.ok(quotas.every((quota) => quota === 64));
});

test.run();
