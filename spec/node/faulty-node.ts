// A process with a node whose threads break on demand. Prints the port of its first shard.
import { systemClock } from "../../lib/base/clock.js";
import { uWebSocketTransport } from "../../lib/net/uwebsockets-transport.js";
import { RunningNode } from "../../lib/node/node.js";
import { crashed } from "../../lib/node/supervisor.js";
import { settingsOf } from "./served-shard.js";

const node = await RunningNode.start(
  settingsOf({
    dir: process.argv[2],
    listen: "127.0.0.1:0",
    shards: 2,
    hugePages: "off",
    threadHeapBytes: "64MiB",
  }),
  {
    transport: (failed) => uWebSocketTransport({ clock: systemClock, failed }),
    threadModule: new URL("./faulty-thread.js", import.meta.url),
    clock: systemClock,
    software: "spec",
    say: () => {},
  },
);
process.stdout.write(`${node.map.owners[0].port}\n`);
await node.lost;
await node.abandon().catch(() => undefined);
process.exit(crashed);
