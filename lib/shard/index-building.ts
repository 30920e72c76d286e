// Recovery, third part: free places are linked and the index is built from the keys in the rows.
import { EmbershardError } from "../base/errors.js";
import { KIND_ROWS } from "../kernel/layout.js";
import type { Arena } from "../table/arena.js";
import type { ArenaTable } from "../table/arena-table.js";
import { allTables, outOfRoom, type Recovered } from "./recovered.js";

/** Gives arenas their free pages and tables their index. @throws CORRUPT when a key stands twice, OUT_OF_MEMORY */
export async function buildIndexes(recovered: Recovered, pause: () => Promise<void>): Promise<void> {
  try {
    await indexTables(recovered, pause);
  } catch (cause) {
    // The kernel traps where the arena has no page left for the index.
    if (cause instanceof WebAssembly.RuntimeError) throw outOfRoom("the index of the rows", cause);
    throw cause;
  }
}

async function indexTables(recovered: Recovered, pause: () => Promise<void>): Promise<void> {
  const { arenas } = recovered;
  const tables = allTables(recovered);
  for (const table of tables) arenas.tables.add(table);
  for (const arena of arenas.all) {
    const end = arena.pagesEnd;
    arena.kernel.sweepPages();
    const places = placesOf(arena);
    // An index made for its rows may be twice as large as one that grew: where that may not fit, it grows again.
    const most = tables.reduce((sum, { index }) => sum + 4 + (places.get(index) ?? 0) / 5000, 0);
    const roomy = most < arena.kernel.pagesLeft();
    for (const table of tables) {
      arena.kernel.openTable(table.index, roomy ? (places.get(table.index) ?? 0) : 0);
      arena.refresh();
      await indexTable(arena, table, end, pause);
      // Replay has left the epoch of the last record.
      table.describeEpoch(arena, table.epoch);
    }
  }
}

/** Rows that are put into the index at once. */
const indexRows = 1 << 19;

async function indexTable(
  arena: Arena,
  table: ArenaTable,
  end: number,
  pause: () => Promise<void>,
): Promise<void> {
  const { kernel } = arena;
  arena.beginScratch(16 * indexRows + 2 * 64);
  const words = arena.takeScratch(8 * indexRows);
  const sorted = arena.takeScratch(8 * indexRows);
  let n = 0;
  let page = kernel.nextPageOf(table.index, arena.firstPage, end);
  while (page !== 0 || n > 0) {
    if (page !== 0 && n + table.rowsPerPage <= indexRows) {
      n += kernel.collectPage(page, words + 8 * n);
      page = kernel.nextPageOf(table.index, page + 1, end);
      continue;
    }
    const twice = kernel.indexWords(table.index, words, n, sorted);
    arena.refresh();
    if (twice >= 0)
      throw new EmbershardError(
        "CORRUPT",
        `a key stands twice in table "${table.definition.name}", arena ${arena.number}`,
      );
    n = 0;
    await pause();
  }
}

/** Places ever used by each table, by the number of its descriptor. */
function placesOf(arena: Arena): Map<number, number> {
  const places = new Map<number, number>();
  for (let page = arena.firstPage; page < arena.pagesEnd; page++) {
    if (arena.pageKind(page) !== KIND_ROWS) continue;
    const index = arena.pageTable(page);
    places.set(index, (places.get(index) ?? 0) + arena.pagePlaces(page));
  }
  return places;
}
