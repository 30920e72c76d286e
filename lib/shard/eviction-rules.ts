// What a table's definition says of eviction, as counts and scores.
import type { EvictionRequest } from "../api/eviction-request.js";
import { PAGE_BYTES, T_SEGMENTS, TABLE_BYTES, TABLES } from "../kernel/layout.js";
import type { ArenaTable } from "../table/arena-table.js";
import { BY, type ScoreSample, sampleScores, scoreOfFloat } from "../table/victims.js";
import type { ArenaSet } from "./arena-set.js";
import { coldKeyBytes, valueHeaderBytes } from "./cold-values.js";
import type { ShardState } from "./shard-state.js";
import { partOf } from "./share.js";

/** Where rows are counted. */
export type RowsOfTables = Pick<ShardState, "arenas" | "cold" | "share">;

/** Part of a table whose rows are victims at any time, at least: so much is looked at to find one that is among the worst. */
const worstPart = 1 / 20;
/** Scores that a threshold is chosen from, about. */
const sampleSize = 4096;

/** Entries of a segment of the index that has just split, about: one that is full holds 12,800. */
const leastSegment = 6000;

/** Rows of a table, cold ones included. */
export function rowsOf({ arenas, cold }: RowsOfTables, table: ArenaTable): number {
  return arenas.rows(table) + coldRowCount(cold, table);
}

/** Rows of a table that are cold. */
export function coldRowCount(cold: RowsOfTables["cold"], { definition }: ArenaTable): number {
  return cold.size === 0 ? 0 : (cold.get(definition.number)?.rows ?? 0);
}

/** Rows that a table has too many. */
export function rowsOver(state: RowsOfTables, table: ArenaTable): number {
  const { eviction } = table.definition;
  if (!eviction || (eviction.maxRows === undefined && eviction.maxBytes === undefined)) return 0;
  const part = (total: number | undefined) => (total === undefined ? undefined : partOf(total, state.share));
  const most = Math.min(
    part(eviction.maxRows) ?? Number.POSITIVE_INFINITY,
    rowsWithin(state.arenas, table, part(eviction.maxBytes)),
  );
  return Math.max(0, rowsOf(state, table) - most);
}

/**
 * Rows whose pages and index take at most `bytes`; those of one page at least. The index is counted as it is when all of its
 * segments have just split, since pages that rows have taken do not shrink for it.
 */
function rowsWithin(set: ArenaSet, table: ArenaTable, bytes: number | undefined): number {
  if (bytes === undefined) return Number.POSITIVE_INFINITY;
  // With a limit of memory that says what pages may take; a row counts as what it takes when it is cold.
  if (table.definition.memory !== undefined)
    return Math.max(1, Math.floor(bytes / (coldKeyBytes + valueHeaderBytes + table.recordBytes)));
  const indexPages = set.all.reduce(
    (sum, { data }) => sum + data.getUint32(TABLES + table.index * TABLE_BYTES + T_SEGMENTS, true) + 1,
    0,
  );
  const pages = Math.floor(bytes / PAGE_BYTES);
  const { rowsPerPage } = table;
  const withIndex = Math.floor((pages - set.all.length) / (1 / rowsPerPage + 1 / leastSegment));
  return Math.max(rowsPerPage, Math.min(withIndex, (pages - indexPages) * rowsPerPage));
}

/** What a table's rows are compared by when it has too many. */
export function policyOf({ definition, touchedOffset }: ArenaTable): number {
  const { eviction } = definition;
  if (eviction?.policy === "score") return BY.counters;
  return eviction?.policy === "lru" && touchedOffset !== 0 ? BY.touched : BY.frequency;
}

export interface Threshold {
  readonly by: number;
  /** Rows with at most this score may go. */
  readonly score: number;
  /** Rows that may go before it is chosen anew. */
  readonly lasts: number;
}

/**
 * A score that about one in twenty rows has or is below, more where more than that have to go. Chosen from a sample, of all
 * rows where they are few: then exactly `wanted` rows are at or below it, but for equal ones. `cold` are scores of cold rows.
 */
export function chooseThreshold(
  state: RowsOfTables,
  table: ArenaTable,
  by: number,
  wanted: number,
  cold: readonly ScoreSample[] = [],
): Threshold {
  const { all } = state.arenas;
  const rows = rowsOf(state, table);
  const samples = all.map((arena) => {
    table.describeScore(arena);
    return sampleScores(arena, table, by, Math.ceil(sampleSize / all.length));
  });
  samples.push(...cold);
  const n = samples.reduce((sum, { scores }) => sum + scores.length, 0);
  const scores = new Uint32Array(n);
  let at = 0;
  for (const sample of samples) {
    scores.set(sample.scores, at);
    at += sample.scores.length;
  }
  scores.sort();
  if (n === 0) return { by, score: 0xffff_ffff, lasts: 1 };
  if (samples.every(({ complete }) => complete))
    return { by, score: scores[Math.min(wanted, n) - 1], lasts: wanted };
  const part = Math.min(1, Math.max(worstPart, (1.25 * wanted) / rows));
  return { by, score: scores[Math.ceil(part * n) - 1], lasts: Math.max(1, Math.floor((part * rows) / 8)) };
}

/** What a request is about; undefined where no row can be meant. `time` is now. */
export function ruleOf(
  table: ArenaTable,
  request: Exclude<EvictionRequest, { rows: number }>,
  time: number,
): Rule | undefined {
  if ("olderThanSteps" in request) return olderThanSteps(table, request.olderThanSteps);
  if ("olderThanMs" in request) return olderThanMs(table, time, request.olderThanMs);
  if ("belowNorm" in request) return belowNorm(request.belowNorm);
  if ("belowFrequency" in request) return belowFrequency(request.belowFrequency);
  return { by: BY.counters, score: scoreOfFloat(request.belowScore) - 1 };
}

/** The scores up to which rows have not been pushed for more than `steps` steps; undefined where none can be. */
export function olderThanSteps({ highestStep }: ArenaTable, steps: number): Rule | undefined {
  const score = highestStep - steps - 1;
  return score < 0 ? undefined : { by: BY.step, score };
}

/** ... have not been written for more than `ms` at `time`. A time is kept in tenths of a second, rounded down. */
export function olderThanMs(table: ArenaTable, time: number, ms: number): Rule | undefined {
  const score = Math.floor((time - ms - table.definition.made!) / 100) - 1;
  return score < 0 ? undefined : { by: BY.touched, score };
}

export function belowNorm(norm: number): Rule | undefined {
  return norm > 0 ? { by: BY.norm, score: scoreOfFloat(norm) - 1 } : undefined;
}

function belowFrequency(frequency: number): Rule | undefined {
  return frequency > 0 ? { by: BY.frequency, score: frequency - 1 } : undefined;
}

/** Rows with at most this score go. */
export interface Rule {
  readonly by: number;
  readonly score: number;
}
