import type {
  HttpRequest,
  HttpResponse,
  TemplatedApp,
  us_listen_socket,
  us_socket,
  us_socket_context_t,
  WebSocket,
} from "uwebsockets-20";
import type { Clock } from "../base/clock.js";
import { EmbershardError } from "../base/errors.js";
import { checkAddress, checkLimits } from "./checked-options.js";
import type {
  Accept,
  Address,
  HttpHandler,
  HttpReply,
  Listener,
  ListeningTransport,
  SocketLimits,
} from "./connection.js";
import { ConnectionWatch } from "./connection-watch.js";
import { ServerConnection, type SocketData } from "./uwebsockets-connection.js";
import { loadUWebSockets, type UWebSockets } from "./uwebsockets-module.js";

export interface ServerTransportOptions {
  readonly clock: Clock;
  /** Told what a receiver or a handler threw. Its connection is closed with 1011; others go on. */
  failed(error: unknown): void;
}

/**
 * Listens with uWebSockets.js, which is loaded at the first `listen`.
 *
 * A thread, or the process, that ends while a listener is open takes the whole process down with it (SIGABRT): await
 * `Listener.close` on every way out. A message longer than the limit, or one that breaks RFC 6455, ends its connection with
 * 1006. That clients mask is not checked: what comes unmasked is read as if it were masked, and is no frame then.
 */
export function uWebSocketTransport(options: ServerTransportOptions): ListeningTransport {
  return {
    async listen(at, limits, accept, http) {
      checkAddress(at, 0);
      checkLimits(limits);
      return new Server(await loadUWebSockets(), options, limits, accept, http).listen(at);
    },
  };
}

/** Sockets beyond the limit of connections that may be there for plain HTTP, or on their way to an upgrade. */
const otherSockets = 256;
/** What is sent at the end has so long to go out. */
const farewellMs = 500;
const statusTexts: Readonly<Record<number, string>> = {
  200: "OK",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  429: "Too Many Requests",
  500: "Internal Server Error",
  503: "Service Unavailable",
};

class Server implements Listener {
  host = "";
  port = 0;
  readonly #sockets: UWebSockets;
  readonly #app: TemplatedApp;
  readonly #options: ServerTransportOptions;
  readonly #limits: SocketLimits;
  readonly #accept: Accept;
  readonly #watch: ConnectionWatch;
  readonly #ofAddress = new Map<string, number>();
  #token: us_listen_socket | undefined;
  #closing: Promise<void> | undefined;
  /** Sockets of any kind: upgraded, on their way there, or for HTTP. */
  #socketCount = 0;
  #serial = 0;

