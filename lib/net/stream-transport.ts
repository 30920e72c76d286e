import type { NetConnectOpts, Socket } from "node:net";
import { onAbort } from "../base/abort.js";
import type { Clock } from "../base/clock.js";
import { EmbershardError } from "../base/errors.js";
import { checkAddress, checkConnectOptions } from "./checked-options.js";
import { ClientConnection } from "./client-connection.js";
import type { Address, ConnectingTransport, Connection, ConnectOptions, Receiver } from "./connection.js";
import { type Polling, pollingOf } from "./polling.js";
import { Upgrade } from "./upgrade.js";

export interface StreamTransportOptions {
  readonly clock: Clock;
  /** Told what a receiver threw. Its connection is dropped; others go on. */
  failed(error: unknown): void;
}

/** Bytes that are asked of the system at once: with 256 KiB or more the copies leave the cache, and fewer arrive in a second. */
const readBytes = 128 << 10;

/**
 * Connects with node:net, which is loaded at the first `connect`, and speaks WebSocket itself: Node's `data` events and the
 * packages over them take a third of the bytes in a second that reading into one buffer does.
 */
export function streamTransport(options: StreamTransportOptions): ConnectingTransport {
  // A read is done before the next of the same thread begins, so that all connections share a buffer, which the cache then
  // holds. Windows reserves the buffer before there is something to read.
  const shared = process.platform === "win32" ? undefined : new Uint8Array(readBytes);
  const polling = pollingOf(options.clock);
  const bufferOf = () => shared ?? new Uint8Array(readBytes);
  return {
    async connect(to, receiver, connectOptions) {
      checkAddress(to, 1);
      checkConnectOptions(connectOptions);
      const { connect } = await import("node:net");
      const { signal } = connectOptions;
      if (signal?.aborted) throw aborted(to, signal);
      const attempt = new Attempt(to, receiver, connectOptions, { ...options, polling });
      return attempt.begin((callback) =>
        connect({
          ...to,
          noDelay: true,
          // So that `drain` comes whenever something has waited.
          writableHighWaterMark: 1,
          onread: { buffer: bufferOf(), callback },
        } as NetConnectOpts),
      );
    },
  };
}

/** Told of bytes that were read. Returns whether to go on reading. */
type OnRead = (length: number, buffer: Uint8Array) => boolean;

/** A connection that is being made, and what reads for it afterwards. */
class Attempt {
  readonly #to: Address;
  readonly #receiver: Receiver;
  readonly #connectOptions: ConnectOptions;
  readonly #options: StreamTransportOptions & { readonly polling: Polling };
  readonly #upgrade: Upgrade;
  #socket!: Socket;
  #connection: ClientConnection | undefined;
  #error: Error | undefined;
  #resolve!: (connection: Connection) => void;
  #reject!: (error: Error) => void;
  #settled = false;
  #cancels: (() => void)[] = [];

  constructor(
    to: Address,
    receiver: Receiver,
    connectOptions: ConnectOptions,
    options: StreamTransportOptions & { readonly polling: Polling },
  ) {
    this.#to = to;
    this.#receiver = receiver;
    this.#connectOptions = connectOptions;
    this.#options = options;
    this.#upgrade = new Upgrade(to, connectOptions.path);
  }

  begin(open: (onread: OnRead) => Socket): Promise<Connection> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      const { signal, timeoutMs } = this.#connectOptions;
      this.#socket = open((length, buffer) => this.#read(buffer.subarray(0, length)));
      const { host, port } = this.#to;
      this.#cancels.push(
        this.#options.clock.after(timeoutMs, () =>
          this.#fail(
            new EmbershardError(
              "DEADLINE",
              `${host}:${port} did not accept a connection within ${timeoutMs} ms`,
            ),
          ),
        ),
      );
      if (signal) this.#cancels.push(onAbort(signal, () => this.#fail(aborted(this.#to, signal))));
      this.#socket.on("connect", () => this.#socket.write(this.#upgrade.request, "latin1"));
      this.#socket.on("error", (error) => {
        this.#error = error;
      });
      this.#socket.on("close", () => this.#closed());
    });
  }

  /** Returns whether to go on reading. */
  #read(bytes: Uint8Array): boolean {
    if (!this.#connection) return this.#readUpgrade(bytes);
    this.#connection.read(bytes);
    return true;
  }

  #readUpgrade(chunk: Uint8Array): boolean {
    if (this.#settled) return true;
    let rest: Uint8Array | undefined;
    try {
      rest = this.#upgrade.read(chunk);
    } catch (error) {
      this.#fail(error as Error);
      return true;
    }
    if (rest === undefined) return true;
    const connection = new ClientConnection(this.#socket, this.#receiver, {
      clock: this.#options.clock,
      options: this.#connectOptions,
      polling: this.#options.polling,
      failed: this.#options.failed,
    });
    this.#settle();
    this.#resolve(connection);
    this.#connection = connection;
    if (rest.length === 0) return true;
    // Whoever waits for the connection has it before the first message comes.
    const early = rest;
    setImmediate(() => {
      connection.read(early);
      this.#socket.resume();
    });
    return false;
  }

  #closed(): void {
    const { host, port } = this.#to;
    // Several addresses that failed have no message together.
    const error = this.#error as NodeJS.ErrnoException | undefined;
    const said = error?.message || error?.code || "the connection was closed";
    if (this.#connection) this.#connection.ended(said);
    else
      this.#fail(
        new EmbershardError("UNAVAILABLE", `cannot connect to ${host}:${port}: ${said}`, {
          cause: this.#error,
        }),
      );
  }

  #fail(error: Error): void {
    if (this.#settled) return;
    this.#settle();
    this.#socket.destroy();
    this.#reject(error);
  }

  #settle(): void {
    this.#settled = true;
    for (const cancel of this.#cancels) cancel();
  }
}

function aborted({ host, port }: Address, signal: AbortSignal): EmbershardError {
  return new EmbershardError("ABORTED", `the attempt to connect to ${host}:${port} was aborted`, {
    cause: signal.reason,
  });
}
