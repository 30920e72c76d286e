import type { Clock } from "../base/clock.js";
import { EmbershardError } from "../base/errors.js";
import { assert } from "../base/assert.js";
import { LIMITS } from "../base/limits.js";
import { createHashBlock } from "../kernel/hash-block.js";
import type { Files } from "../store/files.js";
import type { LogIdentity } from "../store/log-format.js";
import { readLog } from "../store/log-reader.js";
import type { PageStore } from "../store/page-store.js";
import { openSegmentLog, type SegmentLog } from "../store/segment-log.js";
import { ArenaTable } from "../table/arena-table.js";
import type { Arena } from "../table/arena.js";
import { type Ack, defineTable, redefineTable, type TableDefinition, type TableOptions, type TensorShape } from "../table/table-definition.js";
import { applyRun, logRun, SectionList } from "./applying.js";
import { ArenaSet } from "./arena-set.js";
import { type CheckpointInfo, type CheckpointOptions, clearGarbage, supersededBy, writeCheckpoint } from "./checkpoint.js";
import { beginHandOver, halfOf, movedBytes, type MovedRows, moveForRun, movingBytes, moveNext, nextMove, noteOf } from "./hand-over.js";
import { Health } from "./health.js";
import { buildIndexes, loadPages, readManifest, replayLog } from "./recovery.js";
import { PageLedger } from "./page-ledger.js";
import { containsRows, pullRows, type RowRead } from "./reading.js";
import { encodeJson, encodeRowsHeader, RECORD, sectionBytes } from "./records.js";
import { orderingBytes, splitRun } from "./runs.js";
import { scanRows, type ScanBatch, type Scans } from "./scanning.js";
import { lastLsn, retireTable, type ShardState } from "./shard-state.js";
import { type Run, type RowWrite, stage, stagingBytes, valueBytesOf } from "./staging.js";

/** When a checkpoint starts by itself. */
export interface CheckpointPolicy {
  readonly everyMs: number;
  /** Bytes of log since the last one. */
  readonly everyLogBytes: () => number;
}

export interface ShardOptions {
  readonly files: Files;
  readonly pages: PageStore;
  readonly identity: LogIdentity;
  readonly clock: Clock;
  /** 64 random bits, different at each call. */
  readonly nonce: () => bigint;
  /** Lets others run: resolves in a later turn of the event loop. */
  readonly pause: () => Promise<void>;
  readonly arenaBytes: number;
  readonly hugePages: "auto" | "off";
  readonly logBufferBytes?: number | undefined;
  readonly segmentBytes?: number | undefined;
  readonly checkpoint: CheckpointPolicy | undefined;
  /** The directory may have no log yet: it has just been made. */
  readonly mayBeNew: boolean;
}

/** What a write did. */
interface Applied {
  /** Rows touched; for deletes, those that existed. */
  readonly touched: number;
  /** Of its record; 0 when it was not logged. */
  readonly lsn: number;
}

export interface WriteRequest {
  readonly ack: Ack;
  readonly step: number;
  readonly mark?: Uint8Array | undefined;
}

/**
 * The unit of ownership: tables over arenas, one log, one directory of pages. A state machine without sockets, clocks or
 * randomness of its own. Reads answer at once. Writes take effect in the order of their calls, whole or not at all, and
 * resolve when they are as durable as asked.
 */
export class Shard {
  readonly #state: ShardState;
  readonly #options: ShardOptions;
  readonly #health: Health;
  readonly #scans: Scans = new Set();
  readonly #abandoned: Promise<never>;
  #abandon: (error: EmbershardError) => void = () => {};
  #line: Promise<unknown> | undefined;
  #closed = false;
  #checkpointing: Promise<unknown> | undefined;
  #pagesFailed = false;
  #bytesLogged = 0;
  #cancelTimer: () => void = () => {};
  /** Records replayed when the shard was opened. */
  readonly replayed: number;

