import type { TableDefinition } from "../api/table-definition.js";
import { EmbershardError } from "../base/errors.js";
import type { ShardState } from "./shard-state.js";

/**
 * What knows of rows in memory, or in pages, only cannot be had with tables that are larger than their memory.
 *
 * @throws UNSUPPORTED naming such a table
 */
export function demandAllInPages(
  tables: Iterable<{ readonly definition: TableDefinition }>,
  what: string,
): void {
  for (const {
    definition: { name, memory },
  } of tables) {
    if (memory === undefined) continue;
    throw new EmbershardError(
      "UNSUPPORTED",
      `${what}: table "${name}" has a limit of memory, which does not go with that. Use a table without one, in a store of its own for versions`,
    );
  }
}

/** A rollback would leave the values of cold rows behind, as if they were its own. @throws UNSUPPORTED */
export function demandNoCold({ tables, coldRemains }: ShardState, what: string): void {
  demandAllInPages(tables.values(), what);
  if (coldRemains.length > 0)
    throw new EmbershardError(
      "UNSUPPORTED",
      `${what}: the cold rows of a table that was dropped are still being deleted. Try again in a moment`,
    );
}
