// What a frame says as JSON, for other languages: names as in the schema; u64s as decimal strings, but those that are at most
// 2^53 - 1; vectors of bytes as hexadecimal digits; what is absent left out.
import type { Frame, FrameInput } from "../../lib/wire/frame.js";
import { bodies, frame as frameTable, tables } from "../../lib/wire/generated/schema-tables.js";
import type { FieldSchema } from "../../lib/wire/schema-types.js";

type Values = Record<string, unknown>;

const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const indexOf = (kind: unknown) => tables.findIndex(({ name }) => name === kind);

/** The meaning of a frame. */
export function meaningOf(frame: Frame): Values {
  return described(frameTable, frame as unknown as Values);
}

/** The frame of a meaning. */
export function frameOf(meaning: Values): FrameInput {
  return understood(frameTable, meaning) as unknown as FrameInput;
}

function described(index: number, values: Values): Values {
  const all: Values = {};
  for (const field of tables[index].fields) {
    const value = values[field.name];
    if (value === undefined) continue;
    const name = snake(field.name);
    if (field.kind === "union") {
      const { kind } = value as { kind: string };
      all[`${name}_type`] = kind;
      all[name] = described(indexOf(kind), value as Values);
    } else if (field.kind === "table") all[name] = described(field.table as number, value as Values);
    else if (field.kind === "tables")
      all[name] = (value as Values[]).map((one) => described(field.table as number, one));
    else if (field.kind === "u8s") all[name] = Buffer.from(value as Uint8Array).toString("hex");
    else if (field.kind === "u64s") all[name] = [...(value as BigUint64Array)].map(String);
    else if (ArrayBuffer.isView(value)) all[name] = [...(value as Uint32Array)];
    else all[name] = typeof value === "bigint" ? String(value) : value;
  }
  return all;
}

function understood(index: number, meaning: Values): Values {
  const all: Values = bodies.includes(index) ? { kind: tables[index].name } : {};
  for (const field of tables[index].fields) {
    const value = meaning[snake(field.name)];
    if (value === undefined || field.kind === "tag") continue;
    all[field.name] =
      field.kind === "union"
        ? understood(indexOf(meaning[`${snake(field.name)}_type`]), value as Values)
        : fieldOf(field, value);
  }
  return all;
}

function fieldOf(field: FieldSchema, value: unknown): unknown {
  switch (field.kind) {
    case "table":
      return understood(field.table as number, value as Values);
    case "tables":
      return (value as Values[]).map((one) => understood(field.table as number, one));
    case "u8s":
      return new Uint8Array(Buffer.from(value as string, "hex"));
    case "u16s":
      return Uint16Array.from(value as number[]);
    case "u32s":
      return Uint32Array.from(value as number[]);
    case "u64s":
      return BigUint64Array.from(value as string[], BigInt);
    case "u64":
      return field.safe ? value : BigInt(value as string);
    default:
      return value;
  }
}
