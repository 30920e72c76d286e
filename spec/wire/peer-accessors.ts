// Reads frames by the accessors that FlatBuffers' own compiler generates.
import { readdirSync } from "node:fs";
import { ByteBuffer } from "flatbuffers";
import { bodies, frame as frameTable, tables } from "../../lib/wire/generated/schema-tables.js";
import type { FieldSchema } from "../../lib/wire/schema-types.js";
import type { Values } from "./frame-values.js";

/** An object of a generated class: a method for each field. */
interface Accessor {
  bb: ByteBuffer;
  bb_pos: number;
  __init(at: number, buffer: ByteBuffer): Accessor;
  // biome-ignore lint/suspicious/noExplicitAny: methods are found by the schema's names
  [method: string]: any;
}

const folder = new URL("./generated/", import.meta.url);
const classes = new Map<string, new () => Accessor>();
for (const file of readdirSync(folder).filter((name) => name.endsWith(".js"))) {
  const module: Record<string, new () => Accessor> = await import(new URL(file, folder).href);
  for (const [name, one] of Object.entries(module)) classes.set(name, one);
}

/** What a frame says, in the shape of our own reader. */
export function readByAccessors(message: Uint8Array): Values {
  const buffer = new ByteBuffer(message);
  const root = make(frameTable).__init(buffer.readInt32(0), buffer);
  return valuesOf(frameTable, root);
}

function make(index: number): Accessor {
  const one = classes.get(tables[index].name);
  if (!one) throw new Error(`no class of ${tables[index].name}`);
  return new one();
}

function valuesOf(index: number, object: Accessor): Values {
  const { name, fields } = tables[index];
  const values: Values = bodies.includes(index) ? { kind: name } : {};
  for (const field of fields) {
    if (field.kind !== "tag") values[field.name] = fieldOf(field, object);
  }
  return values;
}

function fieldOf(field: FieldSchema, object: Accessor): unknown {
  const { name, kind } = field;
  const there = object.bb.__offset(object.bb_pos, 4 + 2 * field.slot) !== 0;
  const vector = <T>(read: (i: number) => T): T[] =>
    Array.from({ length: object[`${name}Length`]() }, (_, i) => read(i));
  switch (kind) {
    case "u64":
      return field.safe ? Number(object[name]()) : (object[name]() ?? undefined);
    case "table":
      return there ? valuesOf(field.table as number, object[name]()) : undefined;
    case "union": {
      const index = bodies[object[`${name}Type`]()];
      return valuesOf(index, object[name](make(index)));
    }
    case "strings":
      return there ? vector((i) => object[name](i)) : undefined;
    case "tables":
      return there ? vector((i) => valuesOf(field.table as number, object[name](i))) : undefined;
    case "u8s":
      return there ? Uint8Array.from(vector((i) => object[name](i))) : undefined;
    case "u16s":
      return there ? Uint16Array.from(vector((i) => object[name](i))) : undefined;
    case "u32s":
      return there ? Uint32Array.from(vector((i) => object[name](i))) : undefined;
    case "u64s":
      return there ? BigUint64Array.from(vector((i) => object[name](i) as bigint)) : undefined;
    default:
      return object[name]() ?? undefined;
  }
}
