// What becomes of calls when nodes are away, late, changed or full.
import * as assert from "uvu/assert";
import type { FailedPart } from "../../lib/client/partial-error.js";
import type { EmbershardError, PartialError } from "../../lib/index.js";
import { codeOf } from "../laws/twin.js";
import { client, clientSuite, dim, errorOf, keys, ones, served, until } from "./client-suite.js";

const test = clientSuite("client faults");

test("an owner stays away: its part fails and says so, the rest is done", async (context) => {
  const cluster = await served(context, 3);
  const { table } = await client(context, { tries: 2 });
  await table.push(keys, ones);
  await cluster.kill(1);
  for (const call of [() => table.push(keys, ones), () => table.pull(keys)]) {
    const error = await errorOf<PartialError>(call());
    assert.is(error.code, "PARTIAL", error.stack);
    assert.is(error.retry, true);
    assert.is(error.parts.length, 1);
    const [{ owner, keys: missing, error: cause }] = error.parts;
    assert.match(owner, /^node node, shard 1 \(node:7402\)$/);
    assert.is(cause.code, "UNAVAILABLE");
    assert.match(
      error.message,
      new RegExp(`of 200 keys was done but for ${missing} keys of node node, shard 1 .*nobody listens there`),
    );
    assert.ok(missing > 20 && missing < 180, `${missing} keys`);
  }
  await cluster.restart(1);
  const counts = await table.occurrences(keys);
  assert.equal(new Set(counts), new Set([1, 2]));
});

test("all owners stay away: one error, not a list of parts", async (context) => {
  const cluster = await served(context, 2);
  const { table } = await client(context, { tries: 1 });
  await cluster.kill(0);
  await cluster.kill(1);
  const error = await errorOf<EmbershardError>(table.pull(keys));
  assert.is(error.code, "UNAVAILABLE");
  assert.match(error.message, /node node, shard \d/);
  await cluster.restart(0);
  await cluster.restart(1);
});

test("nothing passes: DEADLINE; an answer that comes later is not written to the caller's array", async (context) => {
  const cluster = await served(context, 2);
  const { table } = await client(context, { deadlineMs: 400 });
  const other = await client(context);
  await table.push(keys, ones);
  cluster.network.setFaults({ blackHole: true }, "node", "client");
  const into = new Float32Array(keys.length * dim).fill(-7);
  const late = await errorOf<EmbershardError>(table.pull(keys, { into }));
  assert.is(late.code, "DEADLINE", late.stack);
  cluster.network.setFaults({ blackHole: false }, "node", "client");
  const rows = await other.table.pull(keys);
  assert.ok(rows.every((weight) => weight !== -7));
  assert.equal(new Set(into), new Set([-7]));
  assert.equal(await table.pull(keys), rows);
});

test("replies are lost: pushes are sent again, answered, and not applied", async (context) => {
  const cluster = await served(context, 2);
  const { table } = await client(context);
  // Of the node's messages many are lost with their connections: cut before them, in their middle or behind them.
  cluster.network.setFaults({ cut: 0.5 }, "node", "client");
  let pushes = 0;
  for (; cluster.services.some(({ counts }) => counts.repeated === 0); pushes++) await table.push(keys, ones);
  cluster.network.setFaults({ cut: 0 }, "node", "client");
  assert.equal(new Set(await table.occurrences(keys)), new Set([pushes]));
  const written = cluster.services.reduce((sum, { counts }) => sum + counts.rowsWritten, 0);
  assert.is(written, pushes * keys.length);
  const { retries, connections } = context.told;
  assert.ok(
    retries.some(({ peer, keys: sent, attempt }) => /shard 1/.test(peer) && sent > 0 && attempt === 1),
  );
  assert.ok(connections.some(({ open, error }) => !open && error?.code === "UNAVAILABLE"));
  assert.ok(
    connections.filter(({ open, peer }) => open && /shard 0/.test(peer)).length >= 2,
    "it connected again",
  );
});

