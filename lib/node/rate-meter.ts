import type { Clock } from "../base/clock.js";
import type { ServiceCounts, ServiceRates } from "./shard-figures.js";

const periodMs = 1000;
/** Periods that a rate is measured over. */
const periods = 5;

interface Sample extends ServiceRates {
  readonly at: number;
}

/** Measures how fast counts rise. */
export class RateMeter {
  readonly #counts: ServiceCounts;
  readonly #clock: Clock;
  /** Oldest first. */
  readonly #samples: Sample[] = [];

  constructor(counts: ServiceCounts, clock: Clock) {
    this.#counts = counts;
    this.#clock = clock;
    this.#sample();
  }

  /** Per second, over the last few seconds. */
  rates(): ServiceRates {
    const from = this.#samples[0];
    const to = this.#now();
    const seconds = Math.max(1, to.at - from.at) / 1000;
    const rate = (name: keyof ServiceRates) => Math.round((to[name] - from[name]) / seconds);
    return {
      requests: rate("requests"),
      rowsRead: rate("rowsRead"),
      rowsWritten: rate("rowsWritten"),
      bytesIn: rate("bytesIn"),
      bytesOut: rate("bytesOut"),
    };
  }

  #sample(): void {
    this.#samples.push(this.#now());
    if (this.#samples.length > periods) this.#samples.shift();
    this.#clock.after(periodMs, () => this.#sample());
  }

  #now(): Sample {
    const { requests, rowsRead, rowsWritten, bytesIn, bytesOut } = this.#counts;
    return { at: this.#clock.elapsed(), requests, rowsRead, rowsWritten, bytesIn, bytesOut };
  }
}
