// Listens in on a shard's connections: tells what passes, and demands that nothing is done by an epoch that is not in force.

import { codeOfNumber } from "../../lib/base/errors.js";
import type { Connection, Receiver } from "../../lib/net/connection.js";
import type { Service } from "../../lib/node/shard-host.js";
import type { ShardService } from "../../lib/node/shard-service.js";
import { type Frame, replyItems } from "../../lib/wire/frame.js";
import { readFrame } from "../../lib/wire/frame-reader.js";
import type { World } from "./world.js";

/** Whoever listens has agreed to everything. */
const terms = { features: 0xffff_ffff, items: replyItems };

interface Asked {
  readonly kind: string;
  /** Of the request, and in force when it came. */
  readonly epoch: number;
  readonly inForce: number;
}

/** A shard's service with somebody listening. */
export class TappedService implements Service {
  readonly service: ShardService;
  readonly #world: World;
  readonly #name: string;

  constructor(service: ShardService, world: World, name: string) {
    this.service = service;
    this.#world = world;
    this.#name = name;
  }

  accept(connection: Connection): Receiver {
    const asked = new Map<number, Asked>();
    const tapped: Connection = {
      peer: connection.peer,
      get waitingBytes() {
        return connection.waitingBytes;
      },
      send: (parts, taken) => {
        this.#replied(connection.peer, asked, parts);
        connection.send(parts, taken);
      },
      close: (code, reason) => connection.close(code, reason),
      terminate: () => connection.terminate(),
    };
    const receiver = this.service.accept(tapped);
    return {
      message: (bytes) => {
        this.#asked(connection.peer, asked, bytes);
        receiver.message(bytes);
      },
      drained: () => receiver.drained?.(),
      closed: (code, reason) => receiver.closed(code, reason),
    };
  }

  drain(ms: number): Promise<void> {
    return this.service.drain(ms);
  }

  #asked(peer: string, asked: Map<number, Asked>, bytes: Uint8Array): void {
    const frame = readFrame(bytes, terms);
    const { id, epoch, body } = frame;
    this.#world.tell(this.#name, () => `< ${peer} ${textOf(frame)}`);
    if (!namesKeys(body.kind)) return;
    asked.set(id, { kind: body.kind, epoch, inForce: this.service.ownership().map.epoch });
  }

  #replied(peer: string, asked: Map<number, Asked>, parts: readonly Uint8Array[]): void {
    const frame = readFrame(joined(parts), terms);
    const { id, body, more } = frame;
    this.#world.tell(this.#name, () => `> ${peer} ${textOf(frame)}`);
    if (body.kind === "Failure") this.#world.count(`a shard refuses with ${codeOfNumber(body.code)}`);
    const request = asked.get(id);
    if (!request) return;
    if (!more) asked.delete(id);
    const { kind, epoch, inForce } = request;
    if (body.kind === "Done" && body.repeated) this.#world.count("a write comes again");
    const done = body.kind !== "Failure" && !(body.kind === "Done" && body.repeated);
    if (done && epoch !== inForce)
      this.#world.violate(
        `${this.#name} answers ${kind} of ${peer} with ${body.kind}: it was planned with epoch ${epoch}, and epoch ${inForce} was in force`,
      );
  }
}

const namesKeys = (kind: string) =>
  ["Pull", "Push", "Assign", "Delete", "Contains", "Occurrences", "Prefetch"].includes(kind);

function joined(parts: readonly Uint8Array[]): Uint8Array {
  // At a multiple of 8 bytes, as messages come.
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function textOf({ id, epoch, body }: Frame): string {
  const head = `${body.kind} ${id}${namesKeys(body.kind) ? ` epoch ${epoch}` : ""}`;
  switch (body.kind) {
    case "Hello":
      return `${head} of ${body.worker ?? "nobody"}, session ${body.session}${body.resume ? ", again" : ""}`;
    case "Push":
    case "Assign":
    case "Delete":
      return `${head} #${body.write.sequence} slots ${body.write.firstSlot} to ${body.write.lastSlot}, keys ${body.keys.join(" ")}`;
    case "Pull":
    case "Contains":
    case "Occurrences":
      return `${head} keys ${body.keys.join(" ")}`;
    case "Done":
      return `${head}${body.repeated ? " repeated" : ""}, LSN ${body.lsn}`;
    case "Failure":
      return `${head}: ${body.message}`;
    default:
      return head;
  }
}
