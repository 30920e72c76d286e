import { assert } from "../base/assert.js";
import type { FrontAnswer } from "./connection.js";
import { controlBytes, OPCODES } from "./frame-header.js";

/** What a reader of frames finds. */
export interface FrameSink {
  /** A whole message, borrowed until it returns; it begins at a multiple of 8 bytes of its ArrayBuffer. */
  message(bytes: Uint8Array): void;
  front?(front: Uint8Array, totalBytes: number): FrontAnswer;
  filled(): void;
  ping(payload: Uint8Array): void;
  pong(): void;
  /** The other end closes. 1005: it gave no code. */
  close(code: number, reason: string): void;
  /** What came breaks the protocol or a limit. `code` is the one to close with. Nothing is read any more. */
  violation(code: number, reason: string): void;
}

export interface FrameReaderLimits {
  readonly messageBytes: number;
  readonly frontBytes: number;
}

/** A buffer for whole messages that is longer than this is not kept. */
const keptBytes = 4 << 20;

/**
 * Reads WebSocket frames as a client does (RFC 6455), from chunks of any size.
 *
 * A message ends up in one of three places: in the chunk itself where it lies there whole and aligned, in a buffer of the
 * reader's own, or in targets that the sink's `front` answers. Handing those to the system as the next buffer to read into saved
 * no time over copying, since what was just read lies in the cache.
 */
export class FrameReader {
  readonly #limits: FrameReaderLimits;
  readonly #sink: FrameSink;
  /** A header that is not whole yet. */
  readonly #header = new Uint8Array(10);
  #headerLength = 0;
  /** Of the frame that is being read: 0 while a header is. */
  #opcode = -1;
  #final = false;
  #remaining = 0;
  /** The payload of a control frame. */
  readonly #control = new Uint8Array(controlBytes);
  #controlLength = 0;
  /** A message of several frames is being put together, in `#whole`. */
  #fragmented = false;
  /** Where the payload goes, and how much of the current one is filled. */
  #targets: readonly Uint8Array[] = [];
  #target = 0;
  #filled = 0;
  /** Lengths of targets that the sink has answered, when it did. */
  #sizes: readonly number[] = [];
  /** Bytes of the front that are wanted before the sink is asked. 0: not reading a front. */
  #wanted = 0;
  #asked = false;
  #messageLength = 0;
  #whole = new Uint8Array(0);
  #wholeLength = 0;
  #stopped = false;

  constructor(limits: FrameReaderLimits, sink: FrameSink) {
    this.#limits = limits;
    this.#sink = sink;
  }

