// The shards of a store that nobody has open, one after the other: memory is that of the largest one.
import { resolve } from "node:path";
import { LIMITS } from "../base/limits.js";
import type { Shard } from "../shard/shard.js";
import { inspectDirectory } from "./identity.js";
import { openShardOf, type ShardSettings } from "./shard-opening.js";

const settings: ShardSettings = { arenaBytes: LIMITS.arenaBytes, hugePages: "off", keepsAll: true };

/**
 * Opens each shard of a closed store for a moment and gives what `work` makes of it.
 *
 * @throws NOT_A_STORE, LOCKED naming the owner, NEWER_FORMAT, CORRUPT, OUT_OF_MEMORY, IO, and what `work` throws
 */
export async function eachClosedShard<T>(
  directory: string,
  work: (shard: Shard, number: number) => T | Promise<T>,
): Promise<T[]> {
  const path = resolve(directory);
  const { shards } = (await inspectDirectory(path, { create: false }))!;
  const results: T[] = [];
  for (let number = 0; number < shards; number++) {
    const { shard } = await openShardOf(path, number, settings);
    try {
      results.push(await work(shard, number));
    } finally {
      await shard.close();
    }
  }
  return results;
}
