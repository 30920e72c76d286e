// Scanning: all rows of a table, page by page, while writes go on.

import { splitCounters } from "../api/counter-columns.js";
import type { ScanBatch } from "../api/row-batches.js";
import { KIND_ROWS } from "../kernel/layout.js";
import type { Arena } from "../table/arena.js";
import type { ArenaTable } from "../table/arena-table.js";
import { scanCold, scanOwed } from "./cold-scanning.js";
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

/** Reads a table in batches of at most `batchRows` rows: cold rows first, if there are any, then the arenas. */
export async function* scanRows(
  source: ScanSource,
  table: ArenaTable,
  batchRows: number,
): AsyncGenerator<ScanBatch> {
  const { state, scans, demandThere } = source;
  const set = state.arenas;
  const at = new ScanPlace(table);
  const cold = state.cold.get(table.definition.number);
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
        const batch = withoutKeys(readBatch(set.all[at.arena], table, batchRows, at), at.seen, table);
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

/** Reads from where the scan is up to `limit` rows, and moves it on. */
function readBatch(arena: Arena, table: ArenaTable, limit: number, at: ScanPlace): ScanBatch {
  const { dim, stateFloats, counters, touchedOffset, definition } = table;
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
  return {
    keys: arena.u64.slice(keys / 8, keys / 8 + n),
    rows: arena.f32.slice(rows / 4, rows / 4 + n * dim),
    state: arena.f32.slice(states / 4, states / 4 + n * stateFloats),
    frequency: arena.u32.slice(frequencies / 4, frequencies / 4 + n),
    lastStep: arena.u32.slice(steps / 4, steps / 4 + n),
    ...(counted > 0 && {
      counters: splitCounters(
        definition.counters!.names,
        arena.f32.subarray(counted / 4, counted / 4 + n * counters),
      ),
    }),
    ...(times > 0 && {
      writtenAt: Float64Array.from(
        arena.u32.subarray(times / 4, times / 4 + n),
        (tenths) => definition.made! + 100 * tenths,
      ),
    }),
  };
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
