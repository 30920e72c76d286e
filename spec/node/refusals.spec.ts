// What a served shard refuses, with which code, and whether the connection goes on.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { sgd } from "../../lib/api/optimizers.js";
import { ERRORS } from "../../lib/base/errors.js";
import { firstMap } from "../../lib/ring/placement.js";
import { Column } from "../../lib/wire/generated/frame-types.js";
import { turns } from "../shard/fault-fixture.js";
import { codeOf, keysFrom, named, ServedShard, wholeMap, writePart } from "./served-shard.js";
import type { WirePeer } from "./wire-peer.js";

const optimizer = sgd({ learningRate: 1 });
const closeCode = (code: keyof typeof ERRORS) => 4000 + ERRORS[code].wire;

/** A shard with a table, and a worker's connection. */
async function open(settings = {}, hello = {}) {
  const served = await new ServedShard(settings).open();
  const peer = await served.connect(hello);
  const table = await peer.openTable("items", { dim: 2, optimizer });
  return { served, peer, table };
}

type Table = Awaited<ReturnType<WirePeer["openTable"]>>;

const pushOf = (table: Table, keys: BigUint64Array, write = {}, more = {}) =>
  ({
    kind: "Push",
    write,
    parts: [writePart(table, keys.length, more)],
    keys,
    data: [new Float32Array(keys.length * 2).fill(1)],
  }) as const;

const pullOf = (table: Table, keys: BigUint64Array) =>
  ({ kind: "Pull", parts: [{ ...named(table), count: keys.length }], keys }) as const;

test("before hello, nothing; twice, nothing; another major version, nothing", async () => {
  const served = await new ServedShard().open();
  const early = served.dial();
  assert.is(await early.refusal({ kind: "Stats" }), "PROTOCOL");
  assert.is(early.ended?.code, closeCode("PROTOCOL"));
  const twice = await served.connect();
  assert.is(await twice.refusal({ kind: "Hello", major: 1 }), "UNSUPPORTED");
  assert.is(twice.ended, undefined);
  const newer = served.dial();
  assert.is(await codeOf(newer.hello({ major: 2 })), "PROTOCOL");
  assert.is(newer.ended?.code, closeCode("PROTOCOL"));
  const eager = served.dial();
  const id = eager.tell({ kind: "Hello", major: 1, worker: "w", session: 1n });
  eager.tell({ kind: "Stats" });
  assert.is((await eager.next(id + 1)).body.kind, "Failure");
  assert.is(eager.ended?.code, closeCode("PROTOCOL"));
});

test("what is no frame ends the connection, and no other", async () => {
  const { served, peer, table } = await open();
  const other = await served.connect();
  other.raw(new Uint8Array(64));
  assert.is(other.ended?.code, closeCode("BAD_FRAME"));
  other.tell({ kind: "Stats" });
  assert.is(peer.ended, undefined);
  await peer.ask("Rows", pullOf(table, keysFrom(0, 1)));
});

test("an id that is in use, none, and a word after goodbye", async () => {
  const { served } = await open();
  const none = await served.connect();
  none.tell({ kind: "Stats" }, { id: 0 });
  assert.is(none.ended?.code, closeCode("PROTOCOL"));
  const twice = await served.connect();
  twice.tell({ kind: "Checkpoint" }, { id: 9 });
  twice.tell({ kind: "Stats" }, { id: 9 });
  assert.is(twice.ended?.code, closeCode("PROTOCOL"));
  const leaving = await served.connect();
  const id = leaving.tell({ kind: "Checkpoint" });
  leaving.tell({ kind: "Goodbye" }, { id: 0 });
  assert.is(leaving.ended, undefined, "what is under way is answered first");
  assert.is((await leaving.next(id)).body.kind, "Report");
  await new Promise((resolve) => setImmediate(resolve));
  assert.is(leaving.ended?.code, 1000);
});

test("another epoch is told the slot map, and nothing is applied", async () => {
  const { served, peer, table } = await open();
  served.service.setMap(wholeMap(5));
  for (const request of [pullOf(table, keysFrom(0, 1)), pushOf(table, keysFrom(0, 1))]) {
    for (const epoch of [1, 6]) {
      const failure = await peer.ask("Failure", request, { epoch });
      assert.is(failure.code, ERRORS.STALE_EPOCH.wire);
      assert.ok(failure.retry);
      assert.is(failure.slotMap?.epoch, 5);
    }
  }
  assert.is(served.shard.state.arenas.rows(served.shard.tables.get("items")!), 0);
  await peer.ask("Done", pushOf(table, keysFrom(0, 1)), { epoch: 5 });
});

