// The child of neighbours.ts: four clients that read slowly, but not too slowly to be kept, and four that send a frame byte by byte.
import { connect as connectSocket, createServer, type Socket } from "node:net";
import { systemClock, wakefulClock } from "../../lib/base/clock.js";
import { connectIn } from "../../lib/client/open-client.js";
import type { ConnectingTransport } from "../../lib/net/connection.js";
import { streamTransport } from "../../lib/net/stream-transport.js";
import { frame, RawClient } from "../net/raw-peers.js";

const each = 4;
const readBytes = 16 << 10;
const readEveryMs = 100;
const dripEveryMs = 20;
const keysPerPull = 16_384;

const [address, ...ports] = process.argv.slice(2);
const cutOff = () => process.send!("cut off");

/** Relays connections to a port of the node, and takes from the node only so much at a time. Gives its own port. */
async function slowRelay(port: number): Promise<number> {
  const server = createServer({ noDelay: true }, (client) => {
    const node = connectSocket({ host: "127.0.0.1", port, noDelay: true });
    client.pipe(node);
    const timer = setInterval(() => relay(node, client), readEveryMs);
    const end = () => {
      clearInterval(timer);
      client.destroy();
      node.destroy();
    };
    for (const socket of [client, node]) socket.on("error", end).on("close", end);
    node.once("close", cutOff);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as { port: number }).port;
}

function relay(from: Socket, to: Socket): void {
  const bytes: Buffer | null = from.read(Math.min(readBytes, from.readableLength));
  if (bytes) to.write(bytes);
}

async function readSlowly(transport: ConnectingTransport, name: string): Promise<void> {
  const world = { transport, clock: wakefulClock, random: Math.random, uniqueName: () => name };
  const store = await connectIn(world, address, { worker: name, deadlineMs: 0 });
  const table = await store.table("items");
  const keys = BigUint64Array.from({ length: keysPerPull }, (_, i) => BigInt(i));
  for (;;) await Promise.all([table.pull(keys), table.pull(keys), table.pull(keys)]);
}

/** The beginning of a message of a MiB, then a byte now and then; from the start where the node has had enough. */
async function drip(port: number): Promise<void> {
  for (;;) {
    const client = await RawClient.upgraded(port);
    client.socket.write(frame(0x82, new Uint8Array(0), { masked: true, length: 1 << 20, form: 64 }));
    const timer = setInterval(() => client.socket.write(new Uint8Array(1)), dripEveryMs);
    await new Promise((resolve) => client.socket.once("close", resolve));
    clearInterval(timer);
    cutOff();
  }
}

const relays = new Map<number, number>();
for (const port of ports) relays.set(Number(port), await slowRelay(Number(port)));
const direct = streamTransport({
  clock: systemClock,
  failed(error) {
    throw error;
  },
});
// Control ports are asked directly: only the shards' answers are long.
const slow: ConnectingTransport = {
  connect: (to, receiver, options) =>
    direct.connect({ ...to, port: relays.get(to.port) ?? to.port }, receiver, options),
};
for (let i = 0; i < each; i++) {
  void readSlowly(slow, `slow-${i}`);
  void drip(Number(ports[0]));
}
setTimeout(() => process.send!("ready"), 1500);
