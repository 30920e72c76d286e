import { DEFAULT_SOCKET_LIMITS, type SocketLimits } from "../net/connection.js";
import type { NodeSettings } from "./setting-table.js";

/** The limits of a listener of a node. */
export function socketLimits(settings: NodeSettings): SocketLimits {
  return {
    ...DEFAULT_SOCKET_LIMITS,
    messageBytes: settings.frameBytes,
    // A reply that was let in goes out whole: the budget keeps what waits below this.
    waitingBytes: 2 * settings.connectionBytes + settings.frameBytes,
    connections: settings.connections,
    connectionsPerAddress: settings.connectionsPerAddress,
    handshakeMs: settings.handshakeTimeoutMs,
    idleSeconds: Math.round(settings.idleTimeoutMs / 1000),
  };
}
