// Frames that lie, each in one way.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EmbershardError, type ErrorCode } from "../../lib/base/errors.js";
import type { FrameInput, Terms } from "../../lib/wire/frame.js";
import { readFrame } from "../../lib/wire/frame-reader.js";
import { FrameWriter } from "../../lib/wire/frame-writer.js";
import { type BodyInput, Column, ElementType } from "../../lib/wire/generated/frame-types.js";
import { frame as frameTable, tables } from "../../lib/wire/generated/schema-tables.js";
import { verifyFrame } from "../../lib/wire/verifier.js";
import { allTerms } from "./frame-values.js";

const writer = new FrameWriter();
const encode = (body: BodyInput, frame: Omit<FrameInput, "id" | "body"> = {}) =>
  writer.write({ id: 7, ...frame, body }).toBytes();
const pull = () =>
  encode({
    kind: "Pull",
    parts: [{ table: 1n, fingerprint: 2n, count: 2 }],
    keys: BigUint64Array.of(5n, 6n),
  });

function refused(message: Uint8Array, code: ErrorCode, text: RegExp, terms: Terms = allTerms): void {
  assert.throws(
    () => readFrame(message, terms),
    (error: unknown) => error instanceof EmbershardError && error.code === code && text.test(error.message),
    `expected ${code} ${text}`,
  );
}

/** Positions in a frame, found as a reader would. */
function placesOf(message: Uint8Array) {
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  const root = view.getUint32(0, true);
  const vtableOf = (table: number) => table - view.getInt32(table, true);
  const field = (table: number, slot: number) => table + view.getUint16(vtableOf(table) + 4 + 2 * slot, true);
  const target = (at: number) => at + view.getUint32(at, true);
  const slotOf = (name: string) => tables[frameTable].fields.findIndex((one) => one.name === name);
  const body = target(field(root, slotOf("body")));
  return { view, root, vtableOf, field, target, body, tag: field(root, slotOf("body") - 1) };
}

