// One shard of a directory, DIR/shards/NNNN, opened with the system's files, clock and random numbers.
import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { systemClock } from "../base/clock.js";
import { EmbershardError } from "../base/errors.js";
import type { CheckpointPolicy } from "../shard/checkpointing.js";
import { Shard } from "../shard/shard.js";
import { nodeFiles } from "../store/node-files.js";
import type { PageStore } from "../store/page-store.js";
import { openThreadPageStore } from "../store/thread-page-store.js";
import { type Identity, inspectDirectory } from "./identity.js";
import { lockedError } from "./owner.js";

/** How a shard of a directory is opened. */
export interface ShardSettings {
  readonly arenaBytes: number;
  readonly hugePages: "auto" | "off";
  readonly logBufferBytes?: number | undefined;
  /**
   * When checkpoints start by themselves; undefined: never. `everyLogBytes` is twice the bytes of the rows, at least 256 MiB,
   * unless given.
   */
  readonly checkpoint?: { readonly everyMs: number; readonly everyLogBytes?: number | undefined } | undefined;
  readonly keepVersions?: number | undefined;
  readonly workerExpiryMs?: number | undefined;
  /** Let no row go, whatever tables say: for who copies a shard. */
  readonly keepsAll?: boolean | undefined;
}

const usualLogBytes = 256 << 20;

/** The folder of a shard. */
export function shardFolder(directory: string, number: number): string {
  return join(directory, "shards", String(number).padStart(4, "0"));
}

function isThere(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") throw error;
}

/** Opens the pages of a shard, which is what locks it. @throws LOCKED naming the owner, IO, CORRUPT */
export async function lockShard(directory: string, number: number, create: boolean): Promise<PageStore> {
  const folder = shardFolder(directory, number);
  try {
    // Of a store that there is nothing is made: it may be getting another name right now.
    if (create) await mkdir(join(folder, "log"), { recursive: true, mode: 0o700 });
    else await mkdir(join(folder, "log"), { mode: 0o700 }).catch(isThere);
  } catch (cause) {
    throw new EmbershardError("IO", `${folder} cannot be made: ${(cause as Error).message}`, { cause });
  }
  try {
    return await openThreadPageStore(join(folder, "pages"), { create });
  } catch (cause) {
    if (!(cause instanceof EmbershardError) || cause.code !== "LOCKED") throw cause;
    throw await lockedError(directory, cause);
  }
}

/** Opens a shard whose pages are locked. It closes them with itself; where it does not open they stay open. */
export async function openLockedShard(
  directory: string,
  { id }: Identity,
  number: number,
  pages: PageStore,
  settings: ShardSettings,
  isNew: boolean,
): Promise<Shard> {
  let shard: Shard | undefined;
  const { checkpoint } = settings;
  const policy: CheckpointPolicy | undefined = checkpoint && {
    everyMs: checkpoint.everyMs,
    everyLogBytes: () =>
      checkpoint.everyLogBytes ?? Math.max(usualLogBytes, 2 * (shard?.state.arenas.usedBytes() ?? 0)),
  };
  shard = await Shard.open({
    files: nodeFiles(join(shardFolder(directory, number), "log")),
    pages,
    identity: { storeId: Uint8Array.from(Buffer.from(id, "hex")), shard: number },
    clock: systemClock,
    nonce: () => randomBytes(8).readBigUInt64LE(),
    pause: () => new Promise((resolve) => setImmediate(resolve)),
    arenaBytes: settings.arenaBytes,
    hugePages: settings.hugePages,
    logBufferBytes: settings.logBufferBytes,
    checkpoint: policy,
    keepVersions: settings.keepVersions,
    workerExpiryMs: settings.workerExpiryMs,
    keepsAll: settings.keepsAll,
    mayBeNew: isNew,
  });
  return shard;
}

/**
 * Opens one shard of a store that is there, for the thread that is to have it. `makeDirectory` makes one.
 *
 * `shards` is how many the store must have; any number unless given.
 *
 * @throws INVALID_ARGUMENT where there is no shard of that number; SHARD_COUNT, NOT_A_STORE, LOCKED, NEWER_FORMAT, CORRUPT,
 *   OUT_OF_MEMORY, IO
 */
export async function openShardOf(
  directory: string,
  number: number,
  settings: ShardSettings,
  shards?: number,
): Promise<{ shard: Shard; identity: Identity }> {
  const path = resolve(directory);
  const found = (await inspectDirectory(path, { create: false, shards }))!;
  if (!Number.isInteger(number) || number < 0 || number >= found.shards)
    throw new EmbershardError(
      "INVALID_ARGUMENT",
      `found shard ${number}, ${path} has shards 0 to ${found.shards - 1}`,
    );
  const pages = await lockShard(path, number, false);
  try {
    // Another store may have taken its place before it was locked.
    const identity = (await inspectDirectory(path, { create: false, shards: found.shards }))!;
    return { shard: await openLockedShard(path, identity, number, pages, settings, false), identity };
  } catch (error) {
    await pages.close();
    throw error;
  }
}
