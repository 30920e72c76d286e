import type { WebSocket } from "uwebsockets-20";
import { checkClose } from "./checked-options.js";
import type { Connection, Receiver } from "./connection.js";
import { joined } from "./joined-parts.js";

/** What uWebSockets.js keeps for us with each socket. */
export interface SocketData {
  readonly path: string;
  readonly address: string;
  connection?: ServerConnection;
}

/** The server's end of a connection: see `Connection`. What `send` is given is never copied in JavaScript if it is one part. */
export class ServerConnection implements Connection {
  readonly peer: string;
  /** Set once, right after the connection was accepted. */
  receiver: Receiver | undefined;
  /** Whether a message or an answer to a ping has come since this was last cleared. */
  heard = false;
  /** Bytes that `send` accepted so far. */
  sentBytes = 0;
  #socket: WebSocket<SocketData> | undefined;
  #waited = false;
  readonly #failed: (error: unknown) => void;

  constructor(socket: WebSocket<SocketData>, peer: string, failed: (error: unknown) => void) {
    this.#socket = socket;
    this.peer = peer;
    this.#failed = failed;
  }

  get open(): boolean {
    return this.#socket !== undefined;
  }

  get waitingBytes(): number {
    return this.#socket?.getBufferedAmount() ?? 0;
  }

  send(parts: readonly Uint8Array[], taken?: () => void): void {
    const socket = this.#socket;
    if (socket) {
      const message = parts.length === 1 ? parts[0] : joined(parts);
      this.sentBytes += message.length;
      const status = socket.send(message, true);
      // 0: it waits. 2: it was thrown away, so what follows would not be what the other end expects.
      if (status === 0) this.#waited = true;
      else if (status === 2) this.terminate();
    }
    taken?.();
  }

  close(code: number, reason: string): void {
    checkClose(code, reason);
    this.#socket?.end(code, reason);
  }

  terminate(): void {
    this.#socket?.close();
  }

  ping(): void {
    this.#socket?.ping();
  }

  /** A message has come. */
  deliver(bytes: ArrayBuffer, isBinary: boolean): void {
    this.heard = true;
    if (isBinary) this.guard(() => this.receiver?.message(new Uint8Array(bytes)));
    else this.close(1003, "messages are binary here");
  }

  /** The system has taken some of what waited. */
  drain(): void {
    if (!this.#waited || this.waitingBytes > 0) return;
    this.#waited = false;
    this.guard(() => this.receiver?.drained?.());
  }

  /** The socket is gone. It may be this connection's own call that ended it, hence the receiver hears of it a little later. */
  ended(code: number, reason: string): void {
    this.#socket = undefined;
    queueMicrotask(() => this.guard(() => this.receiver?.closed(code, reason)));
  }

  /** Runs the receiver's code. What that throws must not reach native code: it ends the connection, and is told. */
  guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#socket?.end(1011, "internal error");
      this.#failed(error);
    }
  }
}