test("too short, or something else", () => {
  refused(new Uint8Array(0), "BAD_FRAME", /0 bytes/);
  refused(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"), "BAD_FRAME", /identifier/);
  const message = pull();
  for (let length = 0; length < message.length; length++)
    refused(message.subarray(0, length), "BAD_FRAME", /./);
});

test("offsets that lead out, back or out of alignment", () => {
  for (const [value, text] of [
    [0, /Frame would be at 0/],
    [0xffff_fff0, /Frame would be at/],
    [1000, /Frame would be at 1000/],
    [9, /aligned/],
  ] as const) {
    const message = pull();
    placesOf(message).view.setUint32(0, value, true);
    refused(message, "BAD_FRAME", text);
  }
});

test("vtables that lie", () => {
  const message = pull();
  const { view, root, vtableOf } = placesOf(message);
  const vtable = vtableOf(root);
  const change = (write: (at: DataView) => void, text: RegExp) => {
    const copy = message.slice();
    write(new DataView(copy.buffer));
    refused(copy, "BAD_FRAME", text);
  };
  change((at) => at.setInt32(root, root + 2, true), /vtable of Frame would be at -2/);
  change((at) => at.setInt32(root, -message.length, true), /vtable of Frame/);
  change((at) => at.setUint16(vtable, 3, true), /vtable of Frame says 3/);
  change((at) => at.setUint16(vtable, 0xfffe, true), /vtable of Frame/);
  change((at) => at.setUint16(vtable + 2, 0xffff, true), /Frame would take 65535/);
  change((at) => at.setUint16(vtable + 4, view.getUint16(vtable + 2, true), true), /Frame.id is at/);
  change((at) => at.setUint16(vtable + 4, 5, true), /Frame.id at .* not aligned/);
});

test("vectors and strings that lie about their length", () => {
  const message = pull();
  const { view, field, target, body } = placesOf(message);
  const keys = target(field(body, 3));
  assert.is(view.getUint32(keys, true), 2);
  for (const length of [3, 0x2000_0000, 0x2000_0001, 0xffff_ffff]) {
    view.setUint32(keys, length, true);
    refused(message, "BAD_FRAME", /keys would take/);
  }
  view.setUint32(keys, 1, true);
  refused(message, "BAD_FRAME", /found 1 keys, its parts count 2/);

  const named = encode({ kind: "DropTable", name: "items" });
  const places = placesOf(named);
  const name = places.target(places.field(places.body, 0));
  const text = named.slice();
  text[name + 4] = 0xff;
  refused(text, "BAD_FRAME", /not UTF-8/);
  text.set(named);
  text[name + 9] = 1;
  refused(text, "BAD_FRAME", /does not end with 0/);
  places.view.setUint32(name, 6, true);
  refused(named, "BAD_FRAME", /name would take 7 bytes/);
});

test("what is required and is missing", () => {
  const message = pull();
  const { view, root, vtableOf, body } = placesOf(message);
  view.setUint16(vtableOf(body) + 4 + 2 * 3, 0, true);
  refused(message, "BAD_FRAME", /Pull has no keys/);
  const without = pull();
  const vtable = vtableOf(root);
  const slot = tables[frameTable].fields.findIndex(({ kind }) => kind === "tag");
  new DataView(without.buffer).setUint16(vtable + 4 + 2 * slot, 0, true);
  refused(without, "BAD_FRAME", /Frame has no bodyType/);
});

test("values that are not what they are to be", () => {
  const tagged = pull();
  const { tag } = placesOf(tagged);
  tagged[tag] = 0;
  refused(tagged, "BAD_FRAME", /no body/);
  tagged[tag] = 200;
  refused(tagged, "PROTOCOL", /type 200/);
  const flag = encode({ kind: "GetMark" }, { more: true });
  const places = placesOf(flag);
  const slot = tables[frameTable].fields.findIndex(({ name }) => name === "more");
  flag[places.field(places.root, slot)] = 2;
  refused(flag, "BAD_FRAME", /more is 2/);
  const far = encode({ kind: "GetMark" }, { epoch: 1 });
  const { view, field, root } = placesOf(far);
  view.setUint32(field(root, 1) + 4, 0x20_0000, true);
  refused(far, "BAD_FRAME", /epoch is greater than 2\^53/);
});

test("what was not agreed on", () => {
  const none: Terms = { features: 0, items: 100 };
  const part = { table: 1n, fingerprint: 2n, count: 0 };
  const keys = new BigUint64Array(0);
  refused(encode({ kind: "GetMark" }, { cut: 1 }), "PROTOCOL", /Frame.cut needs feature "cut"/, none);
  refused(encode({ kind: "WatchEvicted" }), "PROTOCOL", /WatchEvicted needs feature "watch"/, none);
  const half = { ...part, element: ElementType.F16 };
  refused(encode({ kind: "Pull", parts: [half], keys }), "PROTOCOL", /element 1 needs feature "f16"/, none);
  const counted = { ...part, columns: Column.Values | Column.SecondCounter };
  refused(
    encode({ kind: "Pull", parts: [counted], keys }),
    "PROTOCOL",
    /columns 32 needs feature "counters"/,
    none,
  );
  readFrame(encode({ kind: "Pull", parts: [half, counted], keys }), { features: 0b1001, items: 100 });
});

test("fields of a later version are refused, but in a Hello", () => {
  // Its body gets a vtable at the end of the frame, with an entry more.
  const grown = (body: BodyInput) => {
    const old = encode(body);
    const { view, vtableOf, body: table } = placesOf(old);
    const vtable = vtableOf(table);
    const known = tables.find(({ name }) => name === body.kind)?.fields.length as number;
    const at = Math.ceil(old.length / 8) * 8;
    const message = new Uint8Array(at + 4 + 2 * (known + 1));
    message.set(old);
    message.set(old.subarray(vtable, vtable + view.getUint16(vtable, true)), at);
    const later = new DataView(message.buffer);
    later.setInt32(table, table - at, true);
    later.setUint16(at, 4 + 2 * (known + 1), true);
    later.setUint16(at + 4 + 2 * known, 4, true);
    return message;
  };
  refused(grown({ kind: "Cancel", request: 1 }), "PROTOCOL", /Cancel has a field of number 1/);
  const hello = { kind: "Hello", major: 1, minor: 9, features: 1, frameBytes: 5 } as const;
  const { body } = readFrame(grown(hello), allTerms);
  assert.is(body.kind === "Hello" && body.frameBytes, 5);
});

test("what is referred to often counts often, so that a frame cannot grow in its reader", () => {
  const parts = Array.from({ length: 100 }, () => ({ table: 1n, fingerprint: 2n, count: 0 }));
  const message = encode({ kind: "Contains", parts, keys: new BigUint64Array(0) });
  readFrame(message, { features: 0, items: 102 });
  refused(message, "BAD_FRAME", /more tables and strings/, { features: 0, items: 101 });
  // All parts are one: 2,000 of 4 bytes each, and one table.
  const many = encode({
    kind: "Contains",
    parts: new Array(2000).fill(parts[0]),
    keys: new BigUint64Array(0),
  });
  const { view, field, target, body } = placesOf(many);
  const vector = target(field(body, 0));
  const first = target(vector + 4);
  for (let i = 0; i < 2000; i++) view.setUint32(vector + 4 + 4 * i, first - (vector + 4 + 4 * i), true);
  readFrame(many, { features: 0, items: 5000 });
  const cut = many.slice(0, first + 40);
  refused(cut, "BAD_FRAME", /counted as often as it does/, { features: 0, items: 5000 });
});

test("the schema does not nest in itself: its depth bounds that of frames", () => {
  const depth = (index: number, above: readonly number[]): number => {
    assert.not.ok(above.includes(index), `${tables[index].name} is part of itself`);
    const inner = tables[index].fields.filter((field) => field.table !== undefined);
    return 1 + Math.max(0, ...inner.map((field) => depth(field.table as number, [...above, index])));
  };
  assert.ok(tables.every((_, index) => depth(index, []) <= 3));
});

test("of a front all but the last vector has to be there", () => {
  const rows = writer.write({
    id: 1,
    body: { kind: "Rows", parts: [{ count: 8, dim: 16 }], data: { bytes: 512 } },
  });
  const message = rows.toBytes();
  assert.is(verifyFrame(message.subarray(0, rows.frontBytes), message.length, allTerms), true);
  assert.is(verifyFrame(message.subarray(0, rows.frontBytes - 8), message.length, allTerms), false);
});

test.run();
