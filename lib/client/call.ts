// One call of a user's: how long it may take, and what becomes of parts that fail.
import { onAbort } from "../base/abort.js";
import type { Clock } from "../base/clock.js";
import { EmbershardError } from "../base/errors.js";
import type { FailureDetails } from "./channel.js";
import { noteRetry } from "./client-events.js";
import type { Cluster } from "./cluster.js";
import { type FailedPart, PartialError } from "./partial-error.js";

/** What a client shares between its calls. */
export interface CallSettings {
  readonly clock: Clock;
  /** From 0 to 1, for the jitter of waits. */
  readonly random: () => number;
  readonly deadlineMs: number;
  readonly tries: number;
}

/** What becomes of a request. */
export class RequestFailure extends Error {
  readonly error: EmbershardError;
  readonly details: FailureDetails;

  constructor(error: EmbershardError, details: FailureDetails) {
    super(error.message, { cause: error });
    this.error = error;
    this.details = details;
  }
}

const firstWaitMs = 10;
const longestWaitMs = 1000;

/** How long to wait before the next try: doubling, with a random half, so that clients do not come all at once. */
export function waitMs(attempt: number, retryAfterMs: number, random: () => number): number {
  const most = Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(attempt - 1, 20));
  return Math.max(retryAfterMs, most * (0.5 + 0.5 * random()));
}

/** A part of a call: what goes to one owner in one frame. */
export interface Part {
  readonly owner: number;
  /** Epoch of the map that it was planned with. */
  readonly epoch: number;
  /** Keys in it. */
  readonly keys: number;
  /** Sends it once. @throws RequestFailure */
  attempt(call: Call): Promise<void>;
  /** Has the attempt that is under way end with `error`; nothing is written to memory of the caller's from then on. */
  abandon(error: EmbershardError): void;
  /** Does what it is about by the map in force now. */
  replan(call: Call): Promise<void>;
  /** The last call: what has become of it is known, or will never be. */
  settled?(): void;
}

export class Call {
  readonly #settings: CallSettings;
  readonly #cluster: Cluster;
  readonly #until: number;
  readonly #active = new Set<Part>();
  #stopTimer: (() => void) | undefined;
  readonly #forget: readonly (() => void)[];
  /** Why it has come to its end before it was done. */
  #over: EmbershardError | undefined;
  readonly #waiting = new Set<(error: EmbershardError) => void>();

