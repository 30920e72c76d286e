// The thread of one shard of a node: opens its directory, listens, serves, and ends only when everything is closed.
import { parentPort, workerData } from "node:worker_threads";
import { systemClock } from "../base/clock.js";
import { uWebSocketTransport } from "../net/uwebsockets-transport.js";
import { runShardThread } from "./thread-life.js";
import type { ThreadStart } from "./thread-messages.js";

runShardThread(parentPort!, workerData as ThreadStart, (failed) =>
  uWebSocketTransport({ clock: systemClock, failed }),
);
