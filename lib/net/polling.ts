// Asking the system for news without sleeping: to be woken, where a processor has nothing else to do, costs more than to ask.
import type { Clock } from "../base/clock.js";
import { ProcessorDemand } from "./processor-demand.js";
import { hasProcessorQuota } from "./processor-quota.js";

/** So long after the last news, or the last question, the next is asked for without sleeping. */
const eagerMs = 0.1;

type Demand = Pick<ProcessorDemand, "crowded" | "close">;

export interface PollingSetting {
  readonly clock: Clock;
  /** Calls back when the system has been asked for news once more. */
  readonly afterTurn: (callback: () => void) => void;
  /** `undefined` where the system does not say what demand there is: nothing is polled for then. */
  readonly demand: () => Demand | undefined;
}

/**
 * While connections await answers and something has just happened, keeps the event loop turning, which then asks for news and
 * does not wait for it. Only where processors are to spare: what waits for this thread's would be slower for it.
 */
export class Polling {
  readonly #setting: PollingSetting;
  #connections = 0;
  #demand: Demand | undefined;
  #awaiting = 0;
  #happenedAt = 0;
  #turning = false;

  constructor(setting: PollingSetting) {
    this.#setting = setting;
  }

  /** A connection that may await answers. It leaves when it has ended. */
  join(): void {
    if (this.#connections++ === 0) this.#demand = this.#setting.demand();
  }

  leave(): void {
    if (--this.#connections > 0) return;
    this.#demand?.close();
    this.#demand = undefined;
  }

  /** One connection more awaits answers, or one less. */
  awaits(answers: boolean): void {
    this.#awaiting += answers ? 1 : -1;
    if (answers) this.happened();
  }

  /** Something came, or was sent. */
  happened(): void {
    if (!this.#demand || this.#awaiting === 0) return;
    this.#happenedAt = this.#setting.clock.elapsed();
    if (this.#turning || this.#demand.crowded(this.#happenedAt)) return;
    this.#turning = true;
    this.#setting.afterTurn(this.#turned);
  }

  readonly #turned = (): void => {
    const now = this.#setting.clock.elapsed();
    this.#turning =
      this.#awaiting > 0 && now - this.#happenedAt < eagerMs && this.#demand?.crowded(now) === false;
    if (this.#turning) this.#setting.afterTurn(this.#turned);
  };
}

/** Polling of the event loop of this thread. Where processor time is rationed it would take it from who works. */
export function pollingOf(clock: Clock): Polling {
  const demand = () => (hasProcessorQuota() ? undefined : ProcessorDemand.open());
  return new Polling({ clock, afterTurn: setImmediate, demand });
}
