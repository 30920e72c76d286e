// How big a model will be: what a store does with memory and disk, as arithmetic. docs/planning.md is the guide.

import { describe } from "../api/option-reader.js";
import { defineTable, type TableOptions } from "../api/table-definition.js";
import { EmbershardError } from "../base/errors.js";
import { LIMITS } from "../base/limits.js";
import { slotCount } from "../shard/arena-set.js";
import { memoryOf, stageBytes } from "../shard/cold-rows.js";
import { coldKeyBytes, valueHeaderBytes } from "../shard/cold-values.js";
import { beginAt } from "../shard/cooling.js";
import { halvingLevel } from "../shard/hand-over.js";
import { pageHeaderBytes } from "../shard/page-image.js";
import { rowsHeaderBytes, sectionBytes } from "../shard/records.js";
import { recordBytes as logRecordBytes } from "../store/log-format.js";
import type { ArenaTable } from "../table/arena-table.js";
import { makeTable } from "../table/candidates.js";
import { arenaFixedPages, indexSegments, pageBytes, rowPages } from "../table/table-size.js";

/** A table of the model to be. */
export interface PlannedTable {
  /** What the table will be opened with. */
  readonly options: TableOptions;
  /** Rows that it will have; at most `eviction.maxRows`, where that is given. */
  readonly rows: number;
  /** With admission: keys that are counted and have no row yet. 0 unless given. A sketch takes the same for any number. */
  readonly candidates?: number;
}

export interface PlanOptions {
  readonly tables: readonly PlannedTable[];
  /** Distinct rows pushed a second, over all tables. */
  readonly rowsPerSecond?: number;
  /** Distinct keys of one push. 16,384 unless given. */
  readonly keysPerPush?: number;
  /** As the store will be opened. 4 GiB unless given. */
  readonly arenaBytes?: number;
  /** What the disk takes of pages while a checkpoint is written. 150 MB/s unless given. */
  readonly diskBytesPerSecond?: number;
}

export interface TablePlan {
  readonly rows: number;
  /** Bytes of a row's record, and what one that is in memory takes with its part of the index and of what pages leave empty. */
  readonly recordBytes: number;
  readonly rowBytes: number;
  readonly weightsAndStateBytes: number;
  /** In memory: pages of rows, those that are kept free for rows to come included, and pages of index. */
  readonly rowPageBytes: number;
  readonly indexBytes: number;
  /** In memory: what counts keys without rows, with its index. */
  readonly candidateBytes: number;
  /** Rows beyond the table's `memory`, and what they take on the disk. */
  readonly coldRows: number;
  readonly coldBytes: number;
}

export interface ModelPlan {
  readonly tables: readonly TablePlan[];
  readonly memory: {
    readonly arenas: number;
    /** As `stats().memory.bytes` will say. */
    readonly bytes: number;
    /** With what else the process takes: buffers, memory fetched ahead, Node.js itself. */
    readonly residentBytes: number;
  };
  readonly disk: {
    /** Pages of a checkpoint. */
    readonly pageBytes: number;
    /** Cold rows, each a value. */
    readonly coldBytes: number;
    /** Pages and cold rows with those that are superseded and not given back yet, and the log between two checkpoints: at most. */
    readonly mostBytes: number;
  };
  readonly log: {
    readonly bytesPerPush: number;
    /** Undefined where no rate was given. */
    readonly bytesPerSecond: number | undefined;
  };
  readonly checkpoint: {
    /** Of a checkpoint in which every page has changed. */
    readonly bytes: number;
    readonly seconds: number;
  };
}

/** Of the log and pages on their way, memory that is populated ahead of growth, and Node.js. */
const bufferBytes = 42 << 20;
const aheadBytes = 32 << 20;
const runtimeBytes = 56_000_000;
const usualLogBytes = 256 << 20;

/**
 * What a store of these tables takes. Keys are taken to be spread by their hashes, which all but chosen ones are.
 *
 * @throws INVALID_OPTIONS; TOO_LARGE when it is more than one store can hold.
 */
