// What a connection goes over from request to request: scans, and the reading of changes.
import { EmbershardError } from "../base/errors.js";

/** Of one connection that have not come to their end. */
const mostIterations = 64;

/** Something that is gone over, one step for each request. */
export interface Iteration<T> {
  readonly values: AsyncIterator<T>;
  /** What it goes over: a cursor is good for that only. */
  readonly over: string;
  /** Answers that were given. */
  steps: number;
  busy: boolean;
}

/** What a step gave; without a cursor it was the end, and there is no value. */
export interface Step<T> {
  readonly value: T;
  readonly cursor: Uint8Array;
}

/** All of one connection. */
export class Iterations {
  readonly #open = new Map<number, Iteration<unknown>>();
  #last = 0;

  /** Begins one, and gives its number. @throws OVERLOADED */
  begin<T>(values: AsyncIterator<T>, over: string): number {
    if (this.#open.size >= mostIterations)
      throw new EmbershardError(
        "OVERLOADED",
        `the connection has ${mostIterations} scans that have not come to their end: finish some, or use another connection`,
      );
    this.#open.set(++this.#last, { values, over, steps: 0, busy: false });
    return this.#last;
  }

  /** The one that a cursor goes on with. @throws INVALID_ARGUMENT */
  demand(cursor: Uint8Array, over: string): number {
    const number = this.#numberOf(cursor, over);
    if (number !== undefined) return number;
    throw new EmbershardError(
      "INVALID_ARGUMENT",
      "the cursor is not the last one that a scan of this connection and table was answered with: begin the scan anew",
    );
  }

  #numberOf(cursor: Uint8Array, over: string | undefined): number | undefined {
    if (cursor.length !== 8) return undefined;
    const view = new DataView(cursor.buffer, cursor.byteOffset, cursor.length);
    const number = view.getUint32(0, true);
    const known = this.#open.get(number);
    if (!known || known.busy || known.steps !== view.getUint32(4, true)) return undefined;
    return over === undefined || known.over === over ? number : undefined;
  }

  /** Goes on with one, which ends where there is no more, where that fails, and where `unwanted` says so then. */
  async step<T>(number: number, unwanted: () => boolean): Promise<Step<T> | undefined> {
    const iteration = this.#open.get(number) as Iteration<T>;
    iteration.busy = true;
    let result: IteratorResult<T>;
    try {
      result = await iteration.values.next();
    } catch (error) {
      await this.#end(number);
      throw error;
    } finally {
      iteration.busy = false;
    }
    if (unwanted() || result.done) await this.#end(number);
    if (result.done) return undefined;
    iteration.steps++;
    const cursor = new Uint8Array(8);
    const view = new DataView(cursor.buffer);
    view.setUint32(0, number, true);
    view.setUint32(4, iteration.steps, true);
    return { value: result.value, cursor };
  }

  /** Ends the one that a cursor would go on with, if there is one. */
  async endAt(cursor: Uint8Array): Promise<void> {
    const number = this.#numberOf(cursor, undefined);
    if (number !== undefined) await this.#end(number);
  }

  async #end(number: number): Promise<void> {
    const iteration = this.#open.get(number);
    this.#open.delete(number);
    await iteration?.values.return?.();
  }

  /** Ends all; whoever is in the middle of one ends it when it comes back. */
  async close(): Promise<void> {
    await Promise.all([...this.#open.keys()].map((number) => this.#end(number)));
  }
}
