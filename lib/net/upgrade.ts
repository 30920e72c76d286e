// The client's half of a WebSocket's opening handshake (RFC 6455, 4.1).
import { createHash, randomBytes } from "node:crypto";
import { EmbershardError } from "../base/errors.js";
import type { Address } from "./connection.js";

/** An answer's head is at most so long. */
const headBytes = 8192;
/** RFC 6455, 1.3. */
const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** Asks to speak WebSocket, and judges the answer. */
export class Upgrade {
  /** The request, to be sent. */
  readonly request: string;
  readonly #key = randomBytes(16).toString("base64");
  readonly #peer: string;
  #head = Buffer.alloc(0);

  constructor({ host, port }: Address, path: string) {
    this.#peer = `${host}:${port}`;
    const name = host.includes(":") ? `[${host}]` : host;
    this.request = [
      `GET ${path} HTTP/1.1`,
      `Host: ${name}:${port}`,
      "Upgrade: websocket",
      "Connection: Upgrade",
      `Sec-WebSocket-Key: ${this.#key}`,
      "Sec-WebSocket-Version: 13",
      "\r\n",
    ].join("\r\n");
  }

  /**
   * Takes what has come. Returns undefined while the answer's head is not whole, then what came after it, which is a copy.
   * Errors: UNAVAILABLE for an answer that refuses, PROTOCOL for one that is no answer to an upgrade.
   */
  read(chunk: Uint8Array): Uint8Array | undefined {
    this.#head = Buffer.concat([this.#head, chunk]);
    const beginning = this.#head.subarray(0, 5).toString("latin1");
    if (!"HTTP/".startsWith(beginning)) throw this.#protocol(`answers with ${JSON.stringify(beginning)}`);
    const end = this.#head.indexOf("\r\n\r\n");
    if (end < 0) {
      if (this.#head.length > headBytes)
        throw this.#protocol(`sends an HTTP head of more than ${headBytes} bytes`);
      return undefined;
    }
    this.#judge(this.#head.subarray(0, end).toString("latin1").split("\r\n"), this.#head.subarray(end + 4));
    return this.#head.subarray(end + 4);
  }

  #judge([first, ...lines]: readonly string[], rest: Buffer): void {
    const status = /^HTTP\/1\.1 (\d{3})(?: |$)/.exec(first)?.[1];
    if (status === undefined) throw this.#protocol(`answers with ${JSON.stringify(first.slice(0, 80))}`);
    if (status !== "101") {
      const said = rest.toString("utf8").trim().slice(0, 200);
      throw new EmbershardError(
        "UNAVAILABLE",
        `${this.#peer} refuses a connection: ${first.slice(9)}${said && ` (${said})`}`,
      );
    }
    const headers = new Map<string, string>();
    for (const line of lines) {
      const colon = line.indexOf(":");
      if (colon <= 0)
        throw this.#protocol(`sends a header without a name: ${JSON.stringify(line.slice(0, 80))}`);
      headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
    }
    const accept = createHash("sha1")
      .update(this.#key + guid)
      .digest("base64");
    if (headers.get("upgrade")?.toLowerCase() !== "websocket")
      throw this.#protocol("does not upgrade to websocket");
    if (!/(^|,)\s*upgrade\s*(,|$)/i.test(headers.get("connection") ?? ""))
      throw this.#protocol("does not say Connection: Upgrade");
    if (headers.get("sec-websocket-accept") !== accept)
      throw this.#protocol("sends a Sec-WebSocket-Accept that is not of this request");
    if (headers.has("sec-websocket-extensions") || headers.has("sec-websocket-protocol"))
      throw this.#protocol("turns on an extension or a protocol that was not asked for");
  }

  #protocol(what: string): EmbershardError {
    return new EmbershardError(
      "PROTOCOL",
      `${this.#peer} ${what}; expected the answer of a WebSocket server. Check host and port`,
    );
  }
}
