// Scanning: all rows of a table, page by page, while writes go on.

import type { ScanBatch } from "../api/row-batches.js";
import { KIND_ROWS } from "../kernel/layout.js";
import type { Arena } from "../table/arena.js";
import type { ArenaTable } from "../table/arena-table.js";
import { scanCold, scanOwed } from "./cold-scanning.js";
import { type GatheredRows, LentColumns, ownRows } from "./scan-columns.js";
import { ScanPlace } from "./scan-place.js";
import type { ShardState } from "./shard-state.js";

/** The scans that are under way. */
export type Scans = Set<ScanPlace>;

/** What a scan needs of the shard. */
export interface ScanSource {
  readonly state: ShardState;
  readonly scans: Scans;
  /** Throws when the store was closed, or the table dropped, meanwhile. */
  readonly demandThere: () => void;
}

/**
 * Reads a table in batches of at most `batchRows` rows: cold rows first, if there are any, then the arenas. Arrays are the
 * caller's; or, where `lent`, used again: they hold until the next batch but one is asked for.
 */
export async function* scanRows(
  source: ScanSource,
  table: ArenaTable,
  batchRows: number,
  lent: boolean,
): AsyncGenerator<ScanBatch> {
  const { state, scans, demandThere } = source;
  const set = state.arenas;
  const at = new ScanPlace(table);
  const cold = state.cold.get(table.definition.number);
  const rowsNow = set.all.reduce((sum, arena) => sum + table.rows(arena), 0);
  const columns = lent ? new LentColumns(table, Math.max(1, Math.min(batchRows, rowsNow))) : undefined;
  const read = (arena: Arena, from: ScanPlace) =>
    columns
      ? columns.fill((limit) => gather(arena, table, limit, from))
      : ownRows(table, gather(arena, table, batchRows, from));
  scans.add(at);
  try {
    if (cold) {
      at.beginCold();
      if (cold.rows > 0) yield* scanCold(source, cold, at, batchRows);
      at.endCold();
    }
    for (; at.arena < set.all.length; at.arena++) {
      at.page = set.all[at.arena].firstPage;
      at.place = 0;
      for (;;) {
        demandThere();
        const batch = withoutKeys(read(set.all[at.arena], at), at.seen, table);
        if (batch.keys.length > 0) yield batch;
        if (at.page >= set.all[at.arena].pagesEnd) break;
        await state.pause();
      }
    }
    if (cold) yield* scanOwed(source, cold, at, batchRows);
  } finally {
    scans.delete(at);
  }
}

/** Reads from where the scan is up to `limit` rows into scratch, and moves it on. */
function gather(arena: Arena, table: ArenaTable, limit: number, at: ScanPlace): GatheredRows {
  const { dim, stateFloats, counters, touchedOffset } = table;
  arena.beginScratch(limit * (20 + 4 * (dim + stateFloats + counters)) + 8 * 64);
  const keys = arena.takeScratch(8 * limit);
  const rows = arena.takeScratch(4 * limit * dim);
  const states = arena.takeScratch(4 * limit * stateFloats);
  const frequencies = arena.takeScratch(4 * limit);
  const steps = arena.takeScratch(4 * limit);
  const counted = counters > 0 ? arena.takeScratch(4 * limit * counters) : 0;
  const times = touchedOffset > 0 ? arena.takeScratch(4 * limit) : 0;
  let n = 0;
  while (n < limit && at.page < arena.pagesEnd) {
    if (arena.pageKind(at.page) !== KIND_ROWS || arena.pageTable(at.page) !== table.index) {
      at.page++;
      continue;
    }
    const result = arena.kernel.scanPage(
      at.page,
      at.place,
      limit - n,
      keys + 8 * n,
      rows + 4 * n * dim,
      stateFloats > 0 ? states + 4 * n * stateFloats : 0,
      frequencies + 4 * n,
      steps + 4 * n,
    );
    const more = Number(result & 0xffff_ffffn);
    if (counted > 0 || times > 0)
      arena.kernel.scanExtras(
        at.page,
        at.place,
        more,
        counted && counted + 4 * n * counters,
        times && times + 4 * n,
      );
    n += more;
    at.place = Number(result >> 32n);
    if (at.place === 0) at.page++;
  }
  return { arena, n, keys, rows, states, frequencies, steps, counted, times };
}

/** A batch without the rows of some keys. */
export function withoutKeys(
  batch: ScanBatch,
  keys: ReadonlySet<bigint>,
  { dim, stateFloats }: ArenaTable,
): ScanBatch {
  if (keys.size === 0) return batch;
  const kept = [...batch.keys.keys()].filter((i) => !keys.has(batch.keys[i]));
  const gather = <T extends Float32Array | Float64Array | Uint32Array>(from: T, width: number): T => {
    const into = from.slice(0, kept.length * width) as T;
    for (const [j, i] of kept.entries()) into.set(from.subarray(i * width, (i + 1) * width), j * width);
    return into;
  };
  return {
    keys: BigUint64Array.from(kept, (i) => batch.keys[i]),
    rows: gather(batch.rows, dim),
    state: gather(batch.state, stateFloats),
    frequency: gather(batch.frequency, 1),
    lastStep: gather(batch.lastStep, 1),
    ...(batch.counters && {
      counters: Object.fromEntries(
        Object.entries(batch.counters).map(([name, column]) => [name, gather(column, 1)]),
      ),
    }),
    ...(batch.writtenAt && { writtenAt: gather(batch.writtenAt, 1) }),
  };
}
