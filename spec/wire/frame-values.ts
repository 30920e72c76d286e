import type { Frame, FrameInput, Terms } from "../../lib/wire/frame.js";
import { bodies, frame as frameTable, tables } from "../../lib/wire/generated/schema-tables.js";

/** Everything is allowed. */
export const allTerms: Terms = { features: 0xffff_ffff, items: 1 << 18 };

/** A frame as it is read: with the defaults of what was left out. */
export function withDefaults(frame: FrameInput): Frame {
  return filled(frameTable, frame as unknown as Values) as unknown as Frame;
}

export type Values = Record<string, unknown>;

function filled(index: number, values: Values): Values {
  const { fields, name } = tables[index];
  const all: Values = bodies.includes(index) ? { kind: name } : {};
  for (const field of fields) {
    if (field.kind === "tag") continue;
    const value = values[field.name] ?? field.otherwise;
    if (value === undefined) all[field.name] = undefined;
    else if (field.kind === "table") all[field.name] = filled(field.table as number, value as Values);
    else if (field.kind === "tables")
      all[field.name] = (value as Values[]).map((one) => filled(field.table as number, one));
    else if (field.kind === "union")
      all[field.name] = filled(bodyIndex((value as { kind: string }).kind), value as Values);
    else all[field.name] = value;
  }
  return all;
}

/** Index of the table of a kind of body. */
export function bodyIndex(kind: string): number {
  return tables.findIndex(({ name }) => name === kind);
}
