// Cold rows that are let go: they are read a chunk at a time, in the order of their keys, and those with low scores go.
import type { EvictedRows } from "../api/row-batches.js";
import { KIND_ROWS, LIVE, R_FREQUENCY } from "../kernel/layout.js";
import type { Arena } from "../table/arena.js";
import type { ArenaTable } from "../table/arena-table.js";
import type { ScoreSample } from "../table/victims.js";
import { SectionList } from "./applying.js";
import { columnsOf } from "./cold-columns.js";
import { noteGone } from "./cold-deletions.js";
import { restored } from "./cold-restoring.js";
import type { ColdRows } from "./cold-rows.js";
import { joinValues, remainsAmong } from "./cold-scanning.js";
import {
  checkColdValues,
  coldKeysOf,
  decodeColdKey,
  encodeColdKey,
  valueHeaderBytes,
} from "./cold-values.js";
import type { Rule } from "./eviction-rules.js";
import { encodeRowsHeader, RECORD, SECTION, sectionBytes } from "./records.js";
import type { ShardState } from "./shard-state.js";

/** Cold rows that were read together, as they were then. */
export interface ColdChunk {
  /** u64[n], ascending. */
  readonly keys: BigUint64Array;
  /** Their values, one behind the other. */
  readonly values: Uint8Array;
  /** u32[n] */
  readonly scores: Uint32Array;
  /** Keys of rows that are no more what was read: a watch of `cold`, to be let go. */
  readonly gone: Set<bigint>;
  /** The key from which on others follow; undefined behind the last. */
  readonly next: bigint | undefined;
}

/** Cold rows of which all scores are read, and the chunks that are sampled of more of them. */
const sampleRows = 4096;
const sampleChunks = 4;

/** A bound of the bytes of a record that evicts n cold rows. */
export function coldEvictionBytes(n: number): number {
  return 128 + sectionBytes(0, 8 + 8 * n);
}

/** Reads the cold rows from a key on, about 4 MiB of them, and their scores. @throws CORRUPT, IO */
export async function readColdChunk(
  state: ShardState,
  cold: ColdRows,
  from: bigint,
  by: number,
): Promise<ColdChunk> {
  if (state.keeping.restore) await restored(state);
  const { number } = cold.table.definition;
  const { front } = state.arenas;
  const gone = new Set<bigint>();
  cold.watches.add(gone);
  try {
    const range = { gte: encodeColdKey(number, from), lt: coldKeysOf(number).lt };
    for await (const entries of state.pages.entries(range)) {
      const all = BigUint64Array.from(entries, ({ key }) => decodeColdKey(key)!.key);
      const left = remainsAmong(cold, state.arenas, all);
      const there = entries.filter((_, i) => !left.has(all[i]) && !gone.has(all[i]));
      const keys = all.filter((key) => !left.has(key) && !gone.has(key));
      const values = joinValues(cold, keys, there);
      checkColdValues(front, cold, keys, values);
      const scores = scoresOf(front, cold, keys.length, values, by);
      const last = all[all.length - 1];
      return { keys, values, scores, gone, next: last === 2n ** 64n - 1n ? undefined : last + 1n };
    }
  } catch (error) {
    cold.watches.delete(gone);
    throw error;
  }
  return {
    keys: new BigUint64Array(0),
    values: new Uint8Array(0),
    scores: new Uint32Array(0),
    gone,
    next: undefined,
  };
}

function scoresOf(front: Arena, cold: ColdRows, n: number, values: Uint8Array, by: number): Uint32Array {
  const { table, valueBytes } = cold;
  table.describeScore(front);
  front.beginScratch(values.length + 4 * n + 2 * 64);
  const at = front.takeScratch(values.length);
  const scores = front.takeScratch(4 * n);
  front.bytes.set(values, at);
  front.kernel.scoreRecords(table.index, by, at + valueHeaderBytes, n, valueBytes, scores);
  return front.u32.slice(scores / 4, scores / 4 + n);
}

