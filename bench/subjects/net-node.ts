// A node in a process of its own, which tells its processor time.
import { systemClock } from "../../lib/base/clock.js";
import { uWebSocketTransport } from "../../lib/net/uwebsockets-transport.js";
import { RunningNode } from "../../lib/node/node.js";
import { resolveSettings } from "../../lib/node/settings.js";
import { serveLines, settingsOf } from "./line-server.js";
import type { NodeProcessSettings } from "./net-settings.js";

const { directory, shards, host = "127.0.0.1" } = settingsOf<NodeProcessSettings>();
const flags = {
  dir: directory,
  listen: `${host}:0`,
  shards: String(shards),
  checkpointEveryMs: "0",
  ...(host !== "127.0.0.1" && { insecure: true }),
};
const { settings } = resolveSettings({ flags }, { memoryBytes: 16 * 2 ** 30 });
const node = await RunningNode.start(settings, {
  transport: (failed) => uWebSocketTransport({ clock: systemClock, failed }),
  threadModule: new URL("../../lib/node/shard-thread.js", import.meta.url),
  clock: systemClock,
  software: "embershard bench",
  say: () => {},
});
node.lost.then((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
const { port } = node.address;
await serveLines({ address: `ember://${host}:${port}` }, async () => {
  const { user, system } = process.cpuUsage();
  const { shards: figures } = await node.status();
  const bytes = figures.reduce((sum, { counts: { bytesIn, bytesOut } }) => sum + bytesIn + bytesOut, 0);
  return { user, system, bytes };
});
await node.stop();
