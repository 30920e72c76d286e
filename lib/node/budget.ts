// How many bytes of requests and replies there may be at once.
import { EmbershardError } from "../base/errors.js";

/** What is suggested to somebody who is told to come again. */
export const retryAfterMs = 50;

/** Bytes under way, of one connection or of all: requests that wait, and replies that wait for their reader. */
export class Budget {
  readonly #limit: number;
  readonly #what: string;
  readonly #parent: Budget | undefined;
  #used = 0;

  constructor(what: string, limit: number, parent?: Budget) {
    this.#what = what;
    this.#limit = limit;
    this.#parent = parent;
  }

  get used(): number {
    return this.#used;
  }

  /** Takes bytes, or gives them back where negative. What has been let in is never refused afterwards. */
  take(bytes: number): void {
    this.#used += bytes;
    this.#parent?.take(bytes);
  }

  /** Demands that more may come. @throws OVERLOADED */
  demandRoom(): void {
    if (this.#used > this.#limit)
      throw new EmbershardError(
        "OVERLOADED",
        `${this.#what} has ${this.#used} bytes of requests and replies under way, more than ${this.#limit}: read what was asked for, and ask for less at once`,
      );
    this.#parent?.demandRoom();
  }
}
