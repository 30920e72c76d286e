import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { PlanMemory } from "../../lib/client/plan-memory.js";
import { PullOrder, pullOrderBytes, type Window } from "../../lib/client/pull-order.js";
import { beginOf, type Placed, type Route, routeBySlot, routeBytes } from "../../lib/client/routing.js";
import { hashKey } from "../../lib/kernel/oracle/hash.js";
import { firstMap } from "../../lib/ring/placement.js";
import { Routes } from "../../lib/ring/routes.js";

const placement = 12n;
const random = new Prng(9);

function clusterOf(shards: number): Placed {
  const map = firstMap([{ name: "node", shards, host: "node", port: 1 }]);
  return { map, owners: map.owners.map((_, owner) => owner), routes: new Routes(map) };
}

function drawn(n: number, pool: number): BigUint64Array {
  return BigUint64Array.from({ length: n }, () => BigInt(random.below(pool)) * 0x9e37_79b9_7f4an);
}

const slotOf = (key: bigint) => Number(hashKey(key, placement) >> 50n);

/** Keys of the route, owner by owner, once it has been seen that each key that was given is at its place. */
function routed(memory: PlanMemory, route: Route, places: number, given: BigUint64Array): bigint[][] {
  const keys = memory.u64.subarray(route.keys / 8, route.keys / 8 + route.n);
  given.forEach((key, i) => {
    assert.is(keys[places === 0 ? i : memory.u32[places / 4 + i]], key);
  });
  return Array.from(route.ends, (end, owner) => [...keys.subarray(beginOf(route, owner), end)]);
}

const sizes = [
  [0, 1],
  [1, 1],
  [700, 1_000_000],
  [3000, 40],
  [5000, 2500],
];

test("what is written is ordered by owner, slot and position, and it is known where each slot ends", () => {
  for (const shards of [1, 3, 8])
    for (const [n, pool] of sizes) {
      const cluster = clusterOf(shards);
      const { map, routes } = cluster;
      const given = drawn(n, pool);
      const memory = new PlanMemory();
      memory.begin(8 * n + 64 + routeBytes(n));
      const at = memory.take(8 * n);
      memory.u64.set(given, at / 8);
      const route = routeBySlot(memory, cluster, placement, at, n);
      assert.ok(memory.end <= memory.bytes.length, "it takes what it said");
      const rank = (key: bigint) => routes.rankOf[slotOf(key)];
      assert.equal(
        routed(memory, route, route.places, given),
        map.owners.map((_, owner) =>
          [...given]
            .filter((key) => map.ownerOf[slotOf(key)] === owner)
            .sort((a, b) => slotOf(a) - slotOf(b)),
        ),
      );
      for (const one of [0, 1, 77, 16_383])
        assert.is(
          memory.u32[route.slotEnds / 4 + one],
          given.reduce((sum, key) => sum + Number(rank(key) <= one), 0),
        );
    }
});

function orderOf(cluster: Placed, given: BigUint64Array, windowKeys: number) {
  const memory = new PlanMemory();
  memory.begin(pullOrderBytes(given.length));
  const order = new PullOrder(memory, cluster, placement, given, windowKeys);
  assert.ok(memory.end <= memory.bytes.length, "it takes what it said");
  return { memory, order };
}

function taken(order: PullOrder): Window[] {
  const windows: Window[] = [];
  for (let window = order.next(); window; window = order.next()) windows.push(window);
  return windows;
}

test("keys are asked for in the order in which they were given, once where many come more than once", () => {
  for (const shards of [1, 3, 8])
    for (const [n, pool] of sizes) {
      const cluster = clusterOf(shards);
      const given = drawn(n, pool);
      const { memory, order } = orderOf(cluster, given, 100);
      const once = pool <= n;
      const expected = once ? [...new Set(given)] : [...given];
      if (once && n > 1) assert.ok(order.route.n < n);
      assert.equal(
        routed(memory, order.route, order.places, given),
        cluster.map.owners.map((_, owner) =>
          expected.filter((key) => cluster.map.ownerOf[slotOf(key)] === owner),
        ),
      );
      assert.is(order.places === 0, shards === 1 && !(once && n > 1));
    }
});

test("keys are handed over when all of their rows are there, whichever owner's come first", () => {
  for (const shards of [1, 2, 8])
    for (const [n, pool] of sizes) {
      const cluster = clusterOf(shards);
      const given = drawn(n, pool);
      const { memory, order } = orderOf(cluster, given, 64);
      const { ends } = order.route;
      const here = new Uint8Array(order.route.n);
      const have = Array.from(ends, (_, owner) => beginOf(order.route, owner));
      let next = 0;
      const see = (windows: Window[]) => {
        for (const { from, to } of windows) {
          assert.is(from, next);
          for (let i = from; i < to; i++)
            assert.is(here[order.places === 0 ? i : memory.u32[order.places / 4 + i]], 1);
          next = to;
        }
      };
      // Of what could be handed over nothing waits.
      const waits = () => {
        const to = Math.min(n, next + 64);
        for (let i = next; i < to; i++)
          if (here[order.places === 0 ? i : memory.u32[order.places / 4 + i]] === 0) return true;
        return next === n;
      };
      while (have.some((at, owner) => at < ends[owner])) {
        const owner = random.below(shards);
        const to = Math.min(ends[owner], have[owner] + 1 + random.below(90));
        here.fill(1, have[owner], to);
        order.arrived(owner, have[owner], to);
        have[owner] = to;
        see(taken(order));
        assert.ok(waits());
      }
      assert.is(next, n);
      order.complete();
      assert.equal(taken(order), []);
    }
});

test("rows that come out of turn, and those behind them, are handed over at the end; so is what is held", () => {
  const given = drawn(500, 1_000_000);
  const { order } = orderOf(clusterOf(1), given, 200);
  // As one owner's: places are as given.
  order.arrived(0, 0, 150);
  order.arrived(0, 300, 500);
  assert.equal(taken(order), []);
  order.arrived(0, 0, 250);
  assert.equal(taken(order), [{ from: 0, to: 200 }]);
  order.hold();
  order.arrived(0, 250, 500);
  assert.equal(taken(order), []);
  order.complete();
  assert.equal(taken(order), [
    { from: 200, to: 400 },
    { from: 400, to: 500 },
  ]);
});

test.run();
