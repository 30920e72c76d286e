// Candidates move with the rows of their slots: what a write is about to touch first, the rest page by page.
import type { ArenaTable } from "../table/arena-table.js";
import { SectionList } from "./applying.js";
import { slotCount } from "./arena-set.js";
import { type HandOver, type MovedRows, movedBytes, moveForRun, moveKeys, movingBytes } from "./hand-over.js";
import type { Run } from "./staging.js";

/** Bytes of rows of a sketch that are moved at once, and so lie in scratch. */
const pieceBytes = 1 << 20;

function pieceRows({ recordBytes }: ArenaTable): number {
  return Math.max(1, Math.floor(pieceBytes / recordBytes));
}

/** The most rows of candidates that a write of n rows may touch: a sketch has one for each slot. */
function candidateRows({ bySlot }: ArenaTable, n: number): number {
  return bySlot ? Math.min(n, slotCount) : n;
}

/** A bound of what moving the candidates of n rows adds to a log record. */
export function movedCandidateBytes({ candidates }: ArenaTable, n: number): number {
  if (!candidates) return 0;
  const rows = candidateRows(candidates, n);
  if (!candidates.bySlot) return movedBytes(candidates, rows);
  return movedBytes(candidates, rows) + Math.ceil(rows / pieceRows(candidates)) * movedBytes(candidates, 0);
}

/** Scratch that moving the candidates of n rows takes in each of the two arenas. */
export function movingCandidateBytes({ candidates }: ArenaTable, n: number): number {
  if (!candidates) return 0;
  if (!candidates.bySlot) return 2 * movingBytes(candidates, n) + 8 * n;
  const rows = Math.min(candidateRows(candidates, n), pieceRows(candidates));
  return 2 * movingBytes(candidates, rows) + 8 * rows + 2 * n + 4 * 64;
}

/** Moves the candidates that a run of a write is about to touch. */
export function moveCandidates(
  moving: HandOver,
  table: ArenaTable,
  run: Run,
  lsn: bigint,
  list: SectionList | undefined,
): MovedRows[] {
  const { candidates } = table;
  if (!candidates) return [];
  if (!candidates.bySlot) return [moveForRun(moving, candidates, run, lsn, list)];
  const slots = movingSlots(moving, table, run);
  const moved: MovedRows[] = [];
  const piece = pieceRows(candidates);
  const begun = [moving.from, moving.to].map((arena) => ({ arena, at: arena.scratchUsed }));
  for (let from = 0; from < slots.length; from += piece) {
    const keys = BigUint64Array.from(slots.slice(from, from + piece), BigInt);
    const at = moving.from.takeScratch(8 * keys.length);
    moving.from.u64.set(keys, at / 8);
    // Scratch is used again for the next piece, so the record gets copies.
    const own = list && new SectionList();
    moved.push(moveKeys(moving, candidates, at, keys.length, lsn, own));
    if (list && own) list.addCopies(own);
    for (const { arena, at: used } of begun) arena.rewindScratch(used);
  }
  return moved;
}

/** The slots of a run's keys that move, each once. */
function movingSlots(moving: HandOver, table: ArenaTable, { arena, keys, n }: Run): number[] {
  const used = arena.scratchUsed;
  const at = arena.takeScratch(2 * n);
  arena.kernel.slotsOf(keys, n, table.placement, at);
  const slots = new Set(arena.u16.subarray(at / 2, at / 2 + n));
  arena.rewindScratch(used);
  return [...slots].filter((slot) => moving.slots[slot] === 1);
}
