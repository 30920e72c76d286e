// Figures of shards, put together.
import type { StoreStats, TableStats } from "../api/store-types.js";

/** What a shard says of itself. */
export type ShardReport = Omit<StoreStats, "directory" | "format">;

/** Figures of a table's parts added up. */
export function joinTableStats(shards: readonly (readonly TableStats[])[]): TableStats[] {
  const byName = new Map<string, TableStats>();
  for (const table of shards.flat()) {
    const known = byName.get(table.name);
    byName.set(table.name, known ? addTables(known, table) : table);
  }
  return [...byName.values()];
}

function addTables(a: TableStats, b: TableStats): TableStats {
  return {
    ...a,
    rows: a.rows + b.rows,
    bytes: a.bytes + b.bytes,
    skipped: a.skipped + b.skipped,
    ...(a.admission && b.admission && { admission: addNumbers(a.admission, b.admission) }),
    ...(a.evicted && b.evicted && { evicted: addNumbers(a.evicted, b.evicted) }),
    ...(a.cold && b.cold && { cold: addNumbers(a.cold, b.cold) }),
  };
}

/** Field by field; null, which stands for what is not known, stays. */
function addNumbers<T extends object>(a: T, b: T): T {
  const sum: Record<string, unknown> = {};
  const other = b as Record<string, unknown>;
  for (const [name, value] of Object.entries(a))
    sum[name] = typeof value === "number" ? value + Number(other[name]) : value;
  return sum as T;
}

/** Figures of a store on nodes: of numbers that count, the sums; of moments, the worst. */
export function joinStoreStats(directory: string, shards: readonly ShardReport[]): StoreStats {
  const sum = (of: (shard: ShardReport) => number) => shards.reduce((all, shard) => all + of(shard), 0);
  const checkpoints = shards.map(({ checkpoint }) => checkpoint);
  const whole = checkpoints.filter((checkpoint) => checkpoint !== null);
  const oldest = whole.sort((a, b) => a.at - b.at)[0];
  const failed = shards.find(({ health }) => health !== "ok");
  return {
    directory,
    format: 1,
    ...(shards[0]?.version !== undefined && { version: shards[0].version }),
    tables: joinTableStats(shards.map(({ tables }) => tables)),
    memory: {
      arenas: sum(({ memory }) => memory.arenas),
      bytes: sum(({ memory }) => memory.bytes),
      hugePages: shards.every(({ memory }) => memory.hugePages),
      moving: shards.some(({ memory }) => memory.moving),
    },
    log: {
      lsn: sum(({ log }) => log.lsn),
      writtenLsn: sum(({ log }) => log.writtenLsn),
      syncedLsn: sum(({ log }) => log.syncedLsn),
      pendingBytes: sum(({ log }) => log.pendingBytes),
      bytes: sum(({ log }) => log.bytes),
      segments: sum(({ log }) => log.segments),
      replayed: sum(({ log }) => log.replayed),
    },
    checkpoint:
      oldest === undefined || whole.length < checkpoints.length
        ? null
        : { ...oldest, pages: whole.reduce((all, { pages }) => all + pages, 0) },
    versions: {
      count: Math.max(...shards.map(({ versions }) => versions.count)),
      ownBytes: sum(({ versions }) => versions.ownBytes),
    },
    health: failed ? "read-only" : "ok",
    ...(failed?.reason !== undefined && { reason: failed.reason }),
  };
}
