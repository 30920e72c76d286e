import type { Clock } from "../base/clock.js";
import { EmbershardError, ERRORS } from "../base/errors.js";
import type { Connection, Receiver } from "../net/connection.js";
import { failureOf } from "../wire/failure.js";
import { FIRST_TERMS, type Frame, type Terms } from "../wire/frame.js";
import { readFrame } from "../wire/frame-reader.js";
import type { FrameWriter } from "../wire/frame-writer.js";
import type { BodyInput, Hello, SlotMapInput, WelcomeInput } from "../wire/generated/frame-types.js";
import { type Agreement, agreeTo } from "../wire/handshake.js";
import { Budget, retryAfterMs } from "./budget.js";
import { Watches } from "./evictions-told.js";
import { offeredFeatures } from "./handshake.js";
import { Iterations } from "./iterations.js";
import { ConnectionVersions } from "./open-versions.js";
import type { ServiceCounts } from "./shard-figures.js";

/** What answers the requests of connections. */
export interface RequestHandler {
  /** Greets whoever said hello. Nothing else of the connection is read meanwhile. @throws what it is refused with */
  greet(hello: Hello, agreement: Agreement): Promise<WelcomeInput> | WelcomeInput;
  /**
   * Answers a request, now or later; the frame's arrays are borrowed until it returns.
   *
   * @throws what the request is refused with, as does what it returns
   */
  answer(frame: Frame, connection: ServedConnection): Promise<void> | undefined;
  /** The slot map in force, which goes with the refusal of a stale epoch. */
  slotMap(): SlotMapInput | undefined;
  /** The connection is gone. */
  gone(connection: ServedConnection): void;
  /** Something that no request may cause. */
  broken(cause: unknown): void;
}

/** What connections of a service share. */
export interface ConnectionTerms {
  readonly clock: Clock;
  readonly counts: ServiceCounts;
  readonly writer: FrameWriter;
  readonly all: Budget;
  readonly frameBytes: number;
  readonly connectionBytes: number;
  /** Requests without an answer, at most. */
  readonly inFlight: number;
}

interface Pending {
  readonly bytes: number;
  readonly cancelDeadline: (() => void) | undefined;
  /** Its answer is not wanted, or has been given. */
  over: boolean;
  onOver: (() => void) | undefined;
}

/** What a client takes that does not say. */
const usualFrameBytes = 1 << 20;
/** Close codes are 4000 and the error's number in the table of errors. */
const closeBase = 4000;

/** A request that waits at a stage. */
export interface WaitingStage {
  /** Who asked is there, and waits for others. */
  heard(): void;
  /** It goes on, and waits no more. */
  proceed(): void;
}

/**
 * One connection of a node: the handshake, what is under way, and how it ends. Requests that cannot be answered at once are
 * kept apart by their ids, so that answers may come in any order.
 */
export class ServedConnection implements Receiver {
  /** Name of the worker, as the handshake gave it, and its number in this shard; 0 without a name. */
  worker = 0;
  session = 0n;
  /** The longest frame that the other side takes, and this one makes. */
  frameBytes = 0;
  /** Its scans, and readings of changes, that have not come to their end. */
  readonly iterations = new Iterations();
  /** Versions that it reads. */
  readonly versions = new ConnectionVersions();
  /** Its requests to be told of rows that are evicted. */
  readonly watches = new Watches();
  /** What waits until it is told to proceed, by the id of the request. */
  readonly waiting = new Map<number, WaitingStage>();
  /** Bytes of messages that were sent to it. */
  sentBytes = 0;
  readonly connection: Connection;
  readonly #handler: RequestHandler;
  readonly #terms: ConnectionTerms;
  readonly #budget: Budget;
  readonly #pending = new Map<number, Pending>();
  #state: "new" | "greeting" | "open" | "leaving" | "closed" = "new";
  #reading: Terms = FIRST_TERMS;
  /** Bytes that the budget has for replies that wait. */
  #waitingNoted = 0;
  #drained: (() => void)[] = [];
  /** The request that is being answered, and what it wants to be told. */
  #current: { readonly id: number; onOver: (() => void) | undefined } | undefined;

