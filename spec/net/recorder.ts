// Receivers and conditions for tests of transports.
import type { Connection, FrontAnswer, Receiver } from "../../lib/net/connection.js";

/** Keeps copies of what it receives. */
export class Recorder implements Receiver {
  readonly messages: Uint8Array[] = [];
  drains = 0;
  fills = 0;
  closedWith: { code: number; reason: string } | undefined;
  connection: Connection | undefined;
  readonly front?: (front: Uint8Array, totalBytes: number) => FrontAnswer;
  /** Called after each message. */
  onMessage: ((bytes: Uint8Array) => void) | undefined;

  constructor(front?: (front: Uint8Array, totalBytes: number) => FrontAnswer) {
    if (front) this.front = front;
  }

  message(bytes: Uint8Array): void {
    if (bytes.byteOffset % 8 !== 0) throw new Error(`a message lies at ${bytes.byteOffset}`);
    if (this.closedWith) throw new Error("a message came after the end");
    this.messages.push(bytes.slice());
    this.onMessage?.(bytes);
  }

  filled(): void {
    this.fills++;
  }

  drained(): void {
    this.drains++;
  }

  closed(code: number, reason: string): void {
    if (this.closedWith) throw new Error("closed was called twice");
    this.closedWith = { code, reason };
  }
}

/** Waits, with the event loop running, until `condition` holds. */
export async function until(
  condition: () => boolean,
  what = String(condition),
  limitMs = 10_000,
): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Bytes that tell their place, so that none can be missing, doubled or moved. */
export function pattern(length: number, seed: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let i = 0; i < words.length; i++)
    words[i] = Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(seed + 1, 0x85ebca6b);
  return new Uint8Array(words.buffer, 0, length);
}

/** Whether two arrays have the same bytes, without a message of megabytes when they do not. */
export function sameBytes(found: Uint8Array, expected: Uint8Array): boolean {
  return found.length === expected.length && Buffer.compare(found, expected) === 0;
}
