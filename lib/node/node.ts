import type { Clock } from "../base/clock.js";
import { EmbershardError } from "../base/errors.js";
import { endBirth } from "../directory/identity.js";
import { makeDirectory } from "../directory/making.js";
import { forgetOwner, noteOwner } from "../directory/owner.js";
import type { Listener, ListeningTransport } from "../net/connection.js";
import type { SlotMap } from "../ring/slot-map.js";
import { ControlService } from "./control-service.js";
import { type Placement, placementOf } from "./node-placement.js";
import type { NodeStatus } from "./node-status.js";
import { type Endpoint, endpointText } from "./setting-kinds.js";
import type { NodeSettings } from "./setting-table.js";
import type { ShardFigures } from "./shard-figures.js";
import { socketLimits } from "./socket-limits.js";
import { ThreadHandle } from "./thread-handle.js";

/** What happens to a node, for its log. */
export type NodeEvent =
  | { readonly event: "rebuilding"; readonly shard: number; readonly reason: string }
  | { readonly event: "rebuilt"; readonly shard: number; readonly ms: number }
  | { readonly event: "stopping" }
  | { readonly event: "stopped" };

/** What a node is run with. */
export interface NodeParts {
  /** Of the control port. */
  readonly transport: (failed: (error: unknown) => void) => ListeningTransport;
  /** What a shard's thread runs. */
  readonly threadModule: URL;
  readonly clock: Clock;
  /** Name and version of the program. */
  readonly software: string;
  readonly say: (event: NodeEvent) => void;
}

/** A node of this process: its control port here, a thread for each shard. */
export class RunningNode {
  readonly #settings: NodeSettings & { readonly dir: string };
  readonly #parts: NodeParts;
  readonly #placement: Placement;
  readonly #control: ControlService;
  readonly #startedAt: number;
  #listener: Listener | undefined;
  #threads: ThreadHandle[] = [];
  #map: SlotMap | undefined;
  #store = "";
  #owns = false;
  #state: "starting" | "ready" | "stopping" = "starting";
  #stopping: Promise<void> | undefined;
  #lose!: (error: EmbershardError) => void;
  /** Resolves when a shard is lost for good, with what went wrong: the node has to end. */
  readonly lost: Promise<EmbershardError>;

