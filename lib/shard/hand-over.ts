// Handing half of a full arena's slots to a new one. The new arena owns the slots at once; rows follow when a write
// touches them, and page by page between requests. Until then reads look in both places.

import { KIND_ROWS } from "../kernel/layout.js";
import type { Arena } from "../table/arena.js";
import type { ArenaTable } from "../table/arena-table.js";
import type { SectionList } from "./applying.js";
import { type ArenaSet, slotCount } from "./arena-set.js";
import { SECTION, sectionBytes } from "./records.js";
import { carry } from "./runs.js";
import type { Run } from "./staging.js";

export interface HandOver {
  readonly from: Arena;
  readonly to: Arena;
  /** u8[16384]: 1 for a slot that moves. */
  readonly slots: Uint8Array;
  /** The page of `from` that is looked at next. */
  page: number;
  /** Rows of sketches move first: so writes, of which each may touch all of them, soon find them moved. */
  sketches: boolean;
  /** Every row has moved; a checkpoint must forget the hand-over before another can begin. */
  done: boolean;
}

/** What a record in the log and the manifest say of a hand-over. */
export interface HandOverNote {
  readonly from: number;
  readonly to: number;
  /** The slots that move, one bit each, base64. */
  readonly slots: string;
  /** In the log: it has ended, and nothing has to be remembered of it. */
  readonly done?: true;
}

/**
 * How full an arena is, of 1, when it is halved. A lone arena is close to full then. Arenas that grew together would be
 * full together: they are halved one after the other while they grow from half full, at levels that lie evenly between.
 */
export function halvingLevel(arenas: number): number {
  const round = 2 ** Math.floor(Math.log2(arenas));
  return 1 / 2 + ((15 / 16 - 1 / 2) * (arenas - round + 1)) / round;
}

/** Every other slot of an arena. */
export function halfOf(set: ArenaSet, arena: Arena): Uint8Array {
  const slots = new Uint8Array(slotCount);
  let owned = 0;
  for (let slot = 0; slot < slotCount; slot++) {
    if (set.arenaOf[slot] === arena.number) slots[slot] = owned++ % 2;
  }
  return slots;
}

export function noteOf({ from, to, slots }: HandOver): HandOverNote {
  const bits = new Uint8Array(slotCount / 8);
  for (let slot = 0; slot < slotCount; slot++) bits[slot >> 3] |= slots[slot] << (slot & 7);
  return { from: from.number, to: to.number, slots: Buffer.from(bits).toString("base64") };
}

/** Begins a hand-over: the slots change owner. The arenas exist. */
export function beginHandOver(set: ArenaSet, note: HandOverNote): HandOver {
  const bits = Buffer.from(note.slots, "base64");
  const slots = new Uint8Array(slotCount);
  for (let slot = 0; slot < slotCount; slot++) {
    slots[slot] = (bits[slot >> 3] >> (slot & 7)) & 1;
    if (slots[slot]) set.arenaOf[slot] = note.to;
  }
  const from = set.all[note.from];
  set.moving = { from, to: set.all[note.to], slots, page: from.firstPage, sketches: true, done: false };
  return set.moving;
}

/**
 * Pages that must be left in the new arena for the rows which have not come yet: half of those that have not been looked
 * at, since hashes spread rows evenly over slots, and some more.
 */
export function pagesToCome({ from, page, sketches, done }: HandOver): number {
  // While those of sketches move, the others have not been looked at.
  return done ? 0 : Math.ceil(0.55 * (from.pagesEnd - (sketches ? from.firstPage : page))) + 8;
}

/** A bound of what moving n rows adds to a log record. */
export function movedBytes(table: ArenaTable, n: number): number {
  return sectionBytes(n, 0) + sectionBytes(n, n * table.recordBytes);
}

/** Scratch that moving n rows takes in each of the two arenas. */
export function movingBytes(table: ArenaTable, n: number): number {
  return n * (16 + table.recordBytes) + 6 * 64;
}

/** Rows that have left an arena. */
export interface MovedRows {
  readonly table: ArenaTable;
  readonly from: Arena;
  /** u64[n] */
  readonly keys: BigUint64Array;
  /** Where they were: u32[n], byte address >>> 3. */
  readonly positions: Uint32Array;
}

