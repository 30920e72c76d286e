// Rows as less than float32, as a client sees them on the wire.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { adagrad, sgd } from "../../lib/api/optimizers.js";
import { ERRORS } from "../../lib/base/errors.js";
import type { Bulk } from "../../lib/wire/bulk.js";
import {
  elementBytes,
  elementName,
  elementOf,
  float32Column,
  placesOfParts,
} from "../../lib/wire/columns.js";
import {
  Column,
  ElementType,
  type PullPartInput,
  type TableReply,
} from "../../lib/wire/generated/frame-types.js";
import { featureBits } from "../../lib/wire/handshake.js";
import { narrowTypes, through, unstableRow, widened } from "../laws/narrow.js";
import { same } from "../laws/twin.js";
import { keysFrom, named, ServedShard, writePart } from "./served-shard.js";
import type { WirePeer } from "./wire-peer.js";

const optimizer = adagrad({ learningRate: 1 });

async function fill(peer: WirePeer, table: TableReply, n: number): Promise<void> {
  for (let first = 0; first < n; first += 100) {
    const floats = 100 * table.dim;
    await peer.ask("Done", {
      kind: "Assign",
      write: {},
      parts: [writePart(table, 100)],
      keys: keysFrom(first, 100),
      data: [Float32Array.from({ length: floats }, (_, i) => Math.sin(first * table.dim + i))],
    });
  }
}

/** Weights and state of the keys from 0 on, put together of all answers. */
async function pull(peer: WirePeer, table: TableReply, n: number, part: Partial<PullPartInput>) {
  const id = peer.tell({
    kind: "Pull",
    parts: [{ ...named(table), count: n, ...part }],
    keys: keysFrom(0, n),
  });
  const values = new Float32Array(n * table.dim);
  const state = new Float32Array(n * table.stateFloats);
  let frames = 0;
  for (let more = true; more; frames++) {
    const frame = await peer.next(id);
    if (frame.body.kind !== "Rows") throw new Error(JSON.stringify(frame.body));
    const { parts, data } = frame.body;
    for (const [i, places] of placesOfParts(parts).entries()) {
      const { first, count, dim, stateFloats, element } = parts[i];
      const numbers = count * dim;
      const name = elementName(element);
      const scales = places.scales < 0 ? undefined : float32Column(data, places.scales, count);
      const bytes = data.subarray(places.values, places.values + numbers * elementBytes(element));
      const rows =
        name === "f32" ? float32Column(data, places.values, numbers) : widened(name, bytes, scales, dim);
      values.set(rows, first * dim);
      if (places.state >= 0)
        state.set(float32Column(data, places.state, count * stateFloats), first * stateFloats);
    }
    more = frame.more;
  }
  return { values, state, frames };
}

const columns = Column.Values | Column.State;

test("half of the bytes or a quarter, and the nearest numbers", async () => {
  // All answers are one frame.
  const served = await new ServedShard().open();
  const peer = await served.connect();
  const table = await peer.openTable("items", { dim: 64, optimizer });
  await fill(peer, table, 400);
  const exact = await pull(peer, table, 400, {});
  const exactBytes = peer.longest;
  for (const [type, most] of [
    ["f16", 0.53],
    ["bf16", 0.53],
    ["int8", 0.3],
  ] as const) {
    peer.longest = 0;
    const rounded = await pull(peer, table, 400, { element: elementOf(type) });
    same(rounded.values, through(type, exact.values, 64), type);
    const keyBytes = 8 * 400;
    const share = (keyBytes + peer.longest) / (keyBytes + exactBytes);
    assert.ok(share < most, `${type}: keys and rows together: ${share}`);
  }
});

