// Bulk is not copied: it is borrowed, or is where it belongs already.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import {
  columnPlaces,
  columnsBytes,
  float32Column,
  placesOfParts,
  uint32Column,
} from "../../lib/wire/columns.js";
import { readFrame, readFront } from "../../lib/wire/frame-reader.js";
import { FrameWriter } from "../../lib/wire/frame-writer.js";
import { Column, ElementType, type Push, type Rows } from "../../lib/wire/generated/frame-types.js";
import { allTerms } from "./frame-values.js";

const writer = new FrameWriter();

test("a push in parts borrows keys and gradients, and is one message when they are joined", () => {
  const random = new Prng(1);
  const keys = [100, 257].map((n) => BigUint64Array.from({ length: n }, () => BigInt(random.u32())));
  const gradients = [100 * 3, 257 * 5].map((n) => Float32Array.from({ length: n }, () => random.normal()));
  const counts = Uint32Array.from({ length: 257 }, () => random.u32());
  const written = writer.write({
    id: 1,
    body: {
      kind: "Push",
      write: { worker: 1, session: 2n, sequence: 3 },
      parts: [
        { table: 1n, fingerprint: 2n, count: 100, dim: 3 },
        { table: 3n, fingerprint: 4n, count: 257, dim: 5, columns: Column.Values | Column.Counts },
      ],
      keys,
      data: [gradients[0], gradients[1], counts],
    },
  });
  const parts = written.parts();
  for (const array of [...keys, ...gradients, counts])
    assert.ok(
      parts.some((part) => part.buffer === array.buffer && part.byteLength === array.byteLength),
      `an array of ${array.byteLength} bytes is sent as it is`,
    );
  const message = new Uint8Array(Buffer.concat(parts));
  assert.is(message.length, written.bytes);
  assert.equal(message, written.toBytes());
  const body = readFrame(message, allTerms).body as Push;
  assert.equal([...body.keys], [...keys[0], ...keys[1]]);
  const [first, second] = placesOfParts(body.parts);
  assert.equal(float32Column(body.data, first.values, 300), gradients[0]);
  assert.equal(float32Column(body.data, second.values, 257 * 5), gradients[1]);
  assert.equal(uint32Column(body.data, second.counts, 257), counts);
  assert.is(body.keys.buffer, message.buffer, "read without a copy");
  assert.is(body.data.buffer, message.buffer);
});

test("a front is written before rows that lie in memory", () => {
  const memory = new Uint8Array(8192).fill(0xee);
  const rows = new Float32Array(memory.buffer, 4096, 140);
  rows.forEach((_, i) => {
    rows[i] = i;
  });
  const parts = [
    { part: 0, count: 19, dim: 4, columns: Column.Values },
    { part: 1, count: 31, dim: 2, columns: Column.Values },
  ];
  const written = writer.write({
    id: 9,
    body: {
      kind: "Rows",
      clock: 4,
      parts,
      found: new Uint8Array(7).fill(3),
      data: [{ bytes: 19 * 4 * 4 }, { bytes: 31 * 2 * 4 }],
    },
  });
  assert.is(written.frontBytes % 8, 0);
  const at = 4096 - written.frontBytes;
  written.copyTo(memory, at);
  const message = memory.subarray(at, at + written.bytes);
  assert.is(memory[at - 1], 0xee);
  assert.equal([...rows.subarray(137)], [137, 138, 139]);
  const frame = readFrame(message, allTerms);
  const body = frame.body as Rows;
  assert.is(frame.id, 9);
  const [first, second] = placesOfParts(body.parts);
  assert.equal(float32Column(body.data, first.values, 76), rows.subarray(0, 76));
  assert.equal(float32Column(body.data, second.values, 62), rows.subarray(76, 138));
  assert.throws(() => written.parts(), /room/);
});

test("of a reply the first bytes say where the rest goes", () => {
  const rows = Float32Array.from({ length: 400 }, (_, i) => i);
  const message = writer
    .write({ id: 3, body: { kind: "Rows", parts: [{ count: 100, dim: 4 }], data: rows } })
    .toBytes();
  const read = readFront(message.subarray(0, 256), message.length, allTerms);
  assert.ok(read?.outside);
  const { at, bytes, name } = read.outside;
  assert.is(name, "data");
  assert.is(bytes, 1600);
  assert.equal(message.subarray(at), new Uint8Array(rows.buffer));
  assert.is((read.frame.body as Rows).parts[0].count, 100);
  // Too little of it is here; all of it is here.
  assert.is(readFront(message.subarray(0, 40), message.length, allTerms), undefined);
  assert.is(readFront(message, message.length, allTerms)?.outside, undefined);
});

test("of several vectors only the last may be outside", () => {
  const part = { table: 1n, fingerprint: 2n, count: 100, dim: 4 };
  const message = writer
    .write({
      id: 3,
      body: {
        kind: "Assign",
        write: {},
        parts: [part],
        keys: new BigUint64Array(100),
        data: new Float32Array(400),
      },
    })
    .toBytes();
  const dataAt = message.length - 1600;
  assert.is(readFront(message.subarray(0, dataAt - 800), message.length, allTerms), undefined);
  assert.is(readFront(message.subarray(0, dataAt), message.length, allTerms)?.outside?.at, dataAt);
});

test("columns lie one behind the other, at multiples of 8", () => {
  const all = { count: 3, dim: 5, stateFloats: 1, element: ElementType.Int8, columns: 0x1ff };
  assert.equal(columnPlaces(all, 1), {
    values: 8, // 15 bytes
    scales: 24,
    state: 40,
    counts: 56,
    lastStep: 72,
    firstCounter: 88,
    secondCounter: 104,
    writtenAt: 120,
    added: 144,
    distance: 152,
    end: 176,
  });
  const halves = { count: 3, dim: 5, stateFloats: 0, element: ElementType.F16, columns: Column.Values };
  assert.is(columnsBytes([halves, halves]), 32 + 30);
  assert.throws(() => float32Column(new Uint8Array(8), 4, 2), /beyond/);
});

test("a writer grows with its frames", () => {
  const names = Array.from({ length: 3000 }, (_, i) => `table ${i}`);
  const { body } = readFrame(
    writer.write({ id: 1, body: { kind: "Changes", since: "a", tables: names } }).toBytes(),
    allTerms,
  );
  assert.equal(body.kind === "Changes" && body.tables, names);
});

test.run();
