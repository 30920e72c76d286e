import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { systemClock } from "../base/clock.js";
import { EmbershardError } from "../base/errors.js";
import { beginBirth, clearRemains, endBirth, inspectDirectory, newIdentity } from "../embedded/identity.js";
import type { PlacementRecord } from "../ring/placement-record.js";
import { Shard } from "../shard/shard.js";
import { nodeFiles } from "../store/node-files.js";
import { openThreadPageStore } from "../store/thread-page-store.js";
import type { NodeSettings } from "./setting-table.js";

const usualLogBytes = 256 << 20;

/**
 * Opens one shard of a directory, which is made where there is none; `placement` is what it is to remember of its cluster.
 *
 * @throws as openStore
 */
export async function openShardOf(
  directory: string,
  number: number,
  settings: Omit<NodeSettings, "shards"> & { readonly shards: number },
  placement: PlacementRecord | undefined,
): Promise<{ shard: Shard; store: string }> {
  const path = resolve(directory);
  if (settings.shards !== 1)
    throw new EmbershardError("UNSUPPORTED", `found ${settings.shards} shards, a node has 1 yet`);
  const known = await inspectDirectory(path, true);
  if (!known) await beginBirth(path);
  const folder = join(path, "shards", String(number).padStart(4, "0"));
  await mkdir(join(folder, "log"), { recursive: true, mode: 0o700 });
  const pages = await openThreadPageStore(join(folder, "pages"), { create: known === undefined });
  try {
    const found = known ?? (await inspectDirectory(path, true));
    if (!found) await clearRemains(folder, pages);
    const identity = { ...(found ?? newIdentity()), ...(placement && { placement }) };
    let opened: Shard | undefined;
    const shard = await Shard.open({
      files: nodeFiles(join(folder, "log")),
      pages,
      identity: { storeId: Uint8Array.from(Buffer.from(identity.id, "hex")), shard: number },
      clock: systemClock,
      nonce: () => randomBytes(8).readBigUInt64LE(),
      pause: () => new Promise((resolve) => setImmediate(resolve)),
      arenaBytes: settings.arenaBytes,
      hugePages: settings.hugePages,
      logBufferBytes: settings.logBufferBytes,
      checkpoint: {
        everyMs: settings.checkpointEveryMs || 2 ** 31 - 1,
        everyLogBytes: () =>
          settings.checkpointLogBytes ?? Math.max(usualLogBytes, 2 * (opened?.state.arenas.usedBytes() ?? 0)),
      },
      workerExpiryMs: settings.sessionExpiryMs,
      mayBeNew: !found,
    });
    opened = shard;
    if (!found || (placement && !found.placement)) await endBirth(path, identity);
    return { shard, store: identity.id };
  } catch (error) {
    await pages.close();
    throw error;
  }
}
