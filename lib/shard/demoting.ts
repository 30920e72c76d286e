// Demotion: resident rows that are pushed least become cold. First their values are durable in the page store, then, in
// one turn, those rows that are still what was copied leave the arena, and the log says so.
import type { Arena } from "../table/arena.js";
import type { ArenaTable } from "../table/arena-table.js";
import { BY, findVictims, sampleScores, searchBytes, type VictimCursor } from "../table/victims.js";
import { SectionList } from "./applying.js";
import { keepSuperseded, readSuperseded } from "./cold-keeping.js";
import type { ColdRows } from "./cold-rows.js";
import { coldPrefix } from "./cold-values.js";
import { encodeRowsHeader, RECORD, SECTION, sectionBytes } from "./records.js";
import type { Scans } from "./scanning.js";
import { lastLsn, type ShardState } from "./shard-state.js";

/** Bytes of records that are copied in one turn, at most. */
const sliceBytes = 2 << 20;
/** Places that are looked at in one turn, about. */
const slicePlaces = 65_536;

/** Copies of rows that are to become cold. */
export interface Victims {
  readonly cold: ColdRows;
  readonly arena: Arena;
  /** Whole records, one behind the other: those without a cold copy first. */
  readonly records: Uint8Array;
  readonly n: number;
  /** How many of them have no cold copy. */
  readonly changed: number;
  /** Of those, keys and values in the page store, one behind the other. */
  readonly keys: BigUint64Array;
  readonly storeKeys: Uint8Array;
  readonly values: Uint8Array;
  /** The last record when they were copied. */
  readonly lsn: number;
  /** Keys whose rows are gone since; one that was made anew may look like the copy. A watch of `cold`, until they are demoted. */
  readonly gone: Set<bigint>;
}

/** Rows that one slice demotes, at most. */
export function demotionRows({ table }: ColdRows): number {
  return Math.max(1, Math.floor(sliceBytes / table.recordBytes));
}

/** A bound of the bytes of a record that demotes n rows. */
export function demotionBytes(n: number): number {
  return 128 + sectionBytes(n, 8);
}

/** The frequency that about a part of a table's rows does not exceed. Takes scratch. */
export function frequencyAt(arenas: readonly Arena[], table: ArenaTable, part: number): number {
  const all = arenas.map((arena) => sampleScores(arena, table, BY.frequency).scores);
  const scores = new Uint32Array(all.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const some of all) {
    scores.set(some, at);
    at += some.length;
  }
  if (at === 0) return 0;
  scores.sort();
  return scores[Math.min(at - 1, Math.floor(part * at))];
}

/**
 * Copies up to `limit` rows of an arena that were pushed at most `threshold` times, going on from `cursor`; undefined when
 * none was met. Whoever has them lets go of their watch.
 */
export function copyRows(
  state: ShardState,
  cold: ColdRows,
  arena: Arena,
  cursor: VictimCursor,
  threshold: number,
  limit: number,
): Victims | undefined {
  const { table } = cold;
  const { recordBytes } = table;
  const perRow = 8 + 13 + 2 * recordBytes + cold.valueBytes;
  arena.beginScratch(searchBytes(limit) + limit * perRow + 6 * 64);
  const found = findVictims(arena, table, cursor, {
    by: BY.frequency,
    threshold,
    places: slicePlaces,
    limit,
  });
  const { n } = found;
  if (found.ended) [cursor.page, cursor.place] = [0, 0];
  if (n === 0) return undefined;
  const changedAt = arena.takeScratch(n * recordBytes);
  const cleanAt = arena.takeScratch(n * recordBytes);
  const { kernel } = arena;
  const changed = kernel.copyVictims(found.positions, n, recordBytes, changedAt, cleanAt);
  const values = arena.takeScratch(changed * cold.valueBytes);
  const storeKeys = arena.takeScratch(13 * changed);
  const keys = arena.takeScratch(8 * changed);
  kernel.sealRecords(changedAt, changed, recordBytes, cold.seed, BigInt(lastLsn(state)), values);
  kernel.keysOfRecords(changedAt, changed, recordBytes, keys);
  kernel.storeKeys(keys, changed, coldPrefix, table.definition.number, storeKeys);
  const records = new Uint8Array(n * recordBytes);
  records.set(arena.bytes.subarray(changedAt, changedAt + changed * recordBytes));
  records.set(arena.bytes.subarray(cleanAt, cleanAt + (n - changed) * recordBytes), changed * recordBytes);
  const gone = new Set<bigint>();
  cold.watches.add(gone);
  return {
    cold,
    arena,
    records,
    n,
    changed,
    keys: arena.u64.slice(keys / 8, keys / 8 + changed),
    storeKeys: arena.bytes.slice(storeKeys, storeKeys + 13 * changed),
    values: arena.bytes.slice(values, values + changed * cold.valueBytes),
    lsn: lastLsn(state),
    gone,
  };
}

