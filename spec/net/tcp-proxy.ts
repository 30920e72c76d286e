import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

export type Direction = "toServer" | "toClient";

/** Stands between a client and a server over TCP and does to their bytes what networks do. */
export class TcpProxy {
  /** Each piece of bytes is passed on so much later. */
  delayMs = 0;
  /** New connections are reset at once. */
  refuses = false;
  readonly #server: Server;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #pairs = new Set<Pair>();
  readonly #held = new Set<Direction>();
  readonly #cutAt: Record<Direction, number> = { toServer: Infinity, toClient: Infinity };

  private constructor(target: { readonly host: string; readonly port: number }) {
    this.#target = target;
    this.#server = createServer({ pauseOnConnect: true, noDelay: true }, (client) => this.#accept(client));
  }

  /** Listens on 127.0.0.1, on a port of its own unless given. */
  static async open(target: { readonly host: string; readonly port: number }, port = 0): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once("error", reject);
      proxy.#server.listen(port, "127.0.0.1", resolve);
    });
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** Bytes that were passed on so far, over all connections. */
  readonly passedBytes: Record<Direction, number> = { toServer: 0, toClient: 0 };

  /** Lets nothing through in these directions, and tells nobody: both make a black hole. None: everything passes again. */
  hold(...directions: Direction[]): void {
    this.#held.clear();
    for (const direction of directions) this.#held.add(direction);
    for (const pair of this.#pairs) pair.update(this.#held);
  }

  /** Resets every connection that has passed `bytes` more in that direction, at exactly that byte. Infinity: none. */
  cutAfter(direction: Direction, bytes: number): void {
    this.#cutAt[direction] = bytes;
    for (const pair of this.#pairs) pair.left[direction] = bytes;
  }

  /** Resets all connections. */
  cut(): void {
    for (const pair of [...this.#pairs]) pair.reset();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client: Socket): void {
    if (this.refuses) {
      client.resetAndDestroy();
      return;
    }
    const server = connect({ ...this.#target, noDelay: true });
    const pair = new Pair(client, server, { ...this.#cutAt }, this, () => this.#pairs.delete(pair));
    this.#pairs.add(pair);
    pair.update(this.#held);
  }
}

/** A connection and the one behind it. */
class Pair {
  /** Bytes that still pass before the cut. */
  readonly left: Record<Direction, number>;
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #proxy: TcpProxy;
  readonly #over: () => void;
  readonly #timers = new Set<NodeJS.Timeout>();
  #reset = false;

  constructor(
    client: Socket,
    server: Socket,
    left: Record<Direction, number>,
    proxy: TcpProxy,
    over: () => void,
  ) {
    this.#client = client;
    this.#server = server;
    this.left = left;
    this.#proxy = proxy;
    this.#over = over;
    this.#pass("toServer", client, server);
    this.#pass("toClient", server, client);
  }

  update(held: ReadonlySet<Direction>): void {
    if (held.has("toServer")) this.#client.pause();
    else this.#client.resume();
    if (held.has("toClient")) this.#server.pause();
    else this.#server.resume();
  }

  reset(): void {
    if (this.#reset) return;
    this.#reset = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const socket of [this.#client, this.#server]) {
      // A socket that is not connected yet, or is being shut down, cannot be reset.
      if (socket.connecting || socket.writableEnded) socket.destroy();
      else socket.resetAndDestroy();
    }
    this.#over();
  }

  #pass(direction: Direction, from: Socket, to: Socket): void {
    from.on("data", (data: Buffer) => {
      const passing = data.subarray(0, Math.min(data.length, this.left[direction]));
      this.left[direction] -= passing.length;
      const cut = this.left[direction] === 0;
      this.#later(() => {
        this.#proxy.passedBytes[direction] += passing.length;
        // A slow end slows the other one, as without a proxy.
        if (!to.write(passing) && !cut) {
          from.pause();
          to.once("drain", () => from.resume());
        }
        // What was passed on has left before the reset, which would overtake it.
        if (cut) setImmediate(() => this.reset());
      });
    });
    from.on("end", () => this.#later(() => to.end()));
    from.on("error", () => this.reset());
    from.on("close", () => {
      if (to.destroyed) this.reset();
    });
  }

  #later(act: () => void): void {
    const { delayMs } = this.#proxy;
    if (delayMs === 0) {
      act();
      return;
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, delayMs);
    this.#timers.add(timer);
  }
}
