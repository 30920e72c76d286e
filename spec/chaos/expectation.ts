import { isMarked, isUnlogged, numberOf, operationAt, type Scale, unloggedTable } from "./operations.js";
import { type Contents, World } from "./world.js";

/** What a store was found to hold, and what is known of those who worked on it. */
export interface Finding {
  readonly contents: Contents;
  readonly mark: Uint8Array | undefined;
  /** The last operation that was begun. */
  readonly sent: number;
  /** The last operation that must have survived. */
  readonly acknowledged: number;
  /** The last operation that a checkpoint which was acknowledged must hold; undefined: the unlogged table may be anything. */
  readonly checkpointed: number | undefined;
}

/** What a store of operations 1, 2, 3 ... has to hold, from one opening to the next. */
export class Expectation {
  /** Operations that the store was last found to hold: exactly 1 to this. */
  applied = 0;
  readonly #seed: number;
  readonly #scale: Scale;
  readonly #world = new World();

  constructor(seed: number, scale: Scale) {
    this.#seed = seed;
    this.#scale = scale;
  }

  /**
   * Demands that a finding is the oracle after exactly k operations, acknowledged <= k <= sent, and the unlogged table
   * as some checkpoint had it. Throws an error that says what is lost, doubled or wrong.
   */
  demand({ contents, mark, acknowledged, checkpointed, ...finding }: Finding): void {
    const sent = Math.max(finding.sent, this.applied);
    const k = numberOf(mark);
    if (k > sent) throw new Error(`the mark says operation ${k}, and only ${sent} were sent`);
    for (let i = this.applied + 1; i <= k; i++) this.#advance(i);
    const difference = this.#advanceUnmarked(contents, acknowledged, sent);
    const known = `${sent} sent, ${acknowledged} acknowledged, the mark says ${k}, ${this.applied} are held`;
    if (difference !== undefined) throw new Error(`${known}: ${difference}`);
    if (this.applied < acknowledged) throw new Error(`${known}: operations are lost`);
    if (checkpointed !== undefined && this.#world.settleUnlogged(contents, checkpointed) === undefined) {
      throw new Error(
        `${known}: table ${unloggedTable} is not as it was after any operation since ${checkpointed}`,
      );
    }
  }

  /** Operations that the log does not know, or not by number, may have followed the one that the mark names. */
  #advanceUnmarked(contents: Contents, acknowledged: number, sent: number): string | undefined {
    let difference = this.#world.difference(contents);
    for (let i = this.applied + 1; i <= sent; i++) {
      const operation = operationAt(this.#seed, i, this.#scale);
      if (isMarked(operation) && !isUnlogged(operation)) break;
      if (difference === undefined && i > acknowledged && !isUnlogged(operation)) break;
      if (isMarked(operation)) {
        this.applied = i;
        continue;
      }
      this.#advance(i);
      difference = this.#world.difference(contents);
    }
    return difference;
  }

  #advance(i: number): void {
    this.#world.apply(operationAt(this.#seed, i, this.#scale), i);
    this.applied = i;
  }
}
