import { assert } from "../base/assert.js";
import type { Clock } from "../base/clock.js";
import type { Prng } from "../base/prng.js";
import { checkClose } from "./checked-options.js";
import type { Connection, Receiver } from "./connection.js";
import { joined, lengthOf } from "./joined-parts.js";
import type { LinkFaults } from "./link-faults.js";
import type { Item, Lane } from "./loopback-lane.js";

/** So many bytes under way are the system's; more are said to wait. */
const systemBytes = 1 << 20;
/** A client that closed waits so long for the answer. */
const closingMs = 2000;
/** What is written over bytes that were lent, so that whoever keeps them is found out. */
const scribble = 0xdd;

export interface EndSetting {
  readonly peer: string;
  readonly messageBytes: number;
  /** Of a client. */
  readonly frontBytes: number | undefined;
  /** Of a server: bytes that may wait. */
  readonly waitingBytes: number | undefined;
  readonly random: Prng;
  readonly clock: Clock;
  faults(): LinkFaults;
  failed(error: unknown): void;
  trace(what: string): void;
  /** Told once, when this end is over for the one who has it. */
  ended(): void;
}

/** One end of a connection in memory: see `Connection`. */
export class LoopbackEnd implements Connection {
  readonly peer: string;
  receiver: Receiver | undefined;
  /** Called when the first message has come. */
  greeted: (() => void) | undefined;
  out!: Lane;
  into!: Lane;
  readonly #setting: EndSetting;
  #state: "open" | "closing" | "ended" = "open";
  #waited = false;
  #cancelClosing: (() => void) | undefined;

  constructor(setting: EndSetting) {
    this.#setting = setting;
    this.peer = setting.peer;
  }

  get isOpen(): boolean {
    return this.#state !== "ended";
  }

  get waitingBytes(): number {
    return this.isOpen ? Math.max(0, this.out.bytes - systemBytes) : 0;
  }

  send(parts: readonly Uint8Array[], taken?: () => void): void {
    if (this.#state !== "open") {
      taken?.();
      return;
    }
    const { random, faults, trace, waitingBytes } = this.#setting;
    const length = lengthOf(parts);
    const cut = random.unit() < faults().cut ? 1 + random.below(3) : 0;
    // Now and then the parts are read as late as the law lets it happen.
    const late = taken !== undefined && random.below(2) === 0;
    const item: Item = {
      kind: "message",
      parts: late ? parts : [joined(parts)],
      length,
      taken: late ? taken : undefined,
      torn: cut === 2,
    };
    trace(`sends ${length} bytes${["", ", cut before them", ", cut within them", ", cut after them"][cut]}`);
    if (cut === 1) item.taken?.();
    else this.out.push(item);
    if (taken && !late) taken();
    if (cut > 0) {
      this.out.seal({ kind: "gone", reason: "cut" });
      this.into.end({ kind: "gone", reason: "cut" });
    }
    if (this.waitingBytes > 0) this.#waited = true;
    if (waitingBytes !== undefined && this.waitingBytes > waitingBytes) this.terminate();
  }

