import { randomFillSync } from "node:crypto";
import type { Socket } from "node:net";
import type { Clock } from "../base/clock.js";
import { checkClose } from "./checked-options.js";
import type { Connection, ConnectOptions, Receiver } from "./connection.js";
import { headerBytes, maskInPlace, OPCODES, type Opcode, writeHeader } from "./frame-header.js";
import { FrameReader } from "./frame-reader.js";
import { copyParts, lengthOf, PartJoiner } from "./joined-parts.js";
import type { Polling } from "./polling.js";

/** Messages up to this long are copied into one piece: that costs less than pieces do on their way to the system. */
const joinedBytes = 32 << 10;
/** Room for such a message and its header. */
const scratchBytes = joinedBytes + 16;
/** After both sides should have closed, the other end has so long to do it. */
const closingMs = 2000;

export interface ClientSetting {
  readonly clock: Clock;
  readonly options: ConnectOptions;
  readonly polling: Polling;
  /** Told what the receiver threw. */
  failed(error: unknown): void;
}

/** The client's end of a connection, over a stream: see `Connection`. */
export class ClientConnection implements Connection {
  readonly peer: string;
  readonly #socket: Socket;
  readonly #receiver: Receiver;
  readonly #setting: ClientSetting;
  readonly #reader: FrameReader;
  #waited = false;
  #heard = false;
  #closeSent = false;
  #ended = false;
  /** What `closed` will be told: without it, that there was no word. */
  #farewell: readonly [number, string] | undefined;
  /** A ping that came while our last answer had not gone out. Only the newest needs an answer (RFC 6455, 5.5.3). */
  #pongWaits = false;
  readonly #joiner = new PartJoiner();
  /** For messages in one piece, while the system has taken the last of them. */
  #scratch: Buffer | undefined;
  #cancelTimer: (() => void) | undefined;
  /** Undefined: always sleeps until something comes. */
  #polling: Polling | undefined;
  #awaiting = false;

