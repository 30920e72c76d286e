// Reads what `flatc --schema --binary` writes: a FlatBuffer that describes a schema (reflection.fbs of FlatBuffers 25). Only
// what the generator needs, by field number, so that the generator depends on nothing that it generates.
import { ByteBuffer } from "flatbuffers";

/** reflection.BaseType. */
export const BASE = {
  UType: 1,
  Bool: 2,
  Byte: 3,
  UByte: 4,
  Short: 5,
  UShort: 6,
  Int: 7,
  UInt: 8,
  Long: 9,
  ULong: 10,
  Float: 11,
  Double: 12,
  String: 13,
  Vector: 14,
  Obj: 15,
  Union: 16,
};

/** The tables and enums of a binary schema, in the order of their names, fields in the order of their numbers. */
export function readSchema(bytes) {
  const buffer = new ByteBuffer(bytes);
  const schema = table(buffer, buffer.readInt32(0));
  return {
    objects: schema.tables(0).map(readObject),
    enums: schema.tables(1).map(readEnum),
  };
}

function readObject(object) {
  return {
    name: object.string(0),
    fields: object
      .tables(1)
      .map(readField)
      .sort((a, b) => a.id - b.id),
    attributes: attributesOf(object, 5),
    documentation: object.strings(6),
  };
}

function readField(field) {
  return {
    name: field.string(0),
    type: readType(field.table(1)),
    id: field.number(2, "readUint16", 0),
    defaultInteger: field.number(4, "readInt64", 0n),
    defaultReal: field.number(5, "readFloat64", 0),
    required: field.number(7, "readUint8", 0) !== 0,
    attributes: attributesOf(field, 9),
    documentation: field.strings(10),
    optional: field.number(11, "readUint8", 0) !== 0,
  };
}

function readType(type) {
  return {
    base: type.number(0, "readUint8", 0),
    element: type.number(1, "readUint8", 0),
    index: type.number(2, "readInt32", -1),
  };
}

function readEnum(one) {
  return {
    name: one.string(0),
    values: one.tables(1).map((value) => ({
      name: value.string(0),
      value: Number(value.number(1, "readInt64", 0n)),
      documentation: value.strings(4),
      attributes: attributesOf(value, 5),
    })),
    isUnion: one.number(2, "readUint8", 0) !== 0,
    underlying: readType(one.table(3)).base,
    attributes: attributesOf(one, 4),
    documentation: one.strings(5),
  };
}

function attributesOf(table, field) {
  return Object.fromEntries(table.tables(field).map((pair) => [pair.string(0), pair.string(1) ?? ""]));
}

/** Accessors of the table at a position, by field number. */
function table(buffer, at) {
  const place = (field) => buffer.__offset(at, 4 + 2 * field);
  const indirect = (position) => position + buffer.readInt32(position);
  const elements = (field) => {
    if (place(field) === 0) return [];
    const vector = indirect(at + place(field));
    return Array.from({ length: buffer.readInt32(vector) }, (_, i) => vector + 4 + 4 * i);
  };
  const string = (position) => buffer.__string(position);
  return {
    number: (field, read, otherwise) => (place(field) === 0 ? otherwise : buffer[read](at + place(field))),
    string: (field) => (place(field) === 0 ? undefined : string(at + place(field))),
    table: (field) => table(buffer, indirect(at + place(field))),
    tables: (field) => elements(field).map((element) => table(buffer, indirect(element))),
    strings: (field) => elements(field).map((element) => string(element)),
  };
}
