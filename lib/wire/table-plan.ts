// How tables are laid out when they are written: decided once for each set of fields that are there.
import { tables } from "./generated/schema-tables.js";
import type { FieldSchema } from "./schema-types.js";

/** A field, and where it lies in its table. */
export interface PlannedField {
  readonly field: FieldSchema;
  readonly at: number;
}

/** A table with certain fields. */
export interface TablePlan {
  readonly vtable: Uint8Array;
  /** Of the table itself. */
  readonly bytes: number;
  /** Where it has to begin, modulo 8: so that what follows its first 4 bytes is aligned. */
  readonly align: 4 | 8;
  readonly scalars: readonly PlannedField[];
  /** In the order in which what they refer to is written. */
  readonly references: readonly PlannedField[];
}

const plans: readonly Map<number, TablePlan>[] = tables.map(() => new Map());

/** The plan of a table: bit i of `mask` says whether field i is there. */
export function planOf(table: number, mask: number): TablePlan {
  let plan = plans[table].get(mask);
  if (!plan) {
    plan = makePlan(table, mask);
    plans[table].set(mask, plan);
  }
  return plan;
}

/** Whether a field holds an offset. */
export function isReference({ kind, elementBytes }: FieldSchema): boolean {
  return elementBytes !== undefined || /^(tables?|strings?|union)$/.test(kind);
}

/** Fields by falling size behind the 4 bytes that a table begins with: each is aligned, and nothing lies between. */
function makePlan(table: number, mask: number): TablePlan {
  const there = tables[table].fields.filter(({ slot }) => (mask & (1 << slot)) !== 0);
  const order = [...there].sort((a, b) => b.bytes - a.bytes || a.slot - b.slot);
  const slots = 32 - Math.clz32(mask);
  const vtable = new Uint8Array(4 + 2 * slots);
  const view = new DataView(vtable.buffer);
  let bytes = 4;
  const fields: PlannedField[] = [];
  for (const field of order) {
    view.setUint16(4 + 2 * field.slot, bytes, true);
    fields.push({ field, at: bytes });
    bytes += field.bytes;
  }
  view.setUint16(0, vtable.length, true);
  view.setUint16(2, bytes, true);
  return {
    vtable,
    bytes,
    align: there.some((field) => field.bytes === 8) ? 8 : 4,
    scalars: fields.filter(({ field }) => !isReference(field)),
    references: fields.filter(({ field }) => isReference(field)).sort((a, b) => a.field.slot - b.field.slot),
  };
}
