// A shard's thread as nodes run it, in which things break on demand: a message of one line of text says which.
import { parentPort, workerData } from "node:worker_threads";
import { systemClock } from "../../lib/base/clock.js";
import type { Accept, ListeningTransport } from "../../lib/net/connection.js";
import { uWebSocketTransport } from "../../lib/net/uwebsockets-transport.js";
import { runShardThread } from "../../lib/node/thread-life.js";
import type { ThreadStart } from "../../lib/node/thread-messages.js";
import { Shard } from "../../lib/shard/shard.js";

export type Fault = "throw" | "throw-here" | "trap" | "heap" | "exit";

const faults: Readonly<Record<Fault, () => void>> = {
  /** Code that nobody called throws. */
  throw: () =>
    void setImmediate(() => {
      throw new Error("inflicted: thrown");
    }),
  /** Code that the socket called throws. */
  "throw-here": () => {
    throw new Error("inflicted: thrown here");
  },
  /** The next pull hands the kernel pointers that lie outside of its memory. */
  trap: () => {
    const { front } = shard!.state.arenas;
    const { kernel } = front;
    const outside = 0xffff_ff00;
    Object.assign(front, {
      kernel: {
        ...kernel,
        pullRows: (index: number) => kernel.pullRows(index, outside, 1000, outside, 0, outside, 0, 0),
      },
    });
  },
  /** JavaScript's memory of the thread is used up. */
  heap: () => {
    const hoard: number[][] = [];
    for (;;) hoard.push(new Array(100_000).fill(Math.random()));
  },
  exit: () => process.exit(9),
};

let shard: Shard | undefined;
const open = Shard.open.bind(Shard);
Shard.open = async (options) => {
  shard = await open(options);
  return shard;
};

/** The transport that nodes use, with an ear for faults. */
function faulty(transport: ListeningTransport): ListeningTransport {
  return {
    listen(at, limits, accept, http) {
      const listening: Accept = (connection, request) => {
        const receiver = accept(connection, request);
        return {
          message(bytes) {
            const fault = bytes.length < 20 ? faults[Buffer.from(bytes).toString() as Fault] : undefined;
            if (fault) fault();
            else receiver.message(bytes);
          },
          drained: () => receiver.drained?.(),
          closed: (code, reason) => receiver.closed(code, reason),
        };
      };
      return transport.listen(at, limits, listening, http);
    },
  };
}

runShardThread(parentPort!, workerData as ThreadStart, (failed) =>
  faulty(uWebSocketTransport({ clock: systemClock, failed })),
);