test("keys of another owner's slots, and outside of what the frame says it covers", async () => {
  const map = firstMap([{ name: "node", shards: 2 }]);
  const served = await new ServedShard().open({}, map);
  const peer = await served.connect();
  const table = await peer.openTable("items", { dim: 2, optimizer });
  const keys = keysFrom(0, 64);
  for (const request of [
    pullOf(table, keys),
    pushOf(table, keys),
    { kind: "Contains", parts: [{ ...named(table), count: 64 }], keys } as const,
  ])
    assert.is(await peer.refusal(request), "STALE_EPOCH");
  served.service.setMap(wholeMap());
  assert.is(await peer.refusal(pushOf(table, keys, { firstSlot: 0, lastSlot: 8191 })), "INVALID_ARGUMENT");
  await peer.ask("Done", pushOf(table, keys, { firstSlot: 0, lastSlot: 16_383 }));
});

test("a table, a fingerprint, a dimension that are not the shard's", async () => {
  const { served, peer, table } = await open();
  const keys = keysFrom(0, 2);
  assert.is(await peer.refusal(pullOf({ ...table, id: 1n }, keys)), "TABLE_NOT_FOUND");
  assert.is(await peer.refusal(pullOf({ ...table, fingerprint: 1n }, keys)), "TABLE_MISMATCH");
  const narrow = { ...pushOf(table, keys, {}, { dim: 1 }), data: [new Float32Array(2)] };
  assert.is(await peer.refusal(narrow), "TABLE_MISMATCH");
  const bf16 = { ...pushOf(table, keys, {}, { element: 2 }), data: [new Uint16Array(4)] };
  const plain = await served.connect({ features: 0 });
  plain.tell(bf16);
  assert.is(plain.ended?.code, closeCode("PROTOCOL"), "a feature that was not agreed on");
});

test("a table that is made anew with another dimension is another table to those who knew the old one", async () => {
  const { served, peer, table } = await open();
  const other = await served.connect();
  await other.ask("Done", { kind: "DropTable", name: "items" });
  assert.is(await peer.refusal(pullOf(table, keysFrom(0, 1))), "TABLE_NOT_FOUND");
  await other.openTable("items", { dim: 3, optimizer });
  assert.is(await peer.refusal(pullOf(table, keysFrom(0, 1))), "TABLE_MISMATCH");
  await other.openTable("items", { optimizer: sgd({ learningRate: 0.1 }) });
  assert.is(await codeOf(other.openTable("items", { dim: 2 })), "TABLE_MISMATCH");
});

test("a learning rate that changes does not make a table another one", async () => {
  const { served, peer, table } = await open();
  const other = await served.connect();
  const changed = await other.openTable("items", { optimizer: sgd({ learningRate: 0.5 }), ack: "memory" });
  assert.is(changed.fingerprint, table.fingerprint);
  await peer.ask("Done", pushOf(table, keysFrom(0, 1)));
});

test("two workers with one name: the later session fences the earlier", async () => {
  const { served, peer, table } = await open({}, { worker: "w", session: 5n });
  const write = (session: bigint, sequence: number) => ({ worker: 1, session, sequence });
  await peer.ask("Done", pushOf(table, keysFrom(0, 1), write(5n, 1)));
  assert.is(await codeOf(served.dial().hello({ worker: "w", session: 4n })), "FENCED");
  const later = await served.connect({ worker: "w", session: 6n });
  assert.is(await peer.refusal(pushOf(table, keysFrom(0, 1), write(5n, 2))), "FENCED");
  await later.ask("Done", pushOf(table, keysFrom(0, 1), write(6n, 1)));
  assert.is(await later.refusal(pushOf(table, keysFrom(0, 1), write(5n, 9))), "INVALID_ARGUMENT");
  assert.is(
    await codeOf(served.dial().hello({ worker: "new", session: 1n, resume: true })),
    "SESSION_EXPIRED",
  );
  await peer.ask("Rows", pullOf(table, keysFrom(0, 1)));
});

