// What is gathered for a frame is what pulls read, where the frame says that it lies.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { adagrad, EmbershardError, sgd, type TableOptions, uniform } from "../../lib/index.js";
import { ELEMENT_BYTES } from "../../lib/kernel/storage.js";
import { type FramePart, frameDataBytes } from "../../lib/shard/frame-gathering.js";
import type { NarrowType } from "../../lib/shard/narrow.js";
import type { RowRead } from "../../lib/shard/reading.js";
import type { Shard } from "../../lib/shard/shard.js";
import type { ArenaTable } from "../../lib/table/arena-table.js";
import { narrowTypes, through, unstableRow, widened } from "../laws/narrow.js";
import { randomFloats, same } from "../laws/twin.js";
import { FaultyMachine } from "./fault-fixture.js";

const initializer = uniform(-1, 1);
const kinds: Readonly<Record<string, TableOptions>> = {
  odd: { dim: 5, optimizer: adagrad({ learningRate: 0.1 }), initializer },
  one: { dim: 1, optimizer: sgd({ learningRate: 0.1 }), initializer },
  halves: { dim: 7, optimizer: adagrad({ learningRate: 0.1 }), initializer, storage: "f16" },
  bytes: { dim: 5, optimizer: adagrad({ learningRate: 0.1 }), initializer, storage: "int8" },
  counted: {
    dim: 3,
    optimizer: adagrad({ learningRate: 0.1 }),
    initializer,
    counters: { names: ["show", "click"], decay: 0.5 },
  },
};

function someParts(random: Prng, tables: readonly ArenaTable[], keysBelow: number): FramePart[] {
  return Array.from({ length: random.below(5) }, () => {
    const table = tables[random.below(tables.length)];
    const n = random.below(3) === 0 ? random.below(2) : random.below(700);
    return {
      table,
      keys: BigUint64Array.from({ length: n }, () => BigInt(random.below(keysBelow))),
      narrow: [undefined, ...narrowTypes][random.below(4)],
      state: random.below(2) === 0,
      counters: table.counters > 0 ? [[], [0], [1], [0, 1]][random.below(4)] : undefined,
      fallback: random.below(3) === 0 ? 0.25 : undefined,
    };
  });
}

/** Compares a frame with one pull for each part. */
function compare(shard: Shard, parts: readonly FramePart[], frontBytes: number): void {
  const expected = parts.map(({ table, keys, fallback }) => {
    const n = keys.length;
    const read = {
      table,
      keys,
      into: new Float32Array(n * table.dim),
      state: new Float32Array(n * table.stateFloats),
      found: new Uint8Array(n),
      fallback,
      counters: new Float32Array(n * table.counters),
    };
    assert.is(shard.pull(read), undefined);
    return read;
  });
  dirtyScratch(shard);
  const { bytes, found } = shard.gatherFrame(parts, frontBytes)!;
  assert.is(bytes.length, frontBytes + frameDataBytes(parts));
  assert.is(bytes.byteOffset % 8, 0);
  // Whatever stood there: a front may be written.
  bytes.fill(255, 0, frontBytes);
  let at = frontBytes;
  const pad = (end: number) => {
    const next = Math.ceil(end / 8) * 8;
    assert.ok(
      bytes.subarray(end, next).every((byte) => byte === 0),
      "padding says nothing",
    );
    return next;
  };
  let from = 0;
  for (const [p, { table, keys, narrow, state, counters = [] }] of parts.entries()) {
    const column = (floats: number) => {
      at = pad(at);
      const column = new Float32Array(bytes.slice(at, at + 4 * floats).buffer);
      at += 4 * floats;
      return column;
    };
    const narrowColumns = (type: NarrowType) => {
      at = pad(at);
      const numbers = bytes.slice(at, at + ELEMENT_BYTES[type] * keys.length * table.dim);
      at += numbers.length;
      return widened(type, numbers, type === "int8" ? column(keys.length) : undefined, table.dim);
    };
    if (narrow)
      same(narrowColumns(narrow), narrowed(narrow, expected[p]), `${table.definition.name} as ${narrow}`);
    else same(column(keys.length * table.dim), expected[p].into, "weights");
    if (state && table.stateFloats > 0)
      assert.equal(column(keys.length * table.stateFloats), expected[p].state, "state");
    for (const counter of counters)
      assert.equal(
        column(keys.length),
        expected[p].counters.filter((_, i) => i % table.counters === counter),
        "counters",
      );
    assert.equal(found.slice(from, from + keys.length), expected[p].found, "found");
    from += keys.length;
  }
  assert.is(at, bytes.length);
  assert.is(from, found.length);
}

