// Rows as binary16, as a client sees them on the wire.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { adagrad } from "../../lib/api/optimizers.js";
import { float32Column, placesOfParts } from "../../lib/wire/columns.js";
import {
  Column,
  ElementType,
  type PullPartInput,
  type TableReply,
} from "../../lib/wire/generated/frame-types.js";
import { featureBits } from "../../lib/wire/handshake.js";
import { floatsOfHalves, throughHalves } from "../laws/halves.js";
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
      const rows =
        element === ElementType.F16
          ? floatsOfHalves(new Uint16Array(data.slice(places.values, places.values + 2 * numbers).buffer))
          : float32Column(data, places.values, numbers);
      values.set(rows, first * dim);
      if (places.state >= 0)
        state.set(float32Column(data, places.state, count * stateFloats), first * stateFloats);
    }
    more = frame.more;
  }
  return { values, state, frames };
}

const columns = Column.Values | Column.State;

test("half of the bytes, and the nearest numbers", async () => {
  // Both answers are one frame.
  const served = await new ServedShard().open();
  const peer = await served.connect();
  const table = await peer.openTable("items", { dim: 64, optimizer });
  await fill(peer, table, 400);
  const exact = await pull(peer, table, 400, {});
  const exactBytes = peer.longest;
  peer.longest = 0;
  const rounded = await pull(peer, table, 400, { element: ElementType.F16 });
  same(rounded.values, throughHalves(exact.values), "rows");
  const keyBytes = 8 * 400;
  const share = (keyBytes + peer.longest) / (keyBytes + exactBytes);
  assert.ok(share < 0.53, `keys and rows together: ${share}`);
});

test("frames as short as the client wants them, of rows and state", async () => {
  const served = await new ServedShard().open();
  const peer = await served.connect({ frameBytes: 4096 });
  const table = await peer.openTable("items", { dim: 7, optimizer });
  await fill(peer, table, 700);
  const exact = await pull(peer, table, 700, { columns });
  peer.longest = 0;
  const rounded = await pull(peer, table, 700, { columns, element: ElementType.F16 });
  assert.ok(peer.longest <= 4096 && peer.longest > 4096 - 400, `found ${peer.longest} bytes`);
  assert.ok(rounded.frames > 5 && rounded.frames < exact.frames);
  same(rounded.values, throughHalves(exact.values), "rows");
  same(rounded.state, exact.state, "state");
});

test("a table with cold rows", async () => {
  const served = await new ServedShard().open({ hotRows: () => 50 });
  const peer = await served.connect({ frameBytes: 4096 });
  const table = await peer.openTable("cold", { dim: 16, optimizer, memory: 1 << 20 });
  await fill(peer, table, 400);
  while (served.shard.state.cold.get(table.number)!.rows === 0)
    await new Promise((resolve) => setImmediate(resolve));
  const rounded = await pull(peer, table, 400, { columns, element: ElementType.F16 });
  const exact = await pull(peer, table, 400, { columns });
  assert.is(exact.values[5], Math.fround(Math.sin(5)));
  same(rounded.values, throughHalves(exact.values), "rows");
  same(rounded.state, exact.state, "state");
});

test("what was not agreed on ends the connection; other elements are not offered", async () => {
  const served = await new ServedShard().open();
  const all = featureBits("f16", "bf16", "int8");
  for (const [offered, element] of [
    [0, ElementType.F16],
    [all, ElementType.BF16],
    [all, ElementType.Int8],
  ] as const) {
    const peer = await served.connect({ features: offered });
    assert.is(peer.welcomed?.features, offered & featureBits("f16"));
    const table = await peer.openTable("items", { dim: 2, optimizer });
    peer.tell({ kind: "Pull", parts: [{ ...named(table), count: 1, element }], keys: keysFrom(0, 1) });
    await peer.gone();
  }
});

test.run();
