import type { MessagePort } from "node:worker_threads";
import type { Connection, Receiver } from "./connection.js";
import { joined } from "./joined-parts.js";

/** What goes through a port: a message, so many bytes of which the other side has taken, or the end. */
export type PortItem =
  | ArrayBuffer
  | { readonly taken: number }
  | { readonly close: number; readonly reason: string };

/** One end of a connection between threads. */
export class PortConnection implements Connection {
  readonly peer: string;
  readonly #port: MessagePort;
  readonly #messageBytes: number;
  #receiver: Receiver | undefined;
  #waiting = 0;
  #ended = false;

  constructor(port: MessagePort, peer: string, messageBytes: number) {
    this.#port = port;
    this.peer = peer;
    this.#messageBytes = messageBytes;
  }

  /** Begins to receive. */
  begin(receiver: Receiver): void {
    this.#receiver = receiver;
    this.#port.on("message", (item: PortItem) => this.#take(item));
    this.#port.on("close", () => this.#end(1006, ""));
  }

  get waitingBytes(): number {
    return this.#waiting;
  }

  send(parts: readonly Uint8Array[], taken?: () => void): void {
    if (!this.#ended) {
      const message = joined(parts);
      this.#waiting += message.length;
      this.#port.postMessage(message.buffer, [message.buffer]);
    }
    taken?.();
  }

  close(code: number, reason: string): void {
    if (this.#ended) return;
    this.#port.postMessage({ close: code, reason } satisfies PortItem);
    this.#later(code, reason);
  }

  terminate(): void {
    if (!this.#ended) this.#later(1006, "");
  }

  /** Receivers are not called from within a call of theirs. */
  #later(code: number, reason: string): void {
    queueMicrotask(() => this.#end(code, reason));
  }

  #take(item: PortItem): void {
    if (this.#ended) return;
    if ("close" in item) {
      this.#end(item.close, item.reason);
      return;
    }
    if ("taken" in item) {
      this.#waiting -= item.taken;
      if (this.#waiting === 0) this.#receiver?.drained?.();
      return;
    }
    if (item.byteLength > this.#messageBytes) {
      this.close(1009, "the message is too long");
      return;
    }
    this.#port.postMessage({ taken: item.byteLength } satisfies PortItem);
    this.#receiver?.message(new Uint8Array(item));
  }

  #end(code: number, reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#port.close();
    this.#receiver?.closed(code, reason);
  }
}
