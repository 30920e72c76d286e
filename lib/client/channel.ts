// One connection to one listener of a node: the handshake, then requests and their answers.
import { EmbershardError } from "../base/errors.js";
import type { Connection, FrontAnswer, Receiver } from "../net/connection.js";
import { errorOf } from "../wire/failure.js";
import { FIRST_TERMS, type Frame, replyItems, type Terms } from "../wire/frame.js";
import { type Outside, readFrame, readFront } from "../wire/frame-reader.js";
import { FrameWriter } from "../wire/frame-writer.js";
import type {
  BodyInput,
  Failure,
  HelloInput,
  Welcome,
  SlotMap as WireSlotMap,
} from "../wire/generated/frame-types.js";
import { type Agreement, agreedIn } from "../wire/handshake.js";

/** Who asked. Exactly one of `done` and `failed` ends it; frames are borrowed until the call returns. */
export interface Asking {
  /** An answer; more follow while `frame.more`. What it throws ends the request. */
  answer(frame: Frame): void;
  /** Where the bulk of an answer goes that has just begun: all of it, in order. `undefined`: to memory of its own. */
  target?(frame: Frame, bytes: number): readonly Uint8Array[] | undefined;
  /** The last call: it failed, or the connection ended first, which `sent` says of: the request may have had its effect. */
  failed(error: EmbershardError, details: FailureDetails): void;
}

export interface FailureDetails {
  /** The connection ended before there was an answer: nobody knows what was done. */
  readonly unknown: boolean;
  readonly retryAfterMs: number;
  readonly slotMap: WireSlotMap | undefined;
}

/** What every request may bear beside its body. */
export interface RequestHead {
  readonly epoch?: number | undefined;
  readonly deadlineMs?: number | undefined;
}

/** A request that has no answer yet. */
interface Open {
  readonly asking: Asking;
  /** Bytes that it takes at the node: its own, and those of its answer. */
  readonly bytes: number;
  /** Sends it; undefined when that has been done. */
  send: (() => void) | undefined;
  /** Ends the loan of its bulk, where it has not been sent. */
  readonly taken: (() => void) | undefined;
}

/** Of what a node allows, the part that is made use of: both sides count a little differently. */
const share = 0.75;

const nothingKnown: FailureDetails = { unknown: true, retryAfterMs: 0, slotMap: undefined };
const notSent: FailureDetails = { unknown: false, retryAfterMs: 0, slotMap: undefined };

/** Ends when its connection does; who needs another opens another. */
export class Channel implements Receiver {
  /** For messages: "node a, shard 3 (10.0.0.1:7404)". */
  readonly name: string;
  welcome!: Welcome;
  /** The version that all requests read; 0: the live state. */
  version = 0;
  #connection: Connection | undefined;
  #terms: Terms = { ...FIRST_TERMS, items: replyItems };
  #agreement: Agreement | undefined;
  readonly #hello: HelloInput;
  readonly #open = new Map<number, Open>();
  /** Requests that wait, in order, until the node allows more. */
  #queue: Open[] = [];
  #sent = 0;
  #sentBytes = 0;
  readonly #writer = new FrameWriter();
  readonly #onClosed: (error: EmbershardError) => void;
  /** The answer whose bulk is being received. */
  #filling: { readonly frame: Frame; readonly asking: Asking } | undefined;
  #lastId = 0;
  #ended: EmbershardError | undefined;

  /** `onClosed` is told once, when the connection has ended. */
  constructor(name: string, hello: HelloInput, onClosed: (error: EmbershardError) => void) {
    this.name = name;
    this.#hello = hello;
    this.#onClosed = onClosed;
  }