  /** Recovers what the directory holds. @throws CORRUPT, NEWER_FORMAT, OUT_OF_MEMORY, IO */
  static async open(options: ShardOptions): Promise<Shard> {
    const { files, pages, identity, clock, nonce, pause } = options;
    const arenas = new ArenaSet({ limitBytes: options.arenaBytes, hugePages: options.hugePages });
    const manifest = await readManifest(pages);
    const from = (manifest?.replayLsn ?? 0) + 1;
    const reading = await readLog(files, { identity, createBlock: createHashBlock, from, mayBeNew: options.mayBeNew });
    if (reading.mark.generation > (manifest?.generation ?? 0)) {
      throw new EmbershardError(
        "CORRUPT",
        `the log knows of checkpoint ${reading.mark.generation}, the page store of ${manifest?.generation ?? "none"}: restore the directory from a backup`,
      );
    }
    const recovered = await loadPages(arenas, pages, manifest);
    await replayLog(recovered, reading, pause);
    const { end } = reading;
    if (manifest && end.nextLsn <= manifest.lsn) {
      throw new EmbershardError("CORRUPT", `the log ends at LSN ${end.nextLsn - 1}, before the instant ${manifest.lsn} of checkpoint ${manifest.generation}`);
    }
    await buildIndexes(recovered, pause);
    // A log can fail as soon as it is open; nobody can have pushed by then.
    let onFailure = (error: EmbershardError): void => {
      throw error;
    };
    const log = await openSegmentLog({
      files,
      identity,
      createBlock: createHashBlock,
      nonce,
      end,
      onFailure: (error) => onFailure(error),
      ...(options.logBufferBytes && { logBufferBytes: options.logBufferBytes }),
      ...(options.segmentBytes && { segmentBytes: options.segmentBytes }),
    });
    const state: ShardState = {
      arenas,
      tables: recovered.tables,
      log,
      pages,
      clock,
      pause,
      ledger: recovered.ledger,
      committed: manifest && { ...manifest, pages: recovered.ledger.count() },
      mark: recovered.mark,
      nextTable: recovered.nextTable,
      retired: recovered.retired,
      draining: false,
      garbage: recovered.garbage,
    };
    await clearGarbage(state);
    const shard = new Shard(state, options, recovered.records);
    onFailure = (error) => shard.#health.report(error);
    return shard;
  }

