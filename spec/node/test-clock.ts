import type { Clock } from "../../lib/base/clock.js";

/** Time that passes when it is told to. */
export class TestClock implements Clock {
  #now = 1_000_000;
  #aheadMs = 0;
  readonly #timers = new Set<{ readonly at: number; readonly callback: () => void }>();

  now(): number {
    return this.#now + this.#aheadMs;
  }

  elapsed(): number {
    return this.#now;
  }

  /** Somebody sets the time; what was set to go off does so when it would have. */
  set(byMs: number): void {
    this.#aheadMs += byMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { at: this.#now + delayMs, callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** Lets time pass, and calls back what is due, in order. */
  pass(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.#timers.delete(due);
      this.#now = Math.max(this.#now, due.at);
      due.callback();
    }
    this.#now = until;
  }
}
