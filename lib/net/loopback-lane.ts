import type { Clock } from "../base/clock.js";
import type { Prng } from "../base/prng.js";
import type { LinkFaults } from "./link-faults.js";

/** What travels along a lane. */
export type Item =
  /** The other end has accepted. */
  | { readonly kind: "opened" }
  | {
      readonly kind: "message";
      readonly parts: readonly Uint8Array[];
      readonly length: number;
      /** Given when the parts are still the sender's. */
      readonly taken?: (() => void) | undefined;
      /** The connection is cut in the middle of it. */
      readonly torn: boolean;
    }
  /** The rest of a message whose front has been delivered. */
  | { readonly kind: "rest"; readonly length: number; arrive(): void }
  | { readonly kind: "close"; readonly code: number; readonly reason: string }
  /** The connection is gone, without a word. */
  | { readonly kind: "gone"; readonly reason: string };

/** One direction of a connection: keeps order, and delivers each item in its time. */
export class Lane {
  readonly #clock: Clock;
  readonly #random: Prng;
  readonly #faults: () => LinkFaults;
  readonly #deliver: (item: Item) => void;
  readonly #queue: { readonly item: Item; at: number }[] = [];
  #lastAt = 0;
  #cancel: (() => void) | undefined;
  #sealed = false;
  /** Bytes of messages that are under way. */
  bytes = 0;

  constructor(clock: Clock, random: Prng, faults: () => LinkFaults, deliver: (item: Item) => void) {
    this.#clock = clock;
    this.#random = random;
    this.#faults = faults;
    this.#deliver = deliver;
  }

  get held(): boolean {
    return this.#faults().blackHole;
  }

  push(item: Item): void {
    if (this.#sealed) {
      drop(item);
      return;
    }
    this.#lastAt = this.#arrivalOf(item, Math.max(this.#lastAt, this.#clock.now()));
    this.#queue.push({ item, at: this.#lastAt });
    this.bytes += lengthOf(item);
    this.#arm();
  }

  /** Delivers `item` before all that is under way. */
  putFirst(item: Item): void {
    this.#queue.unshift({ item, at: this.#arrivalOf(item, this.#clock.now()) });
    this.bytes += lengthOf(item);
    this.#arm();
  }

  /** Nothing is accepted after `last`; of what is under way a part, from none to all, still arrives before it. */
  end(last: Item | undefined): void {
    if (this.#sealed) return;
    const kept = this.#random.below(this.#queue.length + 1);
    for (const { item } of this.#queue.splice(kept)) this.#forget(item);
    this.seal(last);
  }

  /** Nothing is accepted after `last`, and all that is under way arrives. */
  seal(last: Item | undefined): void {
    if (last) this.push(last);
    this.#sealed = true;
  }

  /** Nothing is delivered any more. */
  clear(): void {
    this.#sealed = true;
    this.#cancel?.();
    for (const { item } of this.#queue.splice(0)) this.#forget(item);
  }

  /** The faults are others now. */
  changed(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#arm();
  }

  #arrivalOf(item: Item, from: number): number {
    const { delayMs, bytesPerMs } = this.#faults();
    const [least, most] = delayMs;
    const delay = most > least ? least + this.#random.unit() * (most - least) : least;
    const passing = bytesPerMs > 0 ? lengthOf(item) / bytesPerMs : 0;
    return Math.max(from, this.#clock.now() + delay) + passing;
  }

  #arm(): void {
    if (this.#cancel || this.#queue.length === 0 || this.held) return;
    const delay = Math.max(0, this.#queue[0].at - this.#clock.now());
    this.#cancel = this.#clock.after(delay, () => {
      this.#cancel = undefined;
      const next = this.#queue.shift();
      if (!next) return;
      this.bytes -= lengthOf(next.item);
      this.#deliver(next.item);
      // One at a time, so that what a receiver promised to others happens before the next.
      this.#arm();
    });
  }

  #forget(item: Item): void {
    this.bytes -= lengthOf(item);
    drop(item);
  }
}

const lengthOf = (item: Item) => (item.kind === "message" || item.kind === "rest" ? item.length : 0);

function drop(item: Item): void {
  if (item.kind === "message") item.taken?.();
}
