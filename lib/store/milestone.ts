/** A number that only rises, and those who wait for it to reach theirs. */
export class Milestone {
  #value: number;
  #waiting: { target: number; resolve: () => void }[] = [];
  #lowest = Number.POSITIVE_INFINITY;

  constructor(value: number) {
    this.#value = value;
  }

  get value(): number {
    return this.#value;
  }

  /** The lowest number that somebody waits for; Infinity when nobody waits. */
  get lowestWaiting(): number {
    return this.#lowest;
  }

  /** Resolves when the value reaches `target`, inclusive; undefined when it already has. */
  reached(target: number): Promise<void> | undefined {
    if (target <= this.#value) return undefined;
    this.#lowest = Math.min(this.#lowest, target);
    return new Promise((resolve) => this.#waiting.push({ target, resolve }));
  }

  /** Raises the value and wakes those whose number it reached, in the order in which they came. */
  advance(value: number): void {
    if (value <= this.#value) return;
    this.#value = value;
    if (value < this.#lowest) return;
    const waiting = this.#waiting;
    this.#waiting = waiting.filter(({ target }) => target > value);
    this.#lowest = this.#waiting.reduce((low, { target }) => Math.min(low, target), Number.POSITIVE_INFINITY);
    for (const { target, resolve } of waiting) if (target <= value) resolve();
  }
}
