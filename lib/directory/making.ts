// Making the directory of a store of several shards, before threads open them one by one.
import { resolve } from "node:path";
import { EmbershardError } from "../base/errors.js";
import { LIMITS } from "../base/limits.js";
import type { PlacementRecord } from "../ring/placement-record.js";
import type { PageStore } from "../store/page-store.js";
import {
  beginBirth,
  clearRemains,
  endBirth,
  type Identity,
  inspectDirectory,
  newIdentity,
} from "./identity.js";
import { lockShard, openLockedShard, type ShardSettings, shardFolder } from "./shard-opening.js";

/** What a store that may have to be made is to be like. */
export interface DirectoryWishes {
  /** 1 to 1,024; as many as there are unless given, 1 where the store is made. */
  readonly shards?: number | undefined;
  /** Of the store that it is to be, where it is made; a new one unless given. */
  readonly id?: string | undefined;
  /** Its part in a cluster: kept where the store has none yet. */
  readonly placement?: PlacementRecord | undefined;
}

/** Shards are empty then: nothing of this matters. */
const settings: ShardSettings = { arenaBytes: LIMITS.minimumArenaBytes, hugePages: "off" };

/**
 * The identity of the store in a directory, which is made, empty, if there is none. Nothing is open afterwards.
 *
 * @throws SHARD_COUNT where there is one of another number of shards; INVALID_OPTIONS, NOT_A_STORE, LOCKED, NEWER_FORMAT, CORRUPT, IO
 */
export async function makeDirectory(directory: string, wishes: DirectoryWishes = {}): Promise<Identity> {
  const path = resolve(directory);
  const { shards = 1, placement, id } = wishes;
  if (!Number.isInteger(shards) || shards < 1 || shards > LIMITS.shards)
    throw new EmbershardError("INVALID_OPTIONS", `found ${shards} shards, expected 1 to ${LIMITS.shards}`);
  const wanted = { create: true, shards: wishes.shards };
  const known = await inspectDirectory(path, wanted);
  if (known && (known.placement || !placement)) return known;
  if (!known) await beginBirth(path);
  // Who has the first shard has them all while the store is made.
  const first = await lockShard(path, 0, known === undefined);
  try {
    const made = await inspectDirectory(path, wanted);
    if (made && (made.placement || !placement)) return made;
    if (made) {
      const placed = { ...made, placement: placement! };
      await endBirth(path, placed);
      return placed;
    }
    const identity = { ...newIdentity(shards, placement), ...(id !== undefined && { id }) };
    for (let number = 1; number < shards; number++) {
      const pages = await lockShard(path, number, true);
      await makeShard(path, identity, number, pages);
    }
    await makeShard(path, identity, 0, first);
    await endBirth(path, identity);
    return identity;
  } finally {
    await first.close();
  }
}

/** Makes an empty shard, and closes it. */
async function makeShard(path: string, identity: Identity, number: number, pages: PageStore): Promise<void> {
  try {
    await clearRemains(shardFolder(path, number), pages);
    const shard = await openLockedShard(path, identity, number, pages, settings, true);
    await shard.close();
  } finally {
    await pages.close();
  }
}
