// What the node's main thread and a shard's thread say to each other.
import type { MessagePort } from "node:worker_threads";
import type { ErrorCode } from "../base/errors.js";
import type { SlotMap } from "../ring/slot-map.js";
import type { Endpoint } from "./setting-kinds.js";
import type { NodeSettings } from "./setting-table.js";
import type { ShardFigures } from "./shard-figures.js";

/** What a shard's thread is started with. */
export interface ThreadStart {
  readonly directory: string;
  readonly shard: number;
  readonly shards: number;
  /** Name of the node. */
  readonly node: string;
  /** Name and version of the program. */
  readonly software: string;
  /** Where to listen; a port of 0 is chosen once, and kept. */
  readonly at: Endpoint;
  readonly settings: NodeSettings;
  /** For a thread that is reached through a port, not a socket. */
  readonly door?: MessagePort | undefined;
}

export type ToThread =
  /** The slot map in force. */
  | { readonly tell: "map"; readonly map: SlotMap }
  /** Take no new work, finish what is under way, at most for so long; write a checkpoint, close everything, end. */
  | { readonly tell: "stop"; readonly drainMs: number; readonly checkpoint: boolean }
  /** Say how it goes. */
  | { readonly tell: "figures" };

export type FromThread =
  | { readonly say: "listening"; readonly port: number; readonly store: string; readonly replayed: number }
  /** It does not serve any more, and tries again; `reason` is for people. */
  | { readonly say: "rebuilding"; readonly rebuilds: number; readonly reason: string }
  | { readonly say: "rebuilt"; readonly rebuilds: number; readonly ms: number }
  | { readonly say: "figures"; readonly figures: ShardFigures }
  /** It could not start, or not again, and has closed everything. */
  | { readonly say: "failed"; readonly code: ErrorCode; readonly message: string }
  | { readonly say: "stopped" };
