import { versionIsReadOnly } from "../api/version-types.js";
import type { Clock } from "../base/clock.js";
import { EmbershardError } from "../base/errors.js";
import type { Connection, Receiver } from "../net/connection.js";
import type { SlotMap } from "../ring/slot-map.js";
import type { Shard } from "../shard/shard.js";
import type { Frame } from "../wire/frame.js";
import { FrameWriter } from "../wire/frame-writer.js";
import type { Body, Hello, SlotMapInput, WelcomeInput } from "../wire/generated/frame-types.js";
import { type Agreement, PROTOCOL } from "../wire/handshake.js";
import { Budget } from "./budget.js";
import { answerWatchEvicted } from "./evictions-told.js";
import { inFlightRequests, limitsOf } from "./handshake.js";
import { answerContains, answerOccurrences, answerPrefetch } from "./keys-requests.js";
import { OpenVersions } from "./open-versions.js";
import { Ownership } from "./ownership.js";
import { answerPull } from "./pull-request.js";
import { type Answer, type RequestContext, unsupported } from "./request-context.js";
import { answerEndScan, answerScan } from "./scan-request.js";
import { type ConnectionTerms, type RequestHandler, ServedConnection } from "./served-connection.js";
import { ServedTables } from "./served-tables.js";
import type { NodeSettings } from "./setting-table.js";
import type { ServiceCounts } from "./shard-figures.js";
import type { Service } from "./shard-host.js";
import { slotMapFrame } from "./slot-map-frame.js";
import { answerDecay, answerEvict, answerForget } from "./sweep-requests.js";
import { answerDropTable, answerListTables, answerOpenTable } from "./table-requests.js";
import {
  answerChanges,
  answerCheckpoint,
  answerCloseVersion,
  answerDeleteVersion,
  answerDiff,
  answerGetMark,
  answerListVersions,
  answerOpenVersion,
  answerRollback,
  answerStats,
} from "./version-requests.js";
import { answerAssign, answerDelete, answerPush } from "./write-request.js";

/** What a service is told of itself. */
export interface ServiceOptions {
  /** Name of the node, number of the shard in it, shards of it. */
  readonly node: string;
  readonly number: number;
  readonly shards: number;
  /** Identity of the store. */
  readonly store: string;
  /** Name and version of the program. */
  readonly software: string;
  readonly settings: NodeSettings;
  readonly clock: Clock;
  readonly counts: ServiceCounts;
  /** Called when an invariant breaks: the shard has to be opened anew. */
  readonly broken: (cause: unknown) => void;
}

/**
 * Serves a shard to connections: a state machine over what comes, without sockets, threads or time of its own. Each kind
 * of request has a function of its own; what can be answered at once is.
 */
export class ShardService implements Service, RequestHandler, RequestContext {
  readonly shard: Shard;
  readonly tables: ServedTables;
  readonly openVersions: OpenVersions;
  readonly writer = new FrameWriter();
  readonly inFlight: Budget;
  readonly #options: ServiceOptions;
  readonly #terms: ConnectionTerms;
  readonly #connections = new Set<ServedConnection>();
  #ownership: Ownership | undefined;
  #slotMap: SlotMapInput | undefined;
  #draining = false;
  #quiet: (() => void)[] = [];