export function planModel(options: PlanOptions): ModelPlan {
  const { tables, rowsPerSecond, keysPerPush = 16_384, diskBytesPerSecond = 150e6 } = options;
  const arenaBytes = options.arenaBytes ?? LIMITS.arenaBytes;
  for (const [name, value] of Object.entries({ diskBytesPerSecond, rowsPerSecond: rowsPerSecond ?? 1 }))
    demandPositive(name, value);
  for (const [name, value] of Object.entries({ keysPerPush, arenaBytes })) demandWhole(name, value);
  if (!Array.isArray(tables) || tables.length === 0)
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `plan: found tables ${describe(tables)}, expected at least one`,
    );
  const planned = tables.map(plannedRows);
  const stored = planned.flatMap(({ own, candidates }) => (candidates ? [own, candidates] : [own]));
  const pagesWith = (share: number) =>
    stored.reduce(
      (sum, { rows, table }) => sum + rowPages(table, rows * share) + indexSegments(rows * share) + 1,
      arenaFixedPages,
    );
  const limit = Math.floor(arenaBytes / pageBytes);
  const parts = partsOf(limit, pagesWith);
  const sum = (of: (share: number) => number) =>
    parts.reduce((all, { share, peak }) => all + of(Math.max(share, peak)), 0);
  const memoryBytes = sum(pagesWith) * pageBytes;
  const imageBytes = Math.ceil(
    sum((part) =>
      stored.reduce(
        (bytes, { rows, table }) =>
          bytes + rows * part * table.recordBytes + rowPages(table, rows * part) * pageHeaderBytes,
        0,
      ),
    ),
  );
  const pushBytes = bytesPerPush(
    planned.map(({ own }) => own),
    keysPerPush,
  );
  const logMost = Math.max(usualLogBytes, 2 * memoryBytes);
  const coldBytes = planned.reduce((sum, one) => sum + coldBytesOf(one), 0);
  const stagedBytes = planned.reduce((sum, { own }) => sum + stageBytes(memoryOf(own.table, undefined)), 0);
  return {
    tables: planned.map((one) => {
      const { own, candidates, coldRows } = one;
      const { rows, table } = own;
      const rowPageBytes = sum((part) => rowPages(table, rows * part)) * pageBytes;
      const indexOf = (of: number) => sum((part) => indexSegments(of * part) + 1) * pageBytes;
      const indexBytes = indexOf(rows);
      const candidateBytes = candidates
        ? sum((part) => rowPages(candidates.table, candidates.rows * part)) * pageBytes +
          indexOf(candidates.rows)
        : 0;
      return {
        rows: one.rows,
        recordBytes: table.recordBytes,
        rowBytes: (rowPageBytes + indexBytes) / rows,
        weightsAndStateBytes: one.rows * (table.layout.extrasOffset - 16),
        rowPageBytes,
        indexBytes,
        candidateBytes,
        coldRows,
        coldBytes: coldBytesOf(one),
      };
    }),
    memory: {
      arenas: parts.length,
      bytes: memoryBytes,
      residentBytes: memoryBytes + stagedBytes + bufferBytes + aheadBytes + runtimeBytes,
    },
    disk: { pageBytes: imageBytes, coldBytes, mostBytes: 3 * imageBytes + 2 * coldBytes + 2 * logMost },
    log: {
      bytesPerPush: pushBytes,
      bytesPerSecond: rowsPerSecond && (rowsPerSecond * pushBytes) / keysPerPush,
    },
    checkpoint: { bytes: imageBytes, seconds: imageBytes / diskBytesPerSecond },
  };
}

/** Rows of one kind that a store keeps. */
interface StoredRows {
  readonly rows: number;
  readonly table: ArenaTable;
}

interface PlannedRows {
  /** In memory, at most. */
  readonly own: StoredRows;
  readonly candidates?: StoredRows;
  /** In memory and on the disk. */
  readonly rows: number;
  readonly coldRows: number;
}

/** A table's rows, and what counts keys that have none: rows of a key each, or of a slot of keys each. */
function plannedRows({ options, rows, candidates = 0 }: PlannedTable, i: number): PlannedRows {
  demandWhole("rows", rows);
  if (candidates !== 0) demandWhole("candidates", candidates);
  const definition = defineTable(`table ${i + 1}`, 2 * i + 1, options);
  const table = makeTable([2 * i, 2 * i + 1], { ...definition, candidates: 2 * i + 2 });
  const kept = Math.min(rows, definition.eviction?.maxRows ?? rows);
  const most = hotRows(table);
  const own = { rows: Math.min(kept, most), table };
  const all = { own, rows: kept, coldRows: Math.max(0, kept - Math.floor(beginAt * most)) };
  if (table.candidates === undefined) return all;
  const counted = table.candidates.bySlot ? slotCount : Math.max(1, candidates);
  return { ...all, candidates: { rows: counted, table: table.candidates } };
}