/**
 * Writes the values of victims. The log is durable up to what they had been through when they were copied: so whatever
 * of a row's older value is written over, the promotion that ended its use is durable. What versions need of it is kept.
 */
export async function writeVictims(state: ShardState, victims: Victims): Promise<void> {
  const { cold, keys, storeKeys, values, changed, lsn, gone } = victims;
  const table = cold.table.definition.number;
  await state.keeping.line.do(async () => {
    const before = cold.written ? await readSuperseded(state, storeKeys) : undefined;
    // A rollback has come first.
    if (state.cold.get(table) !== cold) return;
    const batch = state.pages.batch();
    let count = 0;
    for (let i = 0; i < changed; i++) {
      // Gone since it was copied: its value goes, and must not come back.
      if (gone.size > 0 && gone.has(keys[i])) continue;
      if (before) {
        const at = cold.deleted.get(keys[i]) ?? lsn;
        keepSuperseded(state, batch, { table, key: keys[i], at }, before(i));
      }
      if (cold.deleted.size > 0) cold.deleted.delete(keys[i]);
      batch.put(
        storeKeys.subarray(13 * i, 13 * (i + 1)),
        values.subarray(i * cold.valueBytes, (i + 1) * cold.valueBytes),
      );
      count++;
    }
    if (count === 0) return;
    cold.written = true;
    await batch.write();
  });
}

/** Demotes those victims that have not changed since they were copied; there is room in the log. Returns its bytes. */
export function demoteRows(state: ShardState, scans: Scans, victims: Victims): number {
  const { cold, arena } = victims;
  const { table } = cold;
  const { recordBytes } = table;
  const records = recordsLeft(victims);
  const n = records.length / recordBytes;
  const { kernel } = arena;
  const { log } = state;
  arena.beginScratch(n * (recordBytes + 16) + 5 * 64);
  const run = {
    arena,
    n,
    keys: arena.takeScratch(8 * n),
    counts: arena.takeScratch(4 * n),
    positions: arena.takeScratch(4 * n),
    values: arena.takeScratch(n * recordBytes),
    states: 0,
    steps: 0,
    counters: 0,
  };
  arena.bytes.set(records, run.values);
  run.n = kernel.demoteRows(table.index, run.values, n, run.positions, run.keys, BigInt(log.nextLsn));
  if (run.n === 0) return 0;
  const digest = BigInt.asUintN(64, kernel.digestRecords(run.values, run.n, recordBytes, cold.seed));
  const digestBytes = new Uint8Array(8);
  new DataView(digestBytes.buffer).setBigUint64(0, digest, true);
  const list = new SectionList();
  list.add(run, table, SECTION.demote, 0, [digestBytes]);
  log.append(RECORD.rows, 0, [
    encodeRowsHeader({ step: 0, time: 0, mark: undefined, sections: list.count }),
    ...list.parts,
  ]);
  cold.add(run.n, digest);
  cold.demotions += run.n;
  cold.forgetReads(arena.u64.subarray(run.keys / 8, run.keys / 8 + run.n));
  if (scans.size > 0) {
    const keys = arena.u64.slice(run.keys / 8, run.keys / 8 + run.n);
    const positions = arena.u32.slice(run.positions / 4, run.positions / 4 + run.n);
    for (const scan of scans) scan.noteDemotion(table, arena, keys, positions);
  }
  return list.parts.reduce((sum, part) => sum + part.length, 0);
}

/** The copies of rows that are not gone since. */
function recordsLeft({ cold, records, n, gone }: Victims): Uint8Array {
  if (gone.size === 0) return records;
  const { recordBytes } = cold.table;
  const view = new DataView(records.buffer, records.byteOffset, records.length);
  const left = new Uint8Array(records.length);
  let count = 0;
  for (let i = 0; i < n; i++) {
    if (gone.has(view.getBigUint64(i * recordBytes, true))) continue;
    left.set(records.subarray(i * recordBytes, (i + 1) * recordBytes), recordBytes * count++);
  }
  return left.subarray(0, recordBytes * count);
}
