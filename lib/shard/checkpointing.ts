import type { CheckpointInfo, CheckpointOptions } from "../api/checkpoint-types.js";
import type { RollbackInfo } from "../api/version-types.js";
import { versionIsReadOnly } from "../api/version-types.js";
import { EmbershardError } from "../base/errors.js";
import { KIND_ROWS, PAGE_BYTES } from "../kernel/layout.js";
import { compactionIsDue } from "../store/page-store.js";
import { type CheckpointPlan, reachedInLog, writeCheckpoint } from "./checkpoint.js";
import { purgeGone } from "./cold-deletions.js";
import { holdColdAt } from "./cold-keeping.js";
import { finishRestore } from "./cold-restoring.js";
import { foldTail } from "./folding.js";
import { Health } from "./health.js";
import { clearGarbage, unusedOf, usedImageBytes } from "./image-use.js";
import type { Instant } from "./instant.js";
import type { Line } from "./line.js";
import { encodePageKey, pageKeys } from "./page-image.js";
import { PageLedger } from "./page-ledger.js";
import { readManifest } from "./page-loading.js";
import { rollBack } from "./rollback.js";
import type { ShardState } from "./shard-state.js";
import type { SharedPlan } from "./together.js";
import { readVersions } from "./version.js";
import { deleteVersion, demandNewVersion, makeVersion, type VersionRequest } from "./version-making.js";
import { type HeldInstant, holdInstant } from "./version-reading.js";

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
  /** Waits for others who use the page store: while it is opened again nobody may. */
  readonly quietened: (() => Promise<void>)[] = [];
  /** Told when something is done: versions may have gone. */
  readonly afterwards: (() => void)[] = [];
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
      state.version === undefined ? undefined : versionIsReadOnly(state.version),
    );
    this.#armTimer();
  }

  /** Writes a checkpoint after those that are asked for already. @throws ABORTED, IO, READ_ONLY, CLOSED */
  write(options: CheckpointOptions): Promise<CheckpointInfo> {
    return this.alone(() => this.#write(options));
  }

  /**
   * Writes a checkpoint and makes it a version. @throws VERSION_EXISTS, ABORTED, IO, READ_ONLY, CLOSED: there is no such
   * version then.
   */
  writeVersion(request: VersionRequest, { begun, ...options }: SharedPlan): Promise<CheckpointInfo> {
    return this.alone(async () => {
      demandNewVersion(this.#state, request.name);
      begun?.();
      const { info, instant, release } = await this.#writeInstant(options);
      try {
        const made = await this.#overPages(() => makeVersion(this.#state, instant, request, options));
        this.#noteDead(made.deletedImages);
        const { version, folded, deleted } = made;
        return { ...info, version: { name: version.name, folded, deleted } };
      } finally {
        release();
      }
    });
  }

  /** Writes a checkpoint, and keeps its instant for somebody who reads it. @throws ABORTED, IO, READ_ONLY, CLOSED */
  holdLive({ begun, ...options }: SharedPlan): Promise<HeldInstant> {
    return this.alone(async () => {
      begun?.();
      const { instant, release } = await this.#writeInstant(options);
      try {
        const folded = await this.#overPages(async () => {
          const done = await foldTail(this.#state, instant, options);
          await purgeGone(this.#state, instant.manifest.lsn);
          return done;
        });
        return holdInstant(this.#state, folded.instant, folded.written, release);
      } catch (error) {
        release();
        throw error;
      }
    });
  }

  /**
   * Makes the shard what a version of it is, in the line of the writes; see `rollBack`. `still` is waited for in the line. Checkpoints are
   * waited for first: some of them want the line.
   */
  rollBack(
    name: string,
    line: Line,
    { begun, still }: { readonly begun: () => void; readonly still: () => Promise<void> },
  ): Promise<RollbackInfo> {
    return this.alone(async () => {
      begun();
      const info = await line.do(async () => {
        await still();
        return this.#overPages(() => rollBack(this.#state, name));
      });
      this.bytesLogged = 0;
      this.#noteDead(0);
      return info;
    });
  }

  deleteVersion(name: string, cut?: string): Promise<void> {
    return this.alone(async () => {
      this.#noteDead(await this.#overPages(() => deleteVersion(this.#state, name, cut)));
    });
  }

  /** Does one thing after the other with what checkpoints write. @throws READ_ONLY, CLOSED, and as `work` does. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    this.health.demandWritable();
    while (this.#running) await Promise.allSettled([this.#running]);
    this.health.demandWritable();
    const running = work();
    this.#running = running;
    try {
      return await running;
    } finally {
      if (this.#running === running) this.#running = undefined;
      for (const one of this.afterwards) one();
    }
  }

  /** Starts a checkpoint if none runs. A failure has made the shard read-only; healing tries again. */
  request(): void {
    if (this.#closing.signal.aborted || this.#running || this.health.failure || this.#state.broken) return;
    this.write({ signal: this.#closing.signal }).catch((error) => {
      if (!(error instanceof EmbershardError)) throw error;
    });
  }

  /** Has pages of dropped tables given back soon: the log may need them until a checkpoint has forgotten them. */
  reclaim(): void {
    if (this.#state.retired.length > 0) this.request();
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

  /** The cold rows of the instant stay until `release`. */
  async #writeInstant(
    options: CheckpointPlan,
  ): Promise<{ info: CheckpointInfo; instant: Instant; release: () => void }> {
    let instant: Instant | undefined;
    let release = () => {};
    const onInstant = (noted: Instant) => {
      instant = noted;
      if (this.#state.cold.size > 0) release = holdColdAt(this.#state, noted.manifest.lsn);
    };
    try {
      const info = await this.#write({ ...options, onInstant });
      return { info, instant: instant!, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  async #write(plan: CheckpointPlan): Promise<CheckpointInfo> {
    await this.#compacting;
    const logged = this.bytesLogged;
    this.bytesLogged = 0;
    this.#armTimer();
    try {
      const info = await this.#overPages(() => writeCheckpoint(this.#state, plan));
      this.#noteDead(info.superseded);
      return info;
    } catch (error) {
      this.bytesLogged += logged;
      throw error;
    }
  }

  /** Does work that writes pages: when they fail, the shard is read-only until they are mended. */
  async #overPages<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof EmbershardError && error.code === "IO" && error !== this.#state.log.failure)
        this.notePageFailure(error);
      throw error;
    }
  }

  #noteDead(images: number): void {
    this.#deadBytes += images * PAGE_BYTES;
    this.#compactIfDue();
  }

  /** The page store failed: nothing is written until it has been opened again. */
  notePageFailure(error: EmbershardError): void {
    this.#pagesFailed = true;
    this.health.report(error);
  }

  /** Gives the space of superseded pages back, in the background. */
  #compactIfDue(): void {
    if (this.#closing.signal.aborted || this.#compacting) return;
    const liveBytes = usedImageBytes(this.#state);
    if (!compactionIsDue({ liveBytes, deadBytes: this.#deadBytes })) return;
    this.#deadBytes = 0;
    // Only what is older than the last checkpoint: its own pages are not worth rewriting.
    const { generation } = this.#state.committed!;
    this.#compacting = this.#state.pages
      .compact({ gte: pageKeys.gte, lt: encodePageKey({ generation, arena: 0, page: 0 }) })
      .catch((error) => {
        if (!(error instanceof EmbershardError)) throw error;
        this.notePageFailure(error);
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
    for (const idle of this.quietened) await idle();
    if (!this.#pagesFailed && outcome === "running") return true;
    this.health.takesLong();
    await pages.reopen();
    await this.#settleCommit();
    await finishRestore(this.#state);
    await this.#write({ signal: this.#closing.signal, withoutLog: outcome === "restart" });
    this.#pagesFailed = false;
    // The checkpoint says no more that rows are to be put back.
    this.#state.keeping.endRestore();
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
    const before = [
      state.ledger,
      ...[...state.versions.values()].flatMap((one) => ("ledger" in one ? [one.ledger] : [])),
    ];
    state.versions = await readVersions(state.pages, state.expectedVersions);
    if (generation > known) {
      // Its images are current, not garbage; the pages are written again and will supersede them. After a rollback those are
      // pages that nobody has changed, too.
      const found = new PageLedger(manifest!.pages);
      for (const arena of state.arenas.all) {
        for (let page = arena.firstPage; page < arena.pagesEnd; page++) {
          const same = found.get(arena.number, page) === state.ledger.get(arena.number, page);
          if (!same && arena.pageKind(page) === KIND_ROWS) arena.markDirty(page);
        }
      }
      state.ledger = found;
      state.committed = { ...manifest!, pages: state.ledger.count() };
    }
    for (const ledger of before) state.garbage.push(...unusedOf(state, ledger));
    await clearGarbage(state);
  }
}
