// Makes the directory of a store out of values and records, by the code that writes stores.
import { randomBytes } from "node:crypto";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { EmbershardError } from "../base/errors.js";
import { beginBirth, endBirth, type Identity } from "../directory/identity.js";
import { createHashBlock } from "../kernel/hash-block.js";
import { openLevelPageStore } from "../store/level-page-store.js";
import { nodeFiles } from "../store/node-files.js";
import type { PageStore } from "../store/page-store.js";
import { openSegmentLog, type SegmentLog } from "../store/segment-log.js";
import { storeIdOf } from "./backup-directory.js";
import { logFolder, pagesFolder } from "./shard-files.js";

const batchBytes = 4 << 20;

export interface BuildPlan {
  readonly identity: Identity;
  /** The log begins with the record after this. */
  readonly replayLsn: number;
  /** The generation that the durable mark gets. */
  readonly generation: number;
}

/** A store that is being made. Until `finish` it is none: who opens it begins anew. */
export class StoreBuilder {
  readonly directory: string;
  readonly #plan: BuildPlan;
  readonly #pages: PageStore;
  readonly #log: SegmentLog;
  #batch: ReturnType<PageStore["batch"]>;
  #batched = 0;

  private constructor(directory: string, plan: BuildPlan, pages: PageStore, log: SegmentLog) {
    this.directory = directory;
    this.#plan = plan;
    this.#pages = pages;
    this.#log = log;
    this.#batch = pages.batch();
  }

  /** Begins in an empty or missing directory, or in what a builder that was killed left. @throws NOT_A_STORE, IO */
  static async begin(directory: string, plan: BuildPlan): Promise<StoreBuilder> {
    const names: string[] = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [];
      throw new EmbershardError("IO", `${directory} cannot be read: ${error.message}`, { cause: error });
    });
    if (names.length > 0 && !names.includes("creating"))
      throw new EmbershardError(
        "NOT_A_STORE",
        `${directory} is not empty: choose an empty or a new directory`,
      );
    if (names.includes("store"))
      throw new EmbershardError(
        "NOT_A_STORE",
        `${directory} holds a store: choose an empty or a new directory`,
      );
    await beginBirth(directory);
    await rm(join(directory, "shards"), { recursive: true, force: true });
    await mkdir(join(directory, logFolder(0)), { recursive: true, mode: 0o700 });
    const pages = await openLevelPageStore(join(directory, pagesFolder(0)));
    const { replayLsn, generation, identity } = plan;
    const log = await openSegmentLog({
      files: nodeFiles(join(directory, logFolder(0))),
      identity: { storeId: storeIdOf(identity), shard: 0 },
      createBlock: createHashBlock,
      nonce: () => randomBytes(8).readBigUInt64LE(),
      end: {
        nextLsn: replayLsn + 1,
        mark: { lsn: replayLsn, generation },
        segments: [],
        tail: undefined,
        unsynced: { from: 0, to: 0 },
      },
      // It is seen when the log is closed.
      onFailure: () => {},
    });
    return new StoreBuilder(directory, plan, pages, log);
  }

  get nextLsn(): number {
    return this.#log.nextLsn;
  }

  /** Puts a value into the page store. It is copied. */
  async put(key: Uint8Array, value: Uint8Array): Promise<void> {
    this.#batch.put(key, value);
    this.#batched += value.length;
    if (this.#batched >= batchBytes) await this.#write();
  }

  /** Appends the next record. It is copied. @throws IO */
  async append(type: number, flags: number, payload: Uint8Array): Promise<void> {
    for (let wait = this.#log.room(payload.length); wait; wait = this.#log.room(payload.length)) {
      if (this.#log.failure) throw this.#log.failure;
      await wait;
    }
    this.#log.append(type, flags, [payload]);
  }

  /** Makes all of it durable, and the directory a store. */
  async finish(): Promise<void> {
    await this.#write();
    await this.#log.close();
    await this.#pages.close();
    await endBirth(this.directory, this.#plan.identity);
  }

  /** Gives up. What was made is removed with the directory's `shards`. */
  async abandon(): Promise<void> {
    await Promise.allSettled([this.#log.close()]);
    await this.#pages.close();
    await rm(join(this.directory, "shards"), { recursive: true, force: true });
    await rm(join(this.directory, "creating"), { force: true });
  }

  async #write(): Promise<void> {
    await this.#batch.write();
    this.#batch = this.#pages.batch();
    this.#batched = 0;
  }
}