/** Scores of all cold rows where they are few, else of some that lie behind keys of rows in memory. @throws CORRUPT, IO */
export async function sampleCold(state: ShardState, cold: ColdRows, by: number): Promise<ScoreSample> {
  const few = cold.rows <= sampleRows;
  const begins = few ? [0n] : keysAmong(state, cold.table);
  const parts: Uint32Array[] = [];
  let wraps = false;
  for (const begin of begins) {
    for (let from: bigint | undefined = begin; from !== undefined; ) {
      const { scores, gone, next }: ColdChunk = await readColdChunk(state, cold, from, by);
      cold.watches.delete(gone);
      parts.push(scores);
      wraps ||= next === undefined;
      from = few ? next : undefined;
    }
  }
  const scores = new Uint32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    scores.set(part, at);
    at += part.length;
  }
  return { scores, complete: few && wraps };
}

/** Keys of some rows in memory, spread over the pages: they lie as those of cold rows do. */
function keysAmong({ arenas }: ShardState, table: ArenaTable): bigint[] {
  const keys: bigint[] = [0n];
  for (const arena of arenas.all) {
    const pages: number[] = [];
    for (let page = arena.firstPage; page < arena.pagesEnd; page++)
      if (arena.pageKind(page) === KIND_ROWS && arena.pageTable(page) === table.index) pages.push(page);
    const chunks = Math.ceil(sampleChunks / arenas.all.length);
    for (let i = 0; i < chunks && pages.length > 0; i++) {
      const page = pages[Math.floor((i * pages.length) / chunks)];
      const place = (i * 31) % Math.max(1, arena.pagePlaces(page));
      const record = page * 2 ** 17 + place * table.recordBytes;
      if ((arena.u32[(record + R_FREQUENCY) / 4] & LIVE) !== 0) keys.push(arena.u64[record / 8]);
    }
  }
  return keys;
}

export interface ColdEviction {
  readonly evicted: number;
  /** LSN of the record; 0 where there was none. */
  readonly lsn: number;
  readonly rows: Omit<EvictedRows, "reason"> | undefined;
}

/** Which rows of a chunk a rule lets go, `limit` at most, as numbers within it. */
export function victimsAmong({ keys, scores, gone }: ColdChunk, { score }: Rule, limit: number): number[] {
  const victims: number[] = [];
  for (let i = 0; i < keys.length && victims.length < limit; i++)
    if (scores[i] <= score && !gone.has(keys[i])) victims.push(i);
  return victims;
}

/** Lets cold rows go that still are what was read; there is room for `coldEvictionBytes` in the log. */
export function evictColdRows(
  state: ShardState,
  cold: ColdRows,
  chunk: ColdChunk,
  victims: readonly number[],
  copied: boolean,
): ColdEviction {
  if (victims.length === 0) return { evicted: 0, lsn: 0, rows: undefined };
  const { front } = state.arenas;
  const { valueBytes, table } = cold;
  const keys = BigUint64Array.from(victims, (i) => chunk.keys[i]);
  const values = new Uint8Array(victims.length * valueBytes);
  const view = new DataView(values.buffer);
  let digest = 0n;
  for (const [j, i] of victims.entries()) {
    values.set(chunk.values.subarray(i * valueBytes, (i + 1) * valueBytes), j * valueBytes);
    digest += view.getBigUint64(j * valueBytes + 8, true);
  }
  const rows = copied ? withoutTimes(columnsOf(front, cold, keys, values)) : undefined;
  const content = new Uint8Array(8 + 8 * keys.length);
  new DataView(content.buffer).setBigUint64(0, BigInt.asUintN(64, digest), true);
  content.set(new Uint8Array(keys.buffer), 8);
  const list = new SectionList();
  list.add({ arena: front, n: 0, keys: 0, positions: 0, counts: 0 }, table, SECTION.evictCold, 0, [content]);
  const lsn = state.log.append(RECORD.rows, 0, [
    encodeRowsHeader({ step: 0, time: 0, mark: undefined, sections: list.count }),
    ...list.parts,
  ]);
  cold.take(keys.length, digest);
  cold.forgetStaged(keys);
  noteGone(state, table, keys, lsn);
  return { evicted: keys.length, lsn, rows };
}

function withoutTimes({
  keys,
  rows,
  state,
  frequency,
  lastStep,
  counters,
}: ReturnType<typeof columnsOf>): Omit<EvictedRows, "reason"> {
  return { keys, rows, state, frequency, lastStep, ...(counters && { counters }) };
}
