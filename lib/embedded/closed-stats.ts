import { resolve } from "node:path";
import type { StoreStats } from "../api/store-types.js";
import { eachClosedShard } from "../directory/closed-shards.js";
import { formatVersion } from "../directory/identity.js";
import { shardStats } from "../shard/shard-stats.js";

/** The figures of each shard of a closed store. @throws as eachClosedShard */
export async function closedShardStats(directory: string): Promise<StoreStats[]> {
  const path = resolve(directory);
  return eachClosedShard(path, (shard) => ({ directory: path, format: formatVersion, ...shardStats(shard) }));
}
