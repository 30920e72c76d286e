import type { Clock } from "../../lib/base/clock.js";

/** Time that passes when it is told to. Timers of the same instant go off in the order in which they were set. */
export class VirtualClock implements Clock {
  #now = 0;
  #serial = 0;
  readonly #timers: { readonly at: number; readonly serial: number; readonly callback: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  elapsed(): number {
    return this.#now;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { at: this.#now + delayMs, serial: this.#serial++, callback };
    this.#timers.push(timer);
    return () => {
      const i = this.#timers.indexOf(timer);
      if (i >= 0) this.#timers.splice(i, 1);
    };
  }

  /** Lets the next timer go off that is due by `at`, and all promises that hang on it. Returns whether there was one. */
  async step(at = Number.POSITIVE_INFINITY): Promise<boolean> {
    let next = 0;
    for (let i = 1; i < this.#timers.length; i++) if (before(this.#timers[i], this.#timers[next])) next = i;
    if (this.#timers.length === 0 || this.#timers[next].at > at) return false;
    const [timer] = this.#timers.splice(next, 1);
    this.#now = Math.max(this.#now, timer.at);
    timer.callback();
    await settled();
    return true;
  }

  /** Lets `ms` pass. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settled();
    while (await this.step(end));
    this.#now = end;
  }

  /** Lets time pass until `condition` holds. */
  async until(condition: () => boolean, what = String(condition)): Promise<void> {
    await settled();
    for (let steps = 0; !condition(); steps++) {
      if (steps > 100_000) throw new Error(`it does not come: ${what}`);
      if (!(await this.step()) && !condition()) throw new Error(`nothing is left to happen: ${what}`);
    }
  }
}

/** Lets run what waits for nothing but its turn. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

interface Order {
  readonly at: number;
  readonly serial: number;
}

const before = (a: Order, b: Order) => a.at < b.at || (a.at === b.at && a.serial < b.serial);