  constructor(
    sockets: UWebSockets,
    options: ServerTransportOptions,
    limits: SocketLimits,
    accept: Accept,
    http: HttpHandler | undefined,
  ) {
    this.#sockets = sockets;
    this.#options = options;
    this.#limits = limits;
    this.#accept = accept;
    this.#watch = new ConnectionWatch(limits, options.clock);
    this.#app = sockets.App();
    this.#app.filter((response, change) => this.#count(response, Number(change)));
    this.#app.ws<SocketData>("/*", {
      compression: sockets.DISABLED,
      maxPayloadLength: limits.messageBytes,
      maxBackpressure: limits.waitingBytes,
      closeOnBackpressureLimit: false,
      idleTimeout: limits.idleSeconds,
      maxLifetime: limits.lifetimeMinutes,
      // Ours are sent by the watch, which waits for the answers.
      sendPingsAutomatically: false,
      upgrade: (response, request, context) => this.#upgrade(response, request, context),
      open: (socket) => this.#open(socket),
      message: (socket, bytes, isBinary) => socket.getUserData().connection?.deliver(bytes, isBinary),
      drain: (socket) => socket.getUserData().connection?.drain(),
      pong: (socket) => {
        const { connection } = socket.getUserData();
        if (connection) connection.heard = true;
      },
      close: (socket, code, reason) => this.#closed(socket.getUserData(), code, reason),
    });
    if (http) this.#app.get("/*", (response, request) => this.#answer(response, request, http));
    this.#app.any("/*", (response, request) => {
      const known = http === undefined || request.getMethod() === "get";
      reply(response, known ? notFound : { ...notFound, status: 405, body: "only GET is answered here\n" });
    });
  }

  get connections(): number {
    return this.#watch.size;
  }

  listen({ host, port }: Address): Promise<Listener> {
    return new Promise((resolve, reject) => {
      // Exclusive: otherwise a second process may share the port, and each gets some of the connections.
      const { LIBUS_LISTEN_EXCLUSIVE_PORT: exclusive } = this.#sockets as unknown as Record<string, number>;
      const listened = (token: us_listen_socket | false) => {
        if (token) {
          this.#token = token;
          this.host = host;
          this.port = this.#sockets.us_socket_local_port(token as unknown as us_socket);
          resolve(this);
        } else {
          this.#watch.stop();
          this.#app.close();
          reject(
            new EmbershardError(
              "UNAVAILABLE",
              `cannot listen on ${host}:${port}: the port is taken, or the address is not one of this machine`,
            ),
          );
        }
      };
      const listen = this.#app.listen.bind(this.#app) as unknown as ListenExclusively;
      listen(host, port, exclusive, listened);
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#shut();
    return this.#closing;
  }

  async #shut(): Promise<void> {
    if (this.#token) this.#sockets.us_listen_socket_close(this.#token);
    this.#watch.stop();
    let waiting = false;
    for (const connection of [...this.#watch.connections]) {
      waiting ||= connection.waitingBytes > 0;
      connection.close(1001, "the node is going away");
    }
    // Not the given clock: its timers do not keep a process alive, and one that ended now would be aborted.
    await new Promise((resolve) => setTimeout(resolve, waiting ? farewellMs : 10));
    this.#app.close();
  }

  /** Told of sockets that come, and of those that go before they have been upgraded. */
  #count(response: HttpResponse, change: number): void {
    this.#socketCount += change;
    if (change > 0 && this.#socketCount > this.#limits.connections + otherSockets) response.close();
  }

  #upgrade(response: HttpResponse, request: HttpRequest, context: us_socket_context_t): void {
    const address = textOf(response.getRemoteAddressAsText());
    const refusal = this.#refusalOf(request, address);
    if (refusal) {
      reply(response, refusal);
      return;
    }
    response.upgrade<SocketData>(
      { path: request.getUrl(), address },
      request.getHeader("sec-websocket-key"),
      "",
      "",
      context,
    );
  }

  #refusalOf(request: HttpRequest, address: string): HttpReply | undefined {
    const { connections, connectionsPerAddress } = this.#limits;
    const refused = (status: number, body: string) => ({ status, type: plainText, body: `${body}\n` });
    // Any page that is open in a browser on this machine could otherwise talk to a node that listens on loopback.
    if (request.getHeader("origin") !== "") return refused(403, "pages in browsers may not connect");
    if (this.#closing) return refused(503, "the node is going away");
    if (this.#watch.size >= connections) return refused(503, `there are ${connections} connections already`);
    if ((this.#ofAddress.get(address) ?? 0) >= connectionsPerAddress)
      return refused(429, `there are ${connectionsPerAddress} connections of this address already`);
    return undefined;
  }

  #open(socket: WebSocket<SocketData>): void {
    const data = socket.getUserData();
    this.#serial++;
    const connection = new ServerConnection(socket, this.#peerOf(socket, data.address), this.#options.failed);
    data.connection = connection;
    this.#ofAddress.set(data.address, (this.#ofAddress.get(data.address) ?? 0) + 1);
    this.#watch.add(connection);
    connection.guard(() => {
      connection.receiver = this.#accept(connection, { path: data.path });
    });
  }

  /** The older build does not tell the port: there, connections of one address are told apart by a number. */
  #peerOf(socket: WebSocket<SocketData> & { getRemotePort?(): number }, address: string): string {
    return socket.getRemotePort ? `${address}:${socket.getRemotePort()}` : `${address}#${this.#serial}`;
  }

  #closed({ connection, address }: SocketData, code: number, reason: ArrayBuffer): void {
    this.#socketCount--;
    if (!connection) return;
    const others = (this.#ofAddress.get(address) ?? 1) - 1;
    if (others > 0) this.#ofAddress.set(address, others);
    else this.#ofAddress.delete(address);
    this.#watch.remove(connection);
    connection.ended(code, textOf(reason));
  }

  #answer(response: HttpResponse, request: HttpRequest, http: HttpHandler): void {
    let aborted = false;
    response.onAborted(() => {
      aborted = true;
    });
    const path = request.getUrl();
    const answered = async () => {
      let answer: HttpReply;
      try {
        answer = (await http({ path })) ?? notFound;
      } catch (error) {
        this.#options.failed(error);
        answer = { status: 500, type: plainText, body: "internal error\n" };
      }
      if (!aborted) response.cork(() => reply(response, answer));
    };
    void answered();
  }
}

const plainText = "text/plain; charset=utf-8";
const notFound: HttpReply = { status: 404, type: plainText, body: "nothing is here\n" };

/** `listen` of a host and a port with options: there, and missing in the package's types. */
type ListenExclusively = (
  host: string,
  port: number,
  options: number,
  listened: (token: us_listen_socket | false) => void,
) => void;

const textOf = (bytes: ArrayBuffer) => Buffer.from(bytes).toString("utf8");

/** Answers and closes: who asks for a node's health does so once in a while. */
function reply(response: HttpResponse, { status, type, body }: HttpReply): void {
  response.writeStatus(`${status} ${statusTexts[status] ?? "Status"}`);
  response.writeHeader("content-type", type);
  response.end(body, true);
}