test("frames as short as the client wants them, of rows and state", async () => {
  const served = await new ServedShard().open();
  const peer = await served.connect({ frameBytes: 4096 });
  const table = await peer.openTable("items", { dim: 7, optimizer });
  await fill(peer, table, 700);
  const exact = await pull(peer, table, 700, { columns });
  for (const type of narrowTypes) {
    peer.longest = 0;
    const rounded = await pull(peer, table, 700, { columns, element: elementOf(type) });
    assert.ok(peer.longest <= 4096 && peer.longest > 4096 - 400, `${type}: found ${peer.longest} bytes`);
    assert.ok(rounded.frames > 5 && rounded.frames < exact.frames);
    same(rounded.values, through(type, exact.values, 7), type);
    same(rounded.state, exact.state, `${type}: state`);
  }
});

test("a table with cold rows, which come as rows in memory do", async () => {
  for (const storage of ["f32", "int8"] as const) {
    const served = await new ServedShard().open({ hotRows: () => 50 });
    const peer = await served.connect({ frameBytes: 4096 });
    const options = { dim: 16, optimizer, memory: 1 << 20, storage };
    const table = await peer.openTable("cold", options);
    await fill(peer, table, 400);
    if (storage === "int8") {
      // Of some rows the scale cannot be made from what they read as.
      const keys = BigUint64Array.from({ length: 100 }, (_, i) => BigInt(4 * i));
      const rows = Float32Array.from({ length: 1600 }, (_, i) => unstableRow(16)[i % 16]);
      const parts = [writePart(table, 100)];
      await peer.ask("Done", { kind: "Assign", write: {}, parts, keys, data: [rows] });
    }
    while (served.shard.state.cold.get(table.number)!.rows === 0)
      await new Promise((resolve) => setImmediate(resolve));
    for (const type of narrowTypes) {
      // As many keys that have no row.
      const rounded = await pull(peer, table, 800, { columns, element: elementOf(type) });
      const exact = await pull(peer, table, 800, { columns });
      assert.ok(storage === "int8" || exact.values[5] === Math.fround(Math.sin(5)));
      const expected = type === storage ? exact.values : through(type, exact.values, 16);
      same(rounded.values, expected, `${storage} as ${type}`);
      same(rounded.state, exact.state, "state");
    }
    assert.ok(served.shard.state.cold.get(table.number)!.misses > 0);
  }
});

test("what was not agreed on ends the connection, of each type by itself", async () => {
  const served = await new ServedShard().open();
  for (const type of narrowTypes) {
    const others = featureBits(...narrowTypes.filter((one) => one !== type));
    const peer = await served.connect({ features: others });
    assert.is(peer.welcomed?.features, others);
    const table = await peer.openTable("items", { dim: 2, optimizer });
    const element = elementOf(type);
    peer.tell({ kind: "Pull", parts: [{ ...named(table), count: 1, element }], keys: keysFrom(0, 1) });
    await peer.gone();
    assert.is(peer.ended?.code, 4000 + ERRORS.PROTOCOL.wire, type);
  }
});

test("int8 is not what is written, and bfloat16 is", async () => {
  const served = await new ServedShard().open();
  const peer = await served.connect();
  const table = await peer.openTable("items", { dim: 2, optimizer: sgd({ learningRate: 1 }) });
  const write = (kind: "Push" | "Assign", element: ElementType, data: Bulk<Uint8Array>) =>
    ({
      kind,
      write: {},
      parts: [writePart(table, 1, { element })],
      keys: keysFrom(0, 1),
      data,
    }) as const;
  for (const kind of ["Push", "Assign"] as const)
    assert.is(
      await peer.refusal(write(kind, ElementType.Int8, [new Int8Array(2), Float32Array.of(1)])),
      "UNSUPPORTED",
    );
  await peer.ask("Done", write("Assign", ElementType.BF16, [Uint16Array.of(0x3f80, 0xc000)]));
  await peer.ask("Done", write("Push", ElementType.BF16, [Uint16Array.of(0x3f00, 0x4000)]));
  same((await pull(peer, table, 1, {})).values, Float32Array.of(0.5, -4), "a row");
});

test.run();
