// Recovery, second part: each record of the log is applied to the pages that do not hold it yet.
import { EmbershardError } from "../base/errors.js";
import type { LogReading } from "../store/log-reader.js";
import type { LogRecord } from "../store/segment-scan.js";
import type { ArenaTable } from "../table/arena-table.js";
import { replayCold } from "./cold-replay.js";
import { beginHandOver, type HandOverNote } from "./hand-over.js";
import {
  type DecayNote,
  decodeJson,
  decodeRows,
  RECORD,
  type RowsRecord,
  SECTION,
  type Section,
} from "./records.js";
import { addTable, allTables, outOfRoom, type Recovered, tableOf } from "./recovered.js";
import type { PushOrigin, WorkerRecord } from "./sequences.js";
import { retireTable } from "./shard-state.js";

/** Reads the log and applies it. @throws CORRUPT naming file, offset and LSN; IO */
export async function replayLog(
  recovered: Recovered,
  reading: LogReading,
  pause: () => Promise<void>,
): Promise<void> {
  await (await LogReplay.begin(reading)).apply(recovered, pause);
}

/** A log that has been read up to the first record that changes something. */
export class LogReplay {
  readonly #batches: AsyncGenerator<readonly LogRecord[]>;
  /** The batch with that record; undefined when there is none. */
  #held: readonly LogRecord[] | undefined;
  #passed = 0;

  private constructor(batches: AsyncGenerator<readonly LogRecord[]>) {
    this.#batches = batches;
  }

  /** Begins to read the log. Call `apply` or `close`. @throws CORRUPT naming file, offset and LSN; IO */
  static async begin(reading: LogReading): Promise<LogReplay> {
    const log = new LogReplay(reading.batches());
    for (;;) {
      const { done, value } = await log.#batches.next();
      if (done) return log;
      if (value.every(({ type }) => type === RECORD.checkpoint)) log.#passed += value.length;
      else {
        log.#held = value;
        return log;
      }
    }
  }

  /** Whether the log, which has been read to its end then, changes neither rows nor what else there is. */
  get isIdle(): boolean {
    return this.#held === undefined;
  }

