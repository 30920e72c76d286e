import { EmbershardError } from "../base/errors.js";
import { Interruption } from "./interruption.js";
import type { ShardState } from "./shard-state.js";

const firstDelayMs = 100;
const longestDelayMs = 2_000;

/**
 * Whether a shard takes writes. An I/O error makes it read-only; from then on the cause is tried again, with growing
 * delays, and when it is gone the shard goes on where it was, nothing lost: what was applied and is not durable yet is
 * still staged in the log, or dirty in memory.
 */
export class Health {
  failure: EmbershardError | undefined;
  readonly #heal: () => Promise<boolean>;
  readonly #state: () => ShardState;
  readonly #refusal: EmbershardError | undefined;
  #delayMs = firstDelayMs;
  #trying = false;
  /** The end of a try that is under way and does not take long. It does not reject. */
  healing: Promise<void> | undefined;
  #endHealing = () => {};
  #closed = false;
  #cancel: () => void = () => {};
  /** Waits of writes that a failure would delay: it refuses them. */
  readonly waits = new Interruption();

  /** `heal` tries to make things right and says whether they are; `refusal` is what every write is told, for ever. */
  constructor(state: () => ShardState, heal: () => Promise<boolean>, refusal?: EmbershardError) {
    this.#state = state;
    this.#heal = heal;
    this.#refusal = refusal;
  }

  /** @throws READ_ONLY, VERSION_IS_READ_ONLY, CLOSED */
  demandWritable(): void {
    if (this.#closed) throw new EmbershardError("CLOSED", "the store is closed");
    if (this.#refusal) throw this.#refusal;
    if (this.failure) throw refusal(this.failure);
  }

  report(failure: EmbershardError): void {
    if (this.#closed) return;
    const first = this.failure === undefined;
    this.failure = failure;
    if (first) {
      this.#delayMs = firstDelayMs;
      this.waits.interrupt(refusal(failure));
      this.#schedule();
    }
  }

  /** The try that is under way is not to be waited for. */
  takesLong(): void {
    this.healing = undefined;
    this.#endHealing();
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  #schedule(): void {
    this.#cancel();
    const { clock, log } = this.#state();
    // A program may wait for nothing but what the log holds back: it must not find itself ended.
    const awaited = log.failure !== undefined && log.awaited;
    this.#cancel = clock.after(this.#delayMs, () => void this.#try(), awaited);
    this.#delayMs = Math.min(2 * this.#delayMs, longestDelayMs);
  }

  async #try(): Promise<void> {
    if (this.#closed || this.#trying) return;
    this.#trying = true;
    this.healing = new Promise((resolve) => {
      this.#endHealing = resolve;
    });
    let healed = false;
    try {
      healed = await this.#heal();
    } catch (error) {
      if (error instanceof EmbershardError) this.failure = error;
      else throw error;
    } finally {
      this.#trying = false;
      // Who waits goes on when this has returned.
      this.takesLong();
    }
    if (this.#closed) return;
    if (!healed) return this.#schedule();
    this.failure = undefined;
  }
}

function refusal(failure: EmbershardError): EmbershardError {
  return new EmbershardError(
    "READ_ONLY",
    `the store is read-only since an I/O error: ${failure.message}. Make room or mend the disk: it goes on by itself, and nothing is lost`,
    { cause: failure },
  );
}
