// A request of a part: sent once, answered once or more, or given up.
import type { EmbershardError } from "../base/errors.js";
import type { Frame } from "../wire/frame.js";
import type { BodyInput } from "../wire/generated/frame-types.js";
import { type Call, RequestFailure } from "./call.js";
import type { Asking, Channel } from "./channel.js";
import type { Cluster } from "./cluster.js";

/**
 * Bytes of keys and rows that one request brings or asks for, about: enough for half a batch of 16,384 rows of dimension 64, so that one
 * owner of two takes one request, and the only one two, which overlap with their answers.
 */
export const usualRequestBytes = 5 << 19;

/** Bytes of a request beside its keys, rows and mark, at most: of the frame, and of each of its parts, with the padding of its columns. */
export const frontBytes = 512;
export const partBytes = 112;

/** What is asked, and who takes what is answered. */
export interface Inquiry {
  readonly body: BodyInput;
  readonly epoch: number;
  /** Bytes of it and of its answer. */
  readonly bytes?: number | undefined;
  /** Takes an answer. Returns whether it was the last. */
  readonly answer: (frame: Frame) => boolean;
  readonly target?: Asking["target"];
  /** Called when the bulk is not borrowed any more. */
  readonly taken?: () => void;
}

export class Exchange {
  /** Why nothing may be asked any more. */
  #given: EmbershardError | undefined;
  #under: { readonly channel: Channel; readonly id: number } | undefined;

  /** The connection to an owner, in time. */
  async reach(cluster: Cluster, owner: number, call: Call): Promise<Channel> {
    const reached = cluster.channel(owner);
    return reached instanceof Promise ? call.within(reached) : reached;
  }

  /** Asks, and waits for the last answer. @throws RequestFailure */
  async ask(channel: Channel, call: Call, inquiry: Inquiry): Promise<void> {
    if (this.#given) {
      inquiry.taken?.();
      throw this.#given;
    }
    const { body, epoch, bytes = 0, answer, target, taken } = inquiry;
    try {
      await new Promise<void>((resolve, reject) => {
        const asking: Asking = {
          answer: (frame) => {
            if (answer(frame)) resolve();
          },
          ...(target && { target }),
          failed: (error, details) => reject(new RequestFailure(error, details)),
        };
        const head = { epoch, deadlineMs: call.frameDeadlineMs };
        this.#under = { channel, id: channel.request(body, head, asking, bytes, taken) };
      });
    } finally {
      this.#under = undefined;
    }
  }

  /** Has what is under way fail with `error`, and what comes. */
  abandon(error: EmbershardError): void {
    this.#given = error;
    this.#under?.channel.cancel(this.#under.id, error);
  }
}
