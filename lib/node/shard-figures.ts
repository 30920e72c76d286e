// What a shard that is served has done and has, in numbers.
import type { ShardStats } from "../shard/shard-stats.js";

/** Counted since the thread began, over all its lives. */
export interface ServiceCounts {
  /** Frames that were answered, errors included. */
  requests: number;
  /** Keys that were read, and keys that were pushed or assigned. */
  rowsRead: number;
  rowsWritten: number;
  /** Pushes that had been applied before and were answered only. */
  repeated: number;
  /** Requests that were refused, by code. */
  readonly refused: Record<string, number>;
  /** Bytes of messages that came and went. */
  bytesIn: number;
  bytesOut: number;
}

export function noCounts(): ServiceCounts {
  return { requests: 0, rowsRead: 0, rowsWritten: 0, repeated: 0, refused: {}, bytesIn: 0, bytesOut: 0 };
}

/** Per second, over the last seconds. */
export interface ServiceRates {
  readonly requests: number;
  readonly rowsRead: number;
  readonly rowsWritten: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** How a shard fares. */
export interface ShardFigures {
  readonly shard: number;
  readonly port: number;
  /** "serving"; "rebuilding" after something broke; "stopping". */
  readonly state: "serving" | "rebuilding" | "stopping";
  /** Why it is not serving, or why it is read-only. */
  readonly reason?: string;
  /** Times that it was rebuilt. */
  readonly rebuilds: number;
  readonly connections: number;
  /** Bytes of requests under way and of replies that wait for their readers. */
  readonly inFlightBytes: number;
  readonly counts: ServiceCounts;
  readonly rates: ServiceRates;
  /** Bytes of JavaScript memory in use. */
  readonly heapBytes: number;
  /** Absent while it is not serving. */
  readonly store?: ShardStats;
}