/** What rows read as that come as a type: those that are stored so as they are. */
function narrowed(type: NarrowType, { table, into, found, fallback }: RowRead): Float32Array {
  const rows = through(type, into, table.dim);
  if (table.definition.storage === type)
    for (let i = 0; i < found!.length; i++)
      if (found![i] === 1 || fallback === undefined)
        rows.set(into.subarray(i * table.dim, (i + 1) * table.dim), i * table.dim);
  return rows;
}

/** Bytes of others lie where the next frame will. */
function dirtyScratch({ state }: Shard): void {
  const { front } = state.arenas;
  front.beginScratch(1 << 18);
  const at = front.takeScratch(1 << 18);
  front.bytes.fill(0xee, at, at + (1 << 18));
}

async function fill(shard: Shard, random: Prng, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const table = shard.tables.get(name)!;
    const keys = BigUint64Array.from({ length: 300 }, () => BigInt(random.below(1000)));
    const values = randomFloats(random, 300 * table.dim);
    const write = { ack: "memory", step: 1 } as const;
    await shard.write([{ table, kind: "push", keys, values, learningRate: 0.1 }], write);
    if (name !== "bytes") continue;
    const some = keys.slice(0, 100);
    const row = unstableRow(table.dim);
    const rows = Float32Array.from({ length: 100 * table.dim }, (_, i) => row[i % table.dim]);
    await shard.write([{ table, kind: "assign", keys: some, values: rows, learningRate: 0 }], write);
  }
}

test("one arena: random parts, fronts and columns", async () => {
  const random = new Prng(1);
  const { shard, store } = await new FaultyMachine(1).open({ logBufferBytes: 1 << 20 });
  for (const [name, options] of Object.entries(kinds)) await store.table(name, options);
  const tables = [...shard.tables.values()];
  for (let round = 0; round < 60; round++) {
    if (round % 10 === 0) await fill(shard, random, Object.keys(kinds));
    compare(shard, someParts(random, tables, 1500), 8 * random.below(100));
  }
  await store.close();
});

test("one arena without room for a frame", async () => {
  const random = new Prng(4);
  const { shard, store } = await new FaultyMachine(4).open({ logBufferBytes: 8 << 20 });
  const wide = { dim: 1500, optimizer: adagrad({ learningRate: 0.1 }), initializer, ack: "memory" } as const;
  const written = await store.table("wide", wide);
  for (let from = 0; from < 900; from += 50) {
    const keys = BigUint64Array.from({ length: 50 }, (_, i) => BigInt(from + i));
    await written.push(keys, randomFloats(random, 75_000));
  }
  const table = shard.tables.get("wide")!;
  const keys = BigUint64Array.from({ length: 3000 }, () => BigInt(random.below(1000)));
  for (const narrow of [undefined, ...narrowTypes])
    compare(shard, [{ table, keys, narrow, state: true }], 64);
  assert.is(shard.state.arenas.all.length, 1);
  await store.close();
});

test("several arenas, rows on their way between them", async () => {
  const random = new Prng(2);
  const { shard, store } = await new FaultyMachine(2).open({ logBufferBytes: 8 << 20 });
  for (const [name, options] of Object.entries(kinds)) await store.table(name, options);
  await fill(shard, random, Object.keys(kinds));
  const wide = { dim: 1500, optimizer: adagrad({ learningRate: 0.1 }), initializer, ack: "memory" } as const;
  const table = await store.table("wide", wide);
  const tables = [...shard.tables.values()];
  let moving = 0;
  for (let from = 0; shard.state.arenas.all.length < 3; from += 40) {
    const keys = BigUint64Array.from({ length: 40 }, (_, i) => BigInt(from + i));
    await table.push(keys, randomFloats(random, 60_000));
    if (shard.state.arenas.moving) moving++;
    if (shard.state.arenas.all.length > 1 && from % 120 === 0)
      compare(shard, someParts(random, tables, from), 8 * random.below(100));
  }
  assert.ok(moving > 5, `${moving} frames while rows moved`);
  await store.close();
});

test("a front is a multiple of 8, and a table with a limit of memory is pulled", async () => {
  const { shard, store } = await new FaultyMachine(3).open();
  await store.table("odd", kinds.odd);
  await store.table("limited", { ...kinds.odd, memory: 1 << 20 });
  const part = (name: string) => ({ table: shard.tables.get(name)!, keys: BigUint64Array.of(1n) });
  for (const frontBytes of [4, -8, 0.5, Number.NaN])
    assert.throws(
      () => shard.gatherFrame([part("odd")], frontBytes),
      (error: unknown) => error instanceof EmbershardError && error.code === "INVALID_ARGUMENT",
    );
  assert.is(shard.gatherFrame([part("odd"), part("limited")], 8), undefined);
  assert.is(shard.gatherFrame([], 64)?.bytes.length, 64);
  await store.close();
});

test.run();
