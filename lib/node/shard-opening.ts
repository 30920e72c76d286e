import type { ShardSettings } from "../directory/shard-opening.js";
import type { NodeSettings } from "./setting-table.js";

/** How a node's settings have its shards opened. */
export function shardSettings(settings: NodeSettings): ShardSettings {
  return {
    arenaBytes: settings.arenaBytes,
    hugePages: settings.hugePages,
    logBufferBytes: settings.logBufferBytes,
    checkpoint: {
      // 0: not by time. Long enough for a timer to be never.
      everyMs: settings.checkpointEveryMs || 2 ** 31 - 1,
      everyLogBytes: settings.checkpointLogBytes,
    },
    workerExpiryMs: settings.sessionExpiryMs,
  };
}
