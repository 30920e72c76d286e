import { keysOfRows } from "./keys.js";

/** Of the keys that are no row of the table one in so many comes a second time, some batches later. */
const AGAIN = 5;
const LATER = 8;

/** Keys that a table was not filled with, each the same for every table of as many rows. */
export class Strangers {
  #next: number;
  /** First number and count of what the last batches had. */
  readonly #recent: { first: number; count: number }[] = [];

  constructor(rows: number) {
    this.#next = 4 * rows;
  }

  /** Puts strangers in place of the first `share` of a batch's keys: four in five are new, one came before, once. */
  mixInto(keys: BigUint64Array, share: number): void {
    const count = Math.floor(keys.length * share);
    const before = this.#recent.length >= LATER ? this.#recent.shift() : undefined;
    const again = before ? Math.min(before.count, Math.floor(count / AGAIN)) : 0;
    const fresh = count - again;
    keys.set(keysOfRows(this.#next, fresh), 0);
    if (before) keys.set(keysOfRows(before.first, again), fresh);
    this.#recent.push({ first: this.#next, count: fresh });
    this.#next += fresh;
  }
}