  constructor(connection: Connection, handler: RequestHandler, terms: ConnectionTerms) {
    this.connection = connection;
    this.#handler = handler;
    this.#terms = terms;
    this.#budget = new Budget("the connection", terms.connectionBytes, terms.all);
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** Whether its reader has so much to take that more should wait. */
  get isFull(): boolean {
    return this.connection.waitingBytes > this.#terms.connectionBytes / 2;
  }

  /** Of `sentBytes`, those that do not wait any more. */
  get goneBytes(): number {
    return this.sentBytes - this.connection.waitingBytes;
  }

  get pending(): number {
    return this.#pending.size;
  }

  message(bytes: Uint8Array): void {
    if (this.#state === "closed") return;
    this.#terms.counts.bytesIn += bytes.length;
    let frame: Frame;
    try {
      frame = readFrame(bytes, this.#reading);
    } catch (error) {
      if (!(error instanceof EmbershardError)) throw error;
      this.#end(0, error);
      return;
    }
    if (this.#state === "new") this.#greet(frame);
    else if (this.#state === "greeting")
      this.#end(frame.id, protocol(`found ${frame.body.kind}, expected nothing before the answer to Hello`));
    else this.#request(frame, bytes.length);
  }

  drained(): void {
    this.noteWaiting();
    for (const resolve of this.#drained.splice(0)) resolve();
  }

  closed(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    for (const [id, pending] of this.#pending) {
      pending.over = true;
      pending.onOver?.();
      this.#settle(id, pending);
    }
    this.#budget.take(-this.#waitingNoted);
    this.#waitingNoted = 0;
    for (const resolve of this.#drained.splice(0)) resolve();
    // What they were in the middle of ends with the shard, if it cannot end now.
    this.iterations.close().catch((error) => this.#handler.broken(error));
    this.versions.close().catch((error) => this.#handler.broken(error));
    this.#handler.gone(this);
  }

  // For those who answer.

  /** Sends an answer; `more` says that another one follows. */
  reply(id: number, body: BodyInput, more = false): void {
    if (this.isOver(id)) return;
    const written = this.#terms.writer.write({ id, body, more });
    this.sendParts(written.parts(), written.bytes);
  }

  /** Sends a message as it is; the parts are borrowed until it returns. */
  sendParts(parts: readonly Uint8Array[], bytes: number): void {
    this.#terms.counts.bytesOut += bytes;
    this.sentBytes += bytes;
    this.connection.send(parts);
    this.noteWaiting();
  }

  /** Sends a refusal. */
  refuse(id: number, error: EmbershardError): void {
    const { counts } = this.#terms;
    counts.refused[error.code] = (counts.refused[error.code] ?? 0) + 1;
    const slotMap = error.code === "STALE_EPOCH" ? this.#handler.slotMap() : undefined;
    this.reply(id, failureOf(error, { ...(error.retry && !slotMap && { retryAfterMs }), slotMap }));
  }

  /** Whether nobody waits for the answer to a request any more. */
  isOver(id: number): boolean {
    return this.#state === "closed" || this.#pending.get(id)?.over === true;
  }

  /** Calls back when nobody waits for the answer to a request any more that is under way: it was cancelled, or is too late. */
  whenOver(id: number, callback: () => void): void {
    const request = this.#current?.id === id ? this.#current : this.#pending.get(id);
    if (request) request.onOver = callback;
  }

  /** Resolves when what was sent has gone, or the connection has. */
  async flowing(): Promise<void> {
    while (this.#state !== "closed" && this.connection.waitingBytes > 0)
      await new Promise<void>((resolve) => this.#drained.push(resolve));
  }

  /** Tells the other side that the node will stop. */
  sayGoodbye(message: string): void {
    if (this.#state !== "open") return;
    this.watches.end(new EmbershardError("UNAVAILABLE", `${message}: watch again when it is back`));
    const written = this.#terms.writer.write({
      id: 0,
      body: { kind: "Goodbye", code: ERRORS.UNAVAILABLE.wire, message, retryAfterMs: 1000 },
    });
    this.sendParts(written.parts(), written.bytes);
  }

  noteWaiting(): void {
    const waiting = this.#state === "closed" ? 0 : this.connection.waitingBytes;
    if (waiting === this.#waitingNoted) return;
    this.#budget.take(waiting - this.#waitingNoted);
    this.#waitingNoted = waiting;
  }

  // The handshake.

  #greet({ id, body }: Frame): void {
    if (body.kind !== "Hello") {
      this.#end(id, protocol(`found ${body.kind}, expected Hello: a connection begins with it`));
      return;
    }
    try {
      const agreement = agreeTo(body, offeredFeatures);
      const greeted = this.#handler.greet(body, agreement);
      this.#state = "greeting";
      if (greeted instanceof Promise)
        greeted.then(
          (welcome) => this.#welcome(id, body, agreement, welcome),
          (error) => this.#end(id, this.#coded(error)),
        );
      else this.#welcome(id, body, agreement, greeted);
    } catch (error) {
      this.#end(id, this.#coded(error));
    }
  }

  #welcome(id: number, hello: Hello, agreement: Agreement, welcome: WelcomeInput): void {
    if (this.#state !== "greeting") return;
    this.#state = "open";
    this.frameBytes = Math.min(hello.frameBytes || usualFrameBytes, this.#terms.frameBytes);
    this.session = hello.session;
    this.worker = welcome.worker ?? 0;
    this.#reading = agreement;
    this.reply(id, welcome);
  }

  // Requests.

  #request(frame: Frame, bytes: number): void {
    const { id, body } = frame;
    if (body.kind === "Goodbye") {
      this.#state = "leaving";
      this.watches.end(new EmbershardError("ABORTED", "the client has said goodbye"));
      this.#leave();
      return;
    }
    if (body.kind === "Cancel") {
      const pending = this.#pending.get(body.request);
      if (pending && !pending.over) {
        pending.over = true;
        pending.onOver?.();
      }
      return;
    }
    if (body.kind === "Proceed") {
      const waiting = this.waiting.get(body.request);
      if (body.wait) waiting?.heard();
      else waiting?.proceed();
      return;
    }
    if (this.#state === "leaving") {
      this.#end(id, protocol(`found ${body.kind} after Goodbye`));
      return;
    }
    if (id === 0 || this.#pending.has(id)) {
      this.#end(
        id,
        protocol(
          id === 0
            ? `found ${body.kind} without an id`
            : `id ${id} is in use by a request that waits for its answer`,
        ),
      );
      return;
    }
    this.#terms.counts.requests++;
    const current = { id, onOver: undefined };
    this.#current = current;
    try {
      this.noteWaiting();
      this.#demandRoom();
      const answered = this.#handler.answer(frame, this);
      if (answered) this.#await(frame, bytes, answered, current.onOver);
    } catch (error) {
      this.refuse(id, this.#coded(error));
    } finally {
      this.#current = undefined;
    }
  }

  #demandRoom(): void {
    this.#budget.demandRoom();
    if (this.#pending.size >= this.#terms.inFlight)
      throw new EmbershardError(
        "OVERLOADED",
        `the connection has ${this.#pending.size} requests without an answer, the most it may have: wait for some`,
      );
  }

  #await(
    { id, deadlineMs }: Frame,
    bytes: number,
    answered: Promise<void>,
    onOver: (() => void) | undefined,
  ): void {
    const late = () =>
      this.#refuseLate(
        id,
        new EmbershardError(
          "DEADLINE",
          `the request took longer than its ${deadlineMs} ms; what it does goes on`,
        ),
      );
    const cancelDeadline = deadlineMs > 0 ? this.#terms.clock.after(deadlineMs, late) : undefined;
    const pending: Pending = { bytes, cancelDeadline, over: false, onOver };
    this.#pending.set(id, pending);
    this.#budget.take(bytes);
    answered.then(
      () => this.#settle(id, pending),
      (error) => {
        this.refuse(id, this.#coded(error));
        this.#settle(id, pending);
      },
    );
  }

  #refuseLate(id: number, error: EmbershardError): void {
    const pending = this.#pending.get(id);
    if (!pending || pending.over) return;
    this.refuse(id, error);
    pending.over = true;
    pending.onOver?.();
  }

  #settle(id: number, pending: Pending): void {
    if (this.#pending.get(id) !== pending) return;
    this.#pending.delete(id);
    pending.cancelDeadline?.();
    this.#budget.take(-pending.bytes);
    if (this.#state === "leaving") this.#leave();
  }

  #leave(): void {
    if (this.#pending.size === 0) this.connection.close(1000, "goodbye");
  }

  // Refusals.

  /** An error with a code; what has none, or breaks an invariant, is reported. */
  #coded(error: unknown): EmbershardError {
    if (error instanceof EmbershardError && error.code !== "INTERNAL") return error;
    this.#handler.broken(error);
    if (error instanceof EmbershardError) return error;
    const message = error instanceof Error ? error.message : String(error);
    return new EmbershardError("INTERNAL", `a bug in the node: ${message}`, { cause: error });
  }

  /** Ends the connection with a reason. */
  #end(id: number, error: EmbershardError): void {
    this.#state = this.#state === "new" ? "greeting" : this.#state;
    this.refuse(id, error);
    this.connection.close(closeBase + ERRORS[error.code].wire, closeReason(error.message));
    this.closed();
  }
}

/** A reason has 123 bytes at most. */
function closeReason(message: string): string {
  return Buffer.from(message)
    .subarray(0, 120)
    .toString("latin1")
    .replaceAll(/[^\x20-\x7e]/g, "?");
}

function protocol(message: string): EmbershardError {
  return new EmbershardError("PROTOCOL", message);
}
