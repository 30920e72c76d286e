// A client asks no more at once than its node allows: calls wait instead of being refused.
import { getEventListeners } from "node:events";
import * as assert from "uvu/assert";
import { adagrad, type EmbershardError, sgd, zeros } from "../../lib/index.js";
import { codeOf } from "../laws/twin.js";
import { type ClientContext, clientSuite, served } from "./client-suite.js";

const test = clientSuite("flow");

/** A node of so many shards, and a client. */
async function opened(context: ClientContext, shards: number, settings?: Parameters<typeof served>[2]) {
  const cluster = await served(context, shards, settings);
  const store = await cluster.connect();
  context.stores.push(store);
  return { cluster, store };
}

const dim16 = { dim: 16, optimizer: sgd({ learningRate: 1 }), initializer: zeros() };

test("any number of calls at once, and none is refused", async (context) => {
  const { cluster, store } = await opened(context, 2, { frameBytes: 1 << 20, connectionBytes: 2 << 20 });
  const dim = 64;
  const items = await store.table("items", { dim, optimizer: adagrad({ learningRate: 0.1 }), ack: "os" });
  const keys = BigUint64Array.from({ length: 1000 }, (_, i) => BigInt(i));
  const pushes = Array.from({ length: 60 }, () =>
    items.push(keys, new Float32Array(keys.length * dim).fill(1)),
  );
  await Promise.all(pushes);
  assert.ok((await items.occurrences(keys)).every((count) => count === 60));
  const pulls = await Promise.all(Array.from({ length: 60 }, () => items.pull(keys)));
  for (const rows of pulls) assert.is(Buffer.compare(bytesOf(rows), bytesOf(pulls[0])), 0);
  for (const service of cluster.services) assert.equal(service.counts.refused, {});
});

test("calls are cut to the frames that nodes take", async (context) => {
  const { cluster, store } = await opened(context, 2, { frameBytes: 64 << 10, connectionBytes: 64 << 10 });
  const items = await store.table("items", dim16);
  const n = 20_000;
  const keys = BigUint64Array.from({ length: n }, (_, i) => BigInt(i));
  const gradients = Float32Array.from({ length: 16 * n }, (_, i) => i);
  await items.push(keys, gradients);
  const rows = await items.pull(keys);
  assert.ok(rows.every((value, i) => value === -i || i === 0));
  for (const service of cluster.services) assert.equal(service.counts.refused, {});
});

test("a large push that follows others to an only owner goes in two frames, and is applied once", async (context) => {
  const { store } = await opened(context, 1);
  const items = await store.table("items", { ...dim16, ack: "os" });
  const n = 8192;
  const keys = BigUint64Array.from({ length: n }, (_, i) => BigInt(i));
  const gradients = new Float32Array(16 * n).fill(-1);
  const recordsOf = async (pushes: number): Promise<number> => {
    const { lsn } = (await store.stats()).log;
    await Promise.all(Array.from({ length: pushes }, () => items.push(keys, gradients)));
    return (await store.stats()).log.lsn - lsn;
  };
  assert.is(await recordsOf(1), 1);
  assert.is(await recordsOf(1), 1, "nothing was on its way");
  assert.is(await recordsOf(3), 5, "the second and the third follow one");
  assert.ok((await items.pull(keys)).every((value) => value === 5));
  assert.ok((await items.occurrences(keys)).every((count) => count === 5));
});

test("a call ends when its signal is aborted, and those that follow go on", async (context) => {
  const { store } = await opened(context, 2);
  const items = await store.table("items", { dim: 4, optimizer: adagrad({ learningRate: 0.1 }) });
  const keys = BigUint64Array.of(1n, 2n, 3n, 4n, 5n);
  const gradients = new Float32Array(20).fill(1);
  await items.push(keys, gradients);
  for (const call of [
    (signal: AbortSignal) => items.pull(keys, { signal }),
    (signal: AbortSignal) => items.push(keys, gradients, { signal }),
    (signal: AbortSignal) => store.pull([{ table: items, keys, signal }]),
  ]) {
    assert.is(await codeOf(() => call(AbortSignal.abort())), "ABORTED");
    const ending = new AbortController();
    const ended = codeOf(() => call(ending.signal));
    ending.abort();
    assert.is(await ended, "ABORTED");
  }
  assert.is(await codeOf(() => items.pull(keys, { signal: 1 as never })), "INVALID_ARGUMENT");
  await items.push(keys, gradients);
  const [first] = await items.occurrences(keys);
  assert.ok(first >= 2 && first <= 3, `${first} pushes`);
});

test("an array that is taken away from a pull ends that pull, and nothing else", async (context) => {
  const { store } = await opened(context, 2);
  const counters = { names: ["shown"] };
  const items = await store.table("items", { dim: 64, optimizer: adagrad({ learningRate: 0.1 }), counters });
  const keys = BigUint64Array.from({ length: 5000 }, (_, i) => BigInt(i));
  const gradients = new Float32Array(64 * keys.length).fill(1);
  const takeAway = ({ buffer }: Float32Array | Uint8Array) =>
    structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
  const arrays = () => ({
    into: new Float32Array(gradients.length),
    state: new Float32Array(gradients.length),
    found: new Uint8Array(keys.length),
    shown: new Float32Array(keys.length),
  });
  let pushes = 0;
  for (const lost of ["into", "state", "found", "shown"] as const) {
    const { shown, ...given } = arrays();
    const pull = items.pull(keys, { ...given, ...(lost === "shown" && { counters: { shown } }) });
    const others = Array.from({ length: 3 }, () => items.push(keys, gradients));
    pushes += others.length;
    takeAway(lost === "shown" ? shown : given[lost]);
    const error = await pull.then(
      () => assert.unreachable(lost),
      (error: EmbershardError) => error,
    );
    assert.is(error?.code, "INVALID_ARGUMENT", lost);
    assert.match(error!.message, "was detached");
    await Promise.all(others);
  }
  assert.equal(new Set(await items.occurrences(keys)), new Set([pushes]));
});

test("any number of calls share a signal, which has one listener, and none afterwards", async (context) => {
  const { store } = await opened(context, 2);
  const items = await store.table("items", { dim: 4, optimizer: adagrad({ learningRate: 0.1 }) });
  const keys = BigUint64Array.of(1n, 2n, 3n, 4n, 5n);
  const [one, other] = [new AbortController(), new AbortController()];
  const listening = () => [one, other].map(({ signal }) => getEventListeners(signal, "abort").length);
  const read = (signal: AbortSignal) => ({ table: items, keys, signal });
  const pullAll = () =>
    Array.from({ length: 20 }, (_, i) =>
      i % 2 === 0
        ? items.pull(keys, { signal: one.signal })
        : store.pull([read(one.signal), read(other.signal), read(one.signal)]),
    );
  const pulls = pullAll();
  assert.equal(listening(), [1, 1]);
  await Promise.all(pulls);
  assert.equal(listening(), [0, 0]);
  const ended = pullAll().map((pull) => codeOf(() => pull));
  other.abort();
  assert.equal(
    await Promise.all(ended),
    Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? undefined : "ABORTED")),
  );
  assert.equal(listening(), [0, 0]);
});

function bytesOf(rows: Float32Array): Uint8Array {
  return new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength);
}

test.run();
