/** Work done one piece after the other, first come first served. */
export class Line {
  #last: Promise<unknown> | undefined;

  /** The last piece of work that is waiting or being done; undefined when there is none. */
  get last(): Promise<unknown> | undefined {
    return this.#last;
  }

  /** Does `work` when what came before has settled, and settles as it does. */
  async do<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#last;
    const mine = (async () => {
      // Whoever asked for it has its error.
      if (before) await before.catch(() => {});
      return work();
    })();
    this.#last = mine;
    try {
      return await mine;
    } finally {
      if (this.#last === mine) this.#last = undefined;
    }
  }
}
