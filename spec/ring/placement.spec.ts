// The claims of placement, over clusters of random weights, zones and shards to which anything may happen.
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Member } from "../../lib/ring/members.js";
import { movesBetween, slotsByNode } from "../../lib/ring/moves.js";
import { firstMap, nextMap, shardsOfSlots } from "../../lib/ring/placement.js";
import { placementFingerprint, type SlotMap } from "../../lib/ring/slot-map.js";
import { boundsOf, type Change, changed, changesOf, countsOf, membersOf, nodesOf } from "./clusters.js";

const seed = 5;
const small = { slots: 256, points: 8, mostPoints: 512 };

/** Tells the story of a cluster: each map with the one before it. */
function tell(
  members: readonly Member[],
  changes: readonly Change[],
  options: { slots: number; points: number; mostPoints: number },
  look: (map: SlotMap, now: readonly Member[], before?: SlotMap, then?: readonly Member[]) => void,
): void {
  let now: readonly Member[] = members;
  let map = firstMap(now, options);
  look(map, now);
  for (const [i, change] of changes.entries()) {
    const then = now;
    now = changed(now, change, i);
    const before = map;
    map = nextMap(before, now, options);
    look(map, now, before, then);
  }
}

/** Of an earlier map: slots by node, of those that still are there and of those that joined (0). */
function heldBefore(before: SlotMap, now: readonly Member[]): number[] {
  const held = slotsByNode(before);
  return now.map(({ name }) => held.get(name) ?? 0);
}

function checkShares(map: SlotMap, members: readonly Member[]): void {
  const { ownerOf, owners } = map;
  const held = slotsByNode(map);
  for (const [name, [low, high]] of boundsOf(members, ownerOf.length)) {
    const slots = held.get(name)!;
    assert.ok(low <= slots && slots <= high, `${name} has ${slots} slots, its share is ${low} to ${high}`);
  }
  const byOwner = countsOf(ownerOf);
  for (const [i, { node, shard }] of owners.entries()) {
    const share = held.get(node)! / members.find(({ name }) => name === node)!.shards!;
    const slots = byOwner.get(i) ?? 0;
    assert.ok(Math.abs(slots - share) < 1, `${node}/${shard} has ${slots} slots, its share is ${share}`);
  }
}

/** No fewer slots can change their node, whoever divides: as many must be taken by those below, or given by those above. */
function checkFewestMoves(map: SlotMap, members: readonly Member[], before: SlotMap): void {
  const bounds = [...boundsOf(members, map.ownerOf.length).values()];
  const held = heldBefore(before, members);
  const taken = bounds.reduce((sum, [low], i) => sum + Math.max(0, low - held[i]), 0);
  const kept = held.reduce((sum, slots, i) => sum + Math.min(slots, bounds[i][1]), 0);
  const [old, fresh] = [nodesOf(before), nodesOf(map)];
  const moved = fresh.filter((node, slot) => node !== old[slot]).length;
  assert.is(moved, Math.max(taken, map.ownerOf.length - kept));
}

/** Whether quotas let all that moves go to who joined and come from who left. */
function isPossible(before: SlotMap, then: readonly Member[], now: readonly Member[]): boolean {
  const slots = before.ownerOf.length;
  const held = heldBefore(before, now);
  const bounds = [...boundsOf(now, slots).values()];
  const joins = now.length > then.length;
  const nearest = now.map(({ name }, i) => {
    if (joins) return then.some((one) => one.name === name) ? Math.min(held[i], bounds[i][1]) : bounds[i][1];
    return Math.max(held[i], bounds[i][0]);
  });
  const sum = nearest.reduce((a, b) => a + b, 0);
  return joins ? sum >= slots : sum <= slots;
}

/** What moves at a join or a leave goes to who joined, or comes from who left. */
function checkSides(map: SlotMap, now: readonly Member[], before: SlotMap, then: readonly Member[]): void {
  const joined = now.find(({ name }) => !then.some((one) => one.name === name))?.name;
  const left = then.find(({ name }) => !now.some((one) => one.name === name))?.name;
  for (const { from, to } of movesBetween(before, map)) {
    if (joined !== undefined) assert.is(to, joined);
    if (left !== undefined) assert.is(from, left);
  }
}

test("whatever happens, shares are exact, moves are the fewest, and shards of a node move nothing among themselves", () => {
  let sides = 0;
  const story = fc.property(membersOf(24), changesOf(12), (members, changes) =>
    tell(members, changes, small, (map, now, before, then) => {
      checkShares(map, now);
      if (!before || !then) return;
      assert.is(map.epoch, before.epoch + 1);
      checkFewestMoves(map, now, before);
      const resharded = now.some((one) =>
        then.some(({ name, shards }) => name === one.name && shards !== one.shards),
      );
      if (!resharded)
        assert.equal(
          movesBetween(before, map).filter(({ from, to }) => from === to),
          [],
        );
      if (now.length === then.length) return;
      if (isPossible(before, then, now)) {
        sides++;
        checkSides(map, now, before, then);
      }
    }),
  );
  fc.assert(story, { seed, numRuns: 400 });
  assert.ok(sides > 900, `${sides} joins and leaves`);
});

