// Verifies that a message is a frame of the schema: every offset, length and value that a reader will follow, in one pass,
// before any is followed, without copying. The rules are in docs/wire.md.
import { isUtf8 } from "node:buffer";
import { EmbershardError } from "../base/errors.js";
import type { Terms } from "./frame.js";
import { bodies, enums, featureNames, frame as frameTable, tables } from "./generated/schema-tables.js";
import type { FieldSchema, TableSchema } from "./schema-types.js";

/** "EMB1" */
const identifier = 0x31424d45;
/** Entries that a vtable may have beyond those that are known: what they say is looked at. */
const laterFields = 64;

/**
 * Verifies a message, or the beginning of one that is `totalBytes` long: then vectors may reach beyond what is here, and
 * the answer is false where more than that does, which says that more has to be here to verify it.
 *
 * @throws BAD_FRAME for what is no frame; PROTOCOL for what this version does not know, or what was not agreed on
 */
export function verifyFrame(bytes: Uint8Array, totalBytes: number, terms: Terms): boolean {
  const verifier = new Verifier(bytes, totalBytes, terms);
  try {
    verifier.verify();
    return true;
  } catch (error) {
    if (error === beyond) return false;
    throw error;
  }
}

/** Thrown where what must be seen is not here yet. */
const beyond = new Error("beyond what is here");

class Verifier {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #here: number;
  readonly #total: number;
  readonly #features: number;
  /** What may still be referred to: bytes, each as often as it is, and objects. So the cost is linear. */
  #bytesLeft: number;
  #itemsLeft: number;

