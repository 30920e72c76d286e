// Cold rows of a version come into its arenas, which have no log: those that get full are halved at once.
import { EmbershardError } from "../base/errors.js";
import type { Arena } from "../table/arena.js";
import type { ArenaTable } from "../table/arena-table.js";
import type { ArenaSet } from "./arena-set.js";
import type { PastRows } from "./cold-past.js";
import type { ColdRows } from "./cold-rows.js";
import { beginHandOver, halfOf, moveNext, nextMove, noteOf } from "./hand-over.js";
import { promotionRows, stageRecords } from "./promoting.js";
import { outOfRoom } from "./recovered.js";

/** Pages of rows that are moved in one go: 8 MiB. */
const pauseAfterPages = 64;

/** Brings cold rows into the arenas, and halves those that they do not fit. @throws OUT_OF_MEMORY */
export async function adoptColdRows(
  arenas: ArenaSet,
  { cold, values }: PastRows,
  pause: () => Promise<void>,
): Promise<void> {
  // An arena that is still to get rows has room for them now.
  if (arenas.moving) await endHandOver(arenas, pause);
  const piece = promotionRows(cold) * cold.valueBytes;
  for (let from = 0; from < values.length; from += piece) {
    const some = values.subarray(from, from + piece);
    for (let full = adoptSome(arenas, cold, some); full; full = adoptSome(arenas, cold, some))
      await halve(arenas, full, pause).catch((cause: unknown) => {
        throw coldOutOfRoom(cold, cause);
      });
  }
}

/** Adopts rows, or none: gives the arena that is full then. */
function adoptSome(arenas: ArenaSet, cold: ColdRows, values: Uint8Array): Arena | undefined {
  const { table } = cold;
  const runs = stageRecords(arenas, cold, values);
  for (const { arena, n } of runs) if (!fits(arena, table, n)) return arena;
  for (const { arena, n, values: records, positions } of runs) {
    arena.kernel.adoptRows(table.index, records, n, positions, 0n);
    arena.refresh();
  }
  return undefined;
}

function fits(arena: Arena, table: ArenaTable, rows: number): boolean {
  return arena.commit(arena.kernel.pagesFor(table.index, rows)) || arena.commit(table.pagesFor(arena, rows));
}

/** Hands half of an arena's slots, with their rows, to a new one. @throws OUT_OF_MEMORY */
async function halve(arenas: ArenaSet, from: Arena, pause: () => Promise<void>): Promise<void> {
  const slots = halfOf(arenas, from);
  const to = arenas.add();
  beginHandOver(arenas, noteOf({ from, to, slots, page: 0, sketches: false, done: false }));
  await endHandOver(arenas, pause);
}

/** Moves all rows that are still to be handed over. @throws OUT_OF_MEMORY */
async function endHandOver(arenas: ArenaSet, pause: () => Promise<void>): Promise<void> {
  const moving = arenas.moving!;
  for (let pages = 1, next = nextMove(arenas, moving); next; pages++, next = nextMove(arenas, moving)) {
    const { to } = moving;
    if (!fits(to, next.table, next.n)) throw outOfRoom(`arena ${to.number}, which takes rows over,`);
    to.refresh();
    moveNext(moving, next, 0n, undefined);
    if (pages % pauseAfterPages === 0) await pause();
  }
  arenas.moving = undefined;
}

function coldOutOfRoom({ table }: ColdRows, cause: unknown): unknown {
  if (!(cause instanceof EmbershardError) || cause.code !== "OUT_OF_MEMORY") return cause;
  return new EmbershardError(
    "OUT_OF_MEMORY",
    `no memory for the cold rows of table "${table.definition.name}", which come into memory with a version: ${cause.message}`,
    { cause },
  );
}
