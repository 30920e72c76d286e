// A client made of the codec alone, at the other end of a connection in memory.
import type { ErrorCode } from "../../lib/base/errors.js";
import type { Connection, Receiver } from "../../lib/net/connection.js";
import { errorOf } from "../../lib/wire/failure.js";
import { type Frame, type FrameInput, replyItems } from "../../lib/wire/frame.js";
import { readFrame } from "../../lib/wire/frame-reader.js";
import { FrameWriter } from "../../lib/wire/frame-writer.js";
import type {
  Body,
  BodyInput,
  HelloInput,
  TableReply,
  Welcome,
} from "../../lib/wire/generated/frame-types.js";
import { featureBits, PROTOCOL } from "../../lib/wire/handshake.js";

type BodyOf<Kind extends Body["kind"]> = Extract<Body, { kind: Kind }>;

/** Takes the messages of one side at once, as they are sent. */
export class WirePeer implements Connection {
  readonly peer = "memory:1";
  waitingBytes = 0;
  /** How it was ended by the other side. */
  ended: { code: number; reason: string } | undefined;
  readonly #receiver: Receiver;
  readonly #writer = new FrameWriter();
  readonly #frames: Frame[] = [];
  #waiting: { id: number; resolve(frame: Frame): void; reject(error: Error): void }[] = [];
  #gone: (() => void)[] = [];
  #lastId = 0;
  epoch = 1;
  welcomed: Welcome | undefined;
  /** What comes counts as waiting until `drain`; the most that has waited. */
  holding = false;
  held = 0;
  /** Size of the longest message that came. */
  longest = 0;

  constructor(accept: (connection: Connection) => Receiver) {
    this.#receiver = accept(this);
  }

  // What the node does with its end.

  send(parts: readonly Uint8Array[]): void {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    this.longest = Math.max(this.longest, length);
    if (this.holding) {
      this.waitingBytes += length;
      this.held = Math.max(this.held, this.waitingBytes);
    }
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    const frame = readFrame(bytes, { features: 0xffff_ffff, items: replyItems });
    const waiting = this.#waiting.findIndex(({ id }) => id === frame.id);
    if (waiting >= 0) this.#waiting.splice(waiting, 1)[0].resolve(frame);
    else this.#frames.push(frame);
  }

  close(code: number, reason: string): void {
    this.lost(code, reason);
  }

  /** The connection has ended. */
  lost(code: number, reason: string): void {
    this.ended ??= { code, reason };
    for (const { reject } of this.#waiting.splice(0)) reject(new Error(`closed: ${code} ${reason}`));
    for (const resolve of this.#gone.splice(0)) resolve();
  }

  /** Resolves when the connection has ended. */
  async gone(): Promise<void> {
    if (!this.ended) await new Promise<void>((resolve) => this.#gone.push(resolve));
  }

  terminate(): void {
    this.lost(1006, "");
  }

  // What a test does.

  /** The next frame with this id, which has come or will. */
  next(id: number): Promise<Frame> {
    const at = this.#frames.findIndex((frame) => frame.id === id);
    if (at >= 0) return Promise.resolve(this.#frames.splice(at, 1)[0]);
    if (this.ended) return Promise.reject(new Error(`closed: ${this.ended.code} ${this.ended.reason}`));
    return new Promise((resolve, reject) => this.#waiting.push({ id, resolve, reject }));
  }

  /** Whether an answer has come already. */
  has(id: number): boolean {
    return this.#frames.some((frame) => frame.id === id);
  }

  /** Sends a frame, and gives its id. */
  tell(body: BodyInput, rest: Partial<FrameInput> = {}): number {
    const id = rest.id ?? ++this.#lastId;
    this.raw(this.#writer.write({ epoch: this.epoch, ...rest, id, body }).toBytes());
    return id;
  }

  raw(bytes: Uint8Array): void {
    // Every message lies in memory that is overwritten afterwards, as that of a socket is.
    const lent = bytes.slice();
    this.#receiver.message(lent);
    lent.fill(0xff);
  }

  /** Asks, and gives the answer, of the kind that is expected. Throws the error that came instead. */
  async ask<Kind extends Body["kind"]>(
    kind: Kind,
    body: BodyInput,
    rest: Partial<FrameInput> = {},
  ): Promise<BodyOf<Kind>> {
    const frame = await this.next(this.tell(body, rest));
    if (frame.body.kind === "Failure" && kind !== "Failure") throw errorOf(frame.body, "node");
    if (frame.body.kind !== kind) throw new Error(`found ${frame.body.kind}, expected ${kind}`);
    return frame.body as BodyOf<Kind>;
  }

  /** The code that a request is refused with. */
  async refusal(body: BodyInput, rest: Partial<FrameInput> = {}): Promise<ErrorCode> {
    const failure = await this.ask("Failure", body, rest);
    return errorOf(failure, "node").code;
  }

  async hello(more: Partial<HelloInput> = {}): Promise<Welcome> {
    const { major, minor } = PROTOCOL;
    const features = featureBits("f16", "bf16", "int8", "counters", "versions", "watch");
    this.welcomed = await this.ask("Welcome", {
      kind: "Hello",
      major,
      minor,
      features,
      frameBytes: 4 << 20,
      ...more,
    });
    this.epoch = this.welcomed.slotMap.epoch;
    return this.welcomed;
  }

  openTable(name: string, options?: object): Promise<TableReply> {
    return this.ask("TableReply", {
      kind: "OpenTable",
      name,
      ...(options && {
        options: JSON.stringify(options, (_, one) => (typeof one === "bigint" ? `${one}` : one)),
      }),
    });
  }

  /** The other side hears that this one is gone. */
  vanish(): void {
    this.#receiver.closed(1006, "");
  }

  /** What waited has gone. */
  drain(): void {
    this.waitingBytes = 0;
    this.#receiver.drained?.();
  }
}
