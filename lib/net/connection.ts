/**
 * What a transport is. There are two of the real kind, a server over uWebSockets.js and a client over node:net, and one
 * in memory that loses and delays; one law suite runs over all. A message is one binary WebSocket message (RFC 6455),
 * whole: order is kept within a connection, and what was sent before a connection ended may or may not have arrived.
 */

/** One end of a connection. */
export interface Connection {
  /** Who is at the other end, for messages and logs: "127.0.0.1:53122". */
  readonly peer: string;
  /** Bytes that `send` accepted and the operating system has not yet taken: at most this many, never fewer. */
  readonly waitingBytes: number;
  /**
   * Sends one message made of `parts`, in order. Once the connection has ended it does nothing.
   *
   * The parts are borrowed: without `taken` until the call returns (what the system does not take at once is copied);
   * with it until `taken` is called, exactly once, perhaps before `send` returns, and also when the connection ends. Views
   * over WebAssembly memory are fine, so long as the memory does not grow in that time.
   */
  send(parts: readonly Uint8Array[], taken?: () => void): void;
  /** Closes after what was sent has gone out. `code` is 1000, 1001, 1002, 1008 to 1013 or 3000 to 4999; reason at most 123 bytes. */
  close(code: number, reason: string): void;
  /** Drops the connection at once. `closed` follows with 1006. */
  terminate(): void;
  /** Says, when that changes, whether something is awaited from the other end: a connection may then look for it more eagerly. */
  awaits?(answers: boolean): void;
}

/**
 * What `front` answers: `undefined`, deliver the message whole; a number, ask again when so many bytes of it are here;
 * views, the rest of the message goes into them, in order. Together they have exactly the bytes that are to come.
 */
export type FrontAnswer = undefined | number | readonly Uint8Array[];

/** What a connection calls. None of it is called from within a call of that same connection. */
export interface Receiver {
  /** A whole message, borrowed until it returns. It begins at a multiple of 8 bytes of its ArrayBuffer. */
  message(bytes: Uint8Array): void;
  /**
   * Asked on the client's side only, for messages of more than `frontBytes` bytes: `front` has the first of them, exactly
   * as many as were asked for, borrowed until it returns. A target that was answered is written until `filled` or `closed`.
   */
  front?(front: Uint8Array, totalBytes: number): FrontAnswer;
  /** The targets that `front` answered are full. */
  filled?(): void;
  /** `waitingBytes` has fallen to 0, after it had been above. */
  drained?(): void;
  /** The last call. 1006: without a word from the other end. */
  closed(code: number, reason: string): void;
}

/** What a listener allows. `DEFAULT_SOCKET_LIMITS` says what each is when nothing is said. */
export interface SocketLimits {
  /** Bytes of a message. A longer one ends its connection. */
  readonly messageBytes: number;
  /** Bytes that may wait for a reader, beyond which its connection is dropped. */
  readonly waitingBytes: number;
  /** Connections in all. More are answered with 503. */
  readonly connections: number;
  /** Connections of one address. More are answered with 429. */
  readonly connectionsPerAddress: number;
  /** Time in which the first message has to be complete. */
  readonly handshakeMs: number;
  /** After so long without a complete message a connection is pinged. 0: never. */
  readonly pingMs: number;
  /**
   * A pinged connection has so long to complete the message that it is sending, or to answer. A sender of single bytes can
   * do neither, since an answer may not come within a frame. 0: for ever.
   */
  readonly answerMs: number;
  /** While bytes wait for a reader it has to take this many each second, measured over `readerMs`; else it is dropped. */
  readonly readerBytesPerSecond: number;
  /** See `readerBytesPerSecond`. 0: for ever. */
  readonly readerMs: number;
  /**
   * Seconds without any byte in either direction after which a connection is dropped, also one that was closed here and whose
   * other end does not answer: 8 to 960.
   */
  readonly idleSeconds: number;
  /** Minutes that a connection may last: 0 (for ever) to 240. */
  readonly lifetimeMinutes: number;
}

