import type { CheckpointInfo, CheckpointOptions } from "../api/checkpoint-types.js";
import type { EvictionRequest, ForgetOptions } from "../api/eviction-request.js";
import type { EvictedRows, EvictionCounts, ScanBatch } from "../api/row-batches.js";
import {
  type Ack,
  redefineTable,
  type TableDefinition,
  type TableOptions,
  type TensorShape,
} from "../api/table-definition.js";
import type { RollbackInfo } from "../api/version-types.js";
import { EmbershardError } from "../base/errors.js";
import type { ArenaTable } from "../table/arena-table.js";
import { Checkpointing } from "./checkpointing.js";
import { coldRowsOf } from "./cold-rows.js";
import { ColdTier } from "./cold-tier.js";
import { Evicting } from "./evicting.js";
import { ruleOf } from "./eviction-rules.js";
import { forgetCandidates } from "./forgetting.js";
import { type FramePart, type GatheredFrame, gatherFrame } from "./frame-gathering.js";
import { Interruption } from "./interruption.js";
import { Line } from "./line.js";
import { Mover } from "./mover.js";
import { recoverShard, type ShardOptions } from "./opening.js";
import type { RowRead } from "./reading.js";
import { type DecayNote, encodeJson, RECORD } from "./records.js";
import { type Scans, scanRows } from "./scanning.js";
import { copiedTable, decayTable, newTable, noTable } from "./schema.js";
import { guarded, lostAtClose, retireTable, type ShardLog, type ShardState, timeNow } from "./shard-state.js";
import { ShardVersions } from "./shard-versions.js";
import type { Share } from "./share.js";
import type { RowWrite } from "./staging.js";
import { type StoreHold, withInstant } from "./store-hold.js";
import { type Companion, planWith, reachTogether } from "./together.js";
import { Turns } from "./turns.js";
import { demandVersion } from "./version.js";
import type { VersionRequest } from "./version-making.js";
import { Workers } from "./workers.js";
import { Writer, type WrittenNow } from "./writer.js";
import type { Applied, ShardRequest } from "./writing.js";

export type { ShardOptions } from "./opening.js";
export type { StoreHold } from "./store-hold.js";

/**
 * The unit of ownership: tables over arenas, one log, one directory of pages. A state machine without sockets, clocks or
 * randomness of its own. Reads answer at once. Writes take effect in the order of their calls, whole or not at all, and
 * resolve when they are as durable as asked.
 */
export class Shard {
  /** Records replayed when the shard was opened. */
  readonly replayed: number;
  readonly #state: ShardState;
  readonly #checkpointing: Checkpointing;
  /** Bytes of rows logged since the last checkpoint began; memory of dropped tables, which a checkpoint gives back. */
  readonly checkpoints: Pick<Checkpointing, "bytesLogged" | "reclaim">;
  readonly #mover: Mover;
  readonly #evicting: Evicting;
  readonly #coldTier: ColdTier;
  readonly versions: ShardVersions;
  /** Those who push from elsewhere. */
  readonly workers: Workers;
  readonly #scans: Scans = new Set();
  readonly #acknowledging = new Interruption();
  readonly #keepVersions: number | undefined;
  /** Writes that must wait, and what is between them. */
  readonly #line = new Line();
  /** Changes of what tables there are. */
  readonly #definitions = new Line();
  readonly #writer: Writer;
  #closed = false;

  /** Recovers what the directory holds. @throws CORRUPT, NEWER_FORMAT, OUT_OF_MEMORY, IO */
  static async open(options: ShardOptions): Promise<Shard> {
    // A log can fail as soon as it is open; nobody can have pushed by then.
    let onFailure = (error: EmbershardError): void => {
      throw error;
    };
    const { state, replayed } = await recoverShard(options, (error) => onFailure(error));
    const shard = new Shard(state, options, replayed);
    onFailure = (error) => {
      shard.#checkpointing.health.report(error);
      state.logWaits.interrupt(error);
    };
    return shard;
  }