  private constructor(
    settings: NodeSettings & { readonly dir: string },
    placement: Placement,
    parts: NodeParts,
  ) {
    this.#settings = settings;
    this.#placement = placement;
    this.#parts = parts;
    this.#startedAt = parts.clock.elapsed();
    this.#control = new ControlService({
      node: placement.node,
      software: parts.software,
      settings,
      clock: parts.clock,
      status: () => this.status(),
      broken: (cause) => this.#lose(asError(cause)),
    });
    this.lost = new Promise((resolve) => {
      this.#lose = resolve;
    });
  }

  /**
   * Starts a node: listens on the control port first, opens every shard, then lets clients in.
   *
   * @throws INVALID_OPTIONS; UNAVAILABLE when a port is taken; what opening the directory throws. Nothing runs then.
   */
  static async start(settings: NodeSettings, parts: NodeParts): Promise<RunningNode> {
    const { dir } = settings;
    if (dir === undefined)
      throw new EmbershardError(
        "INVALID_OPTIONS",
        "no directory is given: say where the store is with --dir",
      );
    const placement = await placementOf({ ...settings, dir });
    const node = new RunningNode({ ...settings, dir }, placement, parts);
    try {
      await node.#begin();
    } catch (error) {
      await node.#close({ drainMs: 0, checkpoint: false }).catch(() => undefined);
      throw error;
    }
    return node;
  }

  /** Where the control port listens, and the shards. */
  get address(): Endpoint {
    return { host: this.#placement.listen.host, port: this.#listener!.port };
  }

  get map(): SlotMap {
    return this.#map!;
  }

  async #begin(): Promise<void> {
    const { transport, threadModule, software } = this.#parts;
    const { listen, shards, node, record } = this.#placement;
    const identity = await makeDirectory(this.#settings.dir, { shards, placement: record });
    const limits = socketLimits(this.#settings);
    this.#listener = await transport((error) => this.#lose(asError(error))).listen(
      listen,
      limits,
      (connection) => this.#control.accept(connection),
      (request) => this.#control.http(request),
    );
    const { port } = this.#listener;
    const startThread = (shard: number) => {
      const at = { host: listen.host, port: listen.port === 0 ? 0 : port + 1 + shard };
      const start = {
        directory: this.#settings.dir,
        shard,
        shards,
        node,
        software,
        at,
        settings: this.#settings,
      };
      const thread = new ThreadHandle(start, threadModule, {
        rebuilding: (number, reason) => this.#parts.say({ event: "rebuilding", shard: number, reason }),
        rebuilt: (number, ms) => this.#parts.say({ event: "rebuilt", shard: number, ms }),
        lost: (_, error) => this.#lose(error),
      });
      this.#threads.push(thread);
      return thread.listening();
    };
    const numbers = Array.from({ length: shards }, (_, number) => number);
    const started = await Promise.all(numbers.map(startThread));
    // Now it is ours: every shard's lock is held.
    if (record && !identity.placement) await endBirth(this.#settings.dir, { ...identity, placement: record });
    await noteOwner(this.#settings.dir, { kind: "node", address: endpointText(this.address) });
    this.#owns = true;
    this.#store = identity.id;
    this.#map = this.#placement.mapWith(started.map((one) => one.port));
    for (const thread of this.#threads) thread.tellMap(this.#map);
    this.#control.begin(this.#map, this.#store);
    this.#state = "ready";
  }

  /** How the node fares. */
  async status(): Promise<NodeStatus> {
    const figures = await Promise.all(this.#threads.map((thread) => thread.figures()));
    const shards = figures.filter((one) => one !== undefined);
    const ailing = shards.find((one) => one.state !== "serving" || one.reason !== undefined);
    const gone = this.#state === "ready" && shards.length < this.#threads.length;
    const degraded = this.#state === "ready" && (gone || ailing !== undefined);
    const reason = gone ? "a shard's thread has ended" : ailing && reasonOf(ailing);
    return {
      node: this.#placement.node,
      software: this.#parts.software,
      store: this.#store,
      pid: process.pid,
      uptimeMs: this.#parts.clock.elapsed() - this.#startedAt,
      state: degraded ? "degraded" : this.#state,
      ...(degraded && reason !== undefined && { reason }),
      listen: endpointText(this.address),
      directory: this.#settings.dir,
      memoryBytes: this.#settings.memoryBytes,
      epoch: this.#map?.epoch ?? 0,
      nodes: this.#map ? this.#placement.nodesOf(this.#map, this.address) : [],
      shards,
    };
  }

  /** Stops: not ready any more, finishes what is under way, checkpoints, closes everything. Safe to call twice. */
  stop(): Promise<void> {
    this.#stopping ??= (async () => {
      this.#state = "stopping";
      this.#parts.say({ event: "stopping" });
      this.#control.stop();
      await this.#close({ drainMs: this.#settings.drainTimeoutMs, checkpoint: true });
      this.#parts.say({ event: "stopped" });
    })();
    return this.#stopping;
  }

  /** Closes everything at once, without waiting for requests and without a checkpoint: what was acknowledged is in the log. */
  abandon(): Promise<void> {
    this.#state = "stopping";
    return this.#close({ drainMs: 0, checkpoint: false });
  }

  async #close(how: { drainMs: number; checkpoint: boolean }): Promise<void> {
    if (this.#owns) await forgetOwner(this.#settings.dir);
    this.#owns = false;
    const ended = await Promise.allSettled(this.#threads.map((thread) => thread.stop(how)));
    await this.#listener?.close();
    for (const one of ended) if (one.status === "rejected") throw one.reason;
  }
}

function reasonOf({ shard, state, reason }: ShardFigures): string {
  return `shard ${shard} is ${state === "serving" ? "read-only" : state}${reason === undefined ? "" : `: ${reason}`}`;
}

function asError(cause: unknown): EmbershardError {
  if (cause instanceof EmbershardError) return cause;
  return new EmbershardError("INTERNAL", cause instanceof Error ? cause.message : String(cause), { cause });
}