  /** Reads a chunk, which is borrowed until this returns. */
  read(chunk: Uint8Array): void {
    let at = 0;
    while (!this.#stopped && at < chunk.length) {
      if (this.#opcode < 0) at = this.#readHeader(chunk, at);
      else if (this.#opcode >= OPCODES.close) at = this.#readControl(chunk, at);
      else at = this.#readData(chunk, at);
    }
  }

  /** Reads no more: the connection has ended, or is about to. */
  stop(): void {
    this.#stopped = true;
    this.#targets = [];
  }

  #readHeader(chunk: Uint8Array, at: number): number {
    const header = this.#header;
    let next = at;
    while (next < chunk.length) {
      header[this.#headerLength++] = chunk[next++];
      if (this.#headerLength < 2) continue;
      const short = header[1] & 0x7f;
      const length = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (this.#headerLength < length) continue;
      this.#headerLength = 0;
      this.#frameBegins(header[0], header[1], this.#payloadLength(short), chunk, next);
      return next;
    }
    return next;
  }

  #payloadLength(short: number): number {
    if (short < 126) return short;
    const view = new DataView(this.#header.buffer);
    // Longer than 2^53 becomes inexact, and is over every limit.
    return short === 126 ? view.getUint16(2) : Number(view.getBigUint64(2));
  }

  #frameBegins(first: number, second: number, length: number, chunk: Uint8Array, at: number): void {
    const opcode = first & 0x0f;
    const final = first >= 0x80;
    const wrong = this.#wrongOf(first, second, length);
    if (wrong !== undefined) {
      this.#violate(...wrong);
      return;
    }
    this.#opcode = opcode;
    this.#final = final;
    this.#remaining = length;
    if (opcode >= OPCODES.close) {
      this.#controlLength = 0;
      if (length === 0) this.#controlEnds();
      return;
    }
    if (final && !this.#fragmented) this.#messageBegins(length, chunk.length - at >= length);
    else this.#fragmentBegins(length);
    if (this.#remaining === 0) this.#frameEnds();
  }

  /** What is wrong with a header, as the code to close with and why. */
  #wrongOf(first: number, second: number, length: number): [number, string] | undefined {
    const opcode = first & 0x0f;
    const short = second & 0x7f;
    if ((first & 0x70) !== 0) return [1002, "reserved bits of a frame are set"];
    if (second >= 0x80) return [1002, "a server's frame is masked"];
    if ((short === 126 && length < 126) || (short === 127 && length <= 0xffff))
      return [1002, "a length is written longer than it needs to be"];
    if (opcode >= OPCODES.close) {
      if (opcode > OPCODES.pong) return [1002, `opcode ${opcode} is unknown`];
      if (first < 0x80) return [1002, "a control frame is fragmented"];
      if (short > controlBytes) return [1002, "a control frame is longer than 125 bytes"];
      return undefined;
    }
    if (opcode === OPCODES.text) return [1003, "messages are binary here"];
    if (opcode > OPCODES.binary) return [1002, `opcode ${opcode} is unknown`];
    if (this.#fragmented !== (opcode === OPCODES.continuation))
      return [
        1002,
        this.#fragmented ? "a message begins within another" : "a message begins with its second part",
      ];
    const total = (this.#fragmented ? this.#wholeLength : 0) + length;
    if (total > this.#limits.messageBytes)
      return [1009, `a message has ${total} bytes or more; at most ${this.#limits.messageBytes} are taken`];
    return undefined;
  }

  #readControl(chunk: Uint8Array, at: number): number {
    const length = Math.min(this.#remaining, chunk.length - at);
    this.#control.set(chunk.subarray(at, at + length), this.#controlLength);
    this.#controlLength += length;
    this.#remaining -= length;
    if (this.#remaining === 0) this.#controlEnds();
    return at + length;
  }

  #controlEnds(): void {
    const opcode = this.#opcode;
    const payload = this.#control.subarray(0, this.#controlLength);
    this.#opcode = -1;
    if (opcode === OPCODES.ping) this.#sink.ping(payload);
    else if (opcode === OPCODES.pong) this.#sink.pong();
    else this.#closeComes(payload);
  }

  #closeComes(payload: Uint8Array): void {
    if (payload.length === 0) {
      this.stop();
      this.#sink.close(1005, "");
      return;
    }
    const code = payload.length === 1 ? 0 : (payload[0] << 8) | payload[1];
    if (code < 1000 || (code >= 1004 && code <= 1006) || (code > 1014 && code < 3000) || code > 4999) {
      this.#violate(1002, "a close has no valid code");
      return;
    }
    let reason: string;
    try {
      reason = new TextDecoder("utf-8", { fatal: true }).decode(payload.subarray(2));
    } catch {
      this.#violate(1007, "the reason of a close is not UTF-8");
      return;
    }
    this.stop();
    this.#sink.close(code, reason);
  }

  #messageBegins(length: number, here: boolean): void {
    this.#messageLength = length;
    this.#asked = false;
    this.#target = 0;
    this.#filled = 0;
    if (this.#sink.front && length > this.#limits.frontBytes) {
      this.#want(this.#limits.frontBytes);
    } else if (!here) {
      this.#wholeFor(length);
    } else {
      // It is delivered from the chunk, by `#readData`.
      this.#targets = [];
    }
  }

  #fragmentBegins(length: number): void {
    if (!this.#fragmented) this.#wholeLength = 0;
    this.#fragmented = true;
    const total = this.#wholeLength + length;
    if (total > this.#whole.length) {
      const grown = new Uint8Array(
        Math.min(this.#limits.messageBytes, Math.max(total, 2 * this.#whole.length)),
      );
      grown.set(this.#whole.subarray(0, this.#wholeLength));
      this.#whole = grown;
    }
    this.#targets = [this.#whole.subarray(this.#wholeLength, total)];
    this.#target = 0;
    this.#filled = 0;
    this.#wholeLength = total;
  }

  #readData(chunk: Uint8Array, at: number): number {
    if (this.#targets.length === 0) {
      const end = at + this.#remaining;
      this.#remaining = 0;
      this.#opcode = -1;
      this.#deliver(chunk.subarray(at, end));
      return end;
    }
    const target = this.#targets[this.#target];
    const room = (this.#wanted > 0 ? this.#wanted : this.#sizeOf(this.#target)) - this.#filled;
    const length = Math.min(room, this.#remaining, chunk.length - at);
    // Whose memory was taken away meanwhile gets nothing; the others get what is theirs.
    if (target.length >= this.#filled + length) target.set(chunk.subarray(at, at + length), this.#filled);
    this.#filled += length;
    this.#remaining -= length;
    if (this.#wanted > 0) {
      if (this.#filled === this.#wanted) this.#askFront();
    } else this.#skipFull();
    if (this.#remaining === 0 && this.#opcode >= 0 && !this.#stopped) this.#frameEnds();
    return at + length;
  }

  #sizeOf(target: number): number {
    return this.#asked ? this.#sizes[target] : this.#targets[target].length;
  }

  #skipFull(): void {
    while (this.#target < this.#targets.length && this.#filled === this.#sizeOf(this.#target)) {
      this.#target++;
      this.#filled = 0;
    }
  }

  /** Collects the front's bytes, in the buffer for whole messages. */
  #want(bytes: number): void {
    if (this.#whole.length < bytes) {
      const grown = new Uint8Array(Math.max(bytes, 4096));
      grown.set(this.#whole.subarray(0, this.#filled));
      this.#whole = grown;
    }
    this.#targets = [this.#whole];
    this.#wanted = bytes;
  }

  #askFront(): void {
    const here = this.#wanted;
    this.#wanted = 0;
    const answer = this.#sink.front!(this.#whole.subarray(0, here), this.#messageLength);
    if (this.#stopped) return;
    if (typeof answer === "number") {
      assert(
        answer > here && answer <= this.#messageLength,
        "front asks for more of the message, and for no more than all",
      );
      this.#want(answer);
      return;
    }
    if (answer === undefined) {
      this.#wholeFor(this.#messageLength, here);
      return;
    }
    this.#sizes = answer.map((one) => one.length);
    const room = this.#sizes.reduce((sum, size) => sum + size, 0);
    assert(
      room === this.#messageLength - here,
      "the targets that front answers have room for the rest, exactly",
    );
    this.#asked = true;
    this.#targets = answer;
    this.#target = 0;
    this.#filled = 0;
    this.#skipFull();
  }

  /** The message goes to a buffer of its own, of which `kept` bytes are filled already. */
  #wholeFor(length: number, kept = 0): void {
    if (this.#whole.length < length) {
      const grown = new Uint8Array(length);
      grown.set(this.#whole.subarray(0, kept));
      this.#whole = grown;
    }
    this.#targets = [this.#whole.subarray(0, length)];
    this.#target = 0;
    this.#filled = kept;
  }

  #frameEnds(): void {
    this.#opcode = -1;
    this.#targets = [];
    if (this.#asked) {
      this.#asked = false;
      this.#sink.filled();
      return;
    }
    if (this.#fragmented && !this.#final) return;
    const length = this.#fragmented ? this.#wholeLength : this.#messageLength;
    this.#fragmented = false;
    const message = this.#whole.subarray(0, length);
    if (this.#whole.length > keptBytes) this.#whole = new Uint8Array(0);
    this.#sink.message(message);
  }

  /** A message that lies in the chunk: as it is where it is aligned, else from a copy. */
  #deliver(bytes: Uint8Array): void {
    if (bytes.byteOffset % 8 === 0) {
      this.#sink.message(bytes);
      return;
    }
    this.#wholeFor(bytes.length);
    this.#targets = [];
    this.#whole.set(bytes);
    this.#sink.message(this.#whole.subarray(0, bytes.length));
  }

  #violate(code: number, reason: string): void {
    this.stop();
    this.#sink.violation(code, reason);
  }
}
