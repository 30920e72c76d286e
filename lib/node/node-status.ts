// What a node tells of itself: GET /status, and `embershard status`.
import type { ShardFigures } from "./shard-figures.js";

export interface NodeStatus {
  readonly node: string;
  /** Name and version of the program. */
  readonly software: string;
  /** Identity of the store. */
  readonly store: string;
  readonly pid: number;
  readonly uptimeMs: number;
  /** "ready" when every shard serves. */
  readonly state: "starting" | "ready" | "degraded" | "stopping";
  /** Why it is degraded. */
  readonly reason?: string;
  readonly listen: string;
  readonly directory: string;
  /** Bytes of memory that rows may take, over all shards. */
  readonly memoryBytes: number;
  readonly epoch: number;
  /** The nodes of the slot map, with the addresses of their control ports. */
  readonly nodes: readonly {
    readonly name: string;
    readonly address: string;
    readonly shards: number;
    readonly slots: number;
  }[];
  readonly shards: readonly ShardFigures[];
}
