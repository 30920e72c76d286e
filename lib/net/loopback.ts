import { onAbort } from "../base/abort.js";
import type { Clock } from "../base/clock.js";
import { EmbershardError } from "../base/errors.js";
import { Prng } from "../base/prng.js";
import { checkAddress, checkConnectOptions, checkLimits } from "./checked-options.js";
import type {
  Accept,
  Address,
  Connection,
  ConnectOptions,
  Listener,
  Receiver,
  SocketLimits,
  Transport,
} from "./connection.js";
import { type LinkFaults, NO_FAULTS } from "./link-faults.js";
import { LoopbackEnd } from "./loopback-end.js";
import { type Item, Lane } from "./loopback-lane.js";

export interface LoopbackOptions {
  readonly clock: Clock;
  /** Decides all that is left to chance. The same seed and the same calls give the same run. */
  readonly seed: number;
  /** Told what a receiver threw. Its connection is closed with 1011. */
  failed(error: unknown): void;
  /** Told what happens, a line each: "12.500 worker>node:7400#3 sends 120 bytes". */
  trace?(line: string): void;
}

/**
 * A network in memory, for tests and simulation: hosts by name, faults between them, time from a clock that is given. Messages
 * and their order are those of TCP: within a connection none is lost, doubled or overtaken, and a connection that is cut loses
 * what came last. Plain HTTP is not carried.
 */
export class LoopbackNetwork {
  readonly #options: LoopbackOptions;
  readonly #random: Prng;
  readonly #listeners = new Map<string, LoopbackListener>();
  readonly #links = new Set<Link>();
  readonly #faultsOf = new Map<string, LinkFaults>();
  /** Lanes of attempts to connect. */
  readonly #attempts = new Set<Lane>();
  /** How often each host has crashed. */
  readonly #crashes = new Map<string, number>();
  #faults = NO_FAULTS;
  #serial = 0;

  constructor(options: LoopbackOptions) {
    this.#options = options;
    this.#random = new Prng(options.seed);
  }

  /** The transport of one host: what it connects comes from that host, and where it listens is said by the address. */
  transport(host: string): Transport {
    return {
      listen: async (at, limits, accept) => this.#listen(at, limits, accept),
      connect: (to, receiver, options) => this.#connect(host, to, receiver, options),
    };
  }

