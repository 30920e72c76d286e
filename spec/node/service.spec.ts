// Every request of a client, answered by a real shard without sockets.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { adagrad, sgd } from "../../lib/api/optimizers.js";
import { Prng } from "../../lib/base/prng.js";
import { fromNarrow, toNarrow } from "../../lib/shard/narrow.js";
import { float32Column, placesOfParts, uint32Column } from "../../lib/wire/columns.js";
import { Column } from "../../lib/wire/generated/frame-types.js";
import { keysFrom, named, ServedShard, writePart } from "./served-shard.js";
import type { WirePeer } from "./wire-peer.js";

const optimizer = sgd({ learningRate: 1 });
const floats = (data: Uint8Array, n: number, at = 0) => float32Column(data, at, n);

test("a client is greeted with versions, limits, and the slot map", async () => {
  const served = await new ServedShard({ frameBytes: "1MiB" }).open();
  const welcome = await served.dial().hello({ worker: "w", session: 5n });
  assert.is(welcome.shard, 0);
  assert.is(welcome.node, "node");
  assert.is(welcome.worker, 1);
  assert.is(welcome.limits.frameBytes, 1 << 20);
  assert.is(welcome.slotMap.slotCount, 16_384);
  assert.is(welcome.slotMap.owners.length, 1);
});

test("tables are opened, listed and dropped; a push is pulled again", async () => {
  const served = await new ServedShard().open();
  const peer = await served.connect({ worker: "w", session: 1n });
  const table = await peer.openTable("items", { dim: 2, optimizer, seed: 2n ** 63n });
  assert.is(table.dim, 2);
  assert.is(JSON.parse(table.definition).seed, String(2n ** 63n));
  const done = await peer.ask("Done", {
    kind: "Push",
    write: { worker: 1, session: 1n, sequence: 1, clock: 7 },
    parts: [writePart(table, 3)],
    keys: keysFrom(1, 3),
    data: [Float32Array.of(1, 2, 3, 4, 5, 6)],
  });
  assert.is(done.touched, 3);
  assert.is(done.clock, 7);
  assert.ok(done.lsn > 0);
  assert.not.ok(done.repeated);
  const rows = await peer.ask("Rows", {
    kind: "Pull",
    parts: [{ ...named(table), count: 4 }],
    found: true,
    keys: keysFrom(1, 4),
  });
  assert.equal(floats(rows.data, 8), Float32Array.of(-1, -2, -3, -4, -5, -6, 0, 0));
  assert.equal([...rows.found!], [0b0111]);
  assert.equal(
    (await peer.ask("TableList", { kind: "ListTables" })).tables.map(({ name }) => name),
    ["items"],
  );
  await peer.ask("Done", { kind: "DropTable", name: "items" });
  assert.equal((await peer.ask("TableList", { kind: "ListTables" })).tables, []);
});

test("several tables in one frame, with state, counts and learning rates of their own", async () => {
  const served = await new ServedShard().open();
  const peer = await served.connect();
  const a = await peer.openTable("a", { dim: 3, optimizer: adagrad({ learningRate: 1, eps: 1e-8 }) });
  const b = await peer.openTable("b", { dim: 1, optimizer });
  const parts = [
    writePart(a, 1, { columns: Column.Values | Column.Counts }),
    writePart(b, 2, { learningRate: 0.5 }),
  ];
  await peer.ask("Done", {
    kind: "Push",
    write: {},
    parts,
    keys: BigUint64Array.of(9n, 1n, 2n),
    data: [Float32Array.of(3, 4, 0), Uint32Array.of(5), Float32Array.of(10, 20)],
  });
  const rows = await peer.ask("Rows", {
    kind: "Pull",
    parts: [
      { ...named(a), count: 1, columns: Column.Values | Column.State },
      { ...named(b), count: 2 },
    ],
    keys: BigUint64Array.of(9n, 2n, 3n),
  });
  const [ofA, ofB] = placesOfParts(rows.parts);
  assert.equal(floats(rows.data, 3, ofA.state), Float32Array.of(9, 16, 0));
  assert.equal(floats(rows.data, 2, ofB.values), Float32Array.of(-10, 0));
  const counts = await peer.ask("OccurrenceCounts", {
    kind: "Occurrences",
    parts: [{ ...named(a), count: 1 }],
    keys: BigUint64Array.of(9n),
  });
  assert.equal([...counts.counts], [5]);
});

