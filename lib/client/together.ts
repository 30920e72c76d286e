// Requests that all shards do at one instant: each says how far it is, and goes on when all are there.
import type { Clock } from "../base/clock.js";
import { EmbershardError } from "../base/errors.js";
import type { Body, BodyInput } from "../wire/generated/frame-types.js";
import { type Channel, unexpected } from "./channel.js";
import type { Requests } from "./requests.js";

/** Stages that a request reaches one after the other. It waits at those that are not "begun". */
export type Stage = "begun" | "ready" | "still" | "written";

/** How a request is done together. */
export interface Together<T> {
  readonly body: BodyInput;
  readonly stages: readonly Stage[];
  /** What is kept of a shard's last answer, which is borrowed. @throws where it is not what was asked for */
  readonly take: (body: Body, channel: Channel) => T;
  /** Done when the first shard has begun, before the others are asked. */
  readonly begun?: (() => Promise<void>) | undefined;
  /** Whether the first shard does what comes behind the last stage when all others have answered, so that it has done it only if they have. */
  readonly firstLast?: boolean | undefined;
  /** Told of an answer that is not used, since another shard failed. */
  readonly unused?: ((answer: T) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Shards are told so often that who asked is there: where writes wait they give up when they hear nothing for a second. */
const sayMs = 200;

/**
 * Asks all shards, and has them go on from stage to stage together; gives their answers. The first shard comes first at each stage: of
 * two who ask at once the second waits there.
 *
 * @throws what the first that fails says; the others are told to give up, and nobody knows of them
 */
export async function askTogether<T>(requests: Requests, together: Together<T>): Promise<T[]> {
  const { cluster } = requests;
  const { body, stages, take, begun, firstLast = false, unused, signal } = together;
  const call = requests.call(signal);
  const parts: Participant<T>[] = [];
  const ask = async (owner: number) => {
    const channel = await call.within(Promise.resolve(cluster.channel(owner)));
    const part = new Participant(channel, body, call.frameDeadlineMs, take);
    parts.push(part);
    return part;
  };
  const saidAll = again(requests.settings.clock, sayMs, () => {
    for (const part of parts) part.wait();
  });
  try {
    const [owner, ...owners] = cluster.owners;
    const first = await ask(owner);
    await call.within(first.reached(stages[0]));
    if (begun) await call.within(begun());
    const others = await Promise.all(owners.map(ask));
    for (const [i, stage] of stages.entries()) {
      await call.within(first.reached(stage));
      if (i > 0) for (const other of others) other.proceedFrom(stages[i - 1]);
      await call.within(Promise.all(others.map((other) => other.reached(stage))));
      if (i < stages.length - 1) first.proceedFrom(stage);
    }
    const last = stages[stages.length - 1];
    for (const other of others) other.proceedFrom(last);
    if (firstLast) await call.within(Promise.all(others.map(({ answer }) => answer)));
    first.proceedFrom(last);
    return await call.within(Promise.all([first, ...others].map(({ answer }) => answer)));
  } catch (error) {
    const given = new EmbershardError("ABORTED", "another shard failed");
    for (const part of parts) part.giveUp(given);
    for (const one of await Promise.allSettled(parts.map(({ answer }) => answer)))
      if (one.status === "fulfilled") unused?.(one.value);
    throw error;
  } finally {
    saidAll();
    call.close();
  }
}

/** Calls again and again, until what it gives is called. */
function again(clock: Clock, everyMs: number, callback: () => void): () => void {
  let cancel = () => {};
  const wait = () => {
    cancel = clock.after(everyMs, () => {
      callback();
      wait();
    });
  };
  wait();
  return () => cancel();
}

/** What takes a report. */
export function takeReport(body: Body, channel: Channel): string {
  if (body.kind !== "Report") throw unexpected(channel.name, body.kind, "Report");
  return body.json;
}

/** A shard that takes part. */
class Participant<T> {
  /** What was taken of the last answer. */
  readonly answer: Promise<T>;
  readonly #channel: Channel;
  readonly #id: number;
  readonly #reached = new Set<string>();
  #waiting: { readonly stage: Stage; readonly resolve: () => void }[] = [];

  constructor(
    channel: Channel,
    body: BodyInput,
    deadlineMs: number,
    take: (body: Body, channel: Channel) => T,
  ) {
    this.#channel = channel;
    let id = 0;
    this.answer = new Promise((resolve, reject) => {
      id = channel.request(
        body,
        { deadlineMs },
        {
          answer: (frame) => {
            const { body: reply, more } = frame;
            if (more) this.#note((JSON.parse(takeReport(reply, channel)) as { stage: string }).stage);
            else resolve(take(reply, channel));
          },
          failed: reject,
        },
      );
    });
    // Who waits for a stage is told, too.
    this.answer.catch(() => {});
    this.#id = id;
  }

  /** Resolves when a stage has been reached. @throws what the request fails with */
  reached(stage: Stage): Promise<void> {
    if (this.#reached.has(stage)) return Promise.resolve();
    const there = new Promise<void>((resolve) => this.#waiting.push({ stage, resolve }));
    const early = this.answer.then(() => {
      throw unexpected(this.#channel.name, "Report", `the stage "${stage}"`);
    });
    return Promise.race([there, early]);
  }

  proceedFrom(stage: Stage): void {
    if (stage !== "begun") this.#channel.notify({ kind: "Proceed", request: this.#id });
  }

  /** Says that others are waited for; a shard that does not wait does not mind. */
  wait(): void {
    this.#channel.notify({ kind: "Proceed", request: this.#id, wait: true });
  }

  giveUp(error: EmbershardError): void {
    this.#channel.cancel(this.#id, error);
  }

  #note(stage: string): void {
    this.#reached.add(stage);
    for (const one of this.#waiting) if (one.stage === stage) one.resolve();
    this.#waiting = this.#waiting.filter((one) => one.stage !== stage);
  }
}