test("non-finite gradients, a table named twice, columns that a table does not have, a level it cannot promise", async () => {
  const { peer, table } = await open();
  const keys = keysFrom(0, 1);
  const nan = { ...pushOf(table, keys), data: [Float32Array.of(Number.NaN, 1)] };
  assert.is(await peer.refusal(nan), "NON_FINITE");
  const twice = {
    kind: "Push",
    write: {},
    parts: [writePart(table, 1), writePart(table, 1)],
    keys: keysFrom(0, 2),
    data: [new Float32Array(2), new Float32Array(2)],
  } as const;
  assert.is(await peer.refusal(twice), "INVALID_ARGUMENT");
  const counters = {
    ...pushOf(table, keys, {}, { columns: Column.Values | Column.FirstCounter }),
    data: [new Float32Array(2), new Float32Array(1)],
  };
  assert.is(await peer.refusal(counters), "INVALID_ARGUMENT");
  const loose = await peer.openTable("loose", { dim: 2, optimizer, logged: false });
  assert.is(await peer.refusal(pushOf(loose, keys, { ack: 2 })), "NOT_LOGGED");
  const steps = await peer.openTable("steps", {
    dim: 2,
    optimizer: { kind: "adam", learningRate: 1, step: "table" },
  });
  assert.is(await peer.refusal(pushOf(steps, keys)), "INVALID_ARGUMENT");
  assert.is(await peer.refusal({ kind: "OpenTable", name: "x", options: "{" }), "INVALID_OPTIONS");
  assert.is(await peer.refusal({ kind: "OpenTable", name: "no/name" }), "INVALID_NAME");
  assert.is(await peer.refusal({ kind: "OpenTable", name: "absent" }), "TABLE_NOT_FOUND");
  assert.is(await peer.refusal({ kind: "Decay", write: {}, ...named(table) }), "INVALID_ARGUMENT");
  assert.is(await peer.refusal({ kind: "Forget", write: {}, ...named(table) }), "UNSUPPORTED");
  assert.is(await peer.refusal({ kind: "Rollback", name: "none" }), "VERSION_NOT_FOUND");
});

test("a reader that is slow is refused more until it has read, and others are served", async () => {
  const { served, peer, table } = await open({ connectionBytes: "64KiB", frameBytes: "64KiB" });
  peer.waitingBytes = 70_000;
  const failure = await peer.ask("Failure", pullOf(table, keysFrom(0, 1)));
  assert.is(failure.code, ERRORS.OVERLOADED.wire);
  assert.ok(failure.retryAfterMs > 0);
  assert.ok(served.service.inFlight.used >= 70_000);
  await (await served.connect()).ask("Rows", pullOf(table, keysFrom(0, 1)));
  peer.drain();
  await peer.ask("Rows", pullOf(table, keysFrom(0, 1)));
  peer.waitingBytes = 70_000;
  await peer.ask("Rows", pullOf(table, keysFrom(0, 1))).catch(() => undefined);
  peer.vanish();
  assert.is(served.service.inFlight.used, 0, "who is gone holds nothing");
});

test("an answer of many frames goes out as it is taken", async () => {
  const { peer, table } = await open({ connectionBytes: "64KiB", frameBytes: "64KiB" }, { frameBytes: 4096 });
  const n = 20_000;
  peer.holding = true;
  const id = peer.tell(pullOf(table, keysFrom(0, n)));
  assert.ok(peer.held > 32_000 && peer.held < 64_000, `${peer.held} bytes wait`);
  let rows = 0;
  for (let more = true; more; ) {
    const frame = await peer.next(id);
    if (frame.body.kind !== "Rows") throw new Error(frame.body.kind);
    for (const part of frame.body.parts) {
      assert.is(part.first, rows);
      rows += part.count;
    }
    more = frame.more;
    if (!peer.has(id)) peer.drain();
  }
  assert.is(rows, n);
});

test("beyond its memory a node takes no more rows, and goes on to be read", async () => {
  const { served, peer, table } = await open({ memoryBytes: "32MiB" });
  let code: string | undefined;
  for (let i = 0; code === undefined && i < 500; i++)
    code = await codeOf(peer.ask("Done", pushOf(table, keysFrom(4096 * i, 4096))));
  assert.is(code, "OVERLOADED");
  await peer.ask("Rows", pullOf(table, keysFrom(0, 1)));
  const create = { ...pullOf(table, keysFrom(1e9, 1)) };
  assert.is(
    await peer.refusal({ ...create, parts: [{ ...named(table), count: 1, create: true }] }),
    "OVERLOADED",
  );
  assert.equal(served.broken, []);
});

