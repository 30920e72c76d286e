// A client of a node over a real socket, made of the codec alone.
import { systemClock } from "../../lib/base/clock.js";
import { type Connection, DEFAULT_CONNECT_OPTIONS, type Receiver } from "../../lib/net/connection.js";
import { streamTransport } from "../../lib/net/stream-transport.js";
import { WirePeer } from "./wire-peer.js";

const transport = streamTransport({
  clock: systemClock,
  failed(error) {
    throw error;
  },
});

/** Connects; what is sent goes to the node, what comes to the peer. */
export async function dialSocket(
  port: number,
  host = "127.0.0.1",
): Promise<{ peer: WirePeer; connection: Connection }> {
  let connection: Connection | undefined;
  const peer = new WirePeer(
    (): Receiver => ({
      message: (bytes) => connection?.send([bytes]),
      closed: (code, reason) => connection?.close(code, reason),
    }),
  );
  connection = await transport.connect(
    { host, port },
    {
      message: (bytes) => peer.send([bytes]),
      closed: (code, reason) => peer.lost(code, reason),
    },
    { ...DEFAULT_CONNECT_OPTIONS, timeoutMs: 5000 },
  );
  return { peer, connection };
}
