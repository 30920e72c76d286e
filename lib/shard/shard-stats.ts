// What is known of a shard and of its tables.
import { rowStorageOf } from "../api/row-storage.js";
import type { ColdStats, StoreStats, TableStats, WorkerStats } from "../api/store-types.js";
import type { ArenaTable } from "../table/arena-table.js";
import { type ColdRows, memoryOf } from "./cold-rows.js";
import { versionBytes } from "./image-use.js";
import type { Shard } from "./shard.js";
import { lastLsn } from "./shard-state.js";
import type { Share } from "./share.js";

/** All but where it is. */
export type ShardStats = Omit<StoreStats, "directory" | "format">;

export function shardStats(shard: Shard): ShardStats {
  const { state, log, failure, replayed, checkpoints } = shard;
  const { committed, arenas } = state;
  return {
    tables: allTableStats(shard),
    memory: {
      arenas: arenas.all.length,
      bytes: arenas.usedBytes(),
      hugePages: arenas.front.hugePages,
      moving: arenas.moving?.done === false,
    },
    log: {
      lsn: lastLsn(state),
      writtenLsn: log.writtenLsn,
      syncedLsn: log.syncedLsn,
      pendingBytes: log.pendingBytes,
      bytes: checkpoints.bytesLogged,
      segments: log.segments,
      replayed,
    },
    checkpoint: committed
      ? {
          generation: committed.generation,
          lsn: committed.lsn,
          at: committed.at,
          ageMs: Math.max(0, state.clock.now() - committed.at),
          pages: committed.pages,
        }
      : null,
    versions: { count: state.versions.size, ownBytes: versionBytes(state) },
    ...(state.sequences.workers.size > 0 && { workers: workerStats(shard) }),
    ...(state.version !== undefined && { version: state.version }),
    health: failure ? "read-only" : "ok",
    ...(failure && { reason: failure.message }),
  };
}

function workerStats({ workers }: Shard): WorkerStats[] {
  return [...workers.known.values()].map(({ name, session, clock, slots }) => ({
    name,
    session: session.toString(),
    clock: clock?.toString() ?? null,
    sequence: slots.highest.toString(),
  }));
}

export function allTableStats(shard: Shard): TableStats[] {
  return [...shard.tables.values()].map((table) => tableStats(shard, table));
}

/** What is known of a table. */
export function tableStats(shard: Shard, table: ArenaTable): TableStats {
  const { definition, dim, stateFloats, skipped } = table;
  const { arenas, cold } = shard.state;
  const { candidates } = table;
  const { storage, stateStorage } = rowStorageOf(definition);
  const coldRows = cold.get(definition.number);
  return {
    name: definition.name,
    rows: arenas.rows(table) + (coldRows?.rows ?? 0),
    dim,
    stateFloats,
    optimizer: definition.optimizer.kind,
    bytes: arenas.bytes(table) + (candidates ? arenas.bytes(candidates) : 0),
    storage,
    stateStorage,
    logged: definition.logged,
    ack: definition.ack,
    skipped,
    ...(candidates && {
      admission: {
        candidates: candidates.bySlot ? null : arenas.rows(candidates),
        bytes: arenas.bytes(candidates),
        ...table.admitting,
      },
    }),
    ...(definition.eviction && { evicted: { ...shard.evictionCounts(table) } }),
    ...(coldRows && { cold: coldStats(coldRows, shard.state.share) }),
    ...(definition.tensor && { shape: definition.tensor.shape }),
  };
}

function coldStats(
  { table, rows, hits, misses, promotions, demotions }: ColdRows,
  share: Share | undefined,
): ColdStats {
  const memory = memoryOf(table, share);
  return { memory, rows, hits, misses, promotions, demotions };
}