test("a shard is killed between pushes that are under way: each is applied once, in order", async (context) => {
  const cluster = await served(context, 2);
  const { table } = await client(context);
  const twin = await context.cluster.connect();
  context.stores.push(twin);
  for (let round = 0; round < 5; round++) {
    const pushes = Array.from({ length: 8 }, (_, i) =>
      table.push(
        keys,
        Float32Array.from(ones, () => 1 + ((round + i) % 3)),
      ),
    );
    await cluster.killAndRestart(round % 2);
    await Promise.all(pushes);
  }
  assert.equal(new Set(await table.occurrences(keys)), new Set([40]));
  // Adagrad's rows depend on the order: all of them have seen the same gradients in the same one.
  const rows = await table.pull(keys);
  for (let at = 0; at < rows.length; at++) assert.is(rows[at], rows[0]);
});

test("waits double, with a random half, up to a second", async (context) => {
  const cluster = await served(context, 1);
  const { table } = await client(context, { tries: 6 });
  await cluster.kill(0);
  assert.is(await codeOf(() => table.pull(keys)), "UNAVAILABLE");
  const { retries } = context.told;
  assert.equal(
    retries.map(({ attempt }) => attempt),
    [1, 2, 3, 4, 5],
  );
  for (const { attempt, delayMs } of retries) {
    const most = 10 * 2 ** (attempt - 1);
    assert.ok(delayMs >= most / 2 && delayMs <= most, `attempt ${attempt}: ${delayMs} ms`);
  }
  await cluster.restart(0);
});

test("a push whose answer is lost: called again it counts again; a mark says to the next session that it was applied", async (context) => {
  const cluster = await served(context, 1);
  const { table } = await client(context, { worker: "w", deadlineMs: 400 });
  const mark = (n: number) => ({ mark: Uint8Array.of(n) });
  await table.push(keys, ones, mark(1));
  cluster.network.setFaults({ blackHole: true }, "node", "client");
  const late = await errorOf<EmbershardError>(table.push(keys, ones, mark(2)));
  assert.is(late.code, "DEADLINE", late.stack);
  cluster.network.setFaults({ blackHole: false }, "node", "client");
  const next = await client(context, { worker: "w" });
  assert.equal(await next.store.mark(), Uint8Array.of(2));
  assert.is(await codeOf(() => table.push(keys, ones, mark(3))), "FENCED");
  assert.equal(new Set(await next.table.occurrences(keys)), new Set([2]));
  await next.table.push(keys, ones, mark(2));
  assert.equal(new Set(await next.table.occurrences(keys)), new Set([3]));
});

test("a later map is learned in one extra round trip", async (context) => {
  const cluster = await served(context, 2);
  const { table } = await client(context);
  await table.push(keys, ones);
  cluster.setMap({ ...cluster.map, epoch: 9 });
  await table.push(keys, ones);
  await table.pull(keys);
  assert.equal(
    cluster.services.map(({ counts }) => counts.refused),
    [{ STALE_EPOCH: 1 }, { STALE_EPOCH: 1 }],
  );
  assert.is(context.told.maps.at(-1)!.epoch, 9);
  assert.equal(
    context.told.retries.map(({ delayMs }) => delayMs),
    [0, 0],
  );
  assert.equal(new Set(await table.occurrences(keys)), new Set([2]));
});

test("two workers with one name: the later session goes on, the earlier one is told FENCED", async (context) => {
  await served(context, 2);
  const first = await client(context, { worker: "w", session: 5n });
  await first.table.push(keys, ones);
  const second = await client(context, { worker: "w", session: 6n });
  await second.table.push(keys, ones);
  const fenced = await errorOf<EmbershardError>(first.table.push(keys, ones));
  assert.is(fenced.code, "FENCED", fenced.stack);
  assert.is(fenced.retry, false);
  const third = errorOf<EmbershardError>(client(context, { worker: "w", session: 4n }));
  assert.is((await third).code, "FENCED");
  assert.equal(new Set(await second.table.occurrences(keys)), new Set([2]));
});

test("a checkpoint ends when its signal is aborted", async (context) => {
  const cluster = await served(context, 2);
  const { store, table } = await client(context);
  await table.push(keys, ones);
  cluster.network.setFaults({ blackHole: true }, "node", "client");
  const ending = new AbortController();
  const checkpoint = errorOf<EmbershardError>(store.checkpoint({ signal: ending.signal }));
  ending.abort();
  assert.is((await checkpoint).code, "ABORTED");
  cluster.network.setFaults({ blackHole: false }, "node", "client");
  assert.ok((await store.checkpoint()).generation >= 1);
});