test("rows that do not fit a frame come in several, and together are all", async () => {
  const served = await new ServedShard().open();
  const peer = await served.connect({ frameBytes: 4096 });
  const table = await peer.openTable("items", { dim: 16, optimizer });
  const n = 300;
  const id = peer.tell({
    kind: "Pull",
    parts: [{ ...named(table), count: n, create: true }],
    found: true,
    keys: keysFrom(0, n),
  });
  let rows = 0;
  for (let more = true; more; ) {
    const frame = await peer.next(id);
    more = frame.more;
    assert.is(frame.body.kind, "Rows");
    if (frame.body.kind !== "Rows") return;
    const [part] = frame.body.parts;
    assert.is(part.first, rows);
    assert.ok(frame.body.found!.every((bits) => bits > 0));
    rows += part.count;
  }
  assert.is(rows, n);
  assert.ok(peer.longest <= 4096, `${peer.longest}`);
  assert.is(served.shard.state.arenas.rows(served.shard.tables.get("items")!), n);
});

test("assign, contains, delete, default values", async () => {
  const served = await new ServedShard().open();
  const peer = await served.connect();
  const table = await peer.openTable("items", { dim: 1, optimizer: adagrad({ learningRate: 1 }) });
  await peer.ask("Done", {
    kind: "Assign",
    write: {},
    parts: [
      writePart(table, 2, {
        stateFloats: 1,
        columns: Column.Values | Column.State | Column.Counts | Column.LastStep,
      }),
    ],
    keys: keysFrom(1, 2),
    data: [Float32Array.of(0.5, 1.5), Float32Array.of(4, 9), Uint32Array.of(7, 8), Uint32Array.of(70, 80)],
  });
  const contains = {
    kind: "Contains",
    parts: [{ ...named(table), count: 3 }],
    keys: keysFrom(0, 3),
  } as const;
  assert.equal([...(await peer.ask("Found", contains)).found], [0b110]);
  const deleted = await peer.ask("Done", {
    kind: "Delete",
    write: {},
    parts: [{ ...named(table), count: 2 }],
    keys: BigUint64Array.of(1n, 99n),
  });
  assert.is(deleted.touched, 1);
  const rows = await peer.ask("Rows", {
    kind: "Pull",
    parts: [{ ...named(table), count: 2, columns: Column.Values | Column.State, defaultValue: -3 }],
    keys: keysFrom(1, 2),
  });
  const [places] = placesOfParts(rows.parts);
  assert.equal(floats(rows.data, 2, places.values), Float32Array.of(-3, 1.5));
  assert.is(floats(rows.data, 2, places.state)[1], 9);
});

test("a scan goes on from cursor to cursor, and ends", async () => {
  const served = await new ServedShard().open();
  const peer = await served.connect();
  const table = await peer.openTable("items", { dim: 1, optimizer });
  const n = 1000;
  await peer.ask("Done", {
    kind: "Push",
    write: { step: 3 },
    parts: [writePart(table, n)],
    keys: keysFrom(0, n),
    data: [new Float32Array(n).fill(1)],
  });
  const seen = new Set<bigint>();
  let cursor: Uint8Array | undefined;
  do {
    const batch = await peer.ask("ScanRows", { kind: "Scan", ...named(table), batch: 300, cursor });
    const { keys, data, count } = batch.rows;
    assert.ok(count <= 300);
    for (const key of keys) seen.add(key);
    if (count > 0) {
      const [places] = placesOfParts([batch.rows]);
      assert.equal([...new Set(uint32Column(data, places.lastStep, count))], [3]);
    }
    cursor = batch.cursor?.slice();
  } while (cursor);
  assert.is(seen.size, n);
  const first = await peer.ask("ScanRows", { kind: "Scan", ...named(table), batch: 10 });
  const old = first.cursor!.slice();
  await peer.ask("ScanRows", { kind: "Scan", ...named(table), batch: 10, cursor: old });
  assert.is(
    await peer.refusal({ kind: "Scan", ...named(table), batch: 10, cursor: old }),
    "INVALID_ARGUMENT",
  );
  const other = await served.connect();
  assert.is(
    await other.refusal({ kind: "Scan", ...named(table), batch: 10, cursor: old }),
    "INVALID_ARGUMENT",
  );
});

