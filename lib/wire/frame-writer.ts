// Writes frames front to back: header, tables with their small vectors, then the bulk vectors, which are not copied. See
// docs/wire.md for the layout; FlatBuffers' own builder writes back to front and element by element.
import { assert } from "../base/assert.js";
import { EmbershardError } from "../base/errors.js";
import { align8, bytesOf, type Chunk, chunkBytes, chunksOf } from "./bulk.js";
import type { FrameInput } from "./frame.js";
import type { BodyInput } from "./generated/frame-types.js";
import { bodies, frame as frameTable, tables } from "./generated/schema-tables.js";
import type { FieldSchema } from "./schema-types.js";
import { planOf, type TablePlan } from "./table-plan.js";
import { WrittenFrame } from "./written-frame.js";

/** Bulk of at most so many bytes is copied behind the front: it is not worth a part of its own. */
const copiedBytes = 512;
const encoder = new TextEncoder();

type Fields = Readonly<Record<string, unknown>>;

const tagOf = new Map(bodies.map((table, tag) => [tables[table]?.name, tag]));

/** A bulk vector that waits for its turn. */
interface Waiting {
  readonly field: FieldSchema;
  /** Position of the offset that refers to it. */
  readonly at: number;
  readonly value: unknown;
}

/** Writes one frame after the other into memory of its own. */
export class FrameWriter {
  #bytes = new Uint8Array(4096);
  #view = new DataView(this.#bytes.buffer);
  /** Position in `#bytes`, and the same in the message: they part where bulk lies elsewhere. */
  #at = 0;
  #position = 0;
  #waiting: Waiting[] = [];
  /** By table: the plan that was written last, and where its vtable lies. Tables of one kind mostly have the same fields. */
  readonly #lastPlans: (TablePlan | undefined)[] = [];
  readonly #lastVtables: number[] = [];

  /** Writes a frame. It is borrowed from this writer until the next one is written, and from the owners of its bulk. */
  write(frame: FrameInput): WrittenFrame {
    this.#at = 8;
    this.#waiting = [];
    this.#lastPlans.fill(undefined);
    this.#view.setUint32(4, 0x31424d45, true); // EMB1
    const root = this.#table(frameTable, frame as unknown as Fields);
    this.#view.setUint32(0, root, true); // in the memory that there is now
    return this.#finish();
  }

