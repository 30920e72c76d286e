import { EmbershardError } from "../base/errors.js";
import { PAGE_BYTES } from "../kernel/layout.js";
import type { ArenaTable } from "../table/arena-table.js";
import type { ScoreSample } from "../table/victims.js";
import type { Checkpointing } from "./checkpointing.js";
import { lookUpCold, missingKeys } from "./cold-lookup.js";
import { ColdPurging } from "./cold-purging.js";
import { coldOccurrences, containsColdRows, pullColdRows } from "./cold-reading.js";
import { type ColdRows, coldRowsOf, memoryOf } from "./cold-rows.js";
import type { ColdValues } from "./cold-values.js";
import {
  type ColdEviction,
  coldEvictionBytes,
  evictColdRows,
  readColdChunk,
  sampleCold,
  victimsAmong,
} from "./cold-victims.js";
import { Cooling } from "./cooling.js";
import { frequencyAt } from "./demoting.js";
import type { Rule } from "./eviction-rules.js";
import type { Hand } from "./eviction-sweep.js";
import { occurrencesOf } from "./forgetting.js";
import type { Line } from "./line.js";
import type { Mover } from "./mover.js";
import { promoteRows, promotionBytes, promotionRows } from "./promoting.js";
import { containsRows, pullRows, type RowRead } from "./reading.js";
import type { Scans } from "./scanning.js";
import { guarded, type ShardState, stopped } from "./shard-state.js";
import type { RowWrite } from "./staging.js";

/** What the cold tier needs of its shard. */
export interface ColdTierOwner {
  /** The line of the writes. */
  readonly line: Line;
  /** Waits for room in the log. @throws READ_ONLY, CLOSED */
  roomFor(bytes: () => number): Promise<void>;
  /** Who makes room in an arena that is full. */
  readonly mover: Mover;
  /** Rows that a table may have in memory; what fits its limit, unless given. */
  readonly hotRows: ((table: ArenaTable) => number) | undefined;
}

/** The part of a table's rows that count as seldom pushed before any were demoted. */
const firstPart = 1 / 8;

/**
 * The tables that are larger than their memory: rows come in from the page store when they are written to, and go out
 * there when they are pushed least. What a row is does not depend on where it is.
 */
export class ColdTier {
  readonly #state: ShardState;
  readonly #checkpointing: Checkpointing;
  readonly #scans: Scans;
  readonly #owner: ColdTierOwner;
  readonly #cooling: Cooling;
  readonly #purging: ColdPurging;
  readonly #reads = new Set<Promise<unknown>>();
  #promoting = false;
  #closed = false;

