// Recovery, third part: free places are linked and the index is built from the keys in the rows.
import { KIND_DROPPED, KIND_ROWS, PAGE_BYTES } from "../kernel/layout.js";
import type { Arena } from "../table/arena.js";
import type { ArenaTable } from "../table/arena-table.js";
import { ArenaIndexing } from "./arena-indexing.js";
import { allTables, type Recovered } from "./recovered.js";

/** Pages that are indexed in one go: 64 MiB, a few tens of milliseconds. */
const pauseAfterPages = 512;

/**
 * Has pages indexed as they come. Demands that no log changes them, nor what tables there are. Nothing is begun where an
 * arena has no memory yet for the pages of the ledger. `imageBytes` of each arena, where images are read into memory that
 * must not grow meanwhile; undefined where it may.
 */
export function beginIndexes(recovered: Recovered, imageBytes: readonly number[] | undefined): void {
  const { arenas, ledger } = recovered;
  const wanted = [...ledger.entries()];
  const fits = ({ arena: number, page }: { arena: number; page: number }) => {
    const arena = arenas.all[number];
    return page >= arena.firstPage && (page + 1) * PAGE_BYTES <= arena.bytes.length;
  };
  if (!wanted.every(fits)) return;
  // Their numbers are taken, whoever they will belong to: what lies between is free for the index.
  for (const { arena, page } of wanted) arenas.all[arena].kernel.claimPage(page, KIND_DROPPED, 0);
  recovered.indexing = arenas.all.map((arena, number) => {
    arena.kernel.sweepPages();
    return beginIndex(arena, allTables(recovered), imageBytes?.[number]);
  });
}

function beginIndex(arena: Arena, tables: readonly ArenaTable[], imageBytes: number | undefined) {
  const expected = new Map<number, number>();
  if (imageBytes !== undefined) {
    const recordBytes = Math.min(...tables.map((table) => table.recordBytes));
    const rows = tables.length === 0 ? 0 : Math.ceil(imageBytes / recordBytes);
    if (tables.length === 1) expected.set(tables[0].index, rows);
    // As many rows as there can be. It is only asked for: what is not used takes nothing.
    arena.reserve(ArenaIndexing.pagesFor(tables.length, rows));
  }
  return new ArenaIndexing(arena, { expected, grows: imageBytes === undefined });
}

/** Gives arenas their free pages and tables their index. @throws CORRUPT when a key stands twice, OUT_OF_MEMORY */
export async function buildIndexes(recovered: Recovered, pause: () => Promise<void>): Promise<void> {
  const { arenas } = recovered;
  const tables = allTables(recovered);
  for (const table of tables) arenas.tables.add(table);
  for (const arena of arenas.all) {
    const begun = recovered.indexing?.[arena.number];
    const indexing = begun ?? beginWhole(arena);
    if (!begun) await addAll(indexing, arena, tables, pause);
    indexing.finish(tables);
    // Replay has left the epoch of the last record.
    for (const table of tables) table.describeEpoch(arena, table.epoch);
  }
}

function beginWhole(arena: Arena): ArenaIndexing {
  arena.kernel.sweepPages();
  return new ArenaIndexing(arena, { expected: placesOf(arena), grows: true });
}

async function addAll(
  indexing: ArenaIndexing,
  arena: Arena,
  tables: readonly ArenaTable[],
  pause: () => Promise<void>,
): Promise<void> {
  const end = arena.pagesEnd;
  let pages = 0;
  for (const table of tables) {
    let page = arena.kernel.nextPageOf(table.index, arena.firstPage, end);
    for (; page !== 0; page = arena.kernel.nextPageOf(table.index, page + 1, end)) {
      indexing.add(page, table);
      if (++pages % pauseAfterPages === 0) await pause();
    }
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