export const DEFAULT_SOCKET_LIMITS: SocketLimits = {
  messageBytes: 16 << 20,
  waitingBytes: 256 << 20,
  connections: 4096,
  connectionsPerAddress: 1024,
  handshakeMs: 10_000,
  pingMs: 20_000,
  answerMs: 120_000,
  readerBytesPerSecond: 64 << 10,
  readerMs: 10_000,
  idleSeconds: 300,
  lifetimeMinutes: 0,
};

/** A plain HTTP answer. */
export interface HttpReply {
  /** 200, 404, 503 … */
  readonly status: number;
  /** "application/json", "text/plain; charset=utf-8" … */
  readonly type: string;
  readonly body: string;
}

/** Answers an HTTP GET that is no WebSocket upgrade. `undefined`: there is nothing at that path (404). */
export type HttpHandler = (request: {
  readonly path: string;
}) => HttpReply | undefined | Promise<HttpReply | undefined>;

export interface Listener {
  readonly host: string;
  /** The port in fact, where 0 was asked for. */
  readonly port: number;
  /** Connections that are open. */
  readonly connections: number;
  /** Accepts no more, closes all connections with 1001, gives them a moment to hear it, and lets go of the port. */
  close(): Promise<void>;
}

/** How a client connects. `DEFAULT_CONNECT_OPTIONS` says what each is when nothing is said. */
export interface ConnectOptions {
  /** The path that the upgrade asks for. */
  readonly path: string;
  /** Time for the connection and the upgrade. */
  readonly timeoutMs: number;
  /** Bytes of a message. A longer one ends the connection with 1009. */
  readonly messageBytes: number;
  /** Bytes that the receiver's `front` wants to see first. */
  readonly frontBytes: number;
  /**
   * "zero": payloads are sent as they are, masked with 0. RFC 6455 (5.3) asks for unpredictable masks to protect proxies
   * from scripts in browsers, which a client over a private network or TLS is not. "random" masks a copy.
   */
  readonly mask: "zero" | "random";
  /** After half of this time without a byte the other end is pinged, after all of it the connection is dropped. 0: never. */
  readonly silenceMs: number;
  /**
   * "auto": while answers are awaited and for 0.1 ms after the last news, the system is asked for more without sleeping, where
   * processors are to spare, the system says so (Linux), and no quota limits their time (cgroups). "never": always sleeps.
   */
  readonly polling: "auto" | "never";
  /** Ends the attempt to connect with ABORTED. Has no effect on an open connection. */
  readonly signal?: AbortSignal;
}

export const DEFAULT_CONNECT_OPTIONS: ConnectOptions = {
  path: "/",
  timeoutMs: 5000,
  messageBytes: 16 << 20,
  frontBytes: 256,
  mask: "zero",
  silenceMs: 60_000,
  polling: "auto",
};

/** A host name or address, and a port. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Takes a connection that has been opened, and says who receives what comes. */
export type Accept = (connection: Connection, request: { readonly path: string }) => Receiver;

/** The server's side. */
export interface ListeningTransport {
  /**
   * Listens. Errors: INVALID_OPTIONS for limits out of range; UNAVAILABLE when the address is taken or is not ours;
   * UNSUPPORTED when the package for sockets does not load.
   */
  listen(at: Address, limits: SocketLimits, accept: Accept, http?: HttpHandler): Promise<Listener>;
}

/** The client's side. */
export interface ConnectingTransport {
  /**
   * Connects. Errors: INVALID_OPTIONS; UNAVAILABLE when nobody answers or the answer is a refusal; PROTOCOL when what
   * answers is no WebSocket server; DEADLINE when `timeoutMs` is over; ABORTED.
   */
  connect(to: Address, receiver: Receiver, options: ConnectOptions): Promise<Connection>;
}

export interface Transport extends ListeningTransport, ConnectingTransport {}
