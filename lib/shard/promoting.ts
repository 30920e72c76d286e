// Promotion: cold rows come into the arenas. A record of its own, just before that of the write which needs them: a row
// is the same, cold or resident, so nobody can tell a promotion whose write never came.
import type { Arena } from "../table/arena.js";
import { SectionList } from "./applying.js";
import type { ArenaSet } from "./arena-set.js";
import type { ColdRows } from "./cold-rows.js";
import { encodeRowsHeader, RECORD, SECTION, sectionBytes } from "./records.js";
import { carry, orderingBytes, orderKeys } from "./runs.js";
import type { Scans } from "./scanning.js";
import type { ShardState } from "./shard-state.js";
import type { Run } from "./staging.js";

/** Bytes of values that one record promotes, at most. */
const sliceBytes = 1 << 20;

/** Rows that one record promotes, at most. */
export function promotionRows({ valueBytes }: ColdRows): number {
  return Math.max(1, Math.floor(sliceBytes / valueBytes));
}

/** A bound of the bytes of a record that promotes n rows. */
export function promotionBytes({ arenas }: ShardState, { table }: ColdRows, n: number): number {
  return 128 + arenas.all.length * 64 + sectionBytes(n, n * table.recordBytes);
}

/**
 * Promotes rows of distinct keys that are cold, given as checked values one behind the other. There is room in the log.
 * Gives the arena that is full when one is: nothing has changed then.
 */
export function promoteRows(
  state: ShardState,
  scans: Scans,
  cold: ColdRows,
  values: Uint8Array,
): { bytes: number } | { full: Arena } {
  const { arenas, log } = state;
  const { table } = cold;
  const n = values.length / cold.valueBytes;
  const runs = stageRecords(arenas, cold, values);
  for (const { arena, n: rows } of runs) {
    if (!arena.commit(arena.kernel.pagesFor(table.index, rows)) && !arena.commit(table.pagesFor(arena, rows)))
      return { full: arena };
  }
  const lsn = log.nextLsn;
  const list = new SectionList();
  let digest = 0n;
  for (const run of runs) {
    const { arena } = run;
    const { kernel } = arena;
    kernel.adoptRows(table.index, run.values, run.n, run.positions, BigInt(lsn));
    kernel.keysOfRecords(run.values, run.n, table.recordBytes, run.keys);
    digest += kernel.digestRecords(run.values, run.n, table.recordBytes, cold.seed);
    arena.refresh();
    const keys = arena.u64.slice(run.keys / 8, run.keys / 8 + run.n);
    const positions = arena.u32.slice(run.positions / 4, run.positions / 4 + run.n);
    cold.forgetStaged(keys);
    cold.forgetReads(keys);
    for (const scan of scans) scan.notePromotion(table, arena, keys, positions);
  }
  // Only now: a call that grows an arena's memory moves it.
  for (const run of runs) {
    const records = run.arena.bytes.subarray(run.values, run.values + run.n * table.recordBytes);
    list.add(run, table, SECTION.promote, 0, [records]);
  }
  cold.take(n, digest);
  cold.promotions += n;
  log.append(RECORD.rows, 0, [
    encodeRowsHeader({ step: 0, time: 0, mark: undefined, sections: list.count }),
    ...list.parts,
  ]);
  return { bytes: list.parts.reduce((sum, part) => sum + part.length, 0) };
}

/** Lays the records of values out in scratch, those of each arena in its own. */
export function stageRecords(arenas: ArenaSet, cold: ColdRows, values: Uint8Array): Run[] {
  const { table } = cold;
  const n = values.length / cold.valueBytes;
  if (n === 0) return [];
  const { front } = arenas;
  const { recordBytes } = table;
  const scratch =
    n * (cold.valueBytes + 2 * recordBytes + 32) + orderingBytes(arenas, n, recordBytes) + 12 * 64;
  for (const arena of arenas.all) arena.beginScratch(scratch);
  const at = front.takeScratch(values.length);
  const records = front.takeScratch(n * recordBytes);
  front.bytes.set(values, at);
  front.kernel.openValues(at, n, recordBytes, records);
  if (arenas.all.length === 1) return [runOf(front, records, n)];
  const keys = front.takeScratch(8 * n);
  front.kernel.keysOfRecords(records, n, recordBytes, keys);
  const { places, ends } = orderKeys(arenas, table, keys, n);
  const sorted = front.takeScratch(n * recordBytes);
  front.kernel.gatherRows(records, places, n, recordBytes, sorted);
  return ends.flatMap((end, number) => {
    const begin = number === 0 ? 0 : ends[number - 1];
    if (begin === end) return [];
    const arena = arenas.all[number];
    const own = sorted + begin * recordBytes;
    const there = arena === front ? own : carry(front, own, arena, (end - begin) * recordBytes);
    return [runOf(arena, there, end - begin)];
  });
}

function runOf(arena: Arena, records: number, n: number): Run {
  return {
    arena,
    n,
    keys: arena.takeScratch(8 * n),
    counts: arena.takeScratch(4 * n),
    positions: arena.takeScratch(4 * n),
    values: records,
    states: 0,
    steps: 0,
    counters: 0,
  };
}
