import type { Clock } from "../base/clock.js";
import { EmbershardError } from "../base/errors.js";
import type {
  Connection,
  HttpHandler,
  Listener,
  ListeningTransport,
  Receiver,
  SocketLimits,
} from "../net/connection.js";
import type { Shard } from "../shard/shard.js";
import type { Endpoint } from "./setting-kinds.js";

/** Something that serves a shard's connections. */
export interface Service {
  accept(connection: Connection): Receiver;
  /** Takes no new work; resolves when nothing is under way, or after `ms`. */
  drain(ms: number): Promise<void>;
}

/** What a host is made of. */
export interface HostParts<S extends Service> {
  /** Opens the shard's directory. */
  readonly open: () => Promise<Shard>;
  /** Serves an open shard; `broken` is to be called when an invariant breaks. */
  readonly serve: (shard: Shard, broken: (cause: unknown) => void) => S;
  readonly transport: ListeningTransport;
  readonly at: Endpoint;
  readonly limits: SocketLimits;
  readonly http?: HttpHandler;
  readonly clock: Clock;
  readonly report: (event: HostEvent) => void;
}

export type HostEvent =
  | { readonly event: "rebuilding"; readonly rebuilds: number; readonly reason: string }
  | { readonly event: "rebuilt"; readonly rebuilds: number; readonly ms: number }
  /** It cannot be opened again: everything is closed. */
  | { readonly event: "lost"; readonly error: EmbershardError };

interface Life<S> {
  readonly shard: Shard;
  readonly service: S;
  readonly listener: Listener;
}

/** Tries to open a directory again, and the times between them: about half a minute in all. */
const retryMs = [0, 100, 200, 500, 1000, 2000, 4000, 8000, 15_000];
/** A shard that broke may never finish what it has begun. */
const closeMs = 5000;

/**
 * Has a shard served, life after life: when code in it throws or the kernel traps, the listener is closed, the shard's
 * memory dropped, its directory opened again and the same port listened on. What was acknowledged is in the log.
 */
export class ShardHost<S extends Service> {
  readonly #parts: HostParts<S>;
  #life: Life<S> | undefined;
  #port: number;
  #changing: Promise<void> = Promise.resolve();
  #stopped = false;
  #abandoned = false;
  /** What is being listened on, or about to be. */
  #listening: Promise<Listener> | undefined;
  rebuilds = 0;
  /** Why it is not serving; undefined when it is. */
  reason: string | undefined = "starting";

  constructor(parts: HostParts<S>) {
    this.#parts = parts;
    this.#port = parts.at.port;
  }

  get shard(): Shard | undefined {
    return this.#life?.shard;
  }

  get service(): S | undefined {
    return this.#life?.service;
  }

  get port(): number {
    return this.#port;
  }

  get stopping(): boolean {
    return this.#stopped;
  }

  get connections(): number {
    return this.#life?.listener.connections ?? 0;
  }

  /** Opens and listens. @throws what opening a directory and listening throw: nothing is open then */
  start(): Promise<void> {
    return this.#inTurn(() => this.#begin());
  }

  /** Something broke that nobody caught. Says whether it is taken care of. */
  fail(cause: unknown): boolean {
    const broken = this.#life;
    if (!broken || this.#stopped) return this.reason !== undefined && !this.#stopped;
    this.#life = undefined;
    this.rebuilds++;
    this.reason = cause instanceof Error ? cause.message : String(cause);
    this.#parts.report({ event: "rebuilding", rebuilds: this.rebuilds, reason: this.reason });
    this.#inTurn(() => this.#rebuild(broken)).catch((error: EmbershardError) =>
      this.#parts.report({ event: "lost", error }),
    );
    return true;
  }

  /** Ends everything: drains, checkpoints where told, lets port and directory go. */
  async stop({ drainMs, checkpoint }: { drainMs: number; checkpoint: boolean }): Promise<void> {
    this.#stopped = true;
    await this.#changing.catch(() => undefined);
    const life = this.#life;
    if (!life) return;
    const { shard, service, listener } = life;
    try {
      await service.drain(drainMs);
    } finally {
      await listener.close();
      this.#life = undefined;
    }
    try {
      if (checkpoint && !shard.failure) await shard.checkpoint({});
    } finally {
      await shard.close();
    }
  }