test("counters are pushed, pulled and decay", async () => {
  const served = await new ServedShard().open();
  const peer = await served.connect();
  const counters = { names: ["show", "click"], decay: 0.5 };
  const table = await peer.openTable("ads", { dim: 1, optimizer, counters });
  const columns = Column.Values | Column.FirstCounter | Column.SecondCounter;
  await peer.ask("Done", {
    kind: "Push",
    write: {},
    parts: [writePart(table, 2, { columns })],
    keys: keysFrom(1, 2),
    data: [Float32Array.of(1, 1), Float32Array.of(8, 4), Float32Array.of(2, 0)],
  });
  await peer.ask("Done", { kind: "Decay", write: {}, ...named(table) });
  const rows = await peer.ask("Rows", {
    kind: "Pull",
    parts: [{ ...named(table), count: 2, columns }],
    keys: keysFrom(1, 2),
  });
  const [places] = placesOfParts(rows.parts);
  assert.equal(floats(rows.data, 2, places.firstCounter), Float32Array.of(4, 2));
  assert.equal(floats(rows.data, 2, places.secondCounter), Float32Array.of(1, 0));
});

test("candidates are scanned and forgotten, rows evicted", async () => {
  const served = await new ServedShard().open();
  const peer = await served.connect();
  const table = await peer.openTable("rare", { dim: 1, optimizer, admission: { after: 2 }, eviction: {} });
  const push = (keys: BigUint64Array) =>
    peer.ask("Done", {
      kind: "Push",
      write: { step: 1 },
      parts: [writePart(table, keys.length)],
      keys,
      data: [new Float32Array(keys.length)],
    });
  await push(keysFrom(0, 4));
  await push(keysFrom(0, 2));
  const batch = await peer.ask("ScanRows", { kind: "Scan", ...named(table), of: 1 });
  assert.equal([...batch.rows.keys].sort(), [2n, 3n]);
  assert.is((await peer.ask("Done", { kind: "Forget", write: {}, ...named(table) })).touched, 2);
  const evicted = await peer.ask("Done", { kind: "Evict", write: {}, ...named(table), by: 4, bound: 100 });
  assert.is(evicted.touched, 2);
});

test("checkpoints, versions, marks and figures", async () => {
  const served = await new ServedShard().open();
  const peer = await served.connect();
  const table = await peer.openTable("items", { dim: 1, optimizer });
  const push = (first: number, mark: string) =>
    peer.ask("Done", {
      kind: "Push",
      write: { mark: Buffer.from(mark) },
      parts: [writePart(table, 1)],
      keys: keysFrom(first, 1),
      data: [Float32Array.of(1)],
    });
  await push(1, "one");
  await peer.ask("Report", { kind: "Checkpoint", version: "v1", note: "first" });
  await push(2, "two");
  assert.is(Buffer.from((await peer.ask("Mark", { kind: "GetMark" })).mark!).toString(), "two");
  const versions = JSON.parse((await peer.ask("Report", { kind: "ListVersions" })).json);
  assert.equal(
    versions.map((version: { name: string }) => version.name),
    ["v1"],
  );
  const diff = JSON.parse((await peer.ask("Report", { kind: "Diff", from: "v1" })).json);
  assert.is(diff.tables[0].added, 1);
  const changes = { kind: "Changes", since: "v1", batch: 10 } as const;
  const changed = await peer.ask("ChangedRows", changes);
  assert.equal([...changed.rows.keys], [2n]);
  const after = await peer.ask("ChangedRows", { ...changes, cursor: changed.cursor });
  assert.is(after.rows.count, 0);
  assert.is(after.cursor, undefined);
  assert.is(await peer.refusal({ ...changes, cursor: changed.cursor }), "INVALID_ARGUMENT");
  await peer.ask("Report", { kind: "Rollback", name: "v1" });
  const contains = {
    kind: "Contains",
    parts: [{ ...named(table), count: 2 }],
    keys: keysFrom(1, 2),
  } as const;
  assert.equal([...(await peer.ask("Found", contains)).found], [0b01]);
  await peer.ask("Done", { kind: "DeleteVersion", name: "v1" });
  const stats = JSON.parse((await peer.ask("Report", { kind: "Stats" })).json);
  assert.is(stats.tables[0].rows, 1);
  assert.is((await peer.ask("SlotMap", { kind: "GetSlotMap" })).epoch, 1);
});