/** Moves the rows of keys that lie in scratch of the arena that gives. */
export function moveKeys(
  moving: HandOver,
  table: ArenaTable,
  keys: number,
  n: number,
  lsn: bigint,
  list: SectionList | undefined,
): MovedRows {
  const { from, to } = moving;
  const left: Run = {
    arena: from,
    n,
    keys,
    counts: from.takeScratch(4 * n),
    positions: from.takeScratch(4 * n),
    values: 0,
    states: 0,
    steps: 0,
    counters: 0,
  };
  const records = from.takeScratch(n * table.recordBytes);
  const moved = from.kernel.extractRows(table.index, keys, n, left.positions, records, lsn);
  left.n = moved;
  if (moved === 0) return { table, from, keys: new BigUint64Array(0), positions: new Uint32Array(0) };
  const there = carry(from, records, to, moved * table.recordBytes);
  const arrived: Run = {
    arena: to,
    n: moved,
    keys: to.takeScratch(8 * moved),
    counts: to.takeScratch(4 * moved),
    positions: to.takeScratch(4 * moved),
    values: there,
    states: 0,
    steps: 0,
    counters: 0,
  };
  to.kernel.adoptRows(table.index, there, moved, arrived.positions, lsn);
  from.kernel.keysOfRecords(records, moved, table.recordBytes, left.keys);
  to.kernel.keysOfRecords(there, moved, table.recordBytes, arrived.keys);
  const rows: MovedRows = {
    table,
    from,
    keys: from.u64.slice(left.keys / 8, left.keys / 8 + moved),
    positions: from.u32.slice(left.positions / 4, left.positions / 4 + moved),
  };
  if (!list) return rows;
  list.add(left, table, SECTION.delete, 0, []);
  list.add(arrived, table, SECTION.adopt, 0, [to.bytes.subarray(there, there + moved * table.recordBytes)]);
  return rows;
}

/** Moves what a run of a write is about to touch. */
export function moveForRun(
  moving: HandOver,
  table: ArenaTable,
  run: Run,
  lsn: bigint,
  list: SectionList | undefined,
): MovedRows {
  const keys = carry(run.arena, run.keys, moving.from, 8 * run.n);
  return moveKeys(moving, table, keys, run.n, lsn, list);
}

/**
 * The next page of the giving arena that holds rows which move, with their keys in its scratch; undefined when none is
 * left, and the hand-over is done.
 */
export function nextMove(
  set: ArenaSet,
  moving: HandOver,
): { table: ArenaTable; keys: number; n: number; page: number } | undefined {
  if (moving.sketches) {
    const next = nextPage(set, moving, ({ bySlot }) => bySlot);
    if (next) return next;
    moving.sketches = false;
    moving.page = moving.from.firstPage;
  }
  const next = nextPage(set, moving, ({ bySlot }) => !bySlot);
  if (!next) moving.done = true;
  return next;
}

/** The same among the tables that are wanted. */
function nextPage(
  set: ArenaSet,
  moving: HandOver,
  wanted: (table: ArenaTable) => boolean,
): { table: ArenaTable; keys: number; n: number; page: number } | undefined {
  const { from } = moving;
  const tables = new Map([...set.tables].filter(wanted).map((table) => [table.index, table]));
  if (tables.size === 0) return undefined;
  for (; moving.page < from.pagesEnd; moving.page++) {
    if (from.pageKind(moving.page) !== KIND_ROWS) continue;
    const table = tables.get(from.pageTable(moving.page));
    if (!table) continue;
    const rows = table.rowsPerPage;
    for (const arena of [from, moving.to])
      arena.beginScratch(slotCount + 8 * rows + 2 * movingBytes(table, rows));
    const slots = from.takeScratch(slotCount);
    from.bytes.set(moving.slots, slots);
    const keys = from.takeScratch(8 * rows);
    const n = from.kernel.keysOfPage(moving.page, slots, table.placement, keys);
    if (n > 0) return { table, keys, n, page: moving.page };
  }
  return undefined;
}

export function moveNext(
  moving: HandOver,
  next: { table: ArenaTable; keys: number; n: number },
  lsn: bigint,
  list: SectionList | undefined,
): MovedRows {
  return moveKeys(moving, next.table, next.keys, next.n, lsn, list);
}
