import type { Clock } from "../base/clock.js";
import type { SocketLimits } from "./connection.js";
import type { ServerConnection } from "./uwebsockets-connection.js";

/**
 * Drops connections that hold what others need: no first message, a message that never ends, an answer that is never read.
 *
 * Time is counted in rounds of its own timer and never read from a clock, so that neither a clock that jumps nor a thread
 * that was busy for long is held against the other end.
 */
export class ConnectionWatch {
  readonly #limits: SocketLimits;
  readonly #clock: Clock;
  readonly #roundMs: number;
  readonly #watched = new Map<ServerConnection, Watched>();
  #cancel: (() => void) | undefined;

  constructor(limits: SocketLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
    const { handshakeMs, pingMs, answerMs, readerMs } = limits;
    const shortest = Math.min(...[handshakeMs, pingMs, answerMs, readerMs].filter((ms) => ms > 0));
    this.#roundMs = Math.max(1, Math.min(1000, Math.floor(shortest / 4)));
    this.#arm();
  }

  add(connection: ServerConnection): void {
    this.#watched.set(connection, {
      ageMs: 0,
      greeted: false,
      quietMs: 0,
      unansweredMs: -1,
      reader: undefined,
    });
  }

  remove(connection: ServerConnection): void {
    this.#watched.delete(connection);
  }

  get connections(): Iterable<ServerConnection> {
    return this.#watched.keys();
  }

  get size(): number {
    return this.#watched.size;
  }

  stop(): void {
    this.#cancel?.();
  }

  #arm(): void {
    this.#cancel = this.#clock.after(this.#roundMs, () => {
      this.#round();
      this.#arm();
    });
  }

  #round(): void {
    // A connection that is dropped leaves the map while it is walked, which a Map allows.
    for (const [connection, watched] of this.#watched) {
      this.#listen(connection, watched);
      if (connection.open) this.#checkReader(connection, watched);
    }
  }

  /** The first message, and messages that do not end. */
  #listen(connection: ServerConnection, watched: Watched): void {
    const { handshakeMs, pingMs, answerMs } = this.#limits;
    const roundMs = this.#roundMs;
    watched.ageMs += roundMs;
    if (connection.heard) {
      connection.heard = false;
      watched.greeted = true;
      watched.quietMs = 0;
      watched.unansweredMs = -1;
      return;
    }
    if (!watched.greeted) {
      if (watched.ageMs >= handshakeMs) connection.close(1008, `no first message within ${handshakeMs} ms`);
      return;
    }
    watched.quietMs += roundMs;
    if (watched.unansweredMs >= 0) {
      watched.unansweredMs += roundMs;
      if (answerMs > 0 && watched.unansweredMs >= answerMs) connection.terminate();
    } else if (pingMs > 0 && watched.quietMs >= pingMs) {
      watched.unansweredMs = 0;
      connection.ping();
    }
  }

  /** A reader has to have taken enough of what waited for it, each time that `readerMs` are over. */
  #checkReader(connection: ServerConnection, watched: Watched): void {
    const { readerMs, readerBytesPerSecond } = this.#limits;
    const { waitingBytes } = connection;
    if (readerMs === 0 || waitingBytes === 0) {
      watched.reader = undefined;
      return;
    }
    const taken = connection.sentBytes - waitingBytes;
    if (!watched.reader) {
      watched.reader = { waitedMs: 0, taken };
      return;
    }
    watched.reader.waitedMs += this.#roundMs;
    if (watched.reader.waitedMs < readerMs) return;
    const least = (readerBytesPerSecond * watched.reader.waitedMs) / 1000;
    if (taken - watched.reader.taken < least) connection.terminate();
    else watched.reader = { waitedMs: 0, taken };
  }
}

interface Watched {
  ageMs: number;
  greeted: boolean;
  /** Since the last complete message or answer. */
  quietMs: number;
  /** Since a ping that is not yet answered, or -1. */
  unansweredMs: number;
  /** Of a connection with bytes waiting: since when, and how many bytes had been taken then. */
  reader: { waitedMs: number; readonly taken: number } | undefined;
}
