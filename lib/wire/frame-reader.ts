// Reads frames: verified first, then turned into plain objects whose arrays are views over the message.
import { checkBody } from "./body-checks.js";
import type { Frame, Terms } from "./frame.js";
import { bodies, frame as frameTable, tables } from "./generated/schema-tables.js";
import type { FieldSchema } from "./schema-types.js";
import { verifyFrame } from "./verifier.js";

/** Bulk of a message of which only the beginning is here. */
export interface Outside {
  /** Of the vector. */
  readonly name: string;
  /** Where it begins in the message, and its bytes. It ends where the message does. */
  readonly at: number;
  readonly bytes: number;
}

/**
 * Reads a message. It is borrowed while the frame is: arrays are views over it, or copies where they are out of alignment.
 *
 * @throws BAD_FRAME for what is no frame; PROTOCOL for what this version does not know, or what was not agreed on
 */
export function readFrame(message: Uint8Array, terms: Terms): Frame {
  verifyFrame(message, message.length, terms);
  const reading = new Reading(message);
  const frame = reading.table(0, frameTable) as unknown as Frame;
  checkBody(frame.body, undefined);
  return frame;
}

/**
 * Reads a frame of which the first bytes are here, so that the rest can be received where it belongs. The last vector of
 * bulk may lie outside of them, in part or in whole: it is empty in the frame, and `outside` says where it is. `undefined`:
 * more lies outside, so that the message has to be whole.
 *
 * @throws as readFrame
 */
export function readFront(
  front: Uint8Array,
  totalBytes: number,
  terms: Terms,
): { readonly frame: Frame; readonly outside: Outside | undefined } | undefined {
  if (!verifyFrame(front, totalBytes, terms)) return undefined;
  const reading = new Reading(front);
  const frame = reading.table(0, frameTable) as unknown as Frame;
  const { outside } = reading;
  if (reading.severalOutside || (outside && outside.at + outside.bytes !== totalBytes)) return undefined;
  checkBody(frame.body, outside);
  return { frame, outside };
}

type Values = Record<string, unknown>;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const isBody = tables.map((_, index) => bodies.includes(index));
const empty = {
  1: new Uint8Array(0),
  2: new Uint16Array(0),
  4: new Uint32Array(0),
  8: new BigUint64Array(0),
};

/** Accessors of one message, which was verified. */
class Reading {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  outside: Outside | undefined;
  severalOutside = false;

  constructor(bytes: Uint8Array) {
    // Not a Buffer, whose slices share its memory.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** The table that the offset at `at` refers to. */
  table(at: number, index: number): Values {
    const { fields, name } = tables[index];
    const table = at + this.#view.getUint32(at, true);
    const vtable = table - this.#view.getInt32(table, true);
    const slots = (this.#view.getUint16(vtable, true) - 4) >> 1;
    // Always all properties, in the order of the schema: objects of one table have one shape.
    const values: Values = isBody[index] ? { kind: name } : {};
    let tag = 0;
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i];
      const offset = field.slot < slots ? this.#view.getUint16(vtable + 4 + 2 * field.slot, true) : 0;
      if (field.kind === "tag") tag = this.#view.getUint8(table + offset);
      else if (field.kind === "union") values[field.name] = this.table(table + offset, bodies[tag]);
      else values[field.name] = offset === 0 ? field.otherwise : this.#value(field, table + offset);
    }
    return values;
  }

  #value(field: FieldSchema, at: number): unknown {
    const view = this.#view;
    switch (field.kind) {
      case "bool":
        return view.getUint8(at) !== 0;
      case "u8":
        return view.getUint8(at);
      case "u16":
        return view.getUint16(at, true);
      case "u32":
        return view.getUint32(at, true);
      case "u64":
        if (field.safe) return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
        return view.getBigUint64(at, true);
      case "f32":
        return view.getFloat32(at, true);
      case "f64":
        return view.getFloat64(at, true);
      case "string":
        return this.#string(at);
      case "table":
        return this.table(at, field.table as number);
      case "strings":
        return this.#elements(at, (element) => this.#string(element));
      case "tables":
        return this.#elements(at, (element) => this.table(element, field.table as number));
      default:
        return this.#array(at, field.elementBytes as 1 | 2 | 4 | 8, field.name);
    }
  }

  #string(at: number): string {
    const start = at + this.#view.getUint32(at, true);
    const length = this.#view.getUint32(start, true);
    return decoder.decode(this.#bytes.subarray(start + 4, start + 4 + length));
  }

  #elements<T>(at: number, read: (at: number) => T): T[] {
    const start = at + this.#view.getUint32(at, true);
    const elements = new Array<T>(this.#view.getUint32(start, true));
    for (let i = 0; i < elements.length; i++) elements[i] = read(start + 4 + 4 * i);
    return elements;
  }

  #array(
    at: number,
    elementBytes: 1 | 2 | 4 | 8,
    name: string,
  ): Uint8Array | Uint16Array | Uint32Array | BigUint64Array {
    const start = at + this.#view.getUint32(at, true) + 4;
    const length = this.#view.getUint32(start - 4, true);
    const end = start + length * elementBytes;
    if (end > this.#bytes.length) {
      this.severalOutside ||= this.outside !== undefined;
      this.outside = { name, at: start, bytes: length * elementBytes };
      return empty[elementBytes];
    }
    if (elementBytes === 1) return this.#bytes.subarray(start, end);
    const aligned = (this.#bytes.byteOffset + start) % elementBytes === 0;
    const buffer = aligned ? this.#bytes.buffer : this.#bytes.slice(start, end).buffer;
    const from = aligned ? this.#bytes.byteOffset + start : 0;
    if (elementBytes === 2) return new Uint16Array(buffer, from, length);
    if (elementBytes === 4) return new Uint32Array(buffer, from, length);
    return new BigUint64Array(buffer, from, length);
  }
}
