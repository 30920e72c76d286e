// Requests that all shards do at one instant: each says how far it is, and waits until it is told to proceed.
import type { Clock } from "../base/clock.js";
import { EmbershardError } from "../base/errors.js";
import type { Companion } from "../shard/together.js";
import { jsonOf } from "./request-context.js";
import type { ServedConnection } from "./served-connection.js";

/** Who asked has to be heard so often while writes wait for it. */
const lookMs = 250;
/** So many looks in which nothing was heard end the waiting. */
const looks = 4;

/** What stages need of the request that they are of. */
export interface StagedRequest {
  readonly id: number;
  readonly connection: ServedConnection;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
  /** While writes wait, who asked has to be heard again and again; without it for as long as the shard waits at all. */
  readonly clock: Clock | undefined;
}

/** Tells whoever asked of each stage. */
export function companionOf({ id, connection, signal, clock }: StagedRequest): Companion {
  const say = (stage: string) => connection.reply(id, { kind: "Report", json: jsonOf({ stage }) }, true);
  const reach = (stage: string, hearing?: Clock) =>
    new Promise<void>((resolve, reject) => {
      const over = (settle: () => void) => {
        connection.waiting.delete(id);
        signal.removeEventListener("abort", end);
        silence?.end();
        settle();
      };
      const end = () => over(() => reject(signal.reason as EmbershardError));
      const silence = hearing && new Silence(hearing, () => over(() => reject(unheard())));
      if (signal.aborted) return end();
      signal.addEventListener("abort", end, { once: true });
      connection.waiting.set(id, { heard: () => silence?.broken(), proceed: () => over(resolve) });
      say(stage);
    });
  return {
    begun: () => say("begun"),
    ready: () => reach("ready"),
    still: () => reach("still", clock),
    written: () => reach("written"),
  };
}

/** Time in which nothing is heard, in looks: a process that was held up looks once, and hears meanwhile what has come. */
class Silence {
  readonly #clock: Clock;
  readonly #tooLong: () => void;
  #left = looks;
  #cancel = () => {};

  constructor(clock: Clock, tooLong: () => void) {
    this.#clock = clock;
    this.#tooLong = tooLong;
    this.#wait();
  }

  broken(): void {
    this.#cancel();
    this.#left = looks;
    this.#wait();
  }

  end(): void {
    this.#cancel();
  }

  #wait(): void {
    this.#cancel = this.#clock.after(lookMs, () => {
      this.#left--;
      if (this.#left === 0) this.#tooLong();
      else this.#wait();
    });
  }
}

function unheard(): EmbershardError {
  return new EmbershardError(
    "ABORTED",
    `writes waited, and nothing was heard for ${looks * lookMs} ms of who had asked for that: nothing was done; try again`,
  );
}
