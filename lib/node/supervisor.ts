// The parent of a node: starts it again when it dies, and passes on what it is told.
import type { ChildProcess } from "node:child_process";
import type { Clock } from "../base/clock.js";
import { StopOrders } from "./stop-orders.js";

/** What a process ends with that wants to be started again: EX_SOFTWARE of sysexits.h. */
export const crashed = 70;

/** What a supervisor does its work with. */
export interface SupervisorParts {
  /** Starts the node's process, with a channel whose end it takes for an order to stop. */
  readonly start: () => ChildProcess;
  /** The system's numbers of signals. */
  readonly signals: Readonly<Record<string, number>>;
  readonly clock: Clock;
  /** Told in one line what happened. */
  readonly say: (line: string) => void;
}

/** Times between crash and restart: doubling from the first to the last, and from the first again after a quiet time. */
const firstDelayMs = 250;
const lastDelayMs = 30_000;
const quietMs = 60_000;

/**
 * Keeps a node running. A process that a signal or a crash ended is started again after a while that doubles; one that
 * ended by itself, well or with an error of ours, is not, and its exit code is the supervisor's.
 */
export class Supervisor {
  readonly #parts: SupervisorParts;
  readonly #orders: StopOrders;
  #child: ChildProcess | undefined;
  #stopping = false;
  readonly #passedOn = new Set<NodeJS.Signals>();
  #cancelRestart: (() => void) | undefined;
  #delayMs = firstDelayMs;
  #end!: (code: number) => void;
  /** Times that the process was started again. */
  restarts = 0;

  constructor(parts: SupervisorParts) {
    this.#parts = parts;
    const passOn = (signal: string) => this.#passOn(signal as NodeJS.Signals);
    this.#orders = new StopOrders(parts.clock, passOn, passOn);
  }

  /** Runs until the node has ended for good; gives its exit code. */
  run(): Promise<number> {
    return new Promise((resolve) => {
      this.#end = resolve;
      this.#start();
    });
  }

  /**
   * Passes a signal on: the first one stops the node, and whatever it does then, it is not started again. Signals that
   * come within `sameOrderMs` after the first are taken for the same one; later ones are passed on too.
   */
  signal(name: NodeJS.Signals): void {
    this.#orders.take(name);
  }

  #passOn(name: NodeJS.Signals): void {
    this.#stopping = true;
    this.#cancelRestart?.();
    if (!this.#child) {
      this.#end(0);
      return;
    }
    this.#passedOn.add(name);
    this.#child.kill(name);
  }

  /** What to end with where a signal ended the child; one that was passed on does so only while nothing is open. */
  #codeOf(signal: NodeJS.Signals): number {
    return this.#passedOn.has(signal) ? 0 : 128 + this.#parts.signals[signal];
  }

  #start(): void {
    const { clock, say, start } = this.#parts;
    const child = start();
    const startedAt = clock.elapsed();
    this.#child = child;
    let ended = false;
    child.on("error", (error) => {
      if (ended || child.pid !== undefined) return;
      ended = true;
      say(`the node's process cannot be started: ${error.message}`);
      this.#end(1);
    });
    child.on("exit", (code, signal) => {
      if (ended) return;
      ended = true;
      this.#child = undefined;
      const crash = signal !== null || isCrash(code!);
      if (this.#stopping || !crash) {
        this.#end(code ?? this.#codeOf(signal!));
        return;
      }
      if (clock.elapsed() - startedAt > quietMs) this.#delayMs = firstDelayMs;
      const delayMs = this.#delayMs;
      this.#delayMs = Math.min(lastDelayMs, 2 * delayMs);
      say(
        `the node's process ${child.pid} ended by ${signal ?? `exit code ${code}`}: it is started again in ${delayMs} ms`,
      );
      this.#cancelRestart = clock.after(delayMs, () => {
        this.#cancelRestart = undefined;
        this.restarts++;
        this.#start();
      });
    });
  }
}

/** Ours are 0 to 3, and 130 for an interruption; Node ends with 5 to 7, V8 with 133 and 134. */
function isCrash(code: number): boolean {
  return code > 3 && code !== 130;
}
