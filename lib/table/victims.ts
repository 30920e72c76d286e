// Victims: the rows of a table with the lowest scores, for those who evict rows or move them out of memory.
import { T_PAGES, TABLE_BYTES, TABLES } from "../kernel/layout.js";
import type { Arena } from "./arena.js";
import type { ArenaTable } from "./arena-table.js";

/** What rows are compared by: the numbers of lib/kernel/assembly/victims.ts. */
export const BY = { frequency: 0, touched: 1, step: 2, norm: 3, counters: 4 } as const;

/** A score is a u32 that orders as what it stands for. This one a row never has that may be a victim. */
export const neverScore = 0xffff_ffff;

const samplePages = 256;

/** The score of a float32: of a norm, or of what counters come to. */
export function scoreOfFloat(value: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  const bits = view.getUint32(0);
  return bits >>> 31 === 1 ? ~bits >>> 0 : (bits | 0x8000_0000) >>> 0;
}

/** Scores of a table's rows. The caller owns the array. */
export interface ScoreSample {
  readonly scores: Uint32Array;
  /** Every row is in it. */
  readonly complete: boolean;
}

/** The scores of about `most` rows of a table in an arena, spread over its pages. Takes the arena's scratch. */
export function sampleScores(arena: Arena, table: ArenaTable, by: number, most = 4096): ScoreSample {
  const pages = arena.data.getUint32(TABLES + table.index * TABLE_BYTES + T_PAGES, true);
  if (pages === 0) return { scores: new Uint32Array(0), complete: true };
  const every = Math.ceil(pages / samplePages);
  const taken = Math.ceil(pages / every);
  const perPage = Math.ceil(most / taken);
  arena.beginScratch(4 * perPage * taken + 64);
  const into = arena.takeScratch(4 * perPage * taken);
  const n = arena.kernel.sampleScores(table.index, by, arena.firstPage, arena.pagesEnd, every, perPage, into);
  return { scores: arena.u32.slice(into / 4, into / 4 + n), complete: n === table.rows(arena) };
}

/** Where a search for victims is in an arena. */
export interface VictimCursor {
  page: number;
  place: number;
}

export interface VictimSearch {
  readonly by: number;
  /** Victims are rows with at most this score. */
  readonly threshold: number;
  /** Places to look at, about: the search ends with a page. */
  readonly places: number;
  /** Victims, at most. */
  readonly limit: number;
}

/** What a search found: columns in the arena's scratch, gone with the next request. */
export interface FoundVictims {
  readonly n: number;
  /** Pointer to u64[n]. */
  readonly keys: number;
  /** Pointer to u32[n], addresses >>> 3. */
  readonly positions: number;
  /** Places looked at. */
  readonly looked: number;
  /** The arena has no pages beyond. */
  readonly ended: boolean;
}

/** Scratch that a search takes. */
export function searchBytes(limit: number): number {
  return 12 * limit + 3 * 64;
}

/**
 * Searches a table's pages in an arena from `cursor` on, and moves it. The caller has begun scratch with `searchBytes(limit)` of
 * room, and more if it goes on working with the victims.
 */
export function findVictims(
  arena: Arena,
  table: ArenaTable,
  cursor: VictimCursor,
  { by, threshold, places, limit }: VictimSearch,
): FoundVictims {
  const at = arena.takeScratch(12);
  const keys = arena.takeScratch(8 * limit);
  const positions = arena.takeScratch(4 * limit);
  arena.u32[at / 4] = Math.max(cursor.page, arena.firstPage);
  arena.u32[at / 4 + 1] = cursor.place;
  const end = arena.pagesEnd;
  const n = arena.kernel.findVictims(table.index, by, threshold, at, end, places, limit, keys, positions);
  [cursor.page, cursor.place] = [arena.u32[at / 4], arena.u32[at / 4 + 1]];
  return { n, keys, positions, looked: arena.u32[at / 4 + 2], ended: cursor.page >= end };
}