  constructor(socket: Socket, receiver: Receiver, setting: ClientSetting) {
    this.#socket = socket;
    this.#receiver = receiver;
    this.#setting = setting;
    this.peer = `${socket.remoteAddress}:${socket.remotePort}`;
    const front = receiver.front?.bind(receiver);
    this.#reader = new FrameReader(setting.options, {
      message: (bytes) => this.#guard(() => receiver.message(bytes)),
      ...(front && { front: (bytes, total) => this.#guard(() => front(bytes, total)) }),
      filled: () => this.#guard(() => receiver.filled?.()),
      ping: (payload) => this.#answerPing(payload),
      pong: () => undefined,
      close: (code, reason) => this.#closeCame(code, reason),
      violation: (code, reason) => this.#violated(code, reason),
    });
    socket.on("drain", () => this.#drain());
    this.#polling = setting.options.polling === "auto" ? setting.polling : undefined;
    this.#polling?.join();
    this.#watchSilence();
  }

  get waitingBytes(): number {
    return this.#socket.writableLength;
  }

  send(parts: readonly Uint8Array[], taken?: () => void): void {
    if (this.#ended || this.#closeSent) {
      taken?.();
      return;
    }
    const length = lengthOf(parts);
    const random = this.#setting.options.mask === "random";
    if (!taken || random || length <= joinedBytes) {
      this.#writeJoined(OPCODES.binary, parts, length);
      taken?.();
    } else this.#writeParts(parts, length, taken);
    if (this.waitingBytes > 0) this.#waited = true;
  }

  close(code: number, reason: string): void {
    checkClose(code, reason);
    if (this.#ended || this.#closeSent) return;
    this.#sendClose(code, reason);
    // It says what the other end answers, which is what we said; without an answer the connection is dropped.
    this.#timer(closingMs, () => this.terminate());
  }

  terminate(): void {
    this.#reader.stop();
    this.#socket.destroy();
  }

  awaits(answers: boolean): void {
    if (this.#awaiting === answers || this.#ended) return;
    this.#awaiting = answers;
    this.#polling?.awaits(answers);
  }

  /** Bytes have come, borrowed until this returns. */
  read(bytes: Uint8Array): void {
    this.#heard = true;
    this.#polling?.happened();
    this.#guard(() => this.#reader.read(bytes));
  }

  /** The socket is gone. */
  ended(reason: string): void {
    if (this.#ended) return;
    this.awaits(false);
    this.#ended = true;
    this.#polling?.leave();
    this.#reader.stop();
    this.#cancelTimer?.();
    const [code, said] = this.#farewell ?? [1006, reason];
    this.#guard(() => this.#receiver.closed(code, said));
  }

  /** One write of a copy: header and parts, masked where that is asked for. */
  #writeJoined(opcode: Opcode, parts: readonly Uint8Array[], length: number): void {
    const header = headerBytes(length);
    const bytes = this.#pieceOf(header + length);
    const mask = this.#setting.options.mask === "random" ? randomFillSync(new Uint8Array(4)) : undefined;
    writeHeader(bytes, opcode, length, mask);
    copyParts(parts, bytes, header);
    if (mask) maskInPlace(bytes.subarray(header), mask);
    this.#socket.write(bytes);
    // The system still reads from it.
    if (this.waitingBytes > 0) this.#scratch = undefined;
  }

  #pieceOf(length: number): Buffer {
    if (length > scratchBytes) return Buffer.allocUnsafe(length);
    this.#scratch ??= Buffer.allocUnsafe(scratchBytes);
    return this.#scratch.subarray(0, length);
  }

  /** The system gets the parts themselves, in one call. */
  #writeParts(parts: readonly Uint8Array[], length: number, taken: () => void): void {
    const socket = this.#socket;
    const header = Buffer.allocUnsafe(headerBytes(length));
    writeHeader(header, OPCODES.binary, length);
    const { pieces, release } = this.#joiner.join([header, ...parts]);
    // Called with an error when the connection ends first: `closed` tells that.
    const written = () => {
      release();
      this.#guard(taken);
    };
    socket.cork();
    for (const [i, piece] of pieces.entries()) {
      if (i < pieces.length - 1) socket.write(piece);
      else socket.write(piece, written);
    }
    socket.uncork();
  }

  #drain(): void {
    if (this.#ended || this.waitingBytes > 0) return;
    if (this.#pongWaits) {
      this.#pongWaits = false;
      this.#writeJoined(OPCODES.pong, [], 0);
    }
    if (!this.#waited) return;
    this.#waited = false;
    this.#guard(() => this.#receiver.drained?.());
  }

  /** While our own bytes wait, answers would pile up behind them: then one stands for all, and any answer shows that we live. */
  #answerPing(payload: Uint8Array): void {
    if (this.#closeSent) return;
    if (this.waitingBytes === 0) this.#writeJoined(OPCODES.pong, [payload], payload.length);
    else this.#pongWaits = true;
  }

  #closeCame(code: number, reason: string): void {
    this.#farewell = [code, reason];
    if (!this.#closeSent) this.#sendClose(code === 1005 ? 1000 : code, "");
    this.#socket.end();
    this.#timer(closingMs, () => this.terminate());
  }

  #violated(code: number, reason: string): void {
    this.#farewell = [code, reason];
    if (!this.#closeSent) this.#sendClose(code, reason);
    this.#socket.end();
    this.#timer(closingMs, () => this.terminate());
  }

  #sendClose(code: number, reason: string): void {
    this.#closeSent = true;
    const text = Buffer.from(reason, "utf8");
    const payload = Buffer.alloc(2 + text.length);
    payload.writeUInt16BE(code);
    payload.set(text, 2);
    this.#writeJoined(OPCODES.close, [payload], payload.length);
  }

  /** Looks four times in `silenceMs` whether something came. Counted, not timed: see `ConnectionWatch`. */
  #watchSilence(): void {
    const { silenceMs } = this.#setting.options;
    if (silenceMs === 0) return;
    let quiet = 0;
    const look = () => {
      quiet = this.#heard ? 0 : quiet + 1;
      this.#heard = false;
      if (quiet >= 4) {
        this.#farewell = [1006, `nothing came for ${silenceMs} ms`];
        this.terminate();
        return;
      }
      if (quiet === 2 && this.waitingBytes === 0) this.#writeJoined(OPCODES.ping, [], 0);
      this.#timer(Math.ceil(silenceMs / 4), look);
    };
    this.#timer(Math.ceil(silenceMs / 4), look);
  }

  #timer(delayMs: number, callback: () => void): void {
    this.#cancelTimer?.();
    this.#cancelTimer = this.#ended ? undefined : this.#setting.clock.after(delayMs, callback);
  }

  /** Runs the receiver's code. What it throws ends the connection, and is told. */
  #guard<T>(run: () => T): T | undefined {
    try {
      return run();
    } catch (error) {
      this.#farewell ??= [1006, "the receiver failed"];
      this.terminate();
      this.#setting.failed(error);
      return undefined;
    }
  }
}