test("tables beyond their memory: cold rows are read, counted and prefetched, beside a table that has none", async () => {
  const served = await new ServedShard().open({ hotRows: () => 50 });
  const peer = await served.connect({ frameBytes: 4096 });
  const cold = await peer.openTable("cold", { dim: 16, optimizer, memory: 1 << 20 });
  const warm = await peer.openTable("warm", { dim: 1, optimizer });
  const n = 400;
  for (let first = 0; first < n; first += 100)
    await peer.ask("Done", {
      kind: "Push",
      write: {},
      parts: [writePart(cold, 100), writePart(warm, 1)],
      keys: BigUint64Array.of(...keysFrom(first, 100), 1n),
      data: [Float32Array.from({ length: 1600 }, (_, i) => first + Math.floor(i / 16)), Float32Array.of(1)],
    });
  while (served.shard.state.cold.get(cold.number)!.rows === 0)
    await new Promise((resolve) => setImmediate(resolve));
  const id = peer.tell({
    kind: "Pull",
    parts: [
      { ...named(cold), count: n },
      { ...named(warm), count: 1 },
    ],
    keys: BigUint64Array.of(...keysFrom(0, n), 1n),
  });
  const values: number[] = [];
  for (let more = true; more; ) {
    const frame = await peer.next(id);
    if (frame.body.kind !== "Rows") throw new Error(JSON.stringify(frame.body));
    const places = placesOfParts(frame.body.parts);
    for (const [i, part] of frame.body.parts.entries())
      for (let row = 0; row < part.count; row++)
        values.push(floats(frame.body.data, 1, places[i].values + 4 * row * part.dim)[0]);
    more = frame.more;
  }
  assert.equal(values, [...Array.from({ length: n }, (_, i) => 0 - i), -4]);
  const parts = [{ ...named(cold), count: n }];
  const found = await peer.ask("Found", { kind: "Contains", parts, keys: keysFrom(0, n) });
  assert.ok(found.found.every((bits) => bits === 0xff));
  const { counts } = await peer.ask("OccurrenceCounts", { kind: "Occurrences", parts, keys: keysFrom(0, n) });
  assert.ok(counts.every((count) => count === 1));
  await peer.ask("Done", { kind: "Prefetch", parts, keys: keysFrom(0, n) });
});

