import type { Arena } from "../table/arena.js";
import type { ArenaTable } from "../table/arena-table.js";
import { indexSegments, rowPages } from "../table/table-size.js";
import type { ArenaSet } from "./arena-set.js";

/**
 * Prepares for `rows` more rows of a table: memory grows once, and is fetched from the system by another thread ahead of
 * its use, and the index of an empty table gets the segments that it would split into. It is a hint: rows that do not come cost address space, and those beyond a limit are left out.
 */
export function expectRows(arenas: ArenaSet, table: ArenaTable, rows: number): void {
  // Rows of a table with a limit of memory leave it again.
  if (table.definition.memory !== undefined) return;
  const each = Math.ceil(rows / arenas.all.length);
  for (const arena of arenas.all) {
    const index = indexSegments(table.rows(arena) + each);
    arena.expectPages(arena.pagesEnd + rowPages(table, each) + index);
    sizeIndex(arena, table, each);
  }
}

/** Splits that would come for certain are made before there is anything to split. */
function sizeIndex(arena: Arena, table: ArenaTable, rows: number): void {
  const { kernel } = arena;
  const depth = Math.floor(Math.log2(indexSegments(Math.min(rows, kernel.pagesLeft() * table.rowsPerPage))));
  if (2 ** depth > kernel.pagesLeft() / 2 || !kernel.commitPages(2 ** depth)) return;
  kernel.sizeIndex(table.index, depth);
  arena.refresh();
}