  constructor(bytes: Uint8Array, totalBytes: number, { features, items }: Terms) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#here = bytes.byteLength;
    this.#total = totalBytes;
    this.#features = features;
    this.#bytesLeft = totalBytes;
    this.#itemsLeft = items;
  }

  verify(): void {
    if (this.#total < 16) throw bad(`found ${this.#total} bytes, a frame has at least 16`);
    this.#demand(0, 8, "the header");
    const found = this.#view.getUint32(4, true);
    if (found !== identifier)
      throw bad(`found identifier 0x${found.toString(16)}, expected 0x${identifier.toString(16)} ("EMB1")`);
    this.#spend(8);
    this.#table(this.#target(0, "Frame"), frameTable);
  }

  #table(at: number, index: number): void {
    const schema = tables[index];
    const { name, fields } = schema;
    if (at % 4 !== 0) throw bad(`${name} at ${at} is not aligned to 4`);
    this.#demand(at, 4, name);
    const vtable = at - this.#view.getInt32(at, true);
    if (vtable % 2 !== 0 || vtable < 0) throw bad(`the vtable of ${name} would be at ${vtable}`);
    this.#demand(vtable, 4, `the vtable of ${name}`);
    const vtableBytes = this.#view.getUint16(vtable, true);
    const tableBytes = this.#view.getUint16(vtable + 2, true);
    if (vtableBytes % 2 !== 0 || vtableBytes < 4 || tableBytes < 4)
      throw bad(`a vtable of ${name} says ${vtableBytes} bytes for itself and ${tableBytes} for the table`);
    this.#demand(vtable, vtableBytes, `the vtable of ${name}`);
    this.#demand(at, tableBytes, name);
    this.#item(tableBytes);
    if (schema.feature >= 0) this.#agreed(schema.feature, name);
    const slots = (vtableBytes - 4) >> 1;
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i];
      const offset = field.slot < slots ? this.#view.getUint16(vtable + 4 + 2 * field.slot, true) : 0;
      if (offset !== 0) this.#field(schema, field, at, offset, tableBytes);
      else if (field.required || field.kind === "tag") throw bad(`${name} has no ${field.name}`);
    }
    if (slots > fields.length) this.#later(schema, vtable, slots);
  }

  /** Fields of a later version: refused, since to skip them could change what a frame means. */
  #later({ name, open, fields }: TableSchema, vtable: number, slots: number): void {
    if (slots > fields.length + laterFields) throw bad(`a vtable of ${name} has ${slots} entries`);
    if (open) return;
    for (let slot = fields.length; slot < slots; slot++) {
      if (this.#view.getUint16(vtable + 4 + 2 * slot, true) !== 0)
        throw new EmbershardError(
          "PROTOCOL",
          `${name} has a field of number ${slot}, which this version does not know: send what the agreed version has`,
        );
    }
  }

  #field(schema: TableSchema, field: FieldSchema, table: number, offset: number, tableBytes: number): void {
    const { bytes, kind } = field;
    if (offset < 4 || offset + bytes > tableBytes)
      throw bad(`${schema.name}.${field.name} is at ${offset} of a table of ${tableBytes} bytes`);
    const at = table + offset;
    if (at % bytes !== 0) throw bad(`${schema.name}.${field.name} at ${at} is not aligned to ${bytes}`);
    if (field.feature >= 0) this.#agreed(field.feature, `${schema.name}.${field.name}`);
    switch (kind) {
      case "u8":
      case "u16":
        if (field.values !== undefined) this.#value(schema, field, at);
        return;
      case "bool":
        if (this.#view.getUint8(at) > 1)
          throw bad(`${schema.name}.${field.name} is ${this.#view.getUint8(at)}, neither 0 nor 1`);
        return;
      case "u64":
        if (field.safe && this.#view.getUint32(at + 4, true) >= 0x20_0000)
          throw bad(`${schema.name}.${field.name} is greater than 2^53 - 1`);
        return;
      case "u32":
      case "f32":
      case "f64":
      case "tag":
        return;
      case "table":
        this.#table(this.#target(at, field.name), field.table as number);
        return;
      case "union":
        this.#union(schema, table, at);
        return;
      case "string":
        this.#string(this.#target(at, field.name), field.name);
        return;
      default:
        this.#vector(schema, field, this.#target(at, field.name));
    }
  }

  /** The value of an enum, or a sum of flags. */
  #value(schema: TableSchema, field: FieldSchema, at: number): void {
    const value = field.bytes === 1 ? this.#view.getUint8(at) : this.#view.getUint16(at, true);
    const { flags, features, name } = enums[field.values as number];
    if (flags ? value >= 2 ** features.length : value >= features.length)
      throw new EmbershardError(
        "PROTOCOL",
        `${schema.name}.${field.name} is ${value}, which is no ${name} that this version knows`,
      );
    if (!flags) {
      if (features[value] >= 0) this.#agreed(features[value], `${schema.name}.${field.name} ${value}`);
      return;
    }
    for (let bit = 0; bit < features.length; bit++) {
      if ((value & (1 << bit)) !== 0 && features[bit] >= 0)
        this.#agreed(features[bit], `${schema.name}.${field.name} ${1 << bit}`);
    }
  }

  /** The tag lies in the field before; it was seen to be there. */
  #union(schema: TableSchema, table: number, at: number): void {
    const vtable = table - this.#view.getInt32(table, true);
    const slot = (schema.fields.find(({ kind }) => kind === "tag") as FieldSchema).slot;
    const tag = this.#view.getUint8(table + this.#view.getUint16(vtable + 4 + 2 * slot, true));
    if (tag === 0) throw bad("a frame has no body");
    if (tag >= bodies.length)
      throw new EmbershardError(
        "PROTOCOL",
        `a frame's body is of type ${tag}, which this version does not know`,
      );
    this.#table(this.#target(at, "body"), bodies[tag]);
  }

  #string(at: number, name: string): void {
    const length = this.#length(at, name);
    this.#demand(at + 4, length + 1, name);
    this.#item(5 + length);
    if (this.#view.getUint8(at + 4 + length) !== 0) throw bad(`string ${name} does not end with 0`);
    if (!isUtf8(this.#bytes.subarray(at + 4, at + 4 + length))) throw bad(`string ${name} is not UTF-8`);
  }

  #vector(schema: TableSchema, field: FieldSchema, at: number): void {
    const { name, elementBytes } = field;
    const length = this.#length(at, name);
    if (elementBytes !== undefined) {
      // Some builders align no empty vector.
      if (length > 0 && (at + 4) % elementBytes !== 0)
        throw bad(`${schema.name}.${name} begins at ${at + 4}, which is not aligned to ${elementBytes}`);
      const bytes = length * elementBytes;
      if (at + 4 + bytes > this.#total) throw this.#outside(name, at + 4, bytes);
      if (!field.bulk) this.#demand(at + 4, bytes, name);
      this.#spend(4 + bytes);
      return;
    }
    this.#demand(at + 4, 4 * length, name);
    this.#spend(4 + 4 * length);
    for (let i = 0; i < length; i++) {
      const target = this.#target(at + 4 + 4 * i, name);
      if (field.kind === "strings") this.#string(target, name);
      else this.#table(target, field.table as number);
    }
  }

  #length(at: number, name: string): number {
    if (at % 4 !== 0) throw bad(`${name} at ${at} is not aligned to 4`);
    this.#demand(at, 4, name);
    return this.#view.getUint32(at, true);
  }

  /** What the offset at `at` refers to. */
  #target(at: number, name: string): number {
    const offset = this.#view.getUint32(at, true);
    if (offset < 4 || at + offset > this.#total - 4)
      throw bad(`${name} would be at ${at + offset} of ${this.#total} bytes`);
    return at + offset;
  }

  /** Bytes that will be read. */
  #demand(at: number, bytes: number, name: string): void {
    if (at + bytes > this.#total) throw this.#outside(name, at, bytes);
    if (at + bytes > this.#here) throw beyond;
  }

  #outside(name: string, at: number, bytes: number): EmbershardError {
    return bad(`${name} would take ${bytes} bytes from ${at} of ${this.#total}`);
  }

  #item(bytes: number): void {
    if (--this.#itemsLeft < 0) throw bad("it has more tables and strings than a frame may have");
    this.#spend(bytes);
  }

  #spend(bytes: number): void {
    this.#bytesLeft -= bytes;
    if (this.#bytesLeft < 0)
      throw bad("what it refers to, counted as often as it does, is longer than it is");
  }

  #agreed(feature: number, what: string): void {
    if ((this.#features & (1 << feature)) === 0)
      throw new EmbershardError(
        "PROTOCOL",
        `${what} needs feature "${featureNames[feature]}", which the handshake has not agreed on`,
      );
  }
}

function bad(what: string): EmbershardError {
  return new EmbershardError("BAD_FRAME", `a message is no frame: ${what}`);
}
