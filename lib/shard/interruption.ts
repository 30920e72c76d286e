import type { EmbershardError } from "../base/errors.js";

/** Waits that something else can cut short. Of a wait that has ended nothing is kept, as a race with a lasting promise would. */
export class Interruption {
  readonly #waiting = new Set<(error: EmbershardError) => void>();

  /** Settles as `promise` does, or rejects with what it is interrupted by before. */
  guard<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      const end = () => void this.#waiting.delete(reject);
      promise.then(
        (value) => {
          end();
          resolve(value);
        },
        (error) => {
          end();
          reject(error);
        },
      );
    });
  }

  /** Waits that are guarded now. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Ends all waits that are guarded now. */
  interrupt(error: EmbershardError): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const reject of waiting) reject(error);
  }
}
