// A process of the simulation: when it is killed, nothing that it had begun goes on.
import type { Clock } from "../../lib/base/clock.js";
import { Prng } from "../../lib/base/prng.js";
import type { ConnectingTransport } from "../../lib/net/connection.js";
import type { LoopbackNetwork } from "../../lib/net/loopback.js";

/** What never comes. */
const never = new Promise<never>(() => {});

/** A process's clock: its time may be wrong, and its timers end with it. */
export class ProcessClock implements Clock {
  readonly #clock: Clock;
  readonly #timers = new Set<() => void>();
  #aheadMs = 0;
  #alive = true;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now() + this.#aheadMs;
  }

  elapsed(): number {
    return this.#clock.elapsed();
  }

  after(delayMs: number, callback: () => void): () => void {
    if (!this.#alive) return () => {};
    const cancel = this.#clock.after(delayMs, () => {
      this.#timers.delete(cancel);
      callback();
    });
    this.#timers.add(cancel);
    return () => {
      this.#timers.delete(cancel);
      cancel();
    };
  }

  /** The time is another from now on; what was set to go off does so when it would have. */
  jump(ms: number): void {
    this.#aheadMs += ms;
  }

  end(): void {
    this.#alive = false;
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }
}

/** A process on a host of its own. */
export class SimProcess {
  readonly host: string;
  readonly clock: ProcessClock;
  readonly random: Prng;
  readonly #network: LoopbackNetwork;
  #alive = true;

  constructor(host: string, clock: Clock, network: LoopbackNetwork, seed: number) {
    this.host = host;
    this.clock = new ProcessClock(clock);
    this.random = new Prng(seed);
    this.#network = network;
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Connects as the process does: once it has ended nobody learns what became of an attempt. */
  get connecting(): ConnectingTransport {
    const transport = this.#network.transport(this.host);
    return {
      connect: (to, receiver, options) => {
        if (!this.#alive) return never;
        const attempt = transport.connect(to, receiver, options);
        const alive = <T>(settled: T) => (this.#alive ? settled : never);
        return attempt.then(alive, (error) => alive(error) && Promise.reject(error));
      },
    };
  }

  /** Resolves later, if the process lives. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => void this.clock.after(ms, resolve));
  }

  /** Kills it. Others hear of it, unless the machine went with it (`silently`). */
  kill(silently = false): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.clock.end();
    this.#network.crash(this.host, silently);
  }
}
