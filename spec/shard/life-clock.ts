import type { Clock } from "../../lib/base/clock.js";

/** A clock that goes on when it is told to. */
export class LifeClock implements Clock {
  #now = 1_700_000_000_000;
  #timers = new Map<() => void, number>();

  now(): number {
    return this.#now;
  }

  elapsed(): number {
    return this.#now;
  }

  after(delayMs: number, callback: () => void): () => void {
    this.#timers.set(callback, this.#now + delayMs);
    return () => void this.#timers.delete(callback);
  }

  advance(ms: number): void {
    this.#now += ms;
    for (const [callback, at] of [...this.#timers]) {
      if (at > this.#now || !this.#timers.delete(callback)) continue;
      callback();
    }
  }

  /** A process has ended, and its timers with it. */
  forget(): void {
    this.#timers.clear();
  }
}