  constructor(shard: Shard, options: ServiceOptions) {
    const { settings, clock, counts, shards } = options;
    this.shard = shard;
    shard.workers.attend(() => [...this.#connections].map(({ worker }) => worker));
    this.tables = new ServedTables(shard);
    this.openVersions = new OpenVersions(shard);
    this.#options = options;
    this.inFlight = new Budget(
      "the shard",
      Math.max(settings.connectionBytes, settings.inFlightBytes / shards),
    );
    this.#terms = {
      clock,
      counts,
      writer: this.writer,
      all: this.inFlight,
      frameBytes: settings.frameBytes,
      connectionBytes: settings.connectionBytes,
      inFlight: inFlightRequests,
    };
  }

  get counts(): ServiceCounts {
    return this.#options.counts;
  }

  get clock(): Clock {
    return this.#options.clock;
  }

  /** Puts a slot map in force: from now on requests that were planned with another are refused. */
  setMap(map: SlotMap): void {
    this.#ownership = new Ownership(map, this.#options.node, this.#options.number);
    this.#slotMap = slotMapFrame(map);
    this.shard.takeShare(this.#ownership.share);
  }

  accept(connection: Connection): Receiver {
    const served = new ServedConnection(connection, this, this.#terms);
    this.#connections.add(served);
    return served;
  }

  async drain(ms: number): Promise<void> {
    this.#draining = true;
    for (const connection of this.#connections) connection.sayGoodbye("the node stops");
    if (this.#pending() === 0) return;
    let cancel = (): void => {};
    await new Promise<void>((resolve) => {
      this.#quiet.push(resolve);
      cancel = this.clock.after(ms, resolve);
    });
    cancel();
  }

  #pending(): number {
    let pending = 0;
    for (const connection of this.#connections) pending += connection.pending;
    return pending;
  }

  // For requests.

  ownership(): Ownership {
    if (this.#ownership) return this.#ownership;
    throw new EmbershardError("UNAVAILABLE", "the node is starting: its slot map is not known yet");
  }

  demandMemory(bytes: number): void {
    const limit = this.#options.settings.memoryBytes / this.#options.shards;
    const { arenas } = this.shard.state;
    const used = arenas.usedBytes() + this.openVersions.usedBytes() + this.inFlight.used + bytes;
    if (used <= limit) return;
    // Whoever comes again finds room where tables have been dropped.
    this.shard.checkpoints.reclaim();
    throw new EmbershardError(
      "OVERLOADED",
      `rows, open versions and requests of the shard take ${used} bytes, more than its part ${Math.floor(limit)} of memoryBytes: give the node more, use more nodes, or let rows go`,
    );
  }

  // For connections.

  greet({ worker, session, resume }: Hello, agreement: Agreement): Promise<WelcomeInput> | WelcomeInput {
    this.#demandServing();
    this.ownership();
    if (worker === undefined) return this.#welcome(agreement, 0);
    return this.shard.workers
      .register(worker, session, resume)
      .then(({ number }) => this.#welcome(agreement, number));
  }

  #welcome({ minor, features }: Agreement, worker: number): WelcomeInput {
    const { software, node, store, number, settings } = this.#options;
    return {
      kind: "Welcome",
      major: PROTOCOL.major,
      minor,
      features,
      software,
      node,
      store,
      shard: number,
      worker,
      limits: limitsOf(settings),
      slotMap: this.#slotMap!,
    };
  }

  #demandServing(): void {
    if (this.#draining)
      throw new EmbershardError("UNAVAILABLE", "the node stops: connect again when it is back");
  }

  answer(frame: Frame, connection: ServedConnection): Promise<void> | undefined {
    this.#demandServing();
    if (connection.worker !== 0) this.shard.workers.seen(connection.worker);
    if (frame.cut !== 0) throw unsupported("cuts");
    const answer = answers[frame.body.kind] as Answer<Body> | undefined;
    if (!answer) throw unsupported(`requests of the kind ${frame.body.kind}`);
    const answered = answer(this.#contextOf(frame, connection), frame, connection);
    return answered && this.#noteQuiet(answered);
  }

  /** The live state, or the version that a request reads. @throws INVALID_ARGUMENT, VERSION_IS_READ_ONLY */
  #contextOf({ version, body }: Frame, connection: ServedConnection): RequestContext {
    if (version === 0 || body.kind === "CloseVersion") return this;
    const { name, shard, tables } = connection.versions.demand(version);
    if (refusedByVersions.has(body.kind)) throw versionIsReadOnly(name);
    const { openVersions, counts, writer, clock } = this;
    return {
      shard,
      tables,
      openVersions,
      counts,
      writer,
      clock,
      ownership: () => this.ownership(),
      demandMemory: (bytes) => this.demandMemory(bytes),
    };
  }

  async #noteQuiet(answered: Promise<void>): Promise<void> {
    try {
      await answered;
    } finally {
      // Those that wait for this one are told after it has been settled.
      if (this.#draining) this.clock.after(0, () => this.#considerQuiet());
    }
  }

  #considerQuiet(): void {
    if (this.#pending() > 0) return;
    for (const resolve of this.#quiet.splice(0)) resolve();
  }

  slotMap(): SlotMapInput | undefined {
    return this.#slotMap;
  }

  gone(connection: ServedConnection): void {
    this.#connections.delete(connection);
    if (this.#draining) this.#considerQuiet();
  }

  broken(cause: unknown): void {
    this.#options.broken(cause);
  }
}

/** What is refused of a version before anything of it is looked at. The shard that it is refuses all else that would change it. */
const refusedByVersions: ReadonlySet<Body["kind"]> = new Set([
  "Push",
  "Assign",
  "Delete",
  "Evict",
  "Forget",
  "Decay",
  "OpenVersion",
]);

/** Who answers what. */
const answers: { readonly [Kind in Body["kind"]]?: Answer<Extract<Body, { kind: Kind }>> } = {
  GetSlotMap: (context, { id }, connection) => {
    connection.reply(id, slotMapFrame(context.ownership().map));
    return undefined;
  },
  OpenTable: answerOpenTable,
  DropTable: answerDropTable,
  ListTables: answerListTables,
  Pull: answerPull,
  Push: answerPush,
  Assign: answerAssign,
  Delete: answerDelete,
  Contains: answerContains,
  Occurrences: answerOccurrences,
  Prefetch: answerPrefetch,
  Scan: answerScan,
  EndScan: answerEndScan,
  Evict: answerEvict,
  Forget: answerForget,
  Decay: answerDecay,
  WatchEvicted: answerWatchEvicted,
  Checkpoint: answerCheckpoint,
  ListVersions: answerListVersions,
  DeleteVersion: answerDeleteVersion,
  OpenVersion: answerOpenVersion,
  CloseVersion: answerCloseVersion,
  Rollback: answerRollback,
  Diff: answerDiff,
  Changes: answerChanges,
  GetMark: answerGetMark,
  Stats: answerStats,
};