  private constructor(state: ShardState, options: ShardOptions, replayed: number) {
    this.#state = state;
    this.#options = options;
    this.replayed = replayed;
    this.#health = new Health(
      () => state,
      () => this.#heal(),
    );
    this.#abandoned = new Promise((_, reject) => {
      this.#abandon = reject;
    });
    this.#abandoned.catch(() => {});
    this.#armTimer();
    if (state.arenas.moving) void this.#pump();
  }

  get tables(): ReadonlyMap<string, ArenaTable> {
    return this.#state.tables;
  }

  get state(): Readonly<ShardState> {
    return this.#state;
  }

  get log(): SegmentLog {
    return this.#state.log;
  }

  /** Bytes of rows logged since the last checkpoint began. */
  get bytesLogged(): number {
    return this.#bytesLogged;
  }

  /** Why the shard is read-only; undefined when it is not. */
  get failure(): EmbershardError | undefined {
    return this.#health.failure;
  }

  /** The caller's mark of the last push that had one. */
  get mark(): Uint8Array | undefined {
    return this.#state.mark;
  }

  // Tables.

  /**
   * Opens a table, making it if there is none of that name. Resolves when the definition is in the log.
   *
   * @throws TABLE_NOT_FOUND when there is none and no options are given, TABLE_MISMATCH, INVALID_OPTIONS, READ_ONLY.
   */
  async openTable(name: string, options: TableOptions | undefined, tensor?: TensorShape): Promise<ArenaTable> {
    this.#demandOpen();
    return this.#inTurn(async () => {
      const { tables } = this.#state;
      const known = tables.get(name);
      if (known) {
        const definition = redefineTable(known.definition, options ?? {}, tensor);
        if (JSON.stringify(definition) === JSON.stringify(known.definition)) return { result: known };
        const lsn = await this.#append(RECORD.define, definition, () => {
          known.definition = definition;
        });
        return { result: known, lsn };
      }
      if (options === undefined) throw new EmbershardError("TABLE_NOT_FOUND", `no table "${name}": give options to make it; there ${listed([...tables.keys()])}`);
      const definition = defineTable(name, this.#state.nextTable, options, tensor);
      const table = new ArenaTable(this.#freeIndex(), definition);
      const lsn = await this.#append(RECORD.define, definition, () => {
        this.#state.arenas.addTable(table);
        this.#state.nextTable++;
        tables.set(name, table);
      });
      return { result: table, lsn };
    });
  }

  #defining: Promise<unknown> | undefined;

  /** Changes what tables there are, one change after the other in the order of their calls; resolves when it is in the log. */
  async #inTurn<T>(change: () => Promise<{ result: T; lsn?: number }>): Promise<T> {
    const before = this.#defining;
    const mine = (async () => {
      if (before) await before.catch(() => {});
      return change();
    })();
    this.#defining = mine;
    try {
      const { result, lsn } = await mine;
      if (lsn !== undefined) await this.#reached(this.#state.log.written(lsn));
      return result;
    } finally {
      if (this.#defining === mine) this.#defining = undefined;
    }
  }

  #freeIndex(): number {
    const used = new Set([...this.#state.tables.values()].map((table) => table.index));
    for (const { index } of this.#state.retired) used.add(index);
    for (let index = 0; index < LIMITS.tables; index++) if (!used.has(index)) return index;
    throw new EmbershardError("TOO_LARGE", `the store has ${LIMITS.tables} tables, dropped ones included until the next checkpoint: that is the limit`);
  }

  /** Drops a table and its rows. @throws TABLE_NOT_FOUND, READ_ONLY */
  async dropTable(name: string): Promise<void> {
    this.#demandOpen();
    return this.#inTurn(async () => {
      const { tables, arenas } = this.#state;
      const table = tables.get(name);
      if (!table) throw new EmbershardError("TABLE_NOT_FOUND", `no table "${name}": there ${listed([...tables.keys()])}`);
      const lsn = await this.#append(RECORD.drop, { number: table.definition.number }, () => {
        tables.delete(name);
        this.#state.retired.push(retireTable(arenas, table, this.#state.log.nextLsn));
      });
      return { result: undefined, lsn };
    });
  }

  /** Does what a record of JSON says and appends it, in the line of the writes. Returns its LSN. */
  async #append(type: number, content: TableDefinition | { number: number }, apply: () => void): Promise<number> {
    this.#health.demandWritable();
    const bytes = encodeJson(content);
    return this.#inLine(async () => {
      await this.#roomFor(() => bytes.length);
      apply();
      return this.#state.log.append(type, 0, [bytes]);
    });
  }

  // Rows.

  pull(read: RowRead): void {
    this.#demandOpen();
    pullRows(this.#state.arenas, read);
  }

  contains(table: ArenaTable, keys: BigUint64Array, found: Uint8Array): void {
    this.#demandOpen();
    containsRows(this.#state.arenas, table, keys, found);
  }

  /**
   * Makes several tables' writes as one: all or none. The arrays are borrowed until it settles. Resolves to the rows
   * touched (for deletes, those that existed).
   *
   * @throws NON_FINITE, TOO_LARGE, READ_ONLY, OUT_OF_MEMORY, CLOSED: nothing has changed then.
   */
  async write(writes: readonly RowWrite[], request: WriteRequest): Promise<number> {
    this.#demandOpen();
    this.#health.demandWritable();
    const sizes = sizesOf(writes, request);
    let outcome: Applied | { full: Arena } | undefined;
    if (this.#line === undefined && this.#state.log.room(this.#boundBytes(writes, request)) === undefined) {
      outcome = this.#tryWrite(writes, request);
    }
    if (outcome === undefined || "full" in outcome) outcome = await this.#inLine(() => this.#waitAndWrite(writes, request, sizes));
    const { touched, lsn } = outcome;
    if (lsn > 0 && request.ack !== "memory") {
      const { log } = this.#state;
      const durable = request.ack === "os" ? log.written(lsn) : log.synced(lsn);
      if (durable) await this.#reached(durable);
    }
    return touched;
  }

  /** Writes as soon as there is room, in the log and in the arenas; meanwhile nobody else does. */
  async #waitAndWrite(writes: readonly RowWrite[], request: WriteRequest, sizes: readonly number[]): Promise<Applied> {
    for (;;) {
      await this.#roomFor(() => this.#boundBytes(writes, request));
      this.#demandUnchanged(writes, request, sizes);
      const outcome = this.#tryWrite(writes, request);
      if (!("full" in outcome)) return outcome;
      await this.#relieve(outcome.full);
    }
  }

  /** What was checked before waiting may hold no more: a table may be gone, and arrays that are borrowed may be, too. */
  #demandUnchanged(writes: readonly RowWrite[], request: WriteRequest, sizes: readonly number[]): void {
    for (const { table } of writes) {
      const { name } = table.definition;
      if (this.#state.tables.get(name) !== table) throw new EmbershardError("TABLE_NOT_FOUND", `table "${name}" was dropped while the write waited; nothing was changed`);
    }
    if (sizesOf(writes, request).some((size, i) => size !== sizes[i])) {
      throw new EmbershardError("INVALID_ARGUMENT", "an array was detached, or its buffer resized, while the write that borrows it waited; nothing was changed");
    }
  }

  #boundBytes(writes: readonly RowWrite[], { mark }: WriteRequest): number {
    const moving = this.#state.arenas.moving && !this.#state.arenas.moving.done;
    let bytes = 128 + (mark?.length ?? 0);
    for (const write of writes) {
      const n = write.keys.length;
      bytes += this.#state.arenas.all.length * 64 + sectionBytes(n, n * valueBytesOf(write));
      if (moving) bytes += movedBytes(write.table, n);
    }
    return bytes;
  }

  /** Does one piece of work after the other, first come first served: writes that must wait, and what is between them. */
  async #inLine<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#line;
    const mine = (async () => {
      await before?.catch(() => {});
      return work();
    })();
    this.#line = mine;
    try {
      return await mine;
    } finally {
      if (this.#line === mine) this.#line = undefined;
    }
  }

  /** Waits until a record of `bytes()` can be appended, at once. */
  async #roomFor(bytes: () => number): Promise<void> {
    for (;;) {
      this.#demandOpen();
      this.#health.demandWritable();
      const wait = this.#state.log.room(bytes());
      if (!wait) return;
      await Promise.race([wait, this.#health.failed]);
    }
  }

  /** Stages, reserves, applies and logs in one turn. Gives the arena that is full when one is, and has changed nothing then. */
  #tryWrite(writes: readonly RowWrite[], request: WriteRequest): Applied | { full: Arena } {
    const { arenas, log } = this.#state;
    const moving = arenas.moving && !arenas.moving.done ? arenas.moving : undefined;
    const scratch = writes.reduce((sum, write) => {
      const n = write.keys.length;
      const several = arenas.all.length > 1 ? orderingBytes(arenas, n, valueBytesOf(write)) : 0;
      return sum + stagingBytes(write) + several + (moving ? 2 * movingBytes(write.table, n) + 8 * n : 0);
    }, 0);
    for (const arena of arenas.all) arena.beginScratch(scratch);
    const plan = writes.map((write) => ({ write, runs: splitRun(arenas, stage(arenas.front, write), write) }));
    const full = this.#reserve(plan);
    if (full) return { full };
    const logs = (write: RowWrite) => write.table.definition.logged || this.#state.draining;
    const logged = writes.some(logs) || (request.mark !== undefined && writes.some((write) => write.table.definition.logged));
    const lsn = logged ? log.nextLsn : lastLsn(this.#state);
    const list = new SectionList();
    let touched = 0;
    for (const { write, runs } of plan) {
      const sections = logs(write) ? list : undefined;
      for (const run of runs) {
        if (moving && run.arena === moving.to) {
          this.#noteMoves(moveForRun(moving, write.table, run, BigInt(lsn), sections));
        }
        touched += applyRun(run, write, request.step, BigInt(lsn));
        if (sections) logRun(sections, run, write);
      }
    }
    for (const arena of arenas.all) arena.refresh();
    if (request.mark) this.#state.mark = request.mark.slice();
    if (logged) {
      const header = encodeRowsHeader({ step: request.step, mark: request.mark, sections: list.count });
      const given = log.append(RECORD.rows, 0, [header, ...list.parts]);
      assert(given === lsn, "a record gets the LSN that its pages were stamped with");
      for (const part of list.parts) this.#bytesLogged += part.length;
      this.#considerCheckpoint();
    }
    this.#considerHandOver();
    return { touched, lsn: logged ? lsn : 0 };
  }

  /** Makes sure that every run's rows can be created. Returns an arena that has no room. */
  #reserve(plan: readonly { write: RowWrite; runs: readonly Run[] }[]): Arena | undefined {
    for (const arena of this.#state.arenas.all) {
      let pages = 0;
      let exact = 0;
      const runs = plan.flatMap(({ write, runs }) => (write.kind === "delete" ? [] : runs.filter((run) => run.arena === arena).map((run) => ({ write, run }))));
      if (runs.length === 0) continue;
      for (const { write, run } of runs) pages += arena.kernel.pagesFor(write.table.index, run.n);
      if (arena.kernel.commitPages(pages) === 0) {
        // Close to full: count what is really missing.
        for (const { write, run } of runs) {
          const found = arena.kernel.containsRows(write.table.index, run.keys, run.n, arena.takeScratch(run.n));
          exact += found === run.n ? 0 : arena.kernel.pagesFor(write.table.index, run.n - found);
        }
        if (exact > 0 && arena.kernel.commitPages(exact) === 0) return arena;
      }
      arena.refresh();
    }
    return undefined;
  }

  async #reached(durable: Promise<void> | undefined): Promise<void> {
    if (durable) await Promise.race([durable, this.#abandoned]);
  }

  /** Reads all rows of a table, batch by batch, while writes go on. A row that is there throughout comes exactly once. */
  scan(table: ArenaTable, batchRows: number): AsyncGenerator<ScanBatch> {
    this.#demandOpen();
    return scanRows(this.#state.arenas, table, batchRows, this.#scans, this.#state.pause, () => this.#demandOpen());
  }

  // Arenas.

  #considerHandOver(): void {
    const { arenas } = this.#state;
    if (arenas.moving) return;
    for (const arena of arenas.all) {
      const limit = arenas.limitBytes / 2 ** 17;
      if (arena.kernel.pagesLeft() < limit / 16 && arena.pagesEnd > limit / 2) {
        if (this.#state.log.room(8192) === undefined && arenas.all.length < LIMITS.arenas) this.#beginHandOver(arena);
        return;
      }
    }
  }

  #beginHandOver(arena: Arena): void {
    const { arenas, log } = this.#state;
    const slots = halfOf(arenas, arena);
    const to = arenas.add();
    const note = noteOf({ from: arena, to, slots, page: 0, done: false });
    beginHandOver(arenas, note);
    log.append(RECORD.handOver, 0, [encodeJson(note)]);
    void this.#pump();
  }

  /** Moves rows of a running hand-over until it is done, a page at a time, letting others run in between. */
  async #pump(): Promise<void> {
    for (;;) {
      await this.#state.pause();
      const { moving } = this.#state.arenas;
      if (this.#closed || !moving || moving.done) return;
      if (this.#health.failure || this.#state.log.room(1 << 20)) await this.#state.pause();
      else this.#moveSlice();
    }
  }

  #moveSlice(): void {
    const { arenas, log } = this.#state;
    const moving = arenas.moving!;
    const next = nextMove(arenas, moving);
    if (!next) {
      this.#requestCheckpoint();
      return;
    }
    const { to } = moving;
    if (to.kernel.commitPages(to.kernel.pagesFor(next.table.index, next.n)) === 0) return;
    to.refresh();
    const logged = next.table.definition.logged || this.#state.draining;
    const list = logged ? new SectionList() : undefined;
    const lsn = logged ? log.nextLsn : lastLsn(this.#state);
    this.#noteMoves(moveNext(moving, next, BigInt(lsn), list));
    if (!list) return;
    const header = encodeRowsHeader({ step: 0, mark: undefined, sections: list.count });
    log.append(RECORD.rows, 0, [header, ...list.parts]);
  }

  #noteMoves(moved: MovedRows): void {
    for (const scan of this.#scans) scan.noteMoves(moved);
  }

  /** Makes room in an arena that is full: finishes the hand-over that runs, or begins one. */
  async #relieve(arena: Arena): Promise<void> {
    const { moving } = this.#state.arenas;
    if (!moving) {
      await this.#roomFor(() => 8192);
      if (!this.#state.arenas.moving) this.#beginHandOver(arena);
      return;
    }
    if (moving.done) {
      await this.checkpoint({});
      return;
    }
    while (!moving.done && !this.#closed) await this.#state.pause();
    this.#demandOpen();
  }

  // Checkpoints.

  /**
   * Writes a checkpoint of everything, after the one that may be running.
   *
   * @throws ABORTED, IO, READ_ONLY, CLOSED
   */
  async checkpoint(options: CheckpointOptions): Promise<CheckpointInfo> {
    this.#demandOpen();
    this.#health.demandWritable();
    while (this.#checkpointing) await this.#checkpointing.catch(() => {});
    this.#demandOpen();
    this.#health.demandWritable();
    const running = this.#runCheckpoint(options, false);
    this.#checkpointing = running;
    try {
      return await running;
    } finally {
      if (this.#checkpointing === running) this.#checkpointing = undefined;
    }
  }

  async #runCheckpoint(options: CheckpointOptions, withoutLog: boolean): Promise<CheckpointInfo> {
    this.#bytesLogged = 0;
    this.#armTimer();
    try {
      return await writeCheckpoint(this.#state, options, withoutLog);
    } catch (error) {
      if (error instanceof EmbershardError && error.code === "IO") {
        this.#pagesFailed = true;
        this.#health.report(error);
      }
      throw error;
    }
  }

  #armTimer(): void {
    const policy = this.#options.checkpoint;
    this.#cancelTimer();
    if (policy) this.#cancelTimer = this.#options.clock.after(policy.everyMs, () => this.#requestCheckpoint());
  }

  #considerCheckpoint(): void {
    const policy = this.#options.checkpoint;
    if (policy && this.#bytesLogged >= policy.everyLogBytes()) this.#requestCheckpoint();
  }

  /** Starts a checkpoint if none runs. A failure has made the shard read-only; healing tries again. */
  #requestCheckpoint(): void {
    if (this.#closed || this.#checkpointing || this.#health.failure) return;
    this.checkpoint({}).catch((error) => {
      if (!(error instanceof EmbershardError)) throw error;
    });
  }

  /** After an I/O error. Returns whether the shard can take writes again. */
  async #heal(): Promise<boolean> {
    const { log, pages } = this.#state;
    while (this.#checkpointing) await this.#checkpointing.catch(() => {});
    const outcome = log.failure ? await log.retry() : "running";
    if (outcome === "failed") return false;
    if (!this.#pagesFailed && outcome === "running") return true;
    await pages.reopen();
    await this.#settleCommit();
    await this.#runCheckpoint({}, outcome === "restart");
    this.#pagesFailed = false;
    if (outcome === "restart") {
      await log.restart(log.nextLsn);
      await log.commitGeneration(this.#state.committed!.generation);
    }
    return true;
  }

  /** A manifest whose write failed may be there all the same: nothing may then be numbered like it. */
  async #settleCommit(): Promise<void> {
    const { committed } = this.#state;
    const manifest = await readManifest(this.#state.pages);
    const generation = manifest?.generation ?? 0;
    if (generation < (committed?.generation ?? 0)) {
      throw new EmbershardError("CORRUPT", `checkpoint ${committed?.generation} was durable, the page store now has ${generation}`);
    }
    if (generation === (committed?.generation ?? 0)) return;
    // It counts: its images are current, not garbage; the pages are dirty again and will supersede them.
    this.#state.garbage = this.#state.garbage.filter((key) => key.generation !== generation);
    const ledger = new PageLedger(manifest!.pages);
    this.#state.garbage.push(...supersededBy(this.#state, ledger));
    this.#state.ledger = ledger;
    this.#state.committed = { ...manifest!, pages: this.#state.ledger.count() };
  }

  // The end.

  #demandOpen(): void {
    if (this.#closed) throw new EmbershardError("CLOSED", "the store is closed");
  }

  /**
   * Ends the shard: what is running settles first, and the log is made durable. Pages are not written: the next
   * opening replays the log. @throws IO when the log could not be made durable: pushes that wait for it are rejected.
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    while (this.#line) await this.#line.catch(() => {});
    this.#closed = true;
    this.#cancelTimer();
    this.#health.close();
    while (this.#checkpointing) await this.#checkpointing.catch(() => {});
    this.#checkpointing = undefined;
    try {
      await this.#state.log.close();
    } catch (error) {
      this.#abandon(
        new EmbershardError("IO", "the store was closed before the push was durable: it may or may not be there when it is opened again", { cause: error }),
      );
      throw error;
    } finally {
      await this.#state.pages.close();
    }
  }
}

/** The lengths of all that a write borrows. */
function sizesOf(writes: readonly RowWrite[], { mark }: WriteRequest): number[] {
  return [mark?.length ?? 0, ...writes.flatMap(({ keys, values, states }) => [keys.length, values?.length ?? 0, states?.length ?? 0])];
}

function listed(names: readonly string[]): string {
  if (names.length === 0) return "are no tables";
  return `are ${names.slice(0, 8).map((name) => `"${name}"`).join(", ")}${names.length > 8 ? ", ..." : ""}`;
}