test("a write that waits for a full log goes on when it has room; a deadline ends the waiting of who asked", async () => {
  const served = await new ServedShard().open({ logBufferBytes: 1 << 16 });
  const peer = await served.connect({ worker: "w", session: 1n });
  const table = await peer.openTable("items", { dim: 64, optimizer });
  let release = () => {};
  served.disk.files.schedule = () =>
    new Promise((resolve) => {
      release = () => {
        served.disk.files.schedule = undefined;
        resolve();
      };
    });
  const push = (sequence: number, n: number) =>
    ({
      kind: "Push",
      write: { worker: 1, session: 1n, sequence, mark: Buffer.from(`${sequence}`) },
      parts: [writePart(table, n)],
      keys: keysFrom(1000 * sequence, n),
      data: [new Float32Array(64 * n).fill(sequence)],
    }) as const;
  const first = peer.tell(push(1, 150));
  const second = peer.tell(push(2, 150));
  const third = peer.tell(push(3, 1), { deadlineMs: 100 });
  assert.ok(served.service.inFlight.used > 75_000, "what waits is counted");
  served.clock.pass(100);
  const late = (await peer.next(third)).body;
  assert.is(late.kind === "Failure" && late.code, ERRORS.DEADLINE.wire);
  const again = peer.tell(push(3, 1));
  await new Promise((resolve) => setImmediate(resolve));
  release();
  for (const id of [first, second]) assert.is((await peer.next(id)).body.kind, "Done");
  const repeated = (await peer.next(again)).body;
  assert.ok(repeated.kind === "Done" && repeated.repeated, "it had been applied in its turn");
  assert.not.ok(peer.has(third), "one answer each");
  const rows = await peer.ask("Rows", {
    kind: "Pull",
    parts: [{ ...named(table), count: 1 }],
    keys: keysFrom(2149, 1),
  });
  assert.is(new DataView(rows.data.buffer, rows.data.byteOffset).getFloat32(0, true), -2);
  assert.is(served.service.inFlight.used, 0);
});

test("a node that stops answers what is under way, and refuses what is new", async () => {
  const { served, peer, table } = await open();
  const id = peer.tell({ kind: "Checkpoint" });
  let quiet = false;
  const drained = served.service.drain(60_000).then(() => {
    quiet = true;
  });
  const goodbye = (await peer.next(0)).body;
  assert.is(goodbye.kind, "Goodbye");
  assert.is(await peer.refusal(pullOf(table, keysFrom(0, 1))), "UNAVAILABLE");
  assert.is(await codeOf(served.dial().hello()), "UNAVAILABLE");
  assert.not.ok(quiet);
  assert.is((await peer.next(id)).body.kind, "Report");
  await new Promise((resolve) => setImmediate(resolve));
  served.clock.pass(1);
  await drained;
});

test("a node that stops waits no longer than it is told", async () => {
  const { served, peer } = await open();
  served.disk.files.schedule = () => new Promise(() => {});
  peer.tell({ kind: "Checkpoint" });
  const drained = served.service.drain(5000);
  served.clock.pass(5000);
  await drained;
});

test("when an invariant breaks the request is told so, and the owner of the shard, too", async () => {
  const { served, peer, table } = await open();
  served.shard.state.tables.get("items")!.definition = undefined as never;
  assert.is(await peer.refusal(pushOf(table, keysFrom(0, 1))), "INTERNAL");
  assert.is(served.broken.length, 1);
  assert.is(peer.ended, undefined);
});

test("a full disk: pushes are refused, pulls go on, and what waits is acknowledged when there is room, once", async () => {
  const served = new ServedShard();
  await served.open({ clock: served.clock });
  const peer = await served.connect({ worker: "w", session: 1n });
  const table = await peer.openTable("items", { dim: 2, optimizer });
  served.disk.files.capacityBytes = 0;
  const write = (sequence: number) => ({ worker: 1, session: 1n, sequence });
  const waiting = peer.tell(pushOf(table, keysFrom(0, 1), write(1)));
  await turns();
  const failure = await peer.ask("Failure", pushOf(table, keysFrom(1, 1), write(2)));
  assert.is(failure.code, ERRORS.READ_ONLY.wire);
  assert.ok(failure.retry);
  await peer.ask("Rows", pullOf(table, keysFrom(0, 1)));
  served.disk.files.capacityBytes = Number.POSITIVE_INFINITY;
  for (let tries = 0; served.shard.failure && tries < 20; tries++) {
    served.clock.pass(2000);
    await turns();
  }
  assert.is((await peer.next(waiting)).body.kind, "Done");
  await peer.ask("Done", pushOf(table, keysFrom(1, 1), write(2)));
  assert.ok((await peer.ask("Done", pushOf(table, keysFrom(0, 1), write(1)))).repeated);
});

test.run();
