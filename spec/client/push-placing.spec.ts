import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import type { Cluster } from "../../lib/client/cluster.js";
import { PlanMemory } from "../../lib/client/plan-memory.js";
import { type PlacedPush, placePush, placingBytes } from "../../lib/client/push-placing.js";
import type { RemoteWrite } from "../../lib/client/write-plan.js";
import { hashKey } from "../../lib/kernel/oracle/hash.js";
import { firstMap } from "../../lib/ring/placement.js";
import { Routes } from "../../lib/ring/routes.js";

const placement = 12n;
const map = firstMap([{ name: "node", shards: 3, host: "node", port: 1 }]);
const cluster = { map, routes: new Routes(map) } as Cluster;
const random = new Prng(8);

function writeOf(keys: readonly bigint[], dim: number): RemoteWrite {
  const table = { dim, placement } as RemoteWrite["table"];
  const values = Float32Array.from({ length: keys.length * dim }, () => random.unit() * 2 - 1);
  return { table, kind: "push", keys: BigUint64Array.from(keys), values, learningRate: 1 };
}

function placed(write: RemoteWrite): { memory: PlanMemory; push: PlacedPush | undefined } {
  const memory = new PlanMemory();
  memory.begin(placingBytes(write));
  return { memory, push: placePush(memory, cluster, write) };
}

/** Row by row: distinct keys by owner, slot and first occurrence, sums in float32 in order of occurrence. */
function expectedOf({ keys, values, table: { dim } }: RemoteWrite) {
  const rows = new Map<bigint, { count: number; sum: Float32Array }>();
  keys.forEach((key, i) => {
    const row = values!.subarray(i * dim, (i + 1) * dim);
    const known = rows.get(key);
    if (!known) rows.set(key, { count: 1, sum: row.slice() });
    else {
      known.count++;
      for (let e = 0; e < dim; e++) known.sum[e] = Math.fround(known.sum[e] + row[e]);
    }
  });
  const slotOf = (key: bigint) => Number(hashKey(key, placement) >> 50n);
  const rank = (key: bigint) => map.ownerOf[slotOf(key)] * 2 ** 14 + slotOf(key);
  return [...rows].sort(([a], [b]) => rank(a) - rank(b));
}

test("rows are where they are sent from, those of equal keys summed in order of occurrence, bit for bit", () => {
  for (const [n, pool, dim] of [
    [0, 1, 4],
    [1, 1, 1],
    [500, 400, 3],
    [3000, 50, 64],
    [5000, 1_000_000, 16],
    [40, 40, 2000],
    [20_000, 30_000, 5],
  ]) {
    const drawn = Array.from({ length: n }, () => BigInt(random.below(pool)) * 0x9e37_79b9_7f4an);
    const write = writeOf(drawn, dim);
    const { memory, push } = placed(write);
    const expected = expectedOf(write);
    const { route, values, counts } = push!;
    assert.is(route.n, expected.length);
    const repeats = expected.some(([, { count }]) => count > 1);
    assert.is(counts !== 0, repeats, "counts are there if a key comes twice");
    const name = `${n} of ${pool}, dim ${dim}`;
    expected.forEach(([key, { count, sum }], place) => {
      assert.is(memory.u64[route.keys / 8 + place], key, name);
      if (counts) assert.is(memory.u32[counts / 4 + place], count, name);
      const at = values / 4 + place * dim;
      assert.equal(memory.u32.slice(at, at + dim), new Uint32Array(sum.buffer), name);
    });
    assert.ok(memory.end <= memory.bytes.length, "it takes what it said");
  }
});

test("a gradient that is not finite, or a sum that is not, is left to the way that knows what to do", () => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const write = writeOf(
      Array.from({ length: 5000 }, (_, i) => BigInt(i)),
      8,
    );
    write.values![4999 * 8 + 7] = bad;
    assert.is(placed(write).push, undefined);
  }
  const twice = writeOf([5n, 6n, 5n], 2);
  twice.values!.set([3e38, 0], 0);
  twice.values!.set([3e38, 0], 4);
  assert.is(placed(twice).push, undefined);
});

test.run();