  constructor(state: ShardState, checkpointing: Checkpointing, scans: Scans, owner: ColdTierOwner) {
    this.#state = state;
    this.#checkpointing = checkpointing;
    this.#scans = scans;
    this.#owner = owner;
    const failure = () => state.broken ?? checkpointing.health.failure;
    const pagesFailed = (error: EmbershardError) => checkpointing.notePageFailure(error);
    this.#cooling = new Cooling(state, scans, {
      inLine: (work) => owner.line.do(work),
      roomFor: (bytes) => owner.roomFor(bytes),
      failure,
      pagesFailed,
      noteLogged: (bytes) => checkpointing.noteLogged(bytes),
      capacity: (cold) => this.#capacity(cold),
    });
    this.#purging = new ColdPurging(state, failure, pagesFailed);
    checkpointing.quietened.push(async () => {
      await this.#cooling.idle();
      await this.#purging.idle();
      while (this.#reads.size > 0) await Promise.allSettled(this.#reads);
    });
    checkpointing.afterwards.push(() => this.consider());
    this.consider();
  }

  /** Begins what is due: rows to demote, values to take out. Cheap when nothing is. */
  consider(): void {
    const { cold, coldRemains, keeping } = this.#state;
    if (cold.size === 0 && coldRemains.length === 0 && keeping.stale.length === 0) return;
    this.#cooling.consider();
    this.#purging.consider();
  }

  /** Reads rows. Returns a promise when the page store has to be asked. @throws CORRUPT, IO, INVALID_ARGUMENT */
  pull(read: RowRead): Promise<void> | undefined {
    const cold = this.#known(read.table);
    if (!cold) {
      guarded(this.#state, () => pullRows(this.#state.arenas, read));
      return undefined;
    }
    const reading = guarded(this.#state, () => pullColdRows(this.#state, cold, read));
    if (reading) return this.#track(reading.then(() => this.#promoteWanted(cold)));
    this.#promoteWanted(cold);
    return undefined;
  }

  /** Writes 1 to u8[n] where the key has a row. */
  contains(table: ArenaTable, keys: BigUint64Array, found: Uint8Array): Promise<void> | undefined {
    const cold = this.#known(table);
    const reading = guarded(this.#state, () => {
      if (cold) return containsColdRows(this.#state, cold, keys, found);
      containsRows(this.#state.arenas, table, keys, found);
      return undefined;
    });
    return reading && this.#track(reading);
  }

  /** Writes how often each key was pushed to u32[n] of zeros. */
  occurrences(table: ArenaTable, keys: BigUint64Array, into: Uint32Array): Promise<void> | undefined {
    const cold = this.#known(table);
    const reading = guarded(this.#state, () => {
      occurrencesOf(this.#state.arenas, table, keys, into);
      return cold && coldOccurrences(this.#state, cold, keys, into);
    });
    return reading && this.#track(reading);
  }

  /** Reads cold rows of keys ahead of those who will ask for them. */
  async prefetch(table: ArenaTable, keys: BigUint64Array): Promise<void> {
    const cold = this.#known(table);
    if (!cold || cold.rows === 0) return;
    const found = new Uint8Array(keys.length);
    guarded(this.#state, () => containsRows(this.#state.arenas, table, keys, found));
    const missing = missingKeys(this.#state.arenas.front, keys, found);
    const most = cold.stageFor(this.#state.share).capacity;
    await this.#track(Promise.resolve(lookUpCold(this.#state, cold, missing.keys.slice(0, most))));
  }

  /** Scores of cold rows. @throws CORRUPT, IO */
  sample(table: ArenaTable, by: number): Promise<ScoreSample> {
    return this.#track(sampleCold(this.#state, this.#coldOf(table)!, by));
  }

  /** Lets cold rows go, in the line of the writes: those that came in for one stay. @throws CORRUPT, IO, READ_ONLY, CLOSED */
  async slice(
    table: ArenaTable,
    hand: Hand,
    rule: Rule,
    limit: number,
    teller: () => ((rows: NonNullable<ColdEviction["rows"]>) => void) | undefined,
  ): Promise<ColdEviction & { looked: number }> {
    const cold = this.#coldOf(table)!;
    const state = this.#state;
    const chunk = await this.#track(readColdChunk(state, cold, hand.coldKey, rule.by));
    const looked = chunk.keys.length;
    const nothing = { evicted: 0, lsn: 0, rows: undefined, looked };
    try {
      const victims = victimsAmong(chunk, rule, limit);
      const whole = victims.length < limit || victims[limit - 1] === looked - 1;
      if (!whole) hand.coldKey = chunk.keys[victims[limit - 1]] + 1n;
      else if (chunk.next !== undefined) hand.coldKey = chunk.next;
      else hand.next(state.arenas, true);
      if (victims.length === 0) return nothing;
      return await this.#owner.line.do(async () => {
        await this.#owner.roomFor(() => coldEvictionBytes(victims.length));
        if (state.cold.get(table.definition.number) !== cold || !state.tables.has(table.definition.name))
          return nothing;
        const still = victims.filter((i) => !chunk.gone.has(chunk.keys[i]));
        const tell = teller();
        const gone = guarded(state, () => evictColdRows(state, cold, chunk, still, tell !== undefined));
        if (gone.rows) tell?.(gone.rows);
        return { ...gone, looked };
      });
    } finally {
      cold.watches.delete(chunk.gone);
    }
  }

  /** A table is being dropped: what the page store has of it counts for nothing when the record is durable. */
  drop(table: ArenaTable): void {
    const { number } = table.definition;
    const { cold, coldRemains, log } = this.#state;
    if (cold.get(number)?.written) coldRemains.push({ table: number, lsn: log.nextLsn });
    cold.delete(number);
    this.#purging.consider();
  }

  /** Whether writes can be made as things are: every row that exists is in memory, and new ones have room there. */
  admits(writes: readonly RowWrite[]): boolean {
    if (this.#state.cold.size === 0) return true;
    return writes.every(({ table, keys, kind }) => {
      const cold = this.#coldOf(table);
      if (!cold) return true;
      if (cold.rows === 0 && (kind === "delete" || this.#cooling.fits(cold, keys.length))) return true;
      const missing = guarded(this.#state, () => this.#countMissing(cold, keys));
      return missing === 0 || (cold.rows === 0 && this.#cooling.fits(cold, missing));
    });
  }

  /**
   * Brings the cold rows that writes need into memory, and makes room there. The caller has the line, and keeps it
   * until it has written. Returns the writes, their keys copied: what was looked up is what must be written.
   */
  async prepare(writes: readonly RowWrite[]): Promise<readonly RowWrite[]> {
    if (!writes.some(({ table }) => this.#coldOf(table))) return writes;
    const own = writes.map((write) => ({ ...write, keys: write.keys.slice() }));
    for (const { table, keys } of own) {
      const cold = this.#coldOf(table);
      if (cold) await this.#makeRoom(cold, keys);
    }
    for (const { table, keys } of own) {
      const cold = this.#coldOf(table);
      if (!cold || cold.rows === 0) continue;
      const found = new Uint8Array(keys.length);
      guarded(this.#state, () => containsRows(this.#state.arenas, table, keys, found));
      if (found.indexOf(0) < 0) continue;
      const missing = missingKeys(this.#state.arenas.front, keys, found);
      await this.#promote(cold, await this.#lookUp(cold, missing.keys));
    }
    return own;
  }

  /** Makes room for what a write brings into memory. Rows that it has there may leave for that, and must come again. */
  async #makeRoom(cold: ColdRows, keys: BigUint64Array): Promise<void> {
    for (let tries = 0; tries < 3; tries++) {
      const missing = guarded(this.#state, () => this.#countMissing(cold, keys));
      if (this.#cooling.fits(cold, missing)) return;
      await this.#cooling.relieve(cold, missing);
    }
  }

  /** Reads what a write needs. @throws READ_ONLY when the page store fails */
  async #lookUp(cold: ColdRows, keys: BigUint64Array): Promise<ColdValues> {
    try {
      return await this.#track(Promise.resolve(lookUpCold(this.#state, cold, keys)));
    } catch (error) {
      this.#checkpointing.health.demandWritable();
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#cooling.close();
    await this.#purging.close();
    while (this.#reads.size > 0) await Promise.allSettled(this.#reads);
  }

  #coldOf(table: ArenaTable): ColdRows | undefined {
    return coldRowsOf(this.#state.cold, table);
  }

  #known(table: ArenaTable): ColdRows | undefined {
    const { cold } = this.#state;
    return cold.size === 0 ? undefined : cold.get(table.definition.number);
  }

  #countMissing({ table }: ColdRows, keys: BigUint64Array): number {
    const found = new Uint8Array(keys.length);
    containsRows(this.#state.arenas, table, keys, found);
    let missing = keys.length;
    for (let i = 0; i < found.length; i++) missing -= found[i];
    return missing;
  }

  /** Rows that a table may have in memory: what of its limit the index leaves. */
  #capacity({ table }: ColdRows): number {
    const given = this.#owner.hotRows?.(table);
    if (given !== undefined) return given;
    const { all } = this.#state.arenas;
    const index = all.reduce((sum, arena) => sum + table.indexPages(arena), 0);
    return (
      table.rowsPerPage * Math.max(1, Math.floor(memoryOf(table, this.#state.share) / PAGE_BYTES) - index)
    );
  }

  /** Notes a read under way, and a failure of the page store. */
  #track<T>(reading: Promise<T>): Promise<T> {
    const tracked = reading.catch((error) => {
      throw this.#failed(error);
    });
    this.#reads.add(tracked);
    const end = () => void this.#reads.delete(tracked);
    tracked.then(end, end);
    return tracked;
  }

  #failed(error: unknown): unknown {
    if (!(error instanceof EmbershardError) || error.code === "INTERNAL") {
      this.#state.broken ??= stopped(error);
      return this.#state.broken;
    }
    if (error.code === "IO") this.#checkpointing.notePageFailure(error);
    if (error.code !== "CLOSED" || this.#closed) return error;
    return new EmbershardError(
      "IO",
      "the page store was opened again while cold rows were read from it: ask again",
      {
        cause: error,
      },
    );
  }

  /** Promotes all of some values, record by record. The caller has the line. */
  async #promote(cold: ColdRows, { bytes, count }: ColdValues): Promise<void> {
    const slice = promotionRows(cold);
    for (let from = 0; from < count; ) {
      const n = Math.min(slice, count - from);
      await this.#owner.roomFor(() => promotionBytes(this.#state, cold, n));
      const some = bytes.subarray(from * cold.valueBytes, (from + n) * cold.valueBytes);
      const outcome = guarded(this.#state, () => promoteRows(this.#state, this.#scans, cold, some));
      if ("full" in outcome) {
        await this.#owner.mover.relieve(outcome.full, this.#owner.roomFor);
        continue;
      }
      this.#checkpointing.noteLogged(outcome.bytes);
      from += n;
    }
  }

  /** Promotes, in the background, what pulls have found too hot to be cold; what has not been read lately stays. */
  #promoteWanted(cold: ColdRows): void {
    if (cold.rows === 0) return;
    cold.threshold ??= frequencyAt(this.#state.arenas.all, cold.table, firstPart);
    const isGone = this.#state.cold.get(cold.table.definition.number) !== cold;
    if (isGone || cold.wanted.size === 0 || this.#promoting || this.#closed) return;
    if (this.#checkpointing.health.failure) return;
    this.#promoting = true;
    this.#owner.line
      .do(async () => {
        // A rollback, or a drop, may have come first.
        if (this.#state.cold.get(cold.table.definition.number) !== cold) return;
        await this.#cooling.relieve(cold, cold.wanted.size);
        await this.#promote(cold, takeWanted(cold));
      })
      .catch((error) => {
        // Nobody has asked for it.
        if (!(error instanceof EmbershardError)) throw error;
      })
      .finally(() => {
        this.#promoting = false;
        this.consider();
      });
  }
}

/** The values of what pulls have found hot, as far as they are at hand. */
function takeWanted(cold: ColdRows): ColdValues {
  const keys = BigUint64Array.from(cold.wanted);
  cold.wanted.clear();
  const halves = new Uint32Array(keys.buffer);
  const slots = new Int32Array(keys.length).fill(-1);
  const bytes = new Uint8Array(keys.length * cold.valueBytes);
  let count = 0;
  const { stage } = cold;
  if (!stage) return { slots, count, bytes };
  for (let i = 0; i < keys.length; i++) {
    const entry = stage.find(halves[2 * i], halves[2 * i + 1]);
    if (entry < 0) continue;
    bytes.set(stage.value(entry), count * cold.valueBytes);
    slots[i] = count++;
  }
  return { slots, count, bytes };
}
