// Makes a shard of a store out of values and records, by the code that writes stores.
import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Identity } from "../directory/identity.js";
import { createHashBlock } from "../kernel/hash-block.js";
import { openLevelPageStore } from "../store/level-page-store.js";
import { nodeFiles } from "../store/node-files.js";
import type { PageStore } from "../store/page-store.js";
import { openSegmentLog, type SegmentLog } from "../store/segment-log.js";
import { storeIdOf } from "./backup-directory.js";
import { logFolder, pagesFolder } from "./shard-files.js";

const batchBytes = 4 << 20;

export interface ShardPlan {
  readonly shard: number;
  /** The log begins with the record after this. */
  readonly replayLsn: number;
  /** The generation that the durable mark gets. */
  readonly generation: number;
}

/** A shard that is being made, in a directory whose making has begun. */
export class ShardBuilder {
  readonly #pages: PageStore;
  readonly #log: SegmentLog;
  #batch: ReturnType<PageStore["batch"]>;
  #batched = 0;

  private constructor(pages: PageStore, log: SegmentLog) {
    this.#pages = pages;
    this.#log = log;
    this.#batch = pages.batch();
  }

  /** @throws IO */
  static async begin(directory: string, identity: Identity, plan: ShardPlan): Promise<ShardBuilder> {
    const { shard, replayLsn, generation } = plan;
    const folder = join(directory, logFolder(shard));
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const pages = await openLevelPageStore(join(directory, pagesFolder(shard)));
    const log = await openSegmentLog({
      files: nodeFiles(folder),
      identity: { storeId: storeIdOf(identity), shard },
      createBlock: createHashBlock,
      nonce: () => randomBytes(8).readBigUInt64LE(),
      end: {
        nextLsn: replayLsn + 1,
        mark: { lsn: replayLsn, generation },
        segments: [],
        tail: undefined,
        unsynced: [],
        givenUp: [],
      },
      // It is seen when the log is closed.
      onFailure: () => {},
    });
    return new ShardBuilder(pages, log);
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

  /** Makes all of it durable, and closes it. @throws IO */
  async finish(): Promise<void> {
    await this.#write();
    await this.#log.close();
    await this.#pages.close();
  }

  /** Closes it as it is. */
  async abandon(): Promise<void> {
    await Promise.allSettled([this.#log.close()]);
    await this.#pages.close();
  }

  async #write(): Promise<void> {
    await this.#batch.write();
    this.#batch = this.#pages.batch();
    this.#batched = 0;
  }
}
