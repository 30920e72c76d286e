// A store that nobody has open, opened for one command.
import type { Store, StoreStats } from "../api/store-types.js";
import { joinStoreStats } from "../client/remote-stats.js";
import { inspectDirectory } from "../directory/identity.js";
import { closedShardStats } from "../embedded/closed-stats.js";
import { openPart } from "../embedded/open-store.js";
import { openStore } from "../threads/open-store.js";

/** What a store of several shards is: its figures, and each shard's. */
export interface ClosedStats extends StoreStats {
  /** Absent of a store of one shard. */
  readonly shards?: readonly ShardSummary[];
}

/** One shard's figures. */
export interface ShardSummary
  extends Pick<StoreStats, "memory" | "log" | "checkpoint" | "versions" | "health"> {
  readonly shard: number;
  /** In all of its tables. */
  readonly rows: number;
}

/**
 * Opens a closed store, on as many threads as it has shards. It makes no checkpoints, and no control socket.
 *
 * @throws NOT_A_STORE, LOCKED naming the owner, UNSUPPORTED of several shards of a cluster's node, NEWER_FORMAT, CORRUPT,
 *   OUT_OF_MEMORY, IO
 */
export async function openClosed(directory: string): Promise<Store> {
  const { shards } = (await inspectDirectory(directory, { create: false }))!;
  const options = { create: false, checkpoint: false, control: false } as const;
  return shards === 1 ? openPart(directory, options) : openStore(directory, { ...options, threads: shards });
}

/** The figures of a closed store, whose shards are opened one after the other. @throws as openClosed, but for UNSUPPORTED */
export async function closedStats(directory: string): Promise<ClosedStats> {
  const [first, ...others] = await closedShardStats(directory);
  if (others.length === 0) return first;
  const all = [first, ...others];
  const shards = all.map(
    ({ tables, memory, log, checkpoint, versions, health }, shard): ShardSummary => ({
      shard,
      rows: tables.reduce((sum, { rows }) => sum + rows, 0),
      memory,
      log,
      checkpoint,
      versions,
      health,
    }),
  );
  return { ...joinStoreStats(first.directory, all), shards };
}
