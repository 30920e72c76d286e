// Candidates: keys of a table that admits which have no row yet, kept as a table of its own beside it.

import { encodeAdmission } from "../api/admission.js";
import { zeros } from "../api/initializers.js";
import { sgd } from "../api/optimizers.js";
import type { TableDefinition } from "../api/table-definition.js";
import { recordLayout } from "../kernel/layout.js";
import { ArenaTable } from "./arena-table.js";

const lineBytes = 64;
const headerBytes = 16;

/** Descriptors that a table takes: two where it has candidates. */
export function descriptorsOf({ admission }: TableDefinition): number {
  return admission ? 2 : 1;
}

/** A table over `indexes`, one for each descriptor, with its candidates where its definition says that it has some. */
export function makeTable(indexes: readonly number[], definition: TableDefinition): ArenaTable {
  const table = new ArenaTable(indexes[0], definition);
  if (definition.admission) table.candidates = candidatesOf(indexes[1], definition);
  return table;
}

/** A table and its candidates, if it has some. */
export function parts(table: ArenaTable): readonly ArenaTable[] {
  return table.candidates ? [table, table.candidates] : [table];
}

/**
 * The candidates of a table: rows without weights, of one key or, in a sketch, of one slot of keys. Placement is the
 * table's own, so that they lie in the arena of their keys; number and records in the log are theirs.
 */
function candidatesOf(index: number, definition: TableDefinition): ArenaTable {
  const { name, seed, placement, ack, logged, admission } = definition;
  const { blocks } = encodeAdmission(admission);
  const layout = recordLayout({
    dim: 0,
    stateFloats: 0,
    stateScalars: 0,
    storage: "f32",
    stateStorage: "f32",
    // A line for the header, so that blocks of counters are lines.
    extrasBytes: blocks === 0 ? 0 : lineBytes - headerBytes + blocks * lineBytes,
  });
  const own: TableDefinition = {
    name,
    number: definition.candidates!,
    dim: 0,
    optimizer: sgd({ learningRate: 1 }),
    initializer: zeros(),
    seed,
    placement,
    ack,
    logged,
    nonFinite: "refuse",
    admission,
  };
  const table = new ArenaTable(index, own, layout);
  table.bySlot = blocks > 0;
  return table;
}