/** Rows that fit a table's limit of memory. */
function hotRows(table: ArenaTable): number {
  const { memory } = table.definition;
  if (memory === undefined) return Number.POSITIVE_INFINITY;
  const pages = Math.floor(memory / pageBytes);
  let rows = pages * table.rowsPerPage;
  // The index is what so many rows take, and leaves room for less.
  for (let i = 0; i < 8; i++) rows = table.rowsPerPage * Math.max(1, pages - indexSegments(rows) - 1);
  return rows;
}

function coldBytesOf({ own: { table }, coldRows }: PlannedRows): number {
  return coldRows * (coldKeyBytes + valueHeaderBytes + table.recordBytes);
}

/** An arena's share of all rows, and the greatest that it ever had: its pages stay. */
interface Part {
  readonly share: number;
  readonly peak: number;
}

/** Where no number of shards helps, as with more tables than an arena has pages for, the search for one ends. */
const mostAdvised = 1e9;

/** The arenas that the rows end up in, halved as a shard halves them. @throws TOO_LARGE */
function partsOf(limit: number, pagesWith: (share: number) => number): Part[] {
  const parts: Part[] = [{ share: 1, peak: 0 }];
  while (parts.length < LIMITS.arenas) {
    const largest = parts.reduce((best, part, i) => (isHalvedBefore(part, parts[best]) ? i : best), 0);
    const { share, peak } = parts[largest];
    const pages = halvingLevel(parts.length) * limit;
    if (pagesWith(share) <= pages) return parts;
    parts[largest] = { share: share / 2, peak: Math.max(peak, shareOf(pages, share, pagesWith)) };
    parts.push({ share: share / 2, peak: 0 });
  }
  const most = Math.max(...parts.map(({ share }) => pagesWith(share)));
  if (most <= limit) return parts;
  const bytes = parts.reduce((all, { share }) => all + pagesWith(share), 0) * pageBytes;
  const largest = Math.max(...parts.map(({ share }) => share));
  let shards = 1;
  // The index does not grow evenly: so many times fewer rows may take more than so many times less.
  for (let pages = most; pages > limit && shards < mostAdvised; pages = pagesWith(largest / shards))
    shards = Math.max(shards + 1, Math.ceil((shards * pages) / limit));
  throw new EmbershardError(
    "TOO_LARGE",
    `this takes about ${Math.ceil(bytes / 2 ** 30)} GiB, a shard has at most ${LIMITS.arenas} arenas of ${limit * pageBytes} bytes: plan ${shards} shards of equal parts, smaller rows (storage, dim), or fewer`,
  );
}

/** Of two that are as full, that with fewer pages. */
function isHalvedBefore(one: Part, other: Part): boolean {
  return one.share > other.share || (one.share === other.share && one.peak < other.peak);
}

/** The share, at most `share`, with which an arena has so many pages. */
function shareOf(pages: number, share: number, pagesWith: (share: number) => number): number {
  let low = 0;
  let high = share;
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    if (pagesWith(middle) <= pages) low = middle;
    else high = middle;
  }
  return low;
}

/** Of a push whose keys are spread over the tables as their rows are. */
function bytesPerPush(planned: readonly StoredRows[], keys: number): number {
  const logged = planned.filter(({ table }) => table.definition.logged);
  if (logged.length === 0) return 0;
  const all = planned.reduce((sum, { rows }) => sum + rows, 0);
  const payload = logged.reduce((sum, { rows, table }) => {
    const n = (keys * rows) / all;
    const counters = table.definition.counters?.names.length ?? 0;
    return sum + sectionBytes(n, 4 * n * (table.dim + counters));
  }, rowsHeaderBytes);
  return logRecordBytes(payload);
}

function demandPositive(name: string, value: unknown): void {
  if (typeof value === "number" && Number.isFinite(value) && value > 0) return;
  throw wrong(name, value, "a number above 0");
}

function demandWhole(name: string, value: unknown): void {
  if (Number.isInteger(value) && (value as number) > 0) return;
  throw wrong(name, value, "a whole number above 0");
}

function wrong(name: string, value: unknown, expected: string): EmbershardError {
  return new EmbershardError(
    "INVALID_OPTIONS",
    `plan: found ${name} ${describe(value)}, expected ${expected}`,
  );
}
