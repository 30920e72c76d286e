// Connections that watch what a table lets go: what they are told, what they miss, and how it ends.
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { featureBits } from "../../lib/wire/handshake.js";
import { keysFrom, named, ServedShard, writePart } from "./served-shard.js";
import type { WirePeer } from "./wire-peer.js";

const test = suite("evictions told");
const optimizer = { kind: "sgd", learningRate: 1 } as const;
const dim = 512;

async function open(frameBytes = 4 << 20) {
  const served = await new ServedShard().open();
  const [peer, other] = [await served.connect({ frameBytes }), await served.connect()];
  const table = await peer.openTable("items", { dim, optimizer, logged: false, eviction: {} });
  /** Makes rows and has them evicted, by somebody else. */
  const evict = async (first: number, n: number) => {
    await other.ask("Done", {
      kind: "Assign",
      write: {},
      parts: [writePart(table, n)],
      keys: keysFrom(first, n),
      data: [new Float32Array(n * dim).fill(first)],
    });
    const evicted = { kind: "Evict", write: {}, ...named(table), by: 4, bound: 9 } as const;
    assert.is((await other.ask("Done", evicted)).touched, n);
  };
  const watch = () => peer.tell({ kind: "WatchEvicted", ...named(table) });
  return { served, peer, other, table, evict, watch };
}

async function evicted(peer: WirePeer, id: number) {
  const { body, more } = await peer.next(id);
  if (body.kind !== "Evicted") throw new Error(body.kind);
  assert.ok(more);
  return body;
}

test("rows are told in frames that the reader takes", async () => {
  const { peer, evict, watch } = await open(20_000);
  const id = watch();
  await evict(5, 30);
  const keys: bigint[] = [];
  while (keys.length < 30) {
    const { reason, rows, missed } = await evicted(peer, id);
    assert.equal([reason, missed], [3, 0]);
    const values = new Float32Array(rows.data.slice(0, 4 * dim * rows.count).buffer);
    assert.ok(values.every((value) => value === 5));
    keys.push(...rows.keys);
  }
  assert.equal(keys.sort(), [...keysFrom(5, 30)].sort());
  assert.ok(peer.longest <= 20_000, String(peer.longest));
});

test("a reader that is too slow misses rows, and is told how many", async () => {
  const { peer, evict, watch } = await open();
  const id = watch();
  await evict(0, 1);
  assert.is((await evicted(peer, id)).rows.count, 1);
  peer.holding = true;
  const each = 1000;
  for (let i = 0; i < 12; i++) await evict(i * each, each);
  assert.ok(peer.held > 16 << 20 && peer.held < 20 << 20, `${peer.held} bytes wait`);
  let [told, missed] = [0, 0];
  while (peer.has(id)) {
    const one = await evicted(peer, id);
    told += one.rows.count;
    missed += one.missed;
  }
  assert.is(missed, 0);
  assert.ok(told > 8000 && told < 12 * each, String(told));
  peer.holding = false;
  peer.drain();
  const rest = await evicted(peer, id);
  assert.equal([rest.rows.count, rest.missed], [0, 12 * each - told]);
  await evict(7, 3);
  const next = await evicted(peer, id);
  assert.equal([next.rows.count, next.missed], [3, 0]);
});

test("other bytes that wait do not count", async () => {
  const { peer, table, evict, watch } = await open();
  const id = watch();
  peer.holding = true;
  const pull = { kind: "Pull", parts: [{ ...named(table), count: 1000 }], keys: keysFrom(0, 1000) } as const;
  for (let i = 0; i < 10; i++) await peer.ask("Rows", pull);
  assert.ok(peer.held > 16 << 20);
  await evict(0, 4);
  assert.is((await evicted(peer, id)).rows.count, 4);
});

test("who cancels, or says goodbye, or is gone, is told no more", async () => {
  const { served, peer, evict, watch } = await open();
  const id = watch();
  peer.tell({ kind: "Cancel", request: id }, { id: 0 });
  await evict(0, 3);
  assert.not.ok(peer.has(id));
  watch();
  peer.tell({ kind: "Goodbye" }, { id: 0 });
  await peer.gone();
  assert.is(peer.ended?.code, 1000);
  const before = served.counts.bytesOut;
  await evict(0, 100);
  assert.ok(served.counts.bytesOut - before < 1000, "nobody is sent rows");
});

test("a node that stops does not wait for who watches", async () => {
  const { served, peer, watch } = await open();
  const id = watch();
  const drained = served.service.drain(1e9);
  const { body } = await peer.next(id);
  assert.is(body.kind === "Failure" && body.retry, true);
  await new Promise((resolve) => setImmediate(resolve));
  served.clock.pass(1);
  await drained;
});

test("without the feature nobody watches", async () => {
  const { served, table } = await open();
  const peer = await served.connect({ features: featureBits("counters") });
  peer.tell({ kind: "WatchEvicted", ...named(table) });
  await peer.gone();
  assert.match(peer.ended!.reason, /WatchEvicted needs feature "watch"/);
});

test.run();
