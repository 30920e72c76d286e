import { EmbershardError } from "../base/errors.js";
import { reachedInLog } from "./checkpoint.js";
import { deletionsOfBatch, purgeDeleted } from "./cold-deletions.js";
import { coldKeysOf } from "./cold-values.js";
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
    if (this.#state.coldRemains.length > 0) return true;
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
      }
    } catch (error) {
      // Tried again with the next deletion, and at the next opening; what is left counts for nothing.
      if (!(error instanceof EmbershardError)) throw error;
      if (error.code === "IO" && error !== this.#state.log.failure) this.#pagesFailed(error);
    }
  }

  async #purgeDropped(lsn: number): Promise<void> {
    const { coldRemains, pages } = this.#state;
    for (const remains of coldRemains.slice()) {
      if (remains.lsn > lsn) continue;
      for await (const entries of pages.entries(coldKeysOf(remains.table))) {
        if (this.#closed) return;
        for (let from = 0; from < entries.length; from += deletionsOfBatch) {
          const batch = pages.batch();
          for (const { key } of entries.slice(from, from + deletionsOfBatch)) batch.del(key);
          await batch.write();
        }
      }
      coldRemains.splice(coldRemains.indexOf(remains), 1);
    }
  }
}
