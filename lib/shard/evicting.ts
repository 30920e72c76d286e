import type { EvictedRows, EvictionCounts, EvictionReason } from "../api/row-batches.js";
import { EmbershardError } from "../base/errors.js";
import type { ArenaTable } from "../table/arena-table.js";
import { BY, type ScoreSample } from "../table/victims.js";
import type { Checkpointing } from "./checkpointing.js";
import type { ColdEviction } from "./cold-victims.js";
import { evictSlice, sliceBytes, sliceRows } from "./evict-slice.js";
import { EvictionAudience, EvictionProgress, intervalOf } from "./eviction-progress.js";
import { chooseThreshold, coldRowCount, policyOf, type Rule, rowsOf, rowsOver } from "./eviction-rules.js";
import { type EvictionJob, Hand, isDone } from "./eviction-sweep.js";
import { guarded, type ShardState, timeNow } from "./shard-state.js";

/** Places that a slice looks at, at most; of norms, which take reading all weights, fewer. */
const slicePlaces = 1 << 17;
const normPlaces = 1 << 14;
/** Where fewer than one in so many cold rows that were looked at went, the threshold is chosen anew. */
const seldom = 64;
/** How often a shard that is read-only is looked at again. */
const idleMs = 100;

/** Tells who listens of rows that have gone. */
type Teller = (rows: NonNullable<ColdEviction["rows"]>) => void;

/** Looks at rows that are cold, for a table that has some. */
export interface ColdVictims {
  sample(table: ArenaTable, by: number): Promise<ScoreSample>;
  /**
   * One slice: those of `limit` rows at most that the rule lets go, from where the hand is; told in the turn in which they go.
   *
   * @throws CORRUPT, IO, CLOSED, READ_ONLY
   */
  slice(
    table: ArenaTable,
    hand: Hand,
    rule: Rule,
    limit: number,
    teller: () => Teller | undefined,
  ): Promise<ColdEviction & { readonly looked: number }>;
  /** Values of rows that are gone can be taken out. */
  consider(): void;
}

/**
 * Lets rows go, a slice at a time: right after a write that brought a table above its capacity, in the same turn, and
 * between requests for everything else.
 */
export class Evicting {
  readonly #state: ShardState;
  readonly #checkpointing: Checkpointing;
  readonly #cold: ColdVictims;
  readonly #progress = new Map<ArenaTable, EvictionProgress>();
  /** By number of the table: a rollback makes another object of it, and may bring back one that was dropped. */
  readonly #audiences = new Map<number, EvictionAudience>();
  readonly #jobs: EvictionJob[] = [];
  readonly #waiting: { table: ArenaTable; resolve: () => void }[] = [];
  #running = false;
  #telling = false;
  #closed = false;
  #cancelTimer: () => void = () => {};

  constructor(state: ShardState, checkpointing: Checkpointing, cold: ColdVictims) {
    this.#state = state;
    this.#checkpointing = checkpointing;
    this.#cold = cold;
    this.resume();
  }