  private constructor(
    state: ShardState,
    options: Partial<Pick<ShardOptions, "checkpoint" | "keepVersions" | "hotRows" | "workerExpiryMs">>,
    replayed: number,
  ) {
    this.#state = state;
    this.replayed = replayed;
    this.#keepVersions = options.keepVersions;
    this.#checkpointing = new Checkpointing(state, options.checkpoint);
    this.checkpoints = this.#checkpointing;
    this.#mover = new Mover(state, this.#checkpointing, this.#scans);
    this.versions = new ShardVersions(state, this.#checkpointing, this.#line, () => this.#demandOpen());
    const roomFor = (bytes: () => number) => this.#roomFor(bytes);
    const reached = (durable: Promise<void> | undefined) => this.#reached(durable);
    const owner = { line: this.#line, roomFor, mover: this.#mover, hotRows: options.hotRows };
    this.#coldTier = new ColdTier(state, this.#checkpointing, this.#scans, owner);
    this.#evicting = new Evicting(state, this.#checkpointing, this.#coldTier);
    this.workers = new Workers(state, {
      line: this.#line,
      clock: state.clock,
      expiryMs: options.workerExpiryMs,
      writable: () => this.failure === undefined,
      demandWritable: () => this.#demandWritable(),
      roomFor,
      reached,
    });
    this.#writer = new Writer(state, {
      line: this.#line,
      turns: new Turns(state.pause),
      scans: this.#scans,
      checkpointing: this.#checkpointing,
      mover: this.#mover,
      evicting: this.#evicting,
      coldTier: this.#coldTier,
      present: (table) => this.present(table),
      demandThere: (table, what) => this.#demandThere(table, what),
      demandWritable: () => this.#demandWritable(),
      roomFor,
      reached,
    });
  }

  get tables(): ReadonlyMap<string, ArenaTable> {
    return this.#state.tables;
  }

  get state(): Readonly<ShardState> {
    return this.#state;
  }

  get log(): ShardLog {
    return this.#state.log;
  }

  /** Why the shard is read-only; undefined when it is not. */
  get failure(): EmbershardError | undefined {
    return this.#state.broken ?? this.#checkpointing.health.failure;
  }

  /** The caller's mark of the last push that had one. */
  get mark(): Uint8Array | undefined {
    return this.#state.mark;
  }

