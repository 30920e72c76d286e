import type { TableDefinition } from "../api/table-definition.js";
import { EmbershardError } from "../base/errors.js";
import { coldPrefix } from "../shard/cold-values.js";
import type { Examination } from "./examination.js";

/**
 * Repaired stores are made of pages and of the log, which hold no cold rows: none is made without them.
 *
 * @throws UNSUPPORTED naming a table that is larger than its memory, or may be
 */
export function demandNoColdRows(found: Examination, what: string): void {
  const bounded = boundedTable(found);
  if (bounded === undefined && !hasColdRows(found)) return;
  const which = bounded ? `table "${bounded.name}" has a limit of memory` : "it has values of cold rows";
  throw new EmbershardError(
    "UNSUPPORTED",
    `${what}: ${which}, and cold rows are neither in pages nor in the log. Nothing was changed; restore a backup instead`,
  );
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
