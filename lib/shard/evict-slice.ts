// One slice of eviction: a bounded search for victims, and their removal with its record, in one turn.

import { splitCounters } from "../api/counter-columns.js";
import type { EvictedRows } from "../api/row-batches.js";
import { assert } from "../base/assert.js";
import { MAX_FREQUENCY } from "../kernel/layout.js";
import type { Arena } from "../table/arena.js";
import type { ArenaTable } from "../table/arena-table.js";
import { findVictims, searchBytes, type VictimCursor, type VictimSearch } from "../table/victims.js";
import { SectionList } from "./applying.js";
import { noteGone } from "./cold-deletions.js";
import { encodeRowsHeader, RECORD, SECTION, sectionBytes } from "./records.js";
import { lastLsn, type ShardState } from "./shard-state.js";

/** Victims of one slice, at most. */
export const sliceRows = 4096;
/** Bytes of rows that a slice copies for whoever is told, about. */
const copiedBytes = 4 << 20;

/** A bound of a slice's record. */
export const sliceBytes = 128 + sectionBytes(sliceRows, 0);

export interface SliceResult {
  readonly evicted: number;
  /** Places looked at. */
  readonly looked: number;
  /** The arena has no pages beyond. */
  readonly ended: boolean;
  /** LSN of the record; 0 where there was none. */
  readonly lsn: number;
  /** What was evicted, where someone wants to be told. */
  readonly rows: Omit<EvictedRows, "reason"> | undefined;
}

/** Evicts rows of one arena from `cursor` on, and moves it. There is room for `sliceBytes` in the log. */
export function evictSlice(
  state: ShardState,
  arena: Arena,
  table: ArenaTable,
  cursor: VictimCursor,
  search: VictimSearch,
  copied: boolean,
): SliceResult {
  const rowBytes = 4 * (table.dim + table.stateFloats + table.counters);
  const limit = copied
    ? Math.min(search.limit, Math.max(16, Math.floor(copiedBytes / rowBytes)))
    : search.limit;
  arena.beginScratch(searchBytes(limit) + (copied ? limit * rowBytes + 4 * 64 : 0) + 4 * limit + 64);
  const { n, keys, positions, looked, ended } = findVictims(arena, table, cursor, { ...search, limit });
  if (n === 0) return { evicted: 0, looked, ended, lsn: 0, rows: undefined };
  const rows = copied ? copyRows(arena, table, keys, positions, n) : undefined;
  const { log, draining } = state;
  const logged = table.definition.logged || draining;
  const lsn = logged ? log.nextLsn : lastLsn(state);
  const counts = arena.takeScratch(4 * n);
  arena.bytes.fill(0, counts, counts + 4 * n);
  const removed = arena.kernel.deleteRows(table.index, keys, n, positions, keys, BigInt(lsn));
  assert(removed === n, "a victim is in the index");
  if (state.cold.size > 0) noteGone(state, table, arena.u64.subarray(keys / 8, keys / 8 + n), lsn);
  if (logged) {
    const list = new SectionList();
    list.add({ arena, n, keys, positions, counts }, table, SECTION.evict, 0, []);
    const header = encodeRowsHeader({ step: 0, time: 0, mark: undefined, sections: list.count });
    log.append(RECORD.rows, 0, [header, ...list.parts]);
  }
  return { evicted: n, looked, ended, lsn: logged ? lsn : 0, rows };
}

function copyRows(
  arena: Arena,
  table: ArenaTable,
  keys: number,
  positions: number,
  n: number,
): Omit<EvictedRows, "reason"> {
  const { dim, stateFloats, counters } = table;
  const rows = arena.takeScratch(4 * n * dim);
  const states = stateFloats > 0 ? arena.takeScratch(4 * n * stateFloats) : 0;
  const counted = counters > 0 ? arena.takeScratch(4 * n * counters) : 0;
  arena.kernel.pullRows(table.index, keys, n, rows, states, 0, 0, 0);
  arena.kernel.readExtras(table.index, positions, n, counted, 0);
  const frequency = new Uint32Array(n);
  const lastStep = new Uint32Array(n);
  for (let i = 0; i < n; i++) {
    const record = 2 * arena.u32[positions / 4 + i];
    frequency[i] = arena.u32[record + 2] & MAX_FREQUENCY;
    lastStep[i] = arena.u32[record + 3];
  }
  const floats = (at: number, width: number) => arena.f32.slice(at / 4, at / 4 + n * width);
  return {
    keys: arena.u64.slice(keys / 8, keys / 8 + n),
    rows: floats(rows, dim),
    state: floats(states, stateFloats),
    frequency,
    lastStep,
    ...(counters > 0 && {
      counters: splitCounters(table.definition.counters!.names, floats(counted, counters)),
    }),
  };
}