  /** Changes what goes wrong from now on: everywhere, or from one host to another, in that direction only. */
  setFaults(faults: Partial<LinkFaults>, from?: string, to?: string): void {
    if (from !== undefined && to !== undefined) {
      this.#faultsOf.set(`${from}>${to}`, { ...this.#faultsBetween(from, to), ...faults });
    } else {
      this.#faultsOf.clear();
      this.#faults = { ...this.#faults, ...faults };
    }
    for (const lane of this.#attempts) lane.changed();
    for (const link of this.#links) link.faultsChanged();
  }

  /**
   * The process of `host` is killed: its listeners and connections are gone, and nobody there is told. Others hear of it, unless
   * the machine went with it (`silently`).
   */
  crash(host: string, silently = false): void {
    this.#trace("", `${host} crashes`);
    this.#crashes.set(host, (this.#crashes.get(host) ?? 0) + 1);
    for (const [name, listener] of this.#listeners) if (listener.host === host) this.#listeners.delete(name);
    for (const link of [...this.#links]) link.vanish(host, silently);
  }

  /** Cuts every connection between two hosts, or every one there is. */
  cutAll(one?: string, other?: string): void {
    for (const link of [...this.#links]) link.cut(one, other);
  }

  async #listen(at: Address, limits: SocketLimits, accept: Accept): Promise<Listener> {
    checkAddress(at, 0);
    checkLimits(limits);
    let { port } = at;
    for (let next = 49_152; port === 0; next++) if (!this.#listeners.has(nameOf(at.host, next))) port = next;
    const name = nameOf(at.host, port);
    if (this.#listeners.has(name))
      throw new EmbershardError("UNAVAILABLE", `cannot listen on ${name}: the port is taken`);
    const listener = new LoopbackListener(at.host, port, limits, accept, (gone) => {
      if (this.#listeners.get(name) === gone) this.#listeners.delete(name);
    });
    this.#listeners.set(name, listener);
    return listener;
  }

  async #connect(
    host: string,
    to: Address,
    receiver: Receiver,
    options: ConnectOptions,
  ): Promise<Connection> {
    checkAddress(to, 1);
    checkConnectOptions(options);
    const attempt = new Promise<Connection>((resolve, reject) => {
      const { clock } = this.#options;
      const { signal, timeoutMs } = options;
      const name = nameOf(to.host, to.port);
      const number = ++this.#serial;
      const wayOf = (from: string, there: string) => () => this.#faultsBetween(from, there);
      const crashes = this.#crashes.get(host);
      let settled = false;
      let link: Link | undefined;
      let forget = () => {};
      const settle = (act: () => void) => {
        if (settled) return;
        settled = true;
        cancelTimer();
        this.#attempts.delete(there);
        this.#attempts.delete(back);
        forget();
        act();
      };
      const fail = (code: "ABORTED" | "DEADLINE" | "UNAVAILABLE", message: string) =>
        settle(() => {
          this.#trace(`${host}>${name}#${number}`, `does not connect: ${message}`);
          link?.client.vanish(false);
          reject(new EmbershardError(code, message));
        });
      const abort = () => fail("ABORTED", `the attempt to connect to ${name} was aborted`);
      const cancelTimer = clock.after(timeoutMs, () =>
        fail("DEADLINE", `${name} did not accept a connection within ${timeoutMs} ms`),
      );
      // The request and a refusal travel alone; what is accepted gets lanes of its own.
      const back = new Lane(clock, this.#random, wayOf(to.host, host), (item) => {
        if (item.kind === "gone") fail("UNAVAILABLE", item.reason);
      });
      const there = new Lane(clock, this.#random, wayOf(host, to.host), () => {
        const refusal = this.#refusalOf(this.#listeners.get(name), host, wayOf(host, to.host)().refuse);
        if (refusal !== undefined) {
          back.push({ kind: "gone", reason: `cannot connect to ${name}: ${refusal}` });
          return;
        }
        if (settled || this.#crashes.get(host) !== crashes) return;
        const listener = this.#listeners.get(name)!;
        link = this.#link(host, listener, number, receiver, options, () =>
          settle(() => resolve(link!.client)),
        );
      });
      if (signal?.aborted) {
        abort();
        return;
      }
      if (signal) forget = onAbort(signal, abort);
      this.#attempts.add(there).add(back);
      there.push({ kind: "opened" });
    });
    return attempt;
  }

  #refusalOf(listener: LoopbackListener | undefined, host: string, chance: number): string | undefined {
    if (!listener) return "nobody listens there";
    if (this.#random.unit() < chance) return "connection refused";
    const { connections, connectionsPerAddress } = listener.limits;
    if (listener.connections >= connections) return `503, there are ${connections} connections already`;
    if (listener.connectionsOf(host) >= connectionsPerAddress)
      return `429, there are ${connectionsPerAddress} connections of this address already`;
    return undefined;
  }

  #link(
    host: string,
    listener: LoopbackListener,
    number: number,
    receiver: Receiver,
    options: ConnectOptions,
    opened: () => void,
  ): Link {
    const { clock, failed } = this.#options;
    const name = nameOf(listener.host, listener.port);
    const [there, back] = [`${host}>${name}#${number}`, `${name}>${host}#${number}`];
    const toServer = () => this.#faultsBetween(host, listener.host);
    const toClient = () => this.#faultsBetween(listener.host, host);
    const random = this.#random;
    const client = new LoopbackEnd({
      peer: `${name}#${number}`,
      messageBytes: options.messageBytes,
      frontBytes: options.frontBytes,
      waitingBytes: undefined,
      random,
      clock,
      faults: toServer,
      failed,
      trace: (what) => this.#trace(there, what),
      ended: () => link.endOver(),
    });
    const server = new LoopbackEnd({
      peer: `${host}#${number}`,
      messageBytes: listener.limits.messageBytes,
      frontBytes: undefined,
      waitingBytes: listener.limits.waitingBytes,
      random,
      clock,
      faults: toClient,
      failed,
      trace: (what) => this.#trace(back, what),
      ended: () => {
        listener.left(server);
        link.endOver();
      },
    });
    const arriveAtServer = (item: Item) => {
      server.arrive(item);
      client.drain();
    };
    const arriveAtClient = (item: Item) => {
      if (item.kind === "opened") opened();
      else client.arrive(item);
      server.drain();
    };
    client.out = server.into = new Lane(clock, random, toServer, arriveAtServer);
    server.out = client.into = new Lane(clock, random, toClient, arriveAtClient);
    client.receiver = receiver;
    const link = new Link(clock, host, client, listener, server, options, () => this.#links.delete(link));
    this.#links.add(link);
    server.out.push({ kind: "opened" });
    listener.accepted(server, host, options.path, clock);
    link.faultsChanged();
    return link;
  }

  #faultsBetween(from: string, to: string): LinkFaults {
    return this.#faultsOf.get(`${from}>${to}`) ?? this.#faults;
  }

  #trace(who: string, what: string): void {
    const { trace, clock } = this.#options;
    trace?.(`${clock.now().toFixed(3)} ${who}${who && " "}${what}`);
  }
}

const nameOf = (host: string, port: number) => `${host}:${port}`;

class LoopbackListener implements Listener {
  readonly host: string;
  readonly port: number;
  readonly limits: SocketLimits;
  readonly #accept: Accept;
  readonly #freed: (self: LoopbackListener) => void;
  readonly #ends = new Map<LoopbackEnd, string>();

  constructor(
    host: string,
    port: number,
    limits: SocketLimits,
    accept: Accept,
    freed: (self: LoopbackListener) => void,
  ) {
    this.host = host;
    this.port = port;
    this.limits = limits;
    this.#accept = accept;
    this.#freed = freed;
  }

  get connections(): number {
    return this.#ends.size;
  }

  connectionsOf(host: string): number {
    let count = 0;
    for (const name of this.#ends.values()) if (name === host) count++;
    return count;
  }

  accepted(end: LoopbackEnd, host: string, path: string, clock: Clock): void {
    this.#ends.set(end, host);
    const { handshakeMs } = this.limits;
    end.greeted = clock.after(handshakeMs, () =>
      end.close(1008, `no first message within ${handshakeMs} ms`),
    );
    end.guard(() => {
      end.receiver = this.#accept(end, { path: path.split("?")[0] });
    });
  }

  left(end: LoopbackEnd): void {
    this.#ends.delete(end);
  }

  async close(): Promise<void> {
    this.#freed(this);
    for (const end of [...this.#ends.keys()]) end.close(1001, "the node is going away");
  }
}

/** A connection: both ends, and how long each waits for the other while nothing passes. */
class Link {
  readonly client: LoopbackEnd;
  readonly #clock: Clock;
  readonly #clientHost: string;
  readonly #server: LoopbackEnd;
  readonly #listener: LoopbackListener;
  readonly #options: ConnectOptions;
  readonly #over: () => void;
  #waits: (() => void)[] = [];
  /** Nothing is answered: a direction is held, or one of the machines is gone. */
  #mute = false;
  #silent = false;

  constructor(
    clock: Clock,
    clientHost: string,
    client: LoopbackEnd,
    listener: LoopbackListener,
    server: LoopbackEnd,
    options: ConnectOptions,
    over: () => void,
  ) {
    this.#clock = clock;
    this.#clientHost = clientHost;
    this.client = client;
    this.#listener = listener;
    this.#server = server;
    this.#options = options;
    this.#over = over;
  }

  /** With either direction held no ping is answered, so each end drops the connection in its time. */
  faultsChanged(): void {
    this.client.out.changed();
    this.#server.out.changed();
    this.#listen();
  }

  #listen(): void {
    const mute = this.#silent || this.client.out.held || this.#server.out.held;
    if (mute === this.#mute) return;
    this.#mute = mute;
    for (const cancel of this.#waits.splice(0)) cancel();
    if (mute) this.#giveUpLater();
  }

  #giveUpLater(): void {
    const { pingMs, answerMs } = this.#listener.limits;
    const give = (end: LoopbackEnd, afterMs: number) =>
      this.#waits.push(this.#clock.after(afterMs, () => end.terminate()));
    if (this.#options.silenceMs > 0) give(this.client, this.#options.silenceMs);
    if (pingMs > 0 && answerMs > 0) give(this.#server, pingMs + answerMs);
  }

  vanish(host: string, silently: boolean): void {
    if (host === this.#clientHost) this.client.vanish(silently);
    if (host === this.#listener.host) this.#server.vanish(silently);
    if (!silently) return;
    this.#silent = true;
    this.#listen();
  }

  cut(one: string | undefined, other: string | undefined): void {
    const hosts = [this.#clientHost, this.#listener.host];
    if ([one, other].some((host) => host !== undefined && !hosts.includes(host))) return;
    for (const lane of [this.client.out, this.#server.out]) lane.end({ kind: "gone", reason: "cut" });
  }

  endOver(): void {
    if (this.client.isOpen || this.#server.isOpen) return;
    for (const cancel of this.#waits.splice(0)) cancel();
    this.#over();
  }
}