test("closing waits for calls under way; then there is nothing more to ask, and no connection", async (context) => {
  const cluster = await served(context, 2);
  const { store, table } = await client(context);
  await table.push(keys, ones);
  const calls = [table.push(keys, ones), table.pull(keys), table.contains(keys)];
  const closing = store.close();
  const rows = (await Promise.all(calls))[1] as Float32Array;
  await closing;
  assert.is(rows.length, keys.length * dim);
  await store.close();
  for (const call of [() => table.pull(keys), () => table.push(keys, ones), () => store.stats()])
    assert.is(await codeOf(call), "CLOSED");
  const open = context.told.connections.reduce((sum, { open }) => sum + (open ? 1 : -1), 0);
  assert.is(open, 0);
  const again = await client(context);
  assert.equal(new Set(await again.table.occurrences(keys)), new Set([2]));
  assert.is(cluster.services.length, 2);
});

test("over its memory a node takes no more rows: the client asks again until there is room", async (context) => {
  await served(context, 1, { memoryBytes: "64MiB" });
  const { table } = await client(context);
  const filler = await client(context, { tries: 1 });
  const wide = await filler.store.table("wide", { dim: 512, optimizer: table.options.optimizer });
  let next = 0n;
  // The last ones by single rows, so that there is no room for another.
  for (const rows of [500, 1]) {
    const gradients = new Float32Array(rows * 512).fill(1);
    for (let code: string | undefined; code === undefined; next += BigInt(rows)) {
      const chunk = BigUint64Array.from({ length: rows }, (_, i) => next + BigInt(i));
      code = await codeOf(() => wide.push(chunk, gradients));
      if (code !== undefined) assert.is(code, rows === 1 || code !== "PARTIAL" ? "OVERLOADED" : "PARTIAL");
    }
  }
  const pushing = table.push(keys, ones);
  await until(() => context.told.retries.length > 1);
  assert.equal([...new Set(context.told.retries.map(({ error }) => error.code))], ["OVERLOADED"]);
  // Reading goes on.
  assert.is((await table.pull(keys)).length, keys.length * dim);
  await filler.store.dropTable("wide");
  // A dropped table's pages are free when a checkpoint has forgotten them: the next refusal has one written.
  await pushing;
  assert.equal(new Set(await table.occurrences(keys)), new Set([1]));
});

test("who aborts is told ABORTED, wherever in the answers that is, and of writes which parts were", async (context) => {
  await served(context, 2, { frameBytes: 64 << 10 });
  const { table } = await client(context);
  const n = 20_000;
  const many = BigUint64Array.from({ length: n }, (_, i) => BigInt(i));
  const gradients = new Float32Array(dim * n).fill(1);
  await table.push(many, gradients);
  context.cluster.network.setFaults({ delayMs: [0, 10], bytesPerMs: 20_000 }, "client", "node");
  context.cluster.network.setFaults({ delayMs: [0, 10], bytesPerMs: 20_000 }, "node", "client");
  const told = { pulls: new Set<unknown>(), pushes: new Set<unknown>(), parts: new Set<unknown>() };
  const both = [
    async (signal?: AbortSignal) => {
      told.pulls.add(await codeOf(() => table.pull(many, { ...(signal && { signal }) })));
    },
    async (signal?: AbortSignal) => {
      const error = await table.push(many, gradients, { ...(signal && { signal }) }).catch((error) => error);
      told.pushes.add(error?.code);
      if (error?.code === "PARTIAL")
        for (const part of error.parts as FailedPart[]) told.parts.add(part.error.code);
    },
  ];
  for (const call of both) {
    const begun = performance.now();
    await call();
    const took = performance.now() - begun;
    for (let i = 0; i < 30; i++) {
      const aborting = new AbortController();
      setTimeout(() => aborting.abort(), (took * i) / 25);
      await call(aborting.signal);
    }
  }
  told.pulls.delete(undefined);
  assert.equal([...told.pulls], ["ABORTED"]);
  for (const code of told.pushes)
    assert.ok([undefined, "ABORTED", "PARTIAL"].includes(code as string), `${code}`);
  for (const code of told.parts) assert.is(code, "ABORTED");
  context.cluster.network.setFaults({ delayMs: [0, 0], bytesPerMs: 0 }, "client", "node");
  context.cluster.network.setFaults({ delayMs: [0, 0], bytesPerMs: 0 }, "node", "client");
});

test.run();