  /** Applies the log. @throws CORRUPT naming file, offset and LSN. */
  async apply(recovered: Recovered, pause: () => Promise<void>): Promise<void> {
    recovered.records += this.#passed;
    if (!this.#held) return;
    try {
      for (let batch: readonly LogRecord[] | undefined = this.#held; batch; ) {
        for (const record of batch) replay(recovered, record);
        recovered.records += batch.length;
        await pause();
        batch = (await this.#batches.next()).value;
      }
    } finally {
      await this.close();
    }
  }

  /** Closes its files. */
  async close(): Promise<void> {
    await this.#batches.return(undefined);
  }
}

function replay(recovered: Recovered, record: LogRecord): void {
  const { type, payload } = record;
  // Until its instant the manifest knows best what tables there are: one made in that time may be gone, its name another's.
  const known = record.lsn <= (recovered.manifest?.lsn ?? 0);
  switch (type) {
    case RECORD.rows: {
      const rows = decodeRows(payload);
      if (!rows) throw corrupt(record, "its lengths do not add up");
      replayRows(recovered, record, rows);
      return;
    }
    case RECORD.define:
      if (!known) addTable(recovered, decodeJson(payload));
      return;
    case RECORD.drop:
      if (!known) dropTable(recovered, record.lsn, decodeJson(payload) as { number: number });
      return;
    case RECORD.handOver: {
      const note = decodeJson(payload) as HandOverNote;
      if (note.done) {
        recovered.arenas.moving = undefined;
        return;
      }
      while (recovered.arenas.all.length <= note.to) {
        const arena = recovered.arenas.add();
        for (const table of allTables(recovered)) table.describe(arena);
      }
      beginHandOver(recovered.arenas, note);
      return;
    }
    case RECORD.decay:
      if (!known) decayTable(recovered, decodeJson(payload) as DecayNote);
      return;
    case RECORD.worker:
      if (!known) recovered.sequences.apply(decodeJson(payload) as WorkerRecord, record.lsn);
      return;
    case RECORD.checkpoint:
      return;
    default:
      throw new EmbershardError(
        "NEWER_FORMAT",
        `${where(record)} has type ${type}, which this version does not know: upgrade Embershard`,
      );
  }
}

function dropTable(recovered: Recovered, lsn: number, { number }: { number: number }): void {
  const table = tableOf(recovered, number);
  if (!table) return;
  recovered.tables.delete(table.definition.name);
  recovered.retired.push(...retireTable(recovered.arenas, table, lsn));
  recovered.cold.delete(number);
}

/** An unlogged table has the decays of its checkpoint. */
function decayTable(recovered: Recovered, { number, epoch }: DecayNote): void {
  const table = tableOf(recovered, number);
  if (table?.definition.logged) table.epoch = epoch;
}

/** Applies a record of rows, and marks the pages that it changed. @throws CORRUPT */
export function replayRows(recovered: Recovered, record: LogRecord, rows: RowsRecord): void {
  const replayed: Section[] = [];
  let beyond = 0;
  for (const section of rows.parts) {
    const table = tableOf(recovered, section.table);
    // A table that is dropped later in the log, and that the checkpoint has forgotten.
    if (!table) continue;
    // An unlogged table is that of the checkpoint: what a later one had begun to log does not follow on it.
    if (!table.definition.logged && record.lsn > (recovered.manifest?.lsn ?? 0)) {
      beyond++;
      continue;
    }
    const arena = recovered.arenas.all[section.arena];
    if (!arena) throw corrupt(record, `it names arena ${section.arena}, which does not exist`);
    table.describeTime(arena, rows.time);
    table.describeEpoch(arena, section.epoch);
    replaySection(recovered, record, section, table, rows.step);
    replayCold(recovered, section, table, record.lsn);
    replayed.push(section);
  }
  recovered.time = Math.max(recovered.time, rows.time);
  // Only now: sections of one record meet in one page while rows are handed over, and a stamped page takes no more of it.
  for (const section of replayed) stampAll(recovered, record, section);
  // Mark and sequences are those of what was recovered: not of a push of which nothing was.
  if (beyond > 0 && beyond === rows.parts.length) return;
  if (rows.mark) recovered.mark = rows.mark;
  // The manifest has those of its instant.
  if (rows.origin && record.lsn > (recovered.manifest?.lsn ?? 0)) noteOrigin(recovered, record, rows.origin);
}

function noteOrigin({ sequences }: Recovered, record: LogRecord, origin: PushOrigin): void {
  if (sequences.workers.get(origin.worker)?.session !== origin.session)
    throw corrupt(record, `it is of session ${origin.session} of worker ${origin.worker}, which never began`);
  sequences.applied(origin, record.lsn);
}

/** Replays a section in pieces that fit the arena's scratch. Its pages are marked when all sections are. */
function replaySection(
  recovered: Recovered,
  record: LogRecord,
  section: Section,
  table: ArenaTable,
  step: number,
): void {
  const arena = recovered.arenas.all[section.arena];
  const { n, values, valueBytes } = section;
  noteStep(section, table, step);
  const widths = columnWidths(section, table);
  // The rows that a section demotes have one sum of checksums; those that it evicts from among the cold ones no place.
  const ofAll =
    section.kind === SECTION.demote ? 8 : section.kind === SECTION.evictCold && n === 0 ? valueBytes : 0;
  if (widths.reduce((sum, width) => sum + width * n, ofAll) !== valueBytes)
    throw corrupt(record, "its columns do not have the table's width");
  const rowBytes = 16 + widths.reduce((sum, width) => sum + width, 0);
  const piece = Math.max(1, Math.floor((8 << 20) / rowBytes));
  for (let from = 0; from < n; from += piece) {
    const count = Math.min(piece, n - from);
    arena.beginScratch(count * rowBytes + 6 * 64);
    const put = (bytes: Uint8Array, offset: number, length: number) => {
      const at = arena.takeScratch(length);
      arena.bytes.set(bytes.subarray(offset, offset + length), at);
      return at;
    };
    const keys = put(section.keys, 8 * from, 8 * count);
    const positions = put(section.positions, 4 * from, 4 * count);
    const counts = put(section.counts, 4 * from, 4 * count);
    let column = 0;
    const columns = widths.map((width) => {
      const at = put(values, column + width * from, width * count);
      column += width * n;
      return at;
    });
    const { kernel } = arena;
    const lsn = BigInt(record.lsn);
    const applied = (() => {
      switch (section.kind) {
        case SECTION.push:
          return kernel.replayPush(
            table.index,
            positions,
            keys,
            counts,
            columns[0],
            count,
            columns[1] ?? 0,
            section.learningRate,
            step,
            lsn,
          );
        case SECTION.create:
          return kernel.replayAssign(table.index, positions, keys, counts, 0, 0, count, lsn);
        case SECTION.assign:
        case SECTION.assignState:
        case SECTION.assignHistory:
        case SECTION.assignStateHistory: {
          const { state, steps, counters } = assignedColumns(section, columns);
          const weights = columns[0];
          const assigned = kernel.replayAssign(
            table.index,
            positions,
            keys,
            counts,
            weights,
            state,
            count,
            lsn,
          );
          if (assigned < 0) return assigned;
          if (steps) kernel.replayHistory(positions, counts, steps, count, lsn);
          if (counters) kernel.replayCounters(table.index, positions, count, counters, lsn);
          return assigned;
        }
        case SECTION.count:
          return kernel.replayCount(table.index, positions, keys, counts, count, step, lsn);
        case SECTION.sketch:
          return kernel.replaySketch(table.index, positions, keys, counts, count, lsn);
        case SECTION.delete:
        case SECTION.evict:
        case SECTION.demote:
          return kernel.replayDelete(table.index, positions, keys, count, lsn);
        default:
          return kernel.replayAdopt(table.index, positions, columns[0], count, lsn);
      }
    })();
    arena.refresh();
    if (applied < 0) {
      demandRoom(recovered, record, section);
      throw corrupt(record, `it does not fit the pages of table "${table.definition.name}"`);
    }
  }
}

function noteStep(section: Section, table: ArenaTable, step: number): void {
  const { kind, n, values } = section;
  if (kind === SECTION.push) table.highestStep = Math.max(table.highestStep, step);
  if (!bringsHistory(kind)) return;
  const view = new DataView(values.buffer, values.byteOffset, values.length);
  const before = table.dim + (bringsState(kind) ? table.stateFloats : 0);
  const end = Math.min(values.length, 4 * n * (before + 1));
  for (let at = 4 * n * before; at < end; at += 4)
    table.highestStep = Math.max(table.highestStep, view.getUint32(at, true));
}

function bringsState(kind: number): boolean {
  return kind === SECTION.assignState || kind === SECTION.assignStateHistory;
}

function bringsHistory(kind: number): boolean {
  return kind === SECTION.assignHistory || kind === SECTION.assignStateHistory;
}

/** Which of an assignment's columns is what; 0 where it has none. The weights come first. */
function assignedColumns({ kind }: Section, columns: readonly number[]) {
  const [hasState, hasHistory] = [bringsState(kind), bringsHistory(kind)];
  const behind = 1 + (hasState ? 1 : 0) + (hasHistory ? 1 : 0);
  return {
    state: hasState ? columns[1] : 0,
    steps: hasHistory ? columns[behind - 1] : 0,
    counters: columns[behind] ?? 0,
  };
}

/** @throws OUT_OF_MEMORY when a position lies beyond what arenas may hold. */
function demandRoom({ arenas }: Recovered, record: LogRecord, { positions, n }: Section): void {
  const view = new DataView(positions.buffer, positions.byteOffset, 4 * n);
  const end = arenas.limitBytes / 8;
  for (let i = 0; i < n; i++) {
    if (view.getUint32(4 * i, true) < end) continue;
    throw outOfRoom(where(record));
  }
}

/** Bytes that a row takes in each column of a section's values. */
export function columnWidths(section: Section, table: ArenaTable): number[] {
  switch (section.kind) {
    case SECTION.push:
    case SECTION.assign:
      return withCounters(section, table, [4 * table.dim]);
    case SECTION.assignState:
      return withCounters(section, table, [4 * table.dim, 4 * table.stateFloats]);
    case SECTION.assignHistory:
      return withCounters(section, table, [4 * table.dim, 4]);
    case SECTION.assignStateHistory:
      return withCounters(section, table, [4 * table.dim, 4 * table.stateFloats, 4]);
    case SECTION.adopt:
    case SECTION.promote:
      return [table.recordBytes];
    default:
      return [];
  }
}

/** Counters are the last column, where the length says that they are there. */
function withCounters({ n, valueBytes }: Section, table: ArenaTable, widths: number[]): number[] {
  const bytes = widths.reduce((sum, width) => sum + width, 0);
  return valueBytes > n * bytes ? [...widths, 4 * table.counters] : widths;
}

function stampAll(recovered: Recovered, record: LogRecord, { arena: number, positions, n }: Section): void {
  const arena = recovered.arenas.all[number];
  // By the piece: scratch beyond the usual would take pages that records to come name as theirs.
  const piece = 1 << 20;
  for (let from = 0; from < n; from += piece) {
    const count = Math.min(piece, n - from);
    arena.beginScratch(4 * count);
    const at = arena.takeScratch(4 * count);
    arena.bytes.set(positions.subarray(4 * from, 4 * (from + count)), at);
    arena.kernel.stampRows(at, count, BigInt(record.lsn));
  }
}

function where({ file, offset, lsn }: LogRecord): string {
  return `log segment ${file}, offset ${offset}, LSN ${lsn}`;
}

function corrupt(record: LogRecord, why: string): EmbershardError {
  return new EmbershardError("CORRUPT", `${where(record)}: ${why}`);
}
