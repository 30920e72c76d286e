// Writing: a request is staged, room is reserved, rows change, and the record is appended, all in one turn.

import type { WriteRequest } from "../api/backend.js";
import { assert } from "../base/assert.js";
import { PAGE_BYTES } from "../kernel/layout.js";
import type { Arena } from "../table/arena.js";
import type { ArenaTable } from "../table/arena-table.js";
import { applyRun, logRun, SectionList } from "./applying.js";
import { type ArenaSet, slotCount } from "./arena-set.js";
import { noteGone } from "./cold-deletions.js";
import { type HandOver, movedBytes, moveForRun, movingBytes, pagesToCome } from "./hand-over.js";
import { moveCandidates, movedCandidateBytes, movingCandidateBytes } from "./hand-over-candidates.js";
import { encodeRowsHeader, RECORD, sectionBytes } from "./records.js";
import { ofSlots } from "./remaining-writes.js";
import { orderingBytes, splitRun } from "./runs.js";
import type { Scans } from "./scanning.js";
import type { PushOrigin } from "./sequences.js";
import { lastLsn, type ShardState, timeNow } from "./shard-state.js";
import { type RowWrite, type Run, stage, stagingBytes, valueBytesOf } from "./staging.js";

/** A write that a shard is asked for, which may come from elsewhere. */
export interface ShardRequest extends WriteRequest {
  /** Where it comes from: it is made at most once, then, however often it comes. */
  readonly origin?: PushOrigin | undefined;
}

/** What a write did. */
export interface Applied {
  /** Rows touched; for deletes, those that existed. */
  readonly touched: number;
  /** Of its record, or, where it had been made before, of a record not before that; 0 when it was not logged. */
  readonly lsn: number;
  /** Of its record's columns. */
  readonly bytes: number;
  /** It had been made before, whole, and nothing was done. */
  readonly repeated: boolean;
}

interface PlannedWrite {
  readonly write: RowWrite;
  readonly runs: readonly Run[];
  /** Gradients left out because they were not finite. */
  readonly skipped: number;
}

function movingNow({ arenas }: ShardState): HandOver | undefined {
  return arenas.moving && !arenas.moving.done ? arenas.moving : undefined;
}

/** A bound of the bytes of a write's record. */
export function boundBytes(state: ShardState, writes: readonly RowWrite[], { mark }: ShardRequest): number {
  const moving = movingNow(state);
  let bytes = 128 + (mark?.length ?? 0);
  for (const write of writes) {
    const n = write.keys.length;
    bytes += state.arenas.all.length * 64 + sectionBytes(n, n * valueBytesOf(write));
    if (write.table.candidates) bytes += state.arenas.all.length * 2 * 64 + 2 * sectionBytes(n, 0);
    if (moving) bytes += movedBytes(write.table, n) + movedCandidateBytes(write.table, n);
  }
  return bytes;
}

/**
 * Makes a write whose record fits the log's buffer, or what of it has not been made before. Gives the arena that is full
 * when one is: nothing has changed then.
 *
 * @throws NON_FINITE, TOO_LARGE, FENCED, SESSION_EXPIRED: nothing has changed then.
 */
export function tryWrite(
  state: ShardState,
  scans: Scans,
  writes: readonly RowWrite[],
  request: ShardRequest,
): Applied | { full: Arena } {
  const { origin } = request;
  if (origin === undefined) return writeAll(state, scans, writes, request);
  const left = state.sequences.left(origin);
  if (left.length === 0) return { touched: 0, lsn: state.sequences.lsnOf(origin), bytes: 0, repeated: true };
  const whole = left[0].first === origin.first && left[0].last === origin.last;
  const outcome = writeAll(state, scans, whole ? writes : ofSlots(state, writes, left), request);
  if (!("full" in outcome)) state.sequences.applied(origin, outcome.lsn);
  return outcome;
}

function writeAll(
  state: ShardState,
  scans: Scans,
  writes: readonly RowWrite[],
  request: ShardRequest,
): Applied | { full: Arena } {
  const { arenas, log, draining } = state;
  const moving = movingNow(state);
  const lacking = beginScratch(arenas, writes, moving);
  if (lacking) return { full: lacking };
  const plan = planWrites(state, writes);
  const full = reserve(state, plan);
  if (full) return { full };
  const logs = ({ table }: RowWrite) => table.definition.logged || draining;
  const logged = writes.some(logs) || (writes.length === 0 && (request.mark ?? request.origin) !== undefined);
  const lsn = logged ? log.nextLsn : lastLsn(state);
  const time = writes.some(({ table }) => table.touchedOffset !== 0) ? timeNow(state) : 0;
  const list = new SectionList();
  let touched = 0;
  for (const { write, runs, skipped } of plan) {
    write.table.skipped += skipped;
    const sections = logs(write) ? list : undefined;
    for (const run of runs) {
      if (moving && run.arena === moving.to) {
        const moved = [
          moveForRun(moving, write.table, run, BigInt(lsn), sections),
          ...moveCandidates(moving, write.table, run, BigInt(lsn), sections),
        ];
        for (const scan of scans) for (const rows of moved) scan.noteMoves(rows);
      }
      write.table.describeTime(run.arena, time);
      const applied = applyRun(run, write, request.step, BigInt(lsn));
      touched += applied.n;
      if (applied.n > 0) noteStep(write, applied, request.step);
      if (write.kind === "delete" && state.cold.size > 0)
        noteGone(state, write.table, run.arena.u64.subarray(run.keys / 8, run.keys / 8 + applied.n), lsn);
      if (sections) logRun(sections, applied, write);
    }
  }
  for (const arena of arenas.all) arena.refresh();
  // Not slice(): that of a Buffer shares the caller's memory.
  if (request.mark) state.mark = new Uint8Array(request.mark);
  if (!logged) return { touched, lsn: 0, bytes: 0, repeated: false };
  const { step, mark, origin } = request;
  const header = encodeRowsHeader({ step, time, mark, sections: list.count, origin });
  const given = log.append(RECORD.rows, 0, [header, ...list.parts]);
  assert(given === lsn, "a record gets the LSN that its pages were stamped with");
  const bytes = list.parts.reduce((sum, part) => sum + part.length, 0);
  return { touched, lsn, bytes, repeated: false };
}

