import { EmbershardError } from "../base/errors.js";
import type { KeyRange } from "../store/page-store.js";
import { reachedInLog } from "./checkpoint.js";
import { deletionsOfBatch, purgeDeleted } from "./cold-deletions.js";
import { isKept, keeperLsns, keepSuperseded, type Superseded } from "./cold-keeping.js";
import {
  coldKeysOf,
  decodeColdKey,
  decodeKeptKey,
  keptKeysOf,
  valueHeaderBytes,
  writtenAt,
} from "./cold-values.js";
import { lastLsn, type ShardState } from "./shard-state.js";

/**
 * Takes values out of the page store that count for nothing: of deleted rows and of dropped tables. Only when the log
 * is durable that says so: a crash before must find them.
 */
export class ColdPurging {
  readonly #state: ShardState;
  readonly #failure: () => EmbershardError | undefined;
  readonly #pagesFailed: (error: EmbershardError) => void;
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(
    state: ShardState,
    failure: () => EmbershardError | undefined,
    pagesFailed: (error: EmbershardError) => void,
  ) {
    this.#state = state;
    this.#failure = failure;
    this.#pagesFailed = pagesFailed;
  }

  /** Begins if there is anything to take out. */
  consider(): void {
    if (this.#running || this.#closed || !this.#isDue()) return;
    const running = this.#run();
    this.#running = running;
    running.finally(() => {
      this.#running = undefined;
    });
  }

  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.idle();
  }

  #isDue(): boolean {
    if (this.#state.coldRemains.length > 0 || this.#state.keeping.stale.length > 0) return true;
    for (const cold of this.#state.cold.values()) if (cold.deleted.size > 0) return true;
    return false;
  }

  async #run(): Promise<void> {
    try {
      while (this.#isDue()) {
        await this.#state.pause();
        if (this.#closed || this.#state.broken || this.#failure()) return;
        const lsn = lastLsn(this.#state);
        await reachedInLog(this.#state, this.#state.log.synced(lsn));
        for (const cold of this.#state.cold.values()) await purgeDeleted(this.#state, cold, lsn);
        await this.#purgeDropped(lsn);
        await this.#purgeStale();
      }
    } catch (error) {
      // Tried again with the next deletion, and at the next opening; what is left counts for nothing.
      if (!(error instanceof EmbershardError)) throw error;
      if (error.code === "IO" && error !== this.#state.log.failure) this.#pagesFailed(error);
    }
  }

  async #purgeDropped(lsn: number): Promise<void> {
    const { coldRemains, keeping } = this.#state;
    // A demotion that was under way when its table was dropped may be about to write values: what is read must have them.
    if (coldRemains.length > 0) await keeping.line.do(async () => {});
    for (const remains of coldRemains.slice()) {
      if (remains.lsn > lsn) continue;
      // Versions that were made after the drop do not have the table.
      const at = remains.lsn || lsn;
      const whole = await this.#purgeRange(coldKeysOf(remains.table), (key) => {
        const row = decodeColdKey(key);
        // A rollback may have brought the table back.
        return row && coldRemains.includes(remains) ? { ...row, at } : "stays";
      });
      if (!whole) return;
      if (coldRemains.includes(remains)) coldRemains.splice(coldRemains.indexOf(remains), 1);
    }
  }

  /** Takes out kept values that nobody needs any more. */
  async #purgeStale(): Promise<void> {
    const { stale } = this.#state.keeping;
    for (const range of stale.slice()) {
      const lsns = keeperLsns(this.#state).filter((lsn) => lsn > range.from);
      const to = Math.min(range.to, ...lsns);
      const whole = await this.#purgeRange(keptKeysOf({ from: range.from, to }), (key, value) => {
        const kept = decodeKeptKey(key);
        const written = value.length < valueHeaderBytes ? 0 : writtenAt(value);
        return kept && isKept(this.#state, written, kept.at) ? "stays" : undefined;
      });
      if (!whole) return;
      stale.splice(stale.indexOf(range), 1);
    }
  }

  /** Deletes the values of a range, but for those that stay; of those that are superseded what versions need is kept. */
  async #purgeRange(
    range: KeyRange,
    become: (key: Uint8Array, value: Uint8Array) => Superseded | "stays" | undefined,
  ): Promise<boolean> {
    const state = this.#state;
    for await (const entries of state.pages.entries(range)) {
      for (let from = 0; from < entries.length; from += deletionsOfBatch) {
        if (this.#closed || this.#failure()) return false;
        await state.keeping.line.do(async () => {
          const batch = state.pages.batch();
          for (const { key, value } of entries.slice(from, from + deletionsOfBatch)) {
            const what = become(key, value);
            if (what === "stays") continue;
            if (what) keepSuperseded(state, batch, what, value);
            batch.del(key);
          }
          await batch.write();
        });
      }
      await state.pause();
    }
    return true;
  }
}
