/** Writes after which timers, sockets, checkpoints and hand-overs get a turn. */
const writesPerTurn = 16;

/**
 * Lets others run: who awaits writes that are done at once would never do so. Writes still resolve in the order in which
 * they come here.
 */
export class Turns {
  readonly #pause: () => Promise<void>;
  #writes = 0;
  #ending: Promise<void> | undefined;

  constructor(pause: () => Promise<void>) {
    this.#pause = pause;
  }

  /** To be awaited by a write that is done; undefined when it may resolve at once. */
  afterWrite(): Promise<void> | undefined {
    if (this.#ending === undefined && ++this.#writes < writesPerTurn) return undefined;
    this.#writes = 0;
    this.#ending ??= this.#pause().then(() => {
      this.#ending = undefined;
    });
    return this.#ending;
  }
}
