// The thread of one shard of a store in this process: as that of a node, behind a door instead of a socket.
import { parentPort, workerData } from "node:worker_threads";
import { portListening } from "../net/port-transport.js";
import { runShardThread } from "../node/thread-life.js";
import type { ThreadStart } from "../node/thread-messages.js";

const start = workerData as ThreadStart;
const { door } = start;

// Its connections are of this process, which does not have to be protected from itself.
if (parentPort && door)
  runShardThread(
    parentPort,
    start,
    () => portListening(door, start.at.port),
    () => door.close(),
  );
else throw new Error("this module is run as a thread, with a door");