  /** Writes a table and what it refers to. Returns its position. */
  #table(index: number, fields: Fields): number {
    const plan = planOf(index, maskOf(tables[index].fields, fields));
    const vtable = this.#vtable(index, plan);
    this.#pad((plan.align - ((this.#at + 4) % plan.align)) % plan.align);
    const start = this.#at;
    this.#reserve(plan.bytes);
    this.#view.setInt32(start, start - vtable, true);
    for (const { field, at } of plan.scalars) this.#scalar(field, start + at, fields);
    for (const { field, at } of plan.references) this.#reference(field, start + at, fields[field.name]);
    return start;
  }

  /** The vtable of a table: the one that was written last, if it serves, or a new one. */
  #vtable(index: number, plan: TablePlan): number {
    if (this.#lastPlans[index] === plan) return this.#lastVtables[index];
    this.#align(2);
    const start = this.#at;
    this.#reserve(plan.vtable.length);
    this.#bytes.set(plan.vtable, start);
    this.#lastPlans[index] = plan;
    this.#lastVtables[index] = start;
    return start;
  }

  #scalar(field: FieldSchema, at: number, fields: Fields): void {
    const view = this.#view;
    const value = fields[field.name] as number;
    switch (field.kind) {
      case "tag":
        view.setUint8(at, tagOf.get((fields.body as BodyInput).kind) as number);
        return;
      case "bool":
        view.setUint8(at, value ? 1 : 0);
        return;
      case "u8":
        view.setUint8(at, checked(field, value, 0xff));
        return;
      case "u16":
        view.setUint16(at, checked(field, value, 0xffff), true);
        return;
      case "u32":
        view.setUint32(at, checked(field, value, 0xffff_ffff), true);
        return;
      case "u64":
        if (field.safe) writeSafe(view, at, checked(field, value, Number.MAX_SAFE_INTEGER));
        else view.setBigUint64(at, value as unknown as bigint, true);
        return;
      case "f32":
        view.setFloat32(at, value, true);
        return;
      default:
        view.setFloat64(at, value, true);
    }
  }

  /** Writes what a field refers to, or notes it for later. */
  #reference(field: FieldSchema, at: number, value: unknown): void {
    if (field.bulk) {
      this.#waiting.push({ field, at, value });
      return;
    }
    let target: number;
    if (field.kind === "table") target = this.#table(field.table as number, value as Fields);
    else if (field.kind === "union") target = this.#table(bodyTable(value), value as Fields);
    else if (field.kind === "string") target = this.#string(value as string);
    else if (field.kind === "strings")
      target = this.#offsets(value as readonly string[], (one) => this.#string(one));
    else if (field.kind === "tables")
      target = this.#offsets(value as readonly Fields[], (one) => this.#table(field.table as number, one));
    else target = this.#vector(value as ArrayBufferView, field.elementBytes as number);
    this.#view.setUint32(at, target - at, true);
  }

  #string(text: string): number {
    const bytes = encoder.encode(text);
    this.#align(4);
    const start = this.#at;
    this.#reserve(4 + bytes.length + 1);
    this.#view.setUint32(start, bytes.length, true);
    this.#bytes.set(bytes, start + 4);
    this.#bytes[start + 4 + bytes.length] = 0;
    return start;
  }

  #vector(value: ArrayBufferView, elementBytes: number): number {
    this.#align(4);
    if (elementBytes === 8) this.#pad((this.#at + 4) % 8);
    const start = this.#at;
    this.#reserve(4 + value.byteLength);
    this.#view.setUint32(start, value.byteLength / elementBytes, true);
    this.#bytes.set(bytesOf(value), start + 4);
    return start;
  }

  #offsets<T>(values: readonly T[], write: (value: T) => number): number {
    this.#align(4);
    const start = this.#at;
    this.#reserve(4 + 4 * values.length);
    this.#view.setUint32(start, values.length, true);
    for (let i = 0; i < values.length; i++) {
      const at = start + 4 + 4 * i;
      const target = write(values[i]);
      this.#view.setUint32(at, target - at, true);
    }
    return start;
  }

  /** Appends the bulk vectors. From here on positions in the message run ahead of those in memory. */
  #finish(): WrittenFrame {
    const written = new WrittenFrame();
    let from = 0;
    this.#position = this.#at;
    const flush = () => {
      if (this.#at > from) written.add(from, this.#at);
      from = this.#at;
    };
    for (const { field, at, value } of this.#waiting) {
      const elementBytes = field.elementBytes as number;
      const chunks = chunksOf(value as ArrayBufferView);
      const length = bytesOfChunks(chunks, elementBytes);
      assert(length % elementBytes === 0, "a vector is of whole elements");
      const start = align8(this.#position + 4) - 4;
      this.#fill(start - this.#position);
      this.#fill(4);
      this.#view.setUint32(this.#at - 4, length / elementBytes, true);
      this.#view.setUint32(at, start - at, true);
      written.beginBulk(this.#position);
      for (const chunk of chunks) {
        if (elementBytes === 1) this.#fill(align8(this.#position) - this.#position);
        if (ArrayBuffer.isView(chunk) && chunk.byteLength <= copiedBytes) this.#copy(bytesOf(chunk));
        else {
          flush();
          written.addChunk(chunk);
          this.#position += chunkBytes(chunk);
        }
      }
    }
    flush();
    written.end(this.#bytes, this.#position);
    return written;
  }

  #fill(bytes: number): void {
    this.#pad(bytes);
    this.#position += bytes;
  }

  #copy(bytes: Uint8Array): void {
    const at = this.#at;
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, at);
    this.#position += bytes.length;
  }

  #align(bytes: number): void {
    this.#pad((bytes - (this.#at % bytes)) % bytes);
  }

  /** Writes so many zeros. */
  #pad(bytes: number): void {
    const at = this.#at;
    this.#reserve(bytes);
    for (let i = 0; i < bytes; i++) this.#bytes[at + i] = 0;
  }

  /** Takes so many bytes, whatever they hold. */
  #reserve(bytes: number): void {
    const end = this.#at + bytes;
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(end, 2 * this.#bytes.length));
      larger.set(this.#bytes.subarray(0, this.#at));
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    this.#at = end;
  }
}

/** The fields that are written, by slot: what is its default is not. */
function maskOf(schema: readonly FieldSchema[], fields: Fields): number {
  let mask = 0;
  for (let slot = 0; slot < schema.length; slot++) if (isThere(schema[slot], fields)) mask |= 1 << slot;
  return mask;
}

function isThere(field: FieldSchema, fields: Fields): boolean {
  if (field.kind === "tag") return true;
  const value = fields[field.name];
  if (value === undefined) {
    assert(!field.required, "what is required is given");
    return false;
  }
  return value !== field.otherwise;
}

function bodyTable(value: unknown): number {
  const { kind } = value as BodyInput;
  const tag = tagOf.get(kind);
  assert(tag !== undefined && tag > 0, "a frame's body is one of the union's");
  return bodies[tag];
}

/** Bytes of a vector: chunks of bytes are columns, which begin at multiples of 8. */
function bytesOfChunks(chunks: readonly Chunk[], elementBytes: number): number {
  let bytes = 0;
  for (const chunk of chunks) bytes = (elementBytes === 1 ? align8(bytes) : bytes) + chunkBytes(chunk);
  return bytes;
}

function checked(field: FieldSchema, value: number, most: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= most) return value;
  throw new EmbershardError("INTERNAL", `broken invariant: a frame's ${field.name} is ${value}`);
}

function writeSafe(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
}