test("half precision: gradients come and rows go as f16, in frames of half the bytes, from one arena and from several", async () => {
  const random = new Prng(3);
  for (const arenaBytes of [2 ** 30, 32 << 20]) {
    const served = await new ServedShard().open({ arenaBytes });
    const peer = await served.connect();
    const [a, b] = [
      await peer.openTable("a", { dim: 3, optimizer }),
      await peer.openTable("b", {
        dim: 5,
        optimizer: adagrad({ learningRate: 1 }),
        counters: { names: ["show"] },
      }),
    ];
    if (arenaBytes < 2 ** 30) await growTo(served, peer, 2);
    const n = 7;
    // What halves hold exactly.
    const values = Float32Array.from({ length: 8 * n }, () => (random.below(2000) - 1000) / 64);
    const halves = toNarrow(served.shard.state, "f16", values, 1).numbers;
    assert.equal(fromNarrow(served.shard.state, "f16", halves), values);
    await peer.ask("Done", {
      kind: "Push",
      write: {},
      parts: [writePart(a, n, { element: 1 }), writePart(b, n, { element: 1 })],
      keys: BigUint64Array.of(...keysFrom(0, n), ...keysFrom(50, n)),
      data: [halves.slice(0, 6 * n), halves.slice(6 * n)],
    });
    const columns = Column.Values | Column.State | Column.FirstCounter;
    const pull = (element: 0 | 1) =>
      peer.ask("Rows", {
        kind: "Pull",
        parts: [
          { ...named(a), count: n, element },
          { ...named(b), count: n, element, columns },
        ],
        found: true,
        keys: BigUint64Array.of(...keysFrom(0, n), ...keysFrom(50, n)),
      });
    const [whole, half] = [await pull(0), await pull(1)];
    const [wholeAt, halfAt] = [placesOfParts(whole.parts), placesOfParts(half.parts)];
    for (const [i, dim] of [3, 5].entries()) {
      const exact = floats(whole.data, n * dim, wholeAt[i].values);
      const at = halfAt[i].values;
      assert.equal(
        half.data.slice(at, at + 2 * n * dim),
        toNarrow(served.shard.state, "f16", exact, dim).numbers,
      );
    }
    assert.equal(floats(half.data, 5 * n, halfAt[1].state), floats(whole.data, 5 * n, wholeAt[1].state));
    assert.equal(floats(half.data, n, halfAt[1].firstCounter), new Float32Array(n).fill(1));
    assert.equal(half.found, whole.found);
    assert.equal(
      half.data.slice(halfAt[0].end, halfAt[1].values),
      new Uint8Array(halfAt[1].values - halfAt[0].end),
    );
  }
});

/** Pushes until a shard has so many arenas. */
async function growTo(served: ServedShard, peer: WirePeer, arenas: number): Promise<void> {
  const table = await peer.openTable("filling", { dim: 64, optimizer });
  const n = 4096;
  for (let i = 0; served.shard.state.arenas.all.length < arenas; i++)
    await peer.ask("Done", {
      kind: "Push",
      write: {},
      parts: [writePart(table, n)],
      keys: keysFrom(i * n, n),
      data: [new Float32Array(64 * n)],
    });
}

test("tensors are tables of blocks", async () => {
  const served = await new ServedShard().open();
  const peer = await served.connect();
  const options = JSON.stringify({ shape: [4, 2], block: 2, optimizer });
  const tensor = await peer.ask("TableReply", { kind: "OpenTable", name: "w", tensor: true, options });
  assert.ok(tensor.tensor);
  assert.is(tensor.dim, 2);
  assert.is(await peer.refusal({ kind: "OpenTable", name: "w" }), "TABLE_MISMATCH");
});

test("what is pushed before a kill is there afterwards, and a push that comes again is answered only", async () => {
  const served = await new ServedShard().open();
  const peer = await served.connect({ worker: "w", session: 3n });
  const table = await peer.openTable("items", { dim: 1, optimizer });
  const push = {
    kind: "Push",
    write: { worker: 1, session: 3n, sequence: 1 },
    parts: [writePart(table, 1)],
    keys: keysFrom(1, 1),
    data: [Float32Array.of(1)],
  } as const;
  await peer.ask("Done", push);
  served.kill();
  await served.open();
  const again = await served.connect({ worker: "w", session: 3n, resume: true });
  // Even with the map of another time.
  const done = await again.ask("Done", push, { epoch: 77 });
  assert.ok(done.repeated);
  const rows = await again.ask("Rows", {
    kind: "Pull",
    parts: [{ ...named(table), count: 1 }],
    keys: keysFrom(1, 1),
  });
  assert.equal(floats(rows.data, 1), Float32Array.of(-1));
  assert.is(served.counts.repeated, 1);
});

test.run();
