// Peers that speak bytes, for what no well-behaved peer sends; and the `ws` package, for what others make of RFC 6455.
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { until } from "./recorder.js";

/** What is used here of the `ws` package, which has no types. */
export interface WsSocket {
  readonly readyState: number;
  binaryType: string;
  send(data: Uint8Array | string, options?: { fin?: boolean; binary?: boolean }): void;
  ping(data?: Uint8Array): void;
  close(code?: number, reason?: string): void;
  terminate(): void;
  on(event: "message", listener: (data: Buffer, isBinary: boolean) => void): void;
  on(event: "close", listener: (code: number, reason: Buffer) => void): void;
  on(event: "pong" | "ping", listener: (data: Buffer) => void): void;
  on(event: "open", listener: () => void): void;
  on(event: "error", listener: (error: Error) => void): void;
}

export interface WsServer {
  address(): AddressInfo;
  on(event: "connection", listener: (socket: WsSocket) => void): void;
  on(event: "listening", listener: () => void): void;
  close(): void;
}

interface WsPackage {
  readonly WebSocket: new (url: string, options?: object) => WsSocket;
  readonly WebSocketServer: new (options: object) => WsServer;
}

export const ws = createRequire(import.meta.url)("ws") as WsPackage;

/** Bytes of a frame with any header: `length` is what the header says, in the form that is asked for. */
export function frame(
  first: number,
  payload: Uint8Array = new Uint8Array(0),
  {
    masked = false,
    form = undefined as 7 | 16 | 64 | undefined,
    length = payload.length as number | bigint,
  } = {},
): Buffer {
  const size = form ?? (length <= 125 ? 7 : length <= 0xffff ? 16 : 64);
  const header = Buffer.alloc(size === 7 ? 2 : size === 16 ? 4 : 10);
  header[0] = first;
  header[1] = (masked ? 0x80 : 0) | (size === 7 ? Number(length) : size === 16 ? 126 : 127);
  if (size === 16) header.writeUInt16BE(Number(length), 2);
  if (size === 64) header.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([header, masked ? Buffer.alloc(4) : Buffer.alloc(0), payload]);
}

/** The upgrade that a client sends. */
export const upgradeText = (headers: readonly string[] = []) =>
  [
    "GET / HTTP/1.1",
    "Host: here",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    ...headers,
    "\r\n",
  ].join("\r\n");

/** A client over TCP that has sent what it was given, and keeps what comes. */
export class RawClient {
  readonly socket: Socket;
  received = Buffer.alloc(0);
  ended = false;

  constructor(port: number) {
    this.socket = connect({ host: "127.0.0.1", port, noDelay: true });
    this.socket.on("data", (data: Buffer) => {
      this.received = Buffer.concat([this.received, data]);
    });
    this.socket.on("error", () => undefined);
    this.socket.on("close", () => {
      this.ended = true;
    });
  }

  /** One that has been upgraded; what it received begins after that. */
  static async upgraded(port: number): Promise<RawClient> {
    const client = new RawClient(port);
    client.socket.write(upgradeText());
    await until(() => client.received.includes("\r\n\r\n"), "the upgrade");
    if (!client.received.toString("latin1").startsWith("HTTP/1.1 101")) throw new Error("not upgraded");
    client.received = client.received.subarray(client.received.indexOf("\r\n\r\n") + 4);
    return client;
  }

  /** The code of a close frame that was received last. */
  get closeCode(): number | undefined {
    for (let at = this.received.length - 2; at >= 0; at--)
      if (this.received[at] === 0x88 && this.received[at + 1] >= 2) return this.received.readUInt16BE(at + 2);
    return undefined;
  }

  destroy(): void {
    this.socket.destroy();
  }
}

/** A server over TCP that answers an upgrade as told and then sends what it is told. */
export class RawServer {
  readonly #server: Server;
  readonly sockets: Socket[] = [];
  received = Buffer.alloc(0);

  private constructor(answer: (key: string) => string | Uint8Array) {
    this.#server = createServer({ noDelay: true }, (socket) => {
      this.sockets.push(socket);
      let head = "";
      let upgraded = false;
      socket.on("error", () => undefined);
      socket.on("data", (data: Buffer) => {
        if (upgraded) {
          this.received = Buffer.concat([this.received, data]);
          return;
        }
        head += data.toString("latin1");
        if (!head.includes("\r\n\r\n")) return;
        upgraded = true;
        socket.write(answer(/Sec-WebSocket-Key: (\S+)/.exec(head)?.[1] ?? ""));
      });
    });
  }

  static async open(answer: (key: string) => string | Uint8Array = switching): Promise<RawServer> {
    const raw = new RawServer(answer);
    await new Promise<void>((resolve) => raw.#server.listen(0, "127.0.0.1", resolve));
    return raw;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** The answer that RFC 6455 asks for. */
export const switching = (key: string, headers: readonly string[] = []) =>
  [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${acceptOf(key)}`,
    ...headers,
    "\r\n",
  ].join("\r\n");

export const acceptOf = (key: string) =>
  createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
