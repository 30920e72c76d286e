import type { Clock } from "../base/clock.js";
import { EmbershardError } from "../base/errors.js";
import type { Connection, HttpReply, Receiver } from "../net/connection.js";
import type { SlotMap } from "../ring/slot-map.js";
import type { Frame } from "../wire/frame.js";
import { FrameWriter } from "../wire/frame-writer.js";
import type { Hello, SlotMapInput, WelcomeInput } from "../wire/generated/frame-types.js";
import { type Agreement, PROTOCOL } from "../wire/handshake.js";
import { Budget } from "./budget.js";
import { inFlightRequests, limitsOf } from "./handshake.js";
import type { NodeStatus } from "./node-status.js";
import { unsupported } from "./request-context.js";
import { type ConnectionTerms, type RequestHandler, ServedConnection } from "./served-connection.js";
import type { NodeSettings } from "./setting-table.js";
import { noCounts } from "./shard-figures.js";
import { slotMapFrame } from "./slot-map-frame.js";

/** What the control port needs to know. */
export interface ControlOptions {
  readonly node: string;
  readonly software: string;
  readonly settings: NodeSettings;
  readonly clock: Clock;
  readonly status: () => Promise<NodeStatus>;
  readonly broken: (cause: unknown) => void;
}

/** The control port of a node: tells clients the slot map, and people how the node is. It serves no rows. */
export class ControlService implements RequestHandler {
  readonly #options: ControlOptions;
  readonly #terms: ConnectionTerms;
  readonly #connections = new Set<ServedConnection>();
  #store = "";
  #slotMap: SlotMapInput | undefined;
  #stopping = false;

  constructor(options: ControlOptions) {
    const { settings, clock } = options;
    this.#options = options;
    this.#terms = {
      clock,
      counts: noCounts(),
      writer: new FrameWriter(),
      all: new Budget("the control port", settings.inFlightBytes),
      frameBytes: settings.frameBytes,
      connectionBytes: settings.connectionBytes,
      inFlight: inFlightRequests,
    };
  }

  /** Puts a slot map in force: from now on clients are let in. */
  begin(map: SlotMap, store: string): void {
    this.#slotMap = slotMapFrame(map);
    this.#store = store;
  }

  /** Tells clients that the node stops, and lets no more in. */
  stop(): void {
    this.#stopping = true;
    for (const connection of this.#connections) connection.sayGoodbye("the node stops");
  }

  accept(connection: Connection): Receiver {
    const served = new ServedConnection(connection, this, this.#terms);
    this.#connections.add(served);
    return served;
  }

  greet(_: Hello, { minor, features }: Agreement): WelcomeInput {
    const { software, node, settings } = this.#options;
    return {
      kind: "Welcome",
      major: PROTOCOL.major,
      minor,
      features,
      software,
      node,
      store: this.#store,
      limits: limitsOf(settings),
      slotMap: this.#demandMap(),
    };
  }

  #demandMap(): SlotMapInput {
    if (this.#stopping)
      throw new EmbershardError("UNAVAILABLE", "the node stops: connect again when it is back");
    if (this.#slotMap) return this.#slotMap;
    throw new EmbershardError("UNAVAILABLE", "the node is starting: connect again in a moment");
  }

  answer({ id, body }: Frame, connection: ServedConnection): Promise<void> | undefined {
    switch (body.kind) {
      case "GetSlotMap":
        connection.reply(id, this.#demandMap());
        return undefined;
      case "Stats":
        return this.#options
          .status()
          .then((status) => connection.reply(id, { kind: "Report", json: JSON.stringify(status) }));
      default:
        throw unsupported(`${body.kind} on its control port, which has the slot map: shards have the rows`);
    }
  }

  slotMap(): SlotMapInput | undefined {
    return this.#slotMap;
  }

  gone(connection: ServedConnection): void {
    this.#connections.delete(connection);
  }

  broken(cause: unknown): void {
    this.#options.broken(cause);
  }

  /** Answers GET /health (the process lives), /ready (it serves), /status. */
  async http({ path }: { readonly path: string }): Promise<HttpReply | undefined> {
    if (path === "/health") return json(200, { alive: true });
    if (path !== "/ready" && path !== "/status") return undefined;
    const status = await this.#options.status();
    if (path === "/status") return json(200, status);
    const ready = status.state === "ready";
    return json(ready ? 200 : 503, {
      ready,
      state: status.state,
      ...(status.reason && { reason: status.reason }),
    });
  }
}

function json(status: number, value: unknown): HttpReply {
  return { status, type: "application/json", body: `${JSON.stringify(value)}\n` };
}
