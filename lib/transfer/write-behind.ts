/** Writes that go on while the next batch is made ready: one at a time, so that memory is bounded. */
export class WriteBehind {
  #writing: Promise<unknown> = Promise.resolve();

  /** Begins a write once the one before is done. Rejects with what that one met. */
  async put(write: () => Promise<unknown>): Promise<void> {
    await this.#writing;
    this.#writing = write();
    // Seen by the next put, or by settled.
    this.#writing.catch(() => {});
  }

  /** Resolves when all is written. Rejects with what the last write met. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  /** Resolves when nothing is being written any more, however that ended. */
  async ended(): Promise<void> {
    await this.#writing.catch(() => {});
  }
}