/** The highest step of a table is what its rows' ages are counted from. */
function noteStep({ table, kind }: RowWrite, { arena, n, steps }: Run, step: number): void {
  const highest = kind === "push" ? step : steps ? arena.kernel.largestOf(steps, n) >>> 0 : 0;
  table.highestStep = Math.max(table.highestStep, highest);
}

/** Scratch that writes take in each of several arenas, or in a lone one; more while rows are handed over. */
function scratchBytes(
  arenas: ArenaSet,
  writes: readonly RowWrite[],
  moves: boolean,
  several = arenas.all.length > 1,
): number {
  return writes.reduce((sum, write) => {
    const n = write.keys.length;
    const ordering = orderingBytes(arenas, n, valueBytesOf(write), several);
    const moving = moves ? movingBytes(write.table, n) + movingCandidateBytes(write.table, n) : 0;
    return sum + stagingBytes(write) + ordering + moving;
  }, 0);
}

/**
 * Begins the scratch of writes in every arena. Gives an arena that lacks it as long as rows are handed over; it has enough
 * for what the writes take afterwards.
 *
 * @throws TOO_LARGE when an arena lacks it anyway. Halving it would not help: rows that leave keep their pages for others.
 */
function beginScratch(
  arenas: ArenaSet,
  writes: readonly RowWrite[],
  moving: HandOver | undefined,
): Arena | undefined {
  const bytes = scratchBytes(arenas, writes, moving !== undefined);
  if (moving) {
    const kept = (arena: Arena) => (arena === moving.to ? pagesToCome(moving) : 0);
    const lacking = arenas.all.find((arena) => !arena.hasScratch(bytes, kept(arena)));
    const afterwards = scratchBytes(arenas, writes, false);
    if (lacking && arenas.all.every((arena) => arena.hasScratch(afterwards))) return lacking;
  }
  for (const arena of arenas.all) {
    // It will be halved, and must have room for such writes then.
    if (!moving && arena.pagesEnd * PAGE_BYTES > arenas.limitBytes / 2)
      arena.expectScratch(scratchBytes(arenas, writes, true, true), arenas.limitBytes / PAGE_BYTES / 16);
    arena.beginScratch(bytes);
  }
  return undefined;
}

function planWrites({ arenas }: ShardState, writes: readonly RowWrite[]): PlannedWrite[] {
  return writes.map((write) => {
    const staged = stage(arenas.front, write);
    return { write, runs: splitRun(arenas, staged, write), skipped: staged.skipped };
  });
}

/** Makes sure that every run's rows can be created. Returns an arena that has no room. */
function reserve(state: ShardState, plan: readonly PlannedWrite[]): Arena | undefined {
  const { arenas } = state;
  for (const arena of arenas.all) {
    // Even rows to be deleted come to the arena that they are being handed to first.
    const takesAll = movingNow(state)?.to === arena;
    const creating: { table: ArenaTable; run: Run }[] = [];
    for (const { write, runs } of plan) {
      if (write.kind === "delete" && !takesAll) continue;
      for (const run of runs) if (run.arena === arena) creating.push({ table: write.table, run });
    }
    if (creating.length === 0) continue;
    const { kernel } = arena;
    // Rows that are still to be handed over find room, whatever is written before them.
    const kept = takesAll ? pagesToCome(movingNow(state)!) : 0;
    const commit = (pages: number) => pages + kept <= kernel.pagesLeft() && arena.commit(pages);
    const bound = creating.reduce((pages, { table, run }) => pages + boundPages(table, run), 0);
    if (!commit(bound)) {
      // Close to full: count what is really missing.
      const exact = creating.reduce((pages, { table, run }) => {
        const missing = run.n - kernel.containsRows(table.index, run.keys, run.n, arena.takeScratch(run.n));
        const more = table.candidates
          ? table.candidates.pagesFor(arena, newCandidates(table.candidates, run))
          : 0;
        return pages + more + (missing === 0 ? 0 : table.pagesFor(arena, missing));
      }, 0);
      if (exact > 0 && !commit(exact)) return arena;
    }
  }
  return undefined;
}

/** A bound of the pages that creating a run's rows takes, or counting its keys instead. */
function boundPages({ index, candidates }: ArenaTable, run: Run): number {
  const { kernel } = run.arena;
  const pages = kernel.pagesFor(index, run.n);
  return candidates ? pages + kernel.pagesFor(candidates.index, newCandidates(candidates, run)) : pages;
}

/** The most rows of candidates that a run may make. */
function newCandidates(candidates: ArenaTable, { arena, n }: Run): number {
  return candidates.bySlot ? Math.min(n, slotCount - candidates.rows(arena)) : n;
}
