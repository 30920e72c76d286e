// Orders to stop, told apart: the first, the same one once more, and one that means it.
import type { Clock } from "../base/clock.js";

/**
 * What comes within so long after the first order is the same order: `timeout` sends SIGTERM to a process and then to
 * its group, in which that process is, and a terminal's Ctrl-C goes to a whole group too, with whoever passes it on.
 */
export const sameOrderMs = 1000;

/** Tells the first order to stop and those that come later, and keeps silent about the first one's repetitions. */
export class StopOrders {
  readonly #clock: Clock;
  readonly #first: (what: string) => void;
  readonly #later: (what: string) => void;
  #stage: "none" | "first" | "later" = "none";

  /** `first` is called once; `later` for each order that comes more than `sameOrderMs` after the first. */
  constructor(clock: Clock, first: (what: string) => void, later: (what: string) => void) {
    this.#clock = clock;
    this.#first = first;
    this.#later = later;
  }

  /** Takes an order: a signal's name. */
  take(what: string): void {
    if (this.#stage === "later") this.#later(what);
    if (this.#stage !== "none") return;
    this.#stage = "first";
    this.#clock.after(sameOrderMs, () => {
      this.#stage = "later";
    });
    this.#first(what);
  }
}
