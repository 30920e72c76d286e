// What shards do at one instant, told by somebody who asks them all.
import type { CheckpointOptions } from "../api/checkpoint-types.js";
import type { Clock } from "../base/clock.js";
import { EmbershardError } from "../base/errors.js";
import type { CheckpointPlan } from "./checkpoint.js";
import type { Line } from "./line.js";
import type { ShardState } from "./shard-state.js";

/** Milliseconds that a shard holds its writes for the others, at most, and waits for its own. */
export const stillMs = 5000;

/** Somebody who waits for all shards before each goes on. What it rejects with ends the work; nothing has changed then. */
export interface Companion {
  /** The work has begun: nothing else of its kind does before it ends. */
  begun(): void;
  /** All that takes long has been done; resolves when all shards have got so far. */
  ready(): Promise<void>;
  /** Writes wait from now on; resolves when they do in all shards. */
  still(): Promise<void>;
  /** Of a version: all is written but the word that it is there; resolves when that is to be written. */
  written(): Promise<void>;
}

/** How a checkpoint is written with others. */
export type SharedPlan = CheckpointPlan & { readonly begun?: (() => void) | undefined };

/** How a checkpoint is written with others; alone without a companion. */
export function planWith(
  companion: Companion | undefined,
  options: CheckpointOptions,
  state: ShardState,
  line: Line,
): SharedPlan {
  if (!companion) return options;
  return { ...options, begun: () => companion.begun(), still: () => standStill(state, line, companion) };
}

/** Resolves when all shards have come so far; the caller has the line. @throws ABORTED, and what the companion rejects with */
export async function reachTogether({ clock }: ShardState, companion: Companion): Promise<void> {
  await inTime(clock, companion.still());
}

/**
 * Resolves when no shard writes; this one does not until what it gives is called. Nothing that a shard does after its instant can
 * be known to another before that one's: all stand still meanwhile.
 *
 * @throws ABORTED where that takes too long, and what the companion rejects with: writes go on then
 */
async function standStill(state: ShardState, line: Line, companion: Companion): Promise<() => void> {
  await companion.ready();
  let goOn = () => {};
  const over = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const turn = new Promise<void>((resolve) => {
    void line.do(() => {
      resolve();
      return over;
    });
  });
  const release = () => {
    state.held = false;
    goOn();
  };
  try {
    await inTime(state.clock, turn);
    state.held = true;
    await inTime(state.clock, companion.still());
    return release;
  } catch (error) {
    release();
    throw error;
  }
}

/** What a promise gives, in time. @throws ABORTED */
function inTime<T>(clock: Clock, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = `shards did not stand still together within ${stillMs} ms: nothing was done; try again`;
    const cancel = clock.after(stillMs, () => reject(new EmbershardError("ABORTED", late)));
    promise.then(resolve, reject).finally(cancel);
  });
}
