// The log and the page store of a shard that only reads: a version, which is in memory whole.
import { versionIsReadOnly } from "../api/version-types.js";
import type { PageStore } from "../store/page-store.js";
import type { ShardLog } from "./shard-state.js";

/** A log that ended at `lsn`, and takes nothing. */
export function endedLog(lsn: number, generation: number): ShardLog {
  return {
    nextLsn: lsn + 1,
    writtenLsn: lsn,
    syncedLsn: lsn,
    generation,
    pendingBytes: 0,
    segments: 0,
    failure: undefined,
    awaited: false,
    room: () => undefined,
    append: () => {
      throw versionIsReadOnly();
    },
    written: () => undefined,
    synced: () => undefined,
    hold: () => () => {},
    commitGeneration: () => undefined,
    discardBefore: async () => {},
    retry: async () => "running",
    restart: async () => {},
    close: async () => {},
  };
}

/** A page store of which nothing is wanted any more. */
export const noPages: PageStore = {
  // biome-ignore lint/correctness/useYield: nothing is there to be given
  async *entries() {
    throw versionIsReadOnly();
  },
  get: async () => {
    throw versionIsReadOnly();
  },
  getMany: async () => {
    throw versionIsReadOnly();
  },
  batch: () => {
    throw versionIsReadOnly();
  },
  compact: async () => {},
  reopen: async () => {},
  close: async () => {},
};