  /** Looks for what is to be done, after opening or in a state that was rolled back to. */
  resume(): void {
    for (const table of this.#state.tables.values()) this.consider(table, 0);
  }

  /** Rows evicted from a table since the store was opened. */
  counts(table: ArenaTable): EvictionCounts {
    return this.#audienceOf(table).counts;
  }

  /** Has `listener` told of rows that a table lets go, once they are gone. Returns what ends that. It must not throw. */
  listen(table: ArenaTable, listener: (rows: EvictedRows) => void): () => void {
    const { listeners } = this.#audienceOf(table);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  /** After `written` rows of a table were written, or its definition changed: does at once what fits a slice. */
  consider(table: ArenaTable, written: number): void {
    const { definition } = table;
    if (!definition.eviction || this.#state.version !== undefined || this.#state.keepsAll) return;
    const progress = this.#progressOf(table);
    progress.written += written;
    const over = rowsOver(this.#state, table);
    const atOnce = over > 0 && written > 0 && !this.#hasCold(table);
    if (atOnce && !this.#telling && this.#mayWrite()) this.#evictOver(table, over);
    this.#noteDue(table);
    if (definition.eviction.maxAgeMs !== undefined && written === 0) this.#armTimer();
    this.#wake();
  }

  /**
   * Resolves when a table has at most a slice of rows too many (none, where some are cold: those do not go in the turn of
   * the write), or nothing can be evicted now. Undefined: it is so.
   */
  within(table: ArenaTable): Promise<void> | undefined {
    if (!table.definition.eviction || this.#state.keepsAll) return undefined;
    if (!this.#isFarOver(table) || this.#telling) return undefined;
    return new Promise((resolve) => {
      this.#waiting.push({ table, resolve });
      this.#wake();
    });
  }

  /**
   * Evicts all rows that a rule is about, or, without one, `rows` rows by the table's policy. Resolves to how many, and the
   * LSN of the last record.
   */
  async evict(
    table: ArenaTable,
    rule: Rule | undefined,
    rows: number,
  ): Promise<{ evicted: number; lsn: number }> {
    let job: EvictionJob | undefined;
    await new Promise<void>((resolve, reject) => {
      job = this.#add(table, "request", rule, rows, (error) =>
        error === undefined ? resolve() : reject(error),
      );
    });
    return { evicted: job!.evicted, lsn: job!.lsn };
  }

  close(): void {
    this.#closed = true;
    this.#cancelTimer();
    this.#endAll(new EmbershardError("CLOSED", "the store was closed before all rows were evicted"));
  }

  #progressOf(table: ArenaTable): EvictionProgress {
    let progress = this.#progress.get(table);
    if (!progress) {
      progress = new EvictionProgress(this.#audienceOf(table));
      this.#progress.set(table, progress);
    }
    return progress;
  }

  #audienceOf({ definition }: ArenaTable): EvictionAudience {
    let audience = this.#audiences.get(definition.number);
    if (!audience) {
      audience = new EvictionAudience();
      this.#audiences.set(definition.number, audience);
    }
    return audience;
  }

  #add(
    table: ArenaTable,
    reason: EvictionReason,
    rule: Rule | undefined,
    rows: number,
    ended: (error?: unknown) => void,
  ): EvictionJob {
    const job: EvictionJob = { table, reason, rule, rows, hand: new Hand(), evicted: 0, lsn: 0, ended };
    this.#jobs.push(job);
    this.#wake();
    return job;
  }

  #noteDue(table: ArenaTable): void {
    const state = this.#state;
    for (const { reason, rule } of this.#progressOf(table).due(table, rowsOf(state, table), timeNow(state)))
      this.#add(table, reason, rule, 0, () => {});
  }

  #isFarOver(table: ArenaTable): boolean {
    return rowsOver(this.#state, table) > (this.#hasCold(table) ? 0 : sliceRows);
  }

  #hasCold(table: ArenaTable): boolean {
    return coldRowCount(this.#state.cold, table) > 0;
  }

  #isThere(table: ArenaTable): boolean {
    return this.#state.tables.get(table.definition.name) === table;
  }

  #mayWrite(): boolean {
    return (
      !this.#state.held &&
      !this.#checkpointing.health.failure &&
      this.#state.log.room(sliceBytes) === undefined
    );
  }

  /** Looks for rows that are too old even when nobody writes. */
  #armTimer(): void {
    this.#cancelTimer();
    const ages = [...this.#state.tables.values()].map(({ definition }) => definition.eviction?.maxAgeMs);
    const least = Math.min(...ages.filter((age) => age !== undefined));
    if (this.#closed || least === Number.POSITIVE_INFINITY) return;
    this.#cancelTimer = this.#state.clock.after(intervalOf(least), () => {
      for (const table of this.#state.tables.values()) if (table.definition.eviction) this.#noteDue(table);
      this.#armTimer();
    });
  }

  // Between requests.

  #wake(): void {
    if (this.#running || this.#closed || !this.#nextWork()) return;
    this.#running = true;
    void this.#run();
  }

  /** A table with too many rows, or a job. Drops those that have lost their table. */
  #nextWork(): ArenaTable | EvictionJob | undefined {
    for (const table of this.#progress.keys()) {
      if (!this.#isThere(table)) this.#forget(table);
      else if (rowsOver(this.#state, table) > 0) return table;
    }
    for (const job of this.#jobs.slice()) {
      if (!this.#isThere(job.table)) this.#end(job, this.#goneError(job.table));
      else if (isDone(job, rowsOf(this.#state, job.table))) this.#end(job);
      else return job;
    }
    return undefined;
  }

  /** Forgets a table that is gone, but not who listens: a rollback may bring it back. */
  #forget(table: ArenaTable): void {
    this.#progress.delete(table);
    const { number } = table.definition;
    if (!this.#isStill(table) && this.#audiences.get(number)?.listeners.size === 0)
      this.#audiences.delete(number);
  }

  /** Whether there is the table, be it another object since a rollback. */
  #isStill({ definition }: ArenaTable): boolean {
    return this.#state.tables.get(definition.name)?.definition.number === definition.number;
  }

  #goneError(table: ArenaTable): EmbershardError {
    const { name } = table.definition;
    if (!this.#isStill(table))
      return new EmbershardError("TABLE_NOT_FOUND", `table "${name}" was dropped meanwhile`);
    return new EmbershardError(
      "ABORTED",
      `the store was rolled back while rows of table "${name}" were evicted: ask again`,
    );
  }

  async #run(): Promise<void> {
    for (;;) {
      await this.#state.pause();
      if (this.#closed || this.#state.broken) break;
      const work = this.#nextWork();
      if (!work) break;
      const room = this.#state.log.room(sliceBytes);
      if (this.#checkpointing.health.failure) {
        this.#endAll(this.#checkpointing.health.failure);
        await new Promise<void>((resolve) => this.#state.clock.after(idleMs, resolve));
      } else if (room) await Promise.allSettled([this.#checkpointing.health.waits.guard(room)]);
      else if (!this.#state.held) await this.#work(work);
      this.#resolveWaiting();
    }
    this.#resolveWaiting();
    this.#running = false;
    if (this.#state.broken) this.#endAll(this.#state.broken);
  }

  async #work(work: ArenaTable | EvictionJob): Promise<void> {
    const table = "hand" in work ? work.table : work;
    try {
      if (this.#hasCold(table)) await this.#workOverCold(work, table);
      else if ("hand" in work) guarded(this.#state, () => this.#advance(work));
      else this.#evictOver(work, rowsOver(this.#state, work));
      this.#cold.consider();
    } catch (error) {
      // The shard has stopped, or cannot write now, and whoever calls it next is told.
      if (!(error instanceof EmbershardError)) throw error;
      if (error === this.#state.broken || this.#closed) return;
      if ("hand" in work) {
        if (this.#jobs.includes(work)) this.#end(work, error);
        return;
      }
      this.#endWaiting();
      await new Promise<void>((resolve) => this.#state.clock.after(idleMs, resolve));
    }
  }

  /** One slice of a table that has cold rows: of an arena, or of those. */
  async #workOverCold(work: ArenaTable | EvictionJob, table: ArenaTable): Promise<void> {
    const job = "hand" in work ? work : undefined;
    const progress = this.#progressOf(table);
    const hand = job?.hand ?? progress.hand;
    const wanted = job
      ? job.rule
        ? sliceRows
        : Math.min(job.rows - job.evicted, sliceRows)
      : Math.min(rowsOver(this.#state, table), sliceRows);
    const reason = job?.reason ?? "capacity";
    const rule = job?.rule ?? (await this.#thresholdOverCold(table, wanted));
    if (!this.#isThere(table) || !this.#mayWrite() || wanted <= 0) return;
    const inArena = hand.arena(this.#state.arenas) !== undefined;
    const outcome = inArena
      ? {
          looked: 0,
          ...guarded(this.#state, () => this.#slice(table, hand, rule, wanted, reason, !job?.rule)),
        }
      : await this.#coldSlice(table, hand, rule, wanted, reason);
    if (!job?.rule) {
      const few = inArena ? 2 * outcome.evicted < wanted : seldom * outcome.evicted < outcome.looked;
      progress.lasts = few ? 0 : progress.lasts - outcome.evicted;
    }
    if (!job) return;
    job.evicted += outcome.evicted;
    job.lsn = outcome.lsn || job.lsn;
  }

  async #thresholdOverCold(table: ArenaTable, wanted: number): Promise<Rule> {
    const progress = this.#progressOf(table);
    const by = policyOf(table);
    if (progress.threshold?.by !== by || progress.lasts <= 0) {
      const sample = await this.#cold.sample(table, by);
      progress.threshold = chooseThreshold(this.#state, table, by, wanted, [sample]);
      progress.lasts = progress.threshold.lasts;
    }
    return progress.threshold;
  }

  async #coldSlice(table: ArenaTable, hand: Hand, rule: Rule, limit: number, reason: EvictionReason) {
    const { audience } = this.#progressOf(table);
    const teller = () =>
      audience.listeners.size === 0
        ? undefined
        : (rows: Parameters<Teller>[0]) => this.#tell(audience, { reason, ...rows });
    const outcome = await this.#cold.slice(table, hand, rule, limit, teller);
    audience.counts.slices++;
    audience.counts[reason] += outcome.evicted;
    if (outcome.lsn > 0) this.#checkpointing.noteLogged(8 * outcome.evicted);
    return outcome;
  }

  #resolveWaiting(): void {
    for (const one of this.#waiting.splice(0)) {
      if (this.#isThere(one.table) && this.#isFarOver(one.table)) this.#waiting.push(one);
      else one.resolve();
    }
  }

  /** Nothing can be evicted: who waits for room goes on, who asked is told why. */
  #endAll(error: EmbershardError): void {
    this.#endWaiting();
    for (const job of this.#jobs.slice()) this.#end(job, error);
  }

  #endWaiting(): void {
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  #end(job: EvictionJob, error?: EmbershardError): void {
    this.#jobs.splice(this.#jobs.indexOf(job), 1);
    job.ended(error);
  }

  // Slices.

  /** One slice of what a table has too many. */
  #evictOver(table: ArenaTable, over: number): void {
    guarded(this.#state, () => {
      const { hand } = this.#progressOf(table);
      this.#evictWorst(table, hand, Math.min(over, sliceRows), "capacity");
    });
  }

  #advance(job: EvictionJob): void {
    const { table, rule, rows, hand, reason } = job;
    const outcome = rule
      ? this.#slice(table, hand, rule, sliceRows, reason, false)
      : this.#evictWorst(table, hand, Math.min(rows - job.evicted, sliceRows), reason);
    job.evicted += outcome.evicted;
    job.lsn = outcome.lsn || job.lsn;
  }

  /** One slice by the table's policy. */
  #evictWorst(
    table: ArenaTable,
    hand: Hand,
    wanted: number,
    reason: EvictionReason,
  ): { evicted: number; lsn: number } {
    const progress = this.#progressOf(table);
    const by = policyOf(table);
    if (progress.threshold?.by !== by || progress.lasts <= 0) {
      progress.threshold = chooseThreshold(this.#state, table, by, wanted);
      progress.lasts = progress.threshold.lasts;
    }
    const outcome = this.#slice(table, hand, progress.threshold, wanted, reason, true);
    // Where few were found the threshold no longer says who is among the worst, or they lie elsewhere.
    progress.lasts = 2 * outcome.evicted < wanted ? 0 : progress.lasts - outcome.evicted;
    return outcome;
  }

  /** One slice: `limit` rows at most, going on in the next arena where one ends, round and round or to the end of a round. */
  #slice(
    table: ArenaTable,
    hand: Hand,
    { by, score }: Rule,
    limit: number,
    reason: EvictionReason,
    round: boolean,
  ): { evicted: number; lsn: number } {
    const state = this.#state;
    const progress = this.#progressOf(table);
    const copied = progress.audience.listeners.size > 0;
    const hasCold = this.#hasCold(table);
    if (!hand.arena(state.arenas)) hand.next(state.arenas, hasCold);
    let places = by === BY.norm ? normPlaces : slicePlaces;
    let evicted = 0;
    let lsn = 0;
    for (let part = 0; part <= state.arenas.all.length && places > 0 && evicted < limit; part++) {
      if (part > 0 && !this.#mayWrite()) break;
      const arena = hand.arena(state.arenas);
      // Cold rows come next, which take waiting for; or this was the last round.
      if (!arena || (!round && hand.rounds > 0)) break;
      table.describeScore(arena);
      const search = { by, threshold: score, places, limit: limit - evicted };
      const result = evictSlice(state, arena, table, hand.cursor, search, copied);
      places -= result.looked;
      evicted += result.evicted;
      lsn = result.lsn || lsn;
      if (result.ended) hand.next(state.arenas, hasCold);
      if (result.rows) this.#tell(progress.audience, { reason, ...result.rows });
      if (!result.ended) break;
    }
    const { counts } = progress.audience;
    counts.slices++;
    counts[reason] += evicted;
    if (lsn > 0) this.#checkpointing.noteLogged(16 * evicted);
    return { evicted, lsn };
  }

  /** Who is told may write: that evicts nothing in the same turn. */
  #tell({ listeners }: EvictionAudience, rows: EvictedRows): void {
    this.#telling = true;
    try {
      for (const listener of listeners) listener(rows);
    } finally {
      this.#telling = false;
    }
  }
}