  /** Ends with ABORTED when one of `signals` is aborted. */
  constructor(cluster: Cluster, settings: CallSettings, signals: readonly AbortSignal[] = []) {
    this.#cluster = cluster;
    this.#settings = settings;
    const abort = () => this.#end("ABORTED", "the caller aborted the call");
    this.#forget = signals.map((signal) => onAbort(signal, abort));
    const { clock, deadlineMs } = settings;
    this.#until = deadlineMs === 0 ? Number.POSITIVE_INFINITY : clock.elapsed() + deadlineMs;
    if (deadlineMs !== 0)
      this.#stopTimer = clock.after(deadlineMs, () =>
        this.#end("DEADLINE", `there was no answer within ${deadlineMs} ms`),
      );
  }

  /** For a frame: whole milliseconds, 0 for any time. */
  get frameDeadlineMs(): number {
    const left = this.#until - this.#settings.clock.elapsed();
    return left === Number.POSITIVE_INFINITY ? 0 : Math.max(1, Math.ceil(left));
  }

  /** Set when the caller has aborted it. */
  get aborted(): EmbershardError | undefined {
    return this.#over?.code === "ABORTED" ? this.#over : undefined;
  }

  /** What a promise gives, if that is in time. @throws DEADLINE */
  within<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#over) return reject(this.#over);
      this.#waiting.add(reject);
      promise.then(resolve, reject).finally(() => this.#waiting.delete(reject));
    });
  }

  /** The call is over, whatever became of it. */
  close(): void {
    this.#stopTimer?.();
    for (const forget of this.#forget) forget();
  }

  #end(code: "ABORTED" | "DEADLINE", why: string): void {
    this.#over = new EmbershardError(code, why);
    for (const part of [...this.#active]) part.abandon(this.#overFor(part, this.#over));
    for (const reject of [...this.#waiting]) reject(this.#over);
  }

  /** What a part says whose call is over. What became of it may be another error: its connection ends where an answer is in the middle. */
  #overFor(
    { owner, keys }: Part,
    { code, message }: EmbershardError,
    cause?: EmbershardError,
  ): EmbershardError {
    if (cause?.code === code) return cause;
    return new EmbershardError(code, `${this.#cluster.ownerName(owner)}, ${keys} keys: ${message}`, {
      cause,
    });
  }

  /** Does a part, again and again where that may help, until it is done. @throws what stops it */
  async settle(part: Part): Promise<void> {
    try {
      await this.#settle(part);
    } finally {
      part.settled?.();
    }
  }

  async #settle(part: Part): Promise<void> {
    const peer = this.#cluster.ownerName(part.owner);
    for (let attempt = 1; ; attempt++) {
      if (this.#over) throw this.#over;
      const failure = await this.#once(part);
      if (!failure) return;
      const { error, details } = failure;
      if (details.slotMap) this.#cluster.adopt(details.slotMap);
      const { tries } = this.#settings;
      if (!error.retry) throw error;
      if (this.#over) throw this.#overFor(part, this.#over, error);
      if (tries !== 0 && attempt >= tries) throw error;
      const stale = error.code === "STALE_EPOCH" && this.#cluster.map.epoch !== part.epoch;
      const delayMs = stale ? 0 : waitMs(attempt, details.retryAfterMs, this.#settings.random);
      if (this.#settings.clock.elapsed() + delayMs > this.#until) throw this.#tooLate(error, peer, attempt);
      noteRetry({ peer, keys: part.keys, attempt, delayMs, error });
      if (!stale) await this.within(this.#wait(delayMs));
      if (this.#cluster.map.epoch !== part.epoch) return part.replan(this);
    }
  }

  async #once(part: Part): Promise<RequestFailure | undefined> {
    this.#active.add(part);
    try {
      await part.attempt(this);
      return undefined;
    } catch (cause) {
      if (cause instanceof RequestFailure) return cause;
      if (cause instanceof EmbershardError)
        return new RequestFailure(cause, { unknown: false, retryAfterMs: 0, slotMap: undefined });
      throw cause;
    } finally {
      this.#active.delete(part);
    }
  }

  #tooLate(error: EmbershardError, peer: string, attempts: number): EmbershardError {
    const said = error.message.startsWith(peer) ? error.message : `${peer}: ${error.message}`;
    return new EmbershardError(
      error.code,
      `${said}; tried ${attempts} ${attempts === 1 ? "time" : "times"} in ${this.#settings.deadlineMs} ms`,
      { cause: error },
    );
  }

  #wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.#settings.clock.after(delayMs, resolve));
  }
}

/** Does all parts at once. @throws the error of the parts, or PARTIAL where some were done */
export async function settleAll(
  call: Call,
  cluster: Cluster,
  parts: readonly Part[],
  what: string,
): Promise<void> {
  if (parts.length === 1) return call.settle(parts[0]);
  const failures: FailedPart[] = [];
  let failed = 0;
  await Promise.all(
    parts.map(async (part) => {
      const { owner, keys } = part;
      const name = cluster.ownerName(owner);
      try {
        await call.settle(part);
      } catch (cause) {
        if (!(cause instanceof EmbershardError)) throw cause;
        // A part that was planned anew may have failed in part: those are the ones to tell of.
        if (cause instanceof PartialError) {
          failures.push(...cause.parts);
          return;
        }
        failures.push({ owner: name, keys, error: cause });
        failed++;
      }
    }),
  );
  if (failures.length === 0) return;
  const [first] = failures;
  if (failed === parts.length && failures.every(({ error }) => error.code === first.error.code))
    throw first.error;
  throw new PartialError(
    what,
    failures,
    parts.reduce((sum, { keys }) => sum + keys, 0),
  );
}