  /**
   * Closes what listens, at once, and has nothing listen any more, also where a life has only begun: for a thread that ends
   * whatever becomes of its shard, since it may not end while something listens.
   */
  async abandon(): Promise<void> {
    this.#abandoned = true;
    this.#life = undefined;
    const listener = await this.#listening?.catch(() => undefined);
    await listener?.close();
  }

  /** @throws CLOSED */
  #demandWanted(): void {
    if (this.#abandoned)
      throw new EmbershardError("CLOSED", "the shard was given up while it was being opened");
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#changing.catch(() => undefined).then(work);
    this.#changing = done;
    return done;
  }

  async #begin(): Promise<void> {
    const { open, serve, transport, at, limits, http } = this.#parts;
    const shard = await open();
    try {
      const service = serve(shard, (cause) => this.fail(cause));
      if (this.#port === 0) this.#port = await this.#freePort();
      this.#demandWanted();
      const there = { host: at.host, port: this.#port };
      this.#listening = transport.listen(
        there,
        limits,
        (connection) => this.#guard(service.accept(connection)),
        http,
      );
      const listener = await this.#listening;
      this.#demandWanted();
      this.#life = { shard, service, listener };
      this.reason = undefined;
    } catch (error) {
      await shard.close();
      throw error;
    }
  }

  /**
   * A port that the system chooses. It is listened on by its number afterwards: only then can it be again while connections of
   * an earlier life are in TIME_WAIT.
   */
  async #freePort(): Promise<number> {
    const { transport, at, limits } = this.#parts;
    const nobody: Receiver = { message: () => {}, closed: () => {} };
    this.#demandWanted();
    this.#listening = transport.listen({ host: at.host, port: 0 }, limits, () => nobody);
    const listener = await this.#listening;
    if (!this.#abandoned) await listener.close();
    return listener.port;
  }

  /** What a receiver throws must not reach the transport. */
  #guard(receiver: Receiver): Receiver {
    const guarded =
      <A extends unknown[]>(call: (...args: A) => void) =>
      (...args: A): void => {
        try {
          call(...args);
        } catch (error) {
          this.fail(error);
        }
      };
    return {
      message: guarded((bytes: Uint8Array) => receiver.message(bytes)),
      drained: guarded(() => receiver.drained?.()),
      closed: guarded((code: number, reason: string) => receiver.closed(code, reason)),
    };
  }

  async #rebuild({ shard, listener }: Life<S>): Promise<void> {
    const { clock, report } = this.#parts;
    const startedAt = clock.elapsed();
    await listener.close();
    await this.#letGo(shard);
    let last: unknown;
    for (const ms of retryMs) {
      if (this.#stopped) return;
      if (ms > 0) await new Promise<void>((resolve) => clock.after(ms, resolve));
      try {
        await this.#begin();
        report({ event: "rebuilt", rebuilds: this.rebuilds, ms: clock.elapsed() - startedAt });
        return;
      } catch (error) {
        last = error;
        this.reason = error instanceof Error ? error.message : String(error);
      }
    }
    throw last instanceof EmbershardError
      ? last
      : new EmbershardError("INTERNAL", `the shard cannot be rebuilt: ${this.reason}`, { cause: last });
  }

  /** Closes a shard that is broken: its log still has to reach the disk, and its directory has to be let go. */
  async #letGo(shard: Shard): Promise<void> {
    const { clock } = this.#parts;
    let cancel = (): void => {};
    const tooLong = new Promise<void>((resolve) => {
      cancel = clock.after(closeMs, resolve);
    });
    // Why closing fails is of no use any more: opening again says what is wrong with the directory, if anything is.
    const closed = shard.close().catch((error) => {
      this.reason = `${this.reason}; closing: ${(error as Error).message}`;
    });
    await Promise.race([closed, tooLong]);
    cancel();
  }
}
