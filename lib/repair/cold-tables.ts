import type { TableDefinition } from "../api/table-definition.js";
import { coldPrefix } from "../shard/cold-values.js";
import type { Examination } from "./examination.js";
import type { SalvagePlan } from "./salvage-plan.js";

/** Whether a store has cold rows, or may have some. */
export function mayHaveColdRows(found: Examination, plan?: SalvagePlan): boolean {
  const isBounded = plan?.manifest?.tables.some(({ memory }) => memory !== undefined) === true;
  return isBounded || boundedTable(found) !== undefined || hasColdRows(found);
}

/** A table with `memory`, of those that any manifest knows and those that the log defines and does not drop. */
function boundedTable({ pages, definitions }: Examination): TableDefinition | undefined {
  const tables = new Map<number, TableDefinition>();
  for (const [{ proof, deletion, file }] of pages.entries.values())
    if (proof.kind === "manifest" && !deletion && file.current)
      for (const table of proof.manifest.tables) tables.set(table.number, table);
  for (const { number, definition } of definitions) {
    if (definition) tables.set(number, definition);
    else tables.delete(number);
  }
  return [...tables.values()].find(({ memory }) => memory !== undefined);
}

function hasColdRows({ pages }: Examination): boolean {
  for (const entries of pages.entries.values())
    if (entries[0].key[0] === coldPrefix && !entries[0].deletion) return true;
  return false;
}