  close(code: number, reason: string): void {
    checkClose(code, reason);
    if (this.#state !== "open") return;
    this.#setting.trace(`closes with ${code} ${reason}`);
    this.out.seal({ kind: "close", code, reason });
    this.#state = "closing";
    // A server says farewell and is done; a client waits for the answer.
    if (this.#setting.frontBytes === undefined) this.#over(code, reason);
    else this.#cancelClosing = this.#setting.clock.after(closingMs, () => this.terminate());
  }

  terminate(): void {
    if (!this.isOpen) return;
    this.#setting.trace("drops the connection");
    this.out.end({ kind: "gone", reason: "dropped by the other end" });
    this.#over(1006, "");
  }

  /** The one who had this end is no more, and hears nothing. The other end does, unless the whole machine is gone. */
  vanish(silently: boolean): void {
    if (!this.isOpen) return;
    this.receiver = undefined;
    this.out.end(silently ? undefined : { kind: "gone", reason: "the other end's process ended" });
    this.#over(1006, "");
  }

  /** Something has come along the lane. */
  arrive(item: Item): void {
    if (!this.isOpen) {
      if (item.kind === "message") item.taken?.();
      return;
    }
    if (item.kind === "message") this.#messageComes(item);
    else if (item.kind === "rest") this.guard(() => item.arrive());
    else if (item.kind === "close") this.#closeComes(item.code, item.reason);
    else if (item.kind === "gone") {
      this.#setting.trace(`hears that the connection is gone: ${item.reason}`);
      this.out.end(undefined);
      this.#over(1006, item.reason);
    }
  }

  /** Some of what this end sent has arrived. */
  drain(): void {
    if (!this.#waited || !this.isOpen || this.waitingBytes > 0) return;
    this.#waited = false;
    this.guard(() => this.receiver?.drained?.());
  }

  guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      if (this.#state === "open") this.close(1011, "internal error");
      this.#setting.failed(error);
    }
  }

  #closeComes(code: number, reason: string): void {
    if (this.#state === "open") this.out.seal({ kind: "close", code, reason: "" });
    this.#over(code, reason);
  }

  #over(code: number, reason: string): void {
    this.#state = "ended";
    this.greeted?.();
    this.#cancelClosing?.();
    this.into.clear();
    this.#setting.ended();
    queueMicrotask(() => {
      this.#setting.trace(`is told of the end: ${code} ${reason}`);
      this.guard(() => this.receiver?.closed(code, reason));
    });
  }

  #messageComes(item: Extract<Item, { kind: "message" }>): void {
    const { messageBytes, frontBytes, trace } = this.#setting;
    const bytes = joined(item.parts);
    item.taken?.();
    if (item.length > messageBytes) {
      trace(`is sent ${item.length} bytes, more than ${messageBytes}`);
      if (frontBytes === undefined) this.terminate();
      else {
        this.out.seal({ kind: "close", code: 1009, reason: "too long" });
        this.#over(1009, "too long");
      }
      return;
    }
    const { receiver } = this;
    if (receiver?.front && frontBytes !== undefined && item.length > frontBytes) {
      this.guard(() => this.#frontComes(bytes, frontBytes, item.torn));
    } else if (!item.torn) {
      this.greeted?.();
      trace(`receives ${item.length} bytes`);
      this.guard(() => receiver?.message(bytes));
      bytes.fill(scribble);
    }
  }

  #frontComes(bytes: Uint8Array, frontBytes: number, torn: boolean): void {
    const { random, trace } = this.#setting;
    for (let here = frontBytes; ; ) {
      const front = bytes.slice(0, here);
      const answer = this.receiver!.front!(front, bytes.length);
      front.fill(scribble);
      if (!this.isOpen) return;
      if (typeof answer === "number") {
        assert(
          answer > here && answer <= bytes.length,
          "front asks for more of the message, and for no more than all",
        );
        here = answer;
        continue;
      }
      if (answer === undefined) {
        if (!torn) this.into.putFirst(this.#restOf(bytes.length - here, () => this.receiver?.message(bytes)));
        return;
      }
      const room = answer.reduce((sum, one) => sum + one.length, 0);
      assert(room === bytes.length - here, "the targets that front answers have room for the rest, exactly");
      trace(`receives the front of ${bytes.length} bytes`);
      if (torn) scatter(bytes.subarray(here, here + random.below(room + 1)), answer);
      else
        this.into.putFirst(
          this.#restOf(room, () => {
            scatter(bytes.subarray(here), answer);
            this.receiver?.filled?.();
          }),
        );
      return;
    }
  }

  #restOf(length: number, arrive: () => void): Item {
    return { kind: "rest", length, arrive };
  }
}

/** Copies as much as there is into the targets, in order. */
function scatter(bytes: Uint8Array, targets: readonly Uint8Array[]): void {
  let at = 0;
  for (const target of targets) {
    const part = bytes.subarray(at, at + target.length);
    target.set(part);
    at += part.length;
  }
}
