// Requests that are not about many rows: one frame to an owner, one answer.
import { EmbershardError } from "../base/errors.js";
import type { Body, BodyInput } from "../wire/generated/frame-types.js";
import { Call, type CallSettings, type Part } from "./call.js";
import { type Channel, unexpected } from "./channel.js";
import type { Cluster } from "./cluster.js";
import { Exchange } from "./exchange.js";
import type { Place } from "./write-order.js";

type Kind = Body["kind"];
type BodyOf<K extends Kind> = Extract<Body, { kind: K }>;

/** What a request says, or what it says to this owner over this connection. */
export type Question = BodyInput | ((channel: Channel, owner: number) => BodyInput);

export interface AskOptions {
  /** The connection that the answer has to come over. */
  readonly connection?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Its place among writes: it is sent when that comes, and leaves it in the end. */
  readonly place?: Place | undefined;
  /** Bytes of the request and its answer, where they are many. */
  readonly bytes?: number | undefined;
}

export interface AskAllOptions {
  /** Who is asked, unless all. */
  readonly owners?: readonly number[];
  readonly signal?: AbortSignal | undefined;
  /** The place of each owner's request, as `place` above. */
  readonly placeOf?: (owner: number) => Place;
}

/** What is under way when a store is closed gets so long, where calls have no deadline. */
const closingMs = 30_000;

export class Requests {
  readonly cluster: Cluster;
  readonly settings: CallSettings;
  /** Numbers of connections, so that a cursor can be held to its own. */
  readonly #numbers = new WeakMap<Channel, number>();
  #lastNumber = 0;

  constructor(cluster: Cluster, settings: CallSettings) {
    this.cluster = cluster;
    this.settings = settings;
  }

  /** Waits for what is under way, at most as long as calls may take; half a minute where they may take any time. */
  async patience(underWay: Promise<unknown>): Promise<void> {
    const { clock, deadlineMs } = this.settings;
    if (deadlineMs !== 0) await underWay;
    else
      await new Promise<void>((resolve) => {
        const cancel = clock.after(closingMs, resolve);
        void underWay.then(() => {
          cancel();
          resolve();
        });
      });
  }

  /** A call that each of the signals ends, to be closed when it is over. */
  call(...signals: readonly (AbortSignal | undefined)[]): Call {
    const given = signals.filter((signal) => signal !== undefined);
    return new Call(this.cluster, this.settings, given);
  }

  /**
   * Asks one owner. `take` makes of the answer what is to be kept of it: it is borrowed until that returns.
   */
  async ask<K extends Kind, T>(
    owner: number,
    question: Question,
    kind: K,
    take: (body: BodyOf<K>) => T,
    { signal, ...options }: AskOptions = {},
  ): Promise<{ readonly body: T; readonly connection: number }> {
    const call = this.call(signal);
    try {
      const part = new OnePart(this, owner, question, kind, take, options);
      await call.settle(part);
      return part.answer as { body: T; connection: number };
    } finally {
      call.close();
    }
  }

  /** Asks owners at once, each at its place, if there is one. Answers are in the order of `owners`. */
  async askAll<K extends Kind, T>(
    question: Question,
    kind: K,
    take: (body: BodyOf<K>) => T,
    { owners = this.cluster.owners, signal, placeOf }: AskAllOptions = {},
  ): Promise<T[]> {
    const answers = owners.map((owner) =>
      this.ask(owner, question, kind, take, { signal, place: placeOf?.(owner) }),
    );
    const settled = await Promise.allSettled(answers);
    for (const one of settled) if (one.status === "rejected") throw one.reason;
    return settled.map((one) => (one as PromiseFulfilledResult<{ body: T }>).value.body);
  }

  /** Says something over a connection, if it still is; nobody waits for the answer. */
  tell(owner: number, connection: number, body: BodyInput): void {
    const channel = this.cluster.openChannel(owner);
    if (!channel || this.numberOf(channel) !== connection) return;
    // What is refused, or ends with the connection, is over at the node anyway.
    channel.request(body, {}, { answer: () => {}, failed: () => {} });
  }

  numberOf(channel: Channel): number {
    let number = this.#numbers.get(channel);
    if (number === undefined) {
      number = ++this.#lastNumber;
      this.#numbers.set(channel, number);
    }
    return number;
  }
}

class OnePart<K extends Kind, T> implements Part {
  readonly owner: number;
  readonly epoch: number;
  readonly keys = 0;
  answer: { readonly body: T; readonly connection: number } | undefined;
  readonly #requests: Requests;
  readonly #question: Question;
  readonly #kind: K;
  readonly #take: (body: BodyOf<K>) => T;
  readonly #options: AskOptions;
  readonly #exchange = new Exchange();

  constructor(
    requests: Requests,
    owner: number,
    question: Question,
    kind: K,
    take: (body: BodyOf<K>) => T,
    options: AskOptions,
  ) {
    this.#requests = requests;
    this.owner = owner;
    this.epoch = requests.cluster.map.epoch;
    this.#question = question;
    this.#kind = kind;
    this.#take = take;
    this.#options = options;
  }

  settled(): void {
    this.#options.place?.leave();
  }

  async attempt(call: Call): Promise<void> {
    const turn = this.#options.place?.turn;
    if (turn) await call.within(turn);
    const channel = await this.#exchange.reach(this.#requests.cluster, this.owner, call);
    const connection = this.#requests.numberOf(channel);
    if (this.#options.connection !== undefined && connection !== this.#options.connection)
      throw new EmbershardError(
        "ABORTED",
        `${channel.name}: the connection ended during the scan: begin it anew`,
      );
    await this.#exchange.ask(channel, call, {
      body: typeof this.#question === "function" ? this.#question(channel, this.owner) : this.#question,
      epoch: this.epoch,
      bytes: this.#options.bytes,
      answer: ({ body }) => {
        if (body.kind !== this.#kind) throw unexpected(channel.name, body.kind, this.#kind);
        this.answer = { body: this.#take(body as BodyOf<K>), connection };
        return true;
      },
    });
  }

  abandon(error: EmbershardError): void {
    this.#exchange.abandon(error);
  }

  async replan(call: Call): Promise<void> {
    const { cluster } = this.#requests;
    const { node, shard } = cluster.map.owners[this.owner] ?? {};
    if (node === undefined || shard === undefined)
      throw new EmbershardError("ABORTED", "the cluster's shards changed meanwhile: call again");
    const part = new OnePart(
      this.#requests,
      this.owner,
      this.#question,
      this.#kind,
      this.#take,
      this.#options,
    );
    await call.settle(part);
    this.answer = part.answer;
  }
}