  /**
   * Opens a table, making it if there is none of that name. Resolves when the definition is in the log.
   *
   * @throws TABLE_NOT_FOUND when there is none and no options are given, TABLE_MISMATCH, INVALID_OPTIONS, READ_ONLY.
   */
  async openTable(
    name: string,
    options: TableOptions | undefined,
    tensor?: TensorShape,
  ): Promise<ArenaTable> {
    this.#demandOpen();
    return this.#inTurn(async () => {
      const known = this.#state.tables.get(name);
      if (known) {
        const definition = redefineTable(known.definition, options ?? {}, tensor);
        if (JSON.stringify(definition) === JSON.stringify(known.definition))
          return { result: known, lsn: known.definedLsn };
        const lsn = await this.#append(RECORD.define, definition, () => {
          known.definition = definition;
          coldRowsOf(this.#state.cold, known);
        });
        known.definedLsn = lsn;
        this.#evicting.consider(known, 0);
        this.#coldTier.consider();
        return { result: known, lsn };
      }
      if (options === undefined) throw noTable(name, "options make one", this.#state.tables);
      return this.#make(newTable(this.#state, name, options, tensor));
    });
  }

  async #make({ table, descriptors }: ReturnType<typeof newTable>) {
    const lsn = await this.#append(RECORD.define, table.definition, () => {
      this.#state.arenas.addTable(table);
      this.#state.nextTable += descriptors;
      this.#state.tables.set(table.definition.name, table);
      coldRowsOf(this.#state.cold, table);
    });
    table.definedLsn = lsn;
    this.#evicting.consider(table, 0);
    return { result: table, lsn };
  }

  /** Has the next checkpoint keep what another shard's had, where this has no later one. */
  keep({ mark, time }: Pick<ShardState, "mark" | "time">): void {
    this.#state.mark ??= mark?.slice();
    this.#state.time = Math.max(this.#state.time, time);
  }

  /** Makes a table as another shard has it, but for its number, or gives the one that there is. */
  async copyTable(definition: TableDefinition): Promise<ArenaTable> {
    this.#demandOpen();
    return this.#inTurn(async () => {
      const known = this.#state.tables.get(definition.name);
      return known ? { result: known } : this.#make(copiedTable(this.#state, definition));
    });
  }

  /** Changes what tables there are, one change after the other in the order of their calls; resolves when it is in the log. */
  async #inTurn<T>(change: () => Promise<{ result: T; lsn?: number }>): Promise<T> {
    const { result, lsn } = await this.#definitions.do(change);
    if (lsn !== undefined) await this.#reached(this.#state.log.written(lsn));
    return result;
  }

  /** Drops a table and its rows. @throws TABLE_NOT_FOUND, READ_ONLY */
  async dropTable(name: string): Promise<void> {
    this.#demandOpen();
    return this.#inTurn(async () => {
      const { tables, arenas } = this.#state;
      const table = tables.get(name);
      if (!table) throw noTable(name, undefined, tables);
      const lsn = await this.#append(RECORD.drop, { number: table.definition.number }, () => {
        tables.delete(name);
        this.#state.retired.push(...retireTable(arenas, table, this.#state.log.nextLsn));
        this.#coldTier.drop(table);
      });
      return { result: undefined, lsn };
    });
  }

  /** Does what a record of JSON says and appends it, in the line of the writes. Returns its LSN. */
  async #append(
    type: number,
    content: TableDefinition | DecayNote | { number: number },
    apply: () => void,
  ): Promise<number> {
    this.#checkpointing.health.demandWritable();
    const bytes = encodeJson(content);
    return this.#line.do(async () => {
      await this.#roomFor(() => bytes.length);
      apply();
      return this.#state.log.append(type, 0, [bytes]);
    });
  }

  /** Decays a table's counters once. Resolves when it is in the log. @throws TABLE_NOT_FOUND, READ_ONLY */
  async decay(table: ArenaTable): Promise<void> {
    this.#demandWritable();
    const lsn = await this.#line.do(async () => {
      await this.#roomFor(() => 64);
      this.#demandThere(table, "was dropped while the decay waited; nothing was changed");
      // A rollback may have come first.
      return decayTable(this.#state, this.present(table)!);
    });
    if (lsn !== undefined && table.definition.logged) await this.#reached(this.#state.log.written(lsn));
  }

  /**
   * Evicts rows now, in slices between requests. Resolves to how many, as durable as the table's writes.
   *
   * @throws TABLE_NOT_FOUND, READ_ONLY, IO, CLOSED, ABORTED by a rollback: some may be gone then.
   */
  async evict(table: ArenaTable, request: EvictionRequest): Promise<number> {
    this.#demandWritable();
    const byRule = !("rows" in request);
    const rule = byRule ? ruleOf(table, request, timeNow(this.#state)) : undefined;
    if (byRule && rule === undefined) return 0;
    const { evicted, lsn } = await this.#evicting.evict(table, rule, byRule ? 0 : request.rows);
    const { log } = this.#state;
    const { ack } = table.definition;
    if (lsn > 0 && ack !== "memory") await this.#reached(ack === "os" ? log.written(lsn) : log.synced(lsn));
    return evicted;
  }

  /** Has `listener`, which must not throw, told of rows that a table lets go. Returns what ends that. */
  onEvicted(table: ArenaTable, listener: (rows: EvictedRows) => void): () => void {
    return this.#evicting.listen(table, listener);
  }

  /** Says which part of all keys the shard has: what tables may have is for all parts together. */
  takeShare(share: Share): void {
    this.#state.share = share;
    this.#evicting.resume();
    this.#coldTier.consider();
  }

  /** Rows that a table has let go since the shard was opened. */
  evictionCounts(table: ArenaTable): EvictionCounts {
    return this.#evicting.counts(table);
  }

  /**
   * Reads rows as of the call: at once, or, where the page store has to be asked for cold ones, when the promise resolves;
   * the arrays are borrowed until then. @throws CLOSED, CORRUPT, IO, INVALID_ARGUMENT
   */
  pull(read: RowRead): Promise<void> | undefined {
    this.#demandOpen();
    return this.#coldTier.pull(read);
  }

  /**
   * Reads rows, as of the call, behind room of `frontBytes` (a multiple of 8), to be sent as they lie in kernel memory:
   * the views are valid until the next call. Undefined where a table has a limit of memory: pull may have to wait.
   *
   * @throws CLOSED, TOO_LARGE, INVALID_ARGUMENT
   */
  gatherFrame(parts: readonly FramePart[], frontBytes: number): GatheredFrame | undefined {
    this.#demandOpen();
    const { cold } = this.#state;
    if (cold.size > 0 && parts.some(({ table }) => cold.has(table.definition.number))) return undefined;
    return guarded(this.#state, () => gatherFrame(this.#state, parts, frontBytes));
  }

  /** Writes 1 to u8[n] where the key has a row; as pull. */
  contains(table: ArenaTable, keys: BigUint64Array, found: Uint8Array): Promise<void> | undefined {
    this.#demandOpen();
    return this.#coldTier.contains(table, keys, found);
  }

  /** Reads cold rows of keys ahead of those who will ask for them. @throws CLOSED, CORRUPT, IO */
  async prefetch(table: ArenaTable, keys: BigUint64Array): Promise<void> {
    this.#demandOpen();
    await this.#coldTier.prefetch(table, keys);
  }

  /** Writes how often each key was pushed, u32[n] of zeros. */
  occurrences(table: ArenaTable, keys: BigUint64Array, into: Uint32Array): Promise<void> | undefined {
    this.#demandOpen();
    return this.#coldTier.occurrences(table, keys, into);
  }

  /**
   * Makes several tables' writes as one: all or none. The arrays are borrowed until it settles. Resolves to the rows
   * touched (for deletes, those that existed).
   *
   * @throws NON_FINITE, TOO_LARGE, READ_ONLY, OUT_OF_MEMORY, CLOSED: nothing has changed then. FENCED, SESSION_EXPIRED of
   *   one that says where it comes from: it may have been applied earlier.
   */
  async write(writes: readonly RowWrite[], request: ShardRequest): Promise<number> {
    return (await this.#writer.write(writes, request)).touched;
  }

  /** As write; tells of its record too, and whether it had been made before. */
  writeWhole(writes: readonly RowWrite[], request: ShardRequest): Promise<Applied> {
    return this.#writer.write(writes, request);
  }

  /**
   * As write, in this turn of the event loop, which ends the loan of the arrays; undefined where it would have to wait:
   * nothing has changed then. `settled` is to be awaited before it is acknowledged.
   */
  tryWriteNow(writes: readonly RowWrite[], request: ShardRequest): WrittenNow | undefined {
    return this.#writer.tryWriteNow(writes, request);
  }

  #demandThere(table: ArenaTable, what: string): void {
    if (!this.present(table))
      throw new EmbershardError("TABLE_NOT_FOUND", `table "${table.definition.name}" ${what}`);
  }

  /** What a table is now: itself, what it became by a rollback, or undefined when it was dropped. */
  present(table: ArenaTable): ArenaTable | undefined {
    const { name, number } = table.definition;
    const now = this.#state.tables.get(name);
    if (now?.definition.number === number) return now;
    return now?.candidates?.definition.number === number ? now.candidates : undefined;
  }

  /** Waits until a record of `bytes()` can be appended, at once. */
  async #roomFor(bytes: () => number): Promise<void> {
    for (;;) {
      this.#demandOpen();
      this.#checkpointing.health.demandWritable();
      const wait = this.#state.log.room(bytes());
      if (!wait) return;
      await this.#checkpointing.health.waits.guard(wait);
    }
  }

  async #reached(durable: Promise<void> | undefined): Promise<void> {
    // Where the log has been mended this moment, the shard takes writes again a moment later.
    if (durable) await this.#acknowledging.guard(durable).then(() => this.#checkpointing.health.healing);
  }

  /** Reads all rows of a table, batch by batch, while writes go on. A row that is there throughout comes exactly once. */
  scan(table: ArenaTable, batchRows: number, lent = false): AsyncGenerator<ScanBatch> {
    this.#demandOpen();
    const demandThere = () => {
      this.#demandOpen();
      this.#demandThere(table, "was dropped during the scan");
      if (this.present(table) !== table)
        throw new EmbershardError(
          "ABORTED",
          `the store was rolled back during the scan of table "${table.definition.name}": begin it anew`,
        );
    };
    return scanRows({ state: this.#state, scans: this.#scans, demandThere }, table, batchRows, lent);
  }

  /**
   * Forgets candidates of a table that admits, some thousands at a time, while others write. Resolves to how many rows of
   * candidates are gone. @throws as write
   */
  forgetCandidates(candidates: ArenaTable, wanted: ForgetOptions, ack: Ack): Promise<number> {
    return forgetCandidates(this, candidates, wanted, ack);
  }

  /**
   * Writes a checkpoint of everything, after the one that may be running, and makes it a version where told.
   *
   * @throws VERSION_EXISTS, UNSUPPORTED, ABORTED, IO, READ_ONLY, CLOSED
   */
  async checkpoint(options: CheckpointOptions, version?: VersionRequest): Promise<CheckpointInfo> {
    this.#demandOpen();
    if (!version) return this.#checkpointing.write(options);
    const plan = planWith(version.companion, options, this.#state, this.#line);
    return this.#checkpointing.writeVersion({ ...version, keep: version.keep ?? this.#keepVersions }, plan);
  }

  /** A shard that is a version: it can be read, and nothing else. */
  static ofVersion(state: ShardState): Shard {
    return new Shard(state, {}, 0);
  }

  /**
   * Makes the shard what a version of it is, in the line of the writes: those that wait behind it change the version. With others,
   * it is the part that has their cut.
   *
   * @throws VERSION_NOT_FOUND, CORRUPT, OUT_OF_MEMORY, IO, READ_ONLY, ABORTED, CLOSED
   */
  async rollBack(name: string, others?: { companion: Companion; cut: string }): Promise<RollbackInfo> {
    this.#demandWritable();
    demandVersion(this.#state.versions, name, others?.cut);
    return this.#inTurn(async () => {
      try {
        const still = async () => {
          if (others) await reachTogether(this.#state, others.companion);
          this.#demandOpen();
          demandVersion(this.#state.versions, name, others?.cut);
        };
        const begun = () => others?.companion.begun();
        return { result: await this.#checkpointing.rollBack(name, this.#line, { begun, still }) };
      } finally {
        this.#mover.resume();
        this.#evicting.resume();
      }
    });
  }

  /** Keeps the log's files until `release`, for somebody who reads them. @throws CLOSED */
  hold(): StoreHold {
    this.#demandOpen();
    return { writtenLsn: this.#state.log.writtenLsn, release: this.#state.log.hold() };
  }

  /** The same, and where a table is larger than its memory an instant. @throws ABORTED, IO, READ_ONLY, CLOSED */
  async holdInstant(signal?: AbortSignal): Promise<StoreHold> {
    const { writtenLsn, release } = this.hold();
    if (this.#state.cold.size === 0) return { writtenLsn, release };
    return withInstant({ writtenLsn, release }, () => this.#checkpointing.holdLive({ signal }));
  }

  #demandWritable(): void {
    this.#demandOpen();
    this.#checkpointing.health.demandWritable();
  }

  #demandOpen(): void {
    if (this.#closed) throw new EmbershardError("CLOSED", "the store is closed");
    if (this.#state.broken) throw this.#state.broken;
  }

  /**
   * Ends the shard: what is running settles first, and the log is made durable. Pages are not written: the next
   * opening replays the log. @throws IO when the log could not be made durable: pushes that wait for it are rejected.
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    while (this.#line.last) await Promise.allSettled([this.#line.last]);
    this.#closed = true;
    this.workers.close();
    this.#mover.close();
    this.#evicting.close();
    await this.#coldTier.close();
    await this.#checkpointing.close();
    try {
      await this.#state.log.close();
    } catch (error) {
      this.#acknowledging.interrupt(lostAtClose(error));
      throw error;
    } finally {
      await this.#state.pages.close();
      for (const arena of this.#state.arenas.all) arena.release(this.#state.broken === undefined);
    }
  }
}
