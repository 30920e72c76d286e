import { EmbershardError } from "../base/errors.js";
import type { VictimCursor } from "../table/victims.js";
import { reachedInLog } from "./checkpoint.js";
import type { ColdRows } from "./cold-rows.js";
import {
  copyRows,
  demoteRows,
  demotionBytes,
  demotionRows,
  frequencyAt,
  type Victims,
  writeVictims,
} from "./demoting.js";
import type { Scans } from "./scanning.js";
import { guarded, type ShardState } from "./shard-state.js";

/** What cooling needs of the shard that it works for. */
export interface CoolingOwner {
  /** Runs work in the line of the writes. */
  inLine(work: () => Promise<void>): Promise<void>;
  /** Waits for room in the log. @throws READ_ONLY, CLOSED */
  roomFor(bytes: () => number): Promise<void>;
  /** Why the shard takes no writes; undefined when it does. */
  failure(): EmbershardError | undefined;
  pagesFailed(error: EmbershardError): void;
  noteLogged(bytes: number): void;
  /** Rows that a table may have in memory. */
  capacity(cold: ColdRows): number;
}

/** Least part of the rows that the threshold of a slice takes in. */
const leastPart = 1 / 32;
/** Rows are demoted from fifteen sixteenths of what is allowed on, until seven eighths are left. */
export const beginAt = 15 / 16;
const endAt = 7 / 8;

/** Keeps tables to their memory: demotes rows, slice by slice, between requests. */
export class Cooling {
  readonly #state: ShardState;
  readonly #scans: Scans;
  readonly #owner: CoolingOwner;
  readonly #cursors = new Map<ColdRows, { arena: number; places: VictimCursor[] }>();
  /** Rows that are to be left of tables for which a write waits. */
  readonly #goals = new Map<ColdRows, number>();
  #running: Promise<void> | undefined;
  /** What has been written and waits for its turn to leave the arena. */
  #written: { victims: Victims; done: () => void } | undefined;
  /** Writes that wait for a slice. */
  readonly #waiting: (() => void)[] = [];
  #closed = false;

  constructor(state: ShardState, scans: Scans, owner: CoolingOwner) {
    this.#state = state;
    this.#scans = scans;
    this.#owner = owner;
  }

  /** Begins to demote rows if a table has more than it should. */
  consider(): void {
    if (this.#running) return;
    if ([...this.#state.cold.values()].some((cold) => this.#isFull(cold))) this.#begin();
  }

  #begin(): void {
    if (this.#running || this.#closed) return;
    const running = this.#run();
    this.#running = running;
    running.finally(() => {
      this.#running = undefined;
      this.#wake();
    });
  }

  /** Waits until nothing is under way. A failure of log or page store ends it. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#written?.done();
    this.#written = undefined;
    await this.idle();
  }

  /** Whether so many more rows fit a table's memory. */
  fits(cold: ColdRows, more: number): boolean {
    return this.#rows(cold) + more <= this.#owner.capacity(cold);
  }

  /**
   * Makes room for so many more rows, but keeps half of the memory for those that are there. The caller has the line.
   */
  async relieve(cold: ColdRows, more: number): Promise<void> {
    const capacity = this.#owner.capacity(cold);
    const goal = Math.min(this.#end(cold), Math.max(capacity - more, Math.floor(capacity / 2)));
    if (this.fits(cold, more) || this.#rows(cold) <= goal) return;
    this.#goals.set(cold, goal);
    try {
      while (this.#rows(cold) > goal && !this.#stopped()) {
        this.#begin();
        if (this.#written) {
          await this.#owner.roomFor(() => demotionBytes(this.#written?.victims.n ?? 0));
          this.#finish();
        } else await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    } finally {
      this.#goals.delete(cold);
    }
  }

  /** Tells those who wait that something is written, or that nothing is under way. */
  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #rows(cold: ColdRows): number {
    return this.#state.arenas.rows(cold.table);
  }

  /** Rows that are left of a table that had too many. */
  #end(cold: ColdRows): number {
    return this.#goals.get(cold) ?? Math.floor(endAt * this.#owner.capacity(cold));
  }

  #isFull(cold: ColdRows): boolean {
    return this.#rows(cold) > Math.floor(beginAt * this.#owner.capacity(cold));
  }

  /** A table that has more rows than are to be left. */
  #next(): ColdRows | undefined {
    for (const cold of this.#state.cold.values()) if (this.#rows(cold) > this.#end(cold)) return cold;
    return undefined;
  }

  #stopped(): boolean {
    return this.#closed || this.#state.broken !== undefined || this.#owner.failure() !== undefined;
  }

  async #run(): Promise<void> {
    try {
      for (let cold = this.#next(); cold; cold = this.#next()) {
        await this.#state.pause();
        if (this.#stopped()) return;
        await this.#slice(cold);
      }
    } catch (error) {
      // The log or the page store failed, or the shard stopped: whoever calls it next is told. Rows stay where they are.
      if (!(error instanceof EmbershardError)) throw error;
    }
  }

  async #slice(cold: ColdRows): Promise<void> {
    const victims = guarded(this.#state, () => this.#choose(cold));
    if (!victims) return;
    try {
      if (victims.changed > 0) {
        await reachedInLog(this.#state, this.#state.log.synced(victims.lsn));
        if (this.#stopped()) return;
        await this.#write(victims);
      }
      await this.#take(victims);
    } finally {
      cold.watches.delete(victims.gone);
    }
  }

  async #write(victims: Victims): Promise<void> {
    try {
      await writeVictims(this.#state, victims);
    } catch (error) {
      if (error instanceof EmbershardError && error.code === "IO") this.#owner.pagesFailed(error);
      throw error;
    }
  }

  /** Has victims leave the arena, in the line of the writes or by a write that waits for it. */
  async #take(victims: Victims): Promise<void> {
    if (this.#closed) return;
    await new Promise<void>((resolve, reject) => {
      this.#written = { victims, done: resolve };
      this.#wake();
      this.#owner
        .inLine(async () => {
          if (this.#written?.victims !== victims) return;
          await this.#owner.roomFor(() => demotionBytes(victims.n));
          this.#finish();
        })
        .catch((error) => {
          this.#written = undefined;
          reject(error);
        });
    });
  }

  #finish(): void {
    const written = this.#written;
    this.#written = undefined;
    if (!written) return;
    const { victims, done } = written;
    try {
      const { cold } = victims;
      const there = this.#state.cold.get(cold.table.definition.number) === cold;
      if (there && !this.#stopped())
        this.#owner.noteLogged(guarded(this.#state, () => demoteRows(this.#state, this.#scans, victims)));
    } finally {
      done();
    }
  }

  /** Copies the next victims; those of one arena, and none where this part of it has none. */
  #choose(cold: ColdRows): Victims | undefined {
    const { all } = this.#state.arenas;
    const rows = this.#rows(cold);
    const over = rows - this.#end(cold);
    if (over <= 0) return undefined;
    cold.threshold = frequencyAt(all, cold.table, Math.max(leastPart, over / rows));
    let at = this.#cursors.get(cold);
    if (!at) {
      at = { arena: 0, places: [] };
      this.#cursors.set(cold, at);
    }
    const number = at.arena % all.length;
    at.arena = number + 1;
    at.places[number] ??= { page: 0, place: 0 };
    const limit = Math.min(over, demotionRows(cold));
    return copyRows(this.#state, cold, all[number], at.places[number], cold.threshold, limit);
  }
}