  /** Says hello over a connection that has just been made, and waits for the answer. @throws what the node answers */
  async open(connection: Connection): Promise<void> {
    this.#connection = connection;
    if (this.#ended) throw this.#ended;
    const welcome = await new Promise<Welcome>((resolve, reject) => {
      this.request(
        this.#hello,
        {},
        {
          answer: ({ body }) => {
            if (body.kind !== "Welcome") throw unexpected(this.name, body.kind, "Welcome");
            this.#agreement = agreedIn(body, this.#hello.features ?? 0);
            this.#terms = this.#agreement;
            resolve(body);
          },
          failed: reject,
        },
      );
    });
    this.welcome = welcome;
  }

  get ended(): boolean {
    return this.#ended !== undefined;
  }

  /**
   * Sends a request, as soon as the node allows one more of so many bytes, answer included. Its bulk is borrowed until
   * `taken` is called. Returns its id, for `cancel`.
   */
  request(body: BodyInput, head: RequestHead, asking: Asking, bytes = 0, taken?: () => void): number {
    const connection = this.#connection;
    if (this.#ended || !connection) {
      taken?.();
      asking.failed(this.#ended ?? closedError(this.name), notSent);
      return 0;
    }
    do this.#lastId = (this.#lastId + 1) >>> 0;
    while (this.#lastId === 0 || this.#open.has(this.#lastId));
    const id = this.#lastId;
    const send = () => {
      const frame = this.#writer.write({ id, version: this.version, ...head, body });
      if (frame.bytes > this.#longestFrame) {
        this.#finish(id);
        taken?.();
        asking.failed(tooLong(this.name, frame.bytes, this.#longestFrame), notSent);
      } else connection.send(taken ? frame.partsToKeep() : frame.parts(), taken);
    };
    const open: Open = { asking, bytes, send, taken };
    this.#open.set(id, open);
    if (this.#queue.length === 0 && this.#allowed(bytes)) this.#begin(open);
    else this.#queue.push(open);
    return id;
  }

  /** The node would end the connection for a longer one. Hello goes before it has said so. */
  get #longestFrame(): number {
    return this.welcome?.limits.frameBytes ?? Number.POSITIVE_INFINITY;
  }

  /** Whether the node takes one more; alone, every request may go. */
  #allowed(bytes: number): boolean {
    if (this.#sent === 0) return true;
    const { inFlight, inFlightBytes } = this.welcome.limits;
    return this.#sent < share * inFlight && this.#sentBytes + bytes <= share * inFlightBytes;
  }

  #begin(open: Open): void {
    const { send } = open;
    open.send = undefined;
    if (this.#sent++ === 0) this.#connection?.awaits?.(true);
    this.#sentBytes += open.bytes;
    send?.();
  }

  /** A request is over: others may go. */
  #finish(id: number): Open | undefined {
    const open = this.#open.get(id);
    if (!open) return undefined;
    this.#open.delete(id);
    if (open.send) {
      this.#queue = this.#queue.filter((one) => one !== open);
      open.taken?.();
      return open;
    }
    this.#sent--;
    this.#sentBytes -= open.bytes;
    while (!this.#ended && this.#queue.length > 0 && this.#allowed(this.#queue[0].bytes))
      this.#begin(this.#queue.shift() as Open);
    if (this.#sent === 0) this.#connection?.awaits?.(false);
    return open;
  }

  /** Sends what nobody answers. */
  notify(body: BodyInput): void {
    if (!this.#ended) this.#connection?.send(this.#writer.write({ id: 0, body }).parts());
  }

  /** Says that an answer is not wanted any more; `failed` follows with `error`. */
  cancel(id: number, error: EmbershardError): void {
    const open = this.#open.get(id);
    if (!open) return;
    // Bytes of its answer may be on their way into memory of the caller: the connection goes with it.
    if (this.#filling?.asking === open.asking) {
      this.#connection?.terminate();
      return;
    }
    const sent = open.send === undefined;
    this.#finish(id);
    if (sent)
      this.#connection?.send(this.#writer.write({ id: 0, body: { kind: "Cancel", request: id } }).parts());
    open.asking.failed(error, sent ? nothingKnown : notSent);
  }

  /** Ends the connection once what was sent has gone out; requests without an answer fail with `error`. */
  close(error = new EmbershardError("CLOSED", "the store is closed")): void {
    this.#end(error, notSent);
    this.#connection?.close(1000, "");
  }

  // What the connection calls.

  message(bytes: Uint8Array): void {
    if (this.#ended) return;
    try {
      this.#take(readFrame(bytes, this.#terms));
    } catch (cause) {
      this.#refuse(cause);
    }
  }

  front(front: Uint8Array, totalBytes: number): FrontAnswer {
    if (this.#ended) return undefined;
    try {
      const read = readFront(front, totalBytes, this.#terms);
      if (!read?.outside || read.frame.body.kind !== "Rows") return undefined;
      const asking = this.#open.get(read.frame.id)?.asking;
      const views = asking?.target?.(read.frame, read.outside.bytes);
      if (!asking || !views) return undefined;
      this.#filling = { frame: read.frame, asking };
      return restOf(views, front, read.outside);
    } catch (cause) {
      this.#refuse(cause);
      return undefined;
    }
  }

  filled(): void {
    const filling = this.#filling;
    this.#filling = undefined;
    if (!filling || this.#ended) return;
    try {
      this.#take(filling.frame);
    } catch (cause) {
      this.#refuse(cause);
    }
  }

  closed(code: number, reason: string): void {
    const why = reason === "" ? `code ${code}` : `${reason}, code ${code}`;
    this.#end(
      new EmbershardError("UNAVAILABLE", `${this.name}: the connection ended (${why})`),
      nothingKnown,
    );
  }

  #take(frame: Frame): void {
    // A notice, or the answer to a request that was cancelled.
    const open = frame.more ? this.#open.get(frame.id) : this.#finish(frame.id);
    if (!open) return;
    if (frame.body.kind === "Failure") open.asking.failed(...this.#failureOf(frame.body));
    else this.#hand(open.asking, frame);
  }

  #hand(asking: Asking, frame: Frame): void {
    try {
      asking.answer(frame);
    } catch (cause) {
      this.#finish(frame.id);
      asking.failed(this.#wrong(cause), nothingKnown);
      throw cause;
    }
  }

  #failureOf(failure: Failure): [EmbershardError, FailureDetails] {
    const { retryAfterMs, slotMap } = failure;
    return [errorOf(failure, this.name), { unknown: false, retryAfterMs, slotMap }];
  }

  /** What a node must not send ends the connection. */
  #refuse(cause: unknown): void {
    const error = this.#wrong(cause);
    this.#end(error, nothingKnown);
    this.#connection?.close(1002, error.code);
  }

  #wrong(cause: unknown): EmbershardError {
    if (!(cause instanceof EmbershardError))
      return new EmbershardError("INTERNAL", `${this.name}: an answer could not be taken`, { cause });
    if (cause.message.startsWith(this.name)) return cause;
    return new EmbershardError(cause.code, `${this.name}: ${cause.message}`, { cause });
  }

  #end(error: EmbershardError, details: FailureDetails): void {
    if (this.#ended) return;
    this.#ended = error;
    const open = [...this.#open.values()];
    this.#open.clear();
    this.#queue = [];
    for (const { asking, send, taken } of open) {
      if (send) taken?.();
      asking.failed(error, send ? notSent : details);
    }
    this.#onClosed(error);
  }
}

/** What of the targets is still to come, when the front has their beginning: that is copied. */
function restOf(views: readonly Uint8Array[], front: Uint8Array, { at }: Outside): readonly Uint8Array[] {
  let here = front.subarray(at);
  if (here.length === 0) return views;
  const rest: Uint8Array[] = [];
  for (const view of views) {
    const n = Math.min(view.length, here.length);
    view.set(here.subarray(0, n));
    here = here.subarray(n);
    if (n < view.length) rest.push(view.subarray(n));
  }
  return rest;
}

export function unexpected(from: string, found: string, expected: string): EmbershardError {
  return new EmbershardError("BAD_FRAME", `${from}: found an answer of ${found}, expected ${expected}`);
}

function tooLong(name: string, bytes: number, most: number): EmbershardError {
  return new EmbershardError(
    "TOO_LARGE",
    `${name}: the request has ${bytes} bytes in one message, the node takes ${most}: ask for less at once, or start it with more --frame-bytes`,
  );
}

function closedError(name: string): EmbershardError {
  return new EmbershardError("UNAVAILABLE", `${name}: the connection ended`);
}
