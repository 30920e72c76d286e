import { shardStats } from "../shard/shard-stats.js";
import type { RateMeter } from "./rate-meter.js";
import type { ServiceCounts, ShardFigures } from "./shard-figures.js";
import type { ShardHost } from "./shard-host.js";
import type { ShardService } from "./shard-service.js";

/** How the shard of this thread fares. */
export function figuresOf(
  host: ShardHost<ShardService>,
  shard: number,
  counts: ServiceCounts,
  meter: RateMeter,
): ShardFigures {
  const serving = host.reason === undefined ? host.shard : undefined;
  const store = serving && shardStats(serving);
  const reason = host.reason ?? store?.reason;
  return {
    shard,
    port: host.port,
    state: host.stopping ? "stopping" : serving ? "serving" : "rebuilding",
    ...(reason !== undefined && { reason }),
    rebuilds: host.rebuilds,
    connections: host.connections,
    inFlightBytes: host.service?.inFlight.used ?? 0,
    counts: { ...counts, refused: { ...counts.refused } },
    rates: meter.rates(),
    heapBytes: process.memoryUsage().heapUsed,
    ...(store && { store }),
  };
}