test("of nodes of one weight, only who joins takes and only who leaves gives, always", () => {
  const one = fc.constant(3);
  const story = fc.property(membersOf(40, one), changesOf(15, one), (members, changes) =>
    tell(members, changes, small, (map, now, before, then) => {
      checkShares(map, now);
      if (!before || !then) return;
      checkFewestMoves(map, now, before);
      checkSides(map, now, before, then);
    }),
  );
  fc.assert(story, { seed, numRuns: 150 });
});

test("the same of up to 1,000 nodes of random weights and all slots", () => {
  const members = fc.integer({ min: 0, max: 2 }).chain((size) => {
    const nodes = [50, 400, 1000][size];
    return fc.array(fc.integer({ min: 500, max: 8000 }), { minLength: nodes, maxLength: nodes, size: "max" });
  });
  let possible = 0;
  const story = fc.property(members, changesOf(5), (weights, changes) => {
    const all = weights.map((units, i) => ({
      name: `node-${i}`,
      weight: units / 1000,
      zone: `${i % 7}`,
      shards: 1 + (i % 3),
    }));
    tell(all, changes, { slots: 16_384, points: 16, mostPoints: 1 << 14 }, (map, now, before, then) => {
      checkShares(map, now);
      if (!before || !then) return;
      checkFewestMoves(map, now, before);
      if (now.length !== then.length && isPossible(before, then, now)) {
        possible++;
        checkSides(map, now, before, then);
      }
    });
  });
  fc.assert(story, { seed, numRuns: 6 });
  assert.ok(possible > 5, `${possible} joins and leaves`);
});

test("where quotas forbid it, they win: leavers that hold nothing leave others below their shares", () => {
  const weights = { big: 2008, tiny: 1 };
  const slots = 1024;
  const tiny = Array.from({ length: 40 }, (_, i) => ({ name: `tiny-${i}`, weight: weights.tiny, shards: 1 }));
  const all = [{ name: "big", weight: weights.big, shards: 1 }, ...tiny];
  const before = firstMap(all, { slots, points: 8 });
  const held = slotsByNode(before);
  const stay = all.filter(({ name }) => held.get(name)! > 0);
  const left = all.length - stay.length;
  assert.ok(left > 0);
  const map = nextMap(before, stay, { points: 8 });
  checkShares(map, stay);
  checkFewestMoves(map, stay, before);
  assert.not.ok(isPossible(before, all, stay));
});

test("a node alone gives its shards ranges of slots", () => {
  for (const shards of [1, 2, 3, 8, 13]) {
    const { ownerOf } = firstMap([{ name: "alone", shards }]);
    assert.equal(ownerOf, shardsOfSlots(shards, 16_384));
  }
  assert.equal([...shardsOfSlots(3, 8)], [0, 0, 0, 1, 1, 1, 2, 2]);
});

test("neither the order of members nor their addresses and zones matter to who owns what", () => {
  const story = fc.property(membersOf(20), fc.nat(), (members, turn) => {
    const map = firstMap(members, small);
    const k = turn % members.length;
    const turned = [...members.slice(k), ...members.slice(0, k)].reverse();
    const moved = turned.map((one) => ({ ...one, zone: "w", host: "h", port: 7400 }));
    assert.is(placementFingerprint(firstMap(moved, small)), placementFingerprint(map));
  });
  fc.assert(story, { seed, numRuns: 50 });
});

test("owners are all shards, with the addresses of their listeners", () => {
  const { owners } = firstMap([
    { name: "b", shards: 2, host: "hb", port: 7400 },
    { name: "a", host: "ha" },
  ]);
  assert.equal(owners, [
    { node: "a", shard: 0, host: "ha", port: 0 },
    { node: "b", shard: 0, host: "hb", port: 7401 },
    { node: "b", shard: 1, host: "hb", port: 7402 },
  ]);
});

test("what is no cluster is refused, and so is another number of slots", () => {
  const a = { name: "a" };
  const wrong: [() => unknown, RegExp][] = [
    [() => firstMap([]), /members: found 0/],
    [() => firstMap([a, a]), /two named "a"/],
    [() => firstMap([{ name: "" }]), /a member's name: found ""/],
    [() => firstMap([{ name: "é" }]), /a member's name/],
    [() => firstMap([{ name: "a", weight: 0 }]), /weight of a: found 0/],
    [() => firstMap([{ name: "a", weight: Number.NaN }]), /weight of a: found NaN/],
    [() => firstMap([{ name: "a", weight: 2e5 }]), /weight of a/],
    [() => firstMap([{ name: "a", shards: 0 }]), /shards of a: found 0/],
    [() => firstMap([{ name: "a", shards: 4, port: 65_533 }]), /port of a: found 65533/],
    [() => firstMap([a], { slots: 1000 }), /slots: found 1000/],
    [
      () => firstMap(Array.from({ length: 70 }, (_, i) => ({ name: `${i}`, shards: 1000 }))),
      /70000 shards together/,
    ],
    [() => nextMap(firstMap([a]), [a], { slots: 256 }), /slots: found 256, expected 16384/],
  ];
  for (const [work, message] of wrong) assert.throws(work, message);
});

test.run();
