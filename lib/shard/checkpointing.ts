import { EmbershardError } from "../base/errors.js";
import { PAGE_BYTES } from "../kernel/layout.js";
import { compactionIsDue } from "../store/page-store.js";
import {
  type CheckpointInfo,
  type CheckpointOptions,
  clearGarbage,
  reachedInLog,
  supersededBy,
  writeCheckpoint,
} from "./checkpoint.js";
import { Health } from "./health.js";
import { encodePageKey, pageKeys } from "./page-image.js";
import { PageLedger } from "./page-ledger.js";
import { readManifest } from "./page-loading.js";
import type { ShardState } from "./shard-state.js";

/** When a checkpoint starts by itself. */
export interface CheckpointPolicy {
  readonly everyMs: number;
  /** Bytes of log since the last one. */
  readonly everyLogBytes: () => number;
}

/** Decides when checkpoints are written, one after the other, and sets things right after an I/O error. */
export class Checkpointing {
  readonly health: Health;
  /** Bytes of rows logged since the last checkpoint began. */
  bytesLogged = 0;
  readonly #state: ShardState;
  readonly #policy: CheckpointPolicy | undefined;
  readonly #closing = new AbortController();
  #running: Promise<unknown> | undefined;
  #compacting: Promise<void> | undefined;
  #pagesFailed = false;
  #deadBytes = 0;
  #cancelTimer: () => void = () => {};

  constructor(state: ShardState, policy: CheckpointPolicy | undefined) {
    this.#state = state;
    this.#policy = policy;
    this.health = new Health(
      () => state,
      () => this.#heal(),
    );
    this.#armTimer();
  }

  /** Writes a checkpoint after those that are asked for already. @throws ABORTED, IO, READ_ONLY, CLOSED */
  async write(options: CheckpointOptions): Promise<CheckpointInfo> {
    this.health.demandWritable();
    while (this.#running) await Promise.allSettled([this.#running]);
    this.health.demandWritable();
    const running = this.#write(options, false);
    this.#running = running;
    try {
      return await running;
    } finally {
      if (this.#running === running) this.#running = undefined;
    }
  }

  /** Starts a checkpoint if none runs. A failure has made the shard read-only; healing tries again. */
  request(): void {
    if (this.#closing.signal.aborted || this.#running || this.health.failure || this.#state.broken) return;
    this.write({ signal: this.#closing.signal }).catch((error) => {
      if (!(error instanceof EmbershardError)) throw error;
    });
  }

  /** Notes bytes of rows that were logged. */
  noteLogged(bytes: number): void {
    this.bytesLogged += bytes;
    if (this.#policy && this.bytesLogged >= this.#policy.everyLogBytes()) this.request();
  }

  /** Ends a checkpoint that began by itself, and waits for one that was asked for. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#cancelTimer();
    this.health.close();
    while (this.#running || this.#compacting) await Promise.allSettled([this.#running, this.#compacting]);
  }

  async #write(options: CheckpointOptions, withoutLog: boolean): Promise<CheckpointInfo> {
    await this.#compacting;
    const logged = this.bytesLogged;
    this.bytesLogged = 0;
    this.#armTimer();
    try {
      const info = await writeCheckpoint(this.#state, options, withoutLog);
      this.#deadBytes += info.superseded * PAGE_BYTES;
      this.#compactIfDue();
      return info;
    } catch (error) {
      this.bytesLogged += logged;
      if (error instanceof EmbershardError && error.code === "IO" && error !== this.#state.log.failure)
        this.#notePageFailure(error);
      throw error;
    }
  }

  #notePageFailure(error: EmbershardError): void {
    this.#pagesFailed = true;
    this.health.report(error);
  }

  /** Gives the space of superseded pages back, in the background. */
  #compactIfDue(): void {
    const liveBytes = this.#state.ledger.count() * PAGE_BYTES;
    if (this.#closing.signal.aborted || !compactionIsDue({ liveBytes, deadBytes: this.#deadBytes })) return;
    this.#deadBytes = 0;
    // Only what is older than the last checkpoint: its own pages are not worth rewriting.
    const { generation } = this.#state.committed!;
    this.#compacting = this.#state.pages
      .compact({ gte: pageKeys.gte, lt: encodePageKey({ generation, arena: 0, page: 0 }) })
      .catch((error) => {
        if (!(error instanceof EmbershardError)) throw error;
        this.#notePageFailure(error);
      })
      .finally(() => {
        this.#compacting = undefined;
      });
  }

  #armTimer(): void {
    this.#cancelTimer();
    if (this.#policy) this.#cancelTimer = this.#state.clock.after(this.#policy.everyMs, () => this.request());
  }

  /** After an I/O error. Returns whether the shard can take writes again. */
  async #heal(): Promise<boolean> {
    if (this.#state.broken) return false;
    const { log, pages } = this.#state;
    while (this.#running || this.#compacting) await Promise.allSettled([this.#running, this.#compacting]);
    const outcome = log.failure ? await log.retry() : "running";
    if (outcome === "failed") return false;
    if (!this.#pagesFailed && outcome === "running") return true;
    await pages.reopen();
    await this.#settleCommit();
    await this.#write({ signal: this.#closing.signal }, outcome === "restart");
    this.#pagesFailed = false;
    if (outcome === "restart") {
      await log.restart(log.nextLsn);
      await reachedInLog(this.#state, log.commitGeneration(this.#state.committed!.generation));
    }
    // It may have failed again meanwhile; nobody is told of that twice.
    return log.failure === undefined;
  }

  /** A manifest whose write failed may be there all the same: then it counts, and the next one goes beyond it. */
  async #settleCommit(): Promise<void> {
    const state = this.#state;
    const known = state.committed?.generation ?? 0;
    const manifest = await readManifest(state.pages);
    const generation = manifest?.generation ?? 0;
    if (generation < known) {
      throw new EmbershardError(
        "CORRUPT",
        `checkpoint ${known} was durable, the page store now has ${generation}`,
      );
    }
    if (generation > known) {
      // Its images are current, not garbage; the pages are dirty again and will supersede them.
      state.garbage = state.garbage.filter((key) => key.generation !== generation);
      const ledger = new PageLedger(manifest!.pages);
      state.garbage.push(...supersededBy(state, ledger));
      state.ledger = ledger;
      state.committed = { ...manifest!, pages: ledger.count() };
    }
    await clearGarbage(state);
  }
}
