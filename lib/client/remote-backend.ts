import type {
  Backend,
  ChangesRequest,
  RowWrite,
  TableRead,
  VersionRequest,
  Work,
  WriteRequest,
} from "../api/backend.js";
import type { CheckpointInfo, CheckpointProgress } from "../api/checkpoint-types.js";
import type { EvictionRequest, ForgetOptions } from "../api/eviction-request.js";
import type { ChangeBatch, EvictedRows, ScanBatch } from "../api/row-batches.js";
import type { Store, StoreStats, TableStats, TensorOptions } from "../api/store-types.js";
import type { TableOptions } from "../api/table-definition.js";
import type { CompareProgress, RollbackInfo, StateDiff, VersionInfo } from "../api/version-types.js";
import { versionIsReadOnly } from "../api/version-types.js";
import { EmbershardError } from "../base/errors.js";
import { type BodyInput, EvictBy, type TableReply, type WriteInput } from "../wire/generated/frame-types.js";
import type { Channel } from "./channel.js";
import type { Transfer } from "./client-options.js";
import type { Cluster } from "./cluster.js";
import { askOfKeys, prefetchKeys } from "./key-questions.js";
import { optionsJson } from "./options-json.js";
import type { PlanMemories } from "./plan-memory.js";
import { pullRows } from "./pulling.js";
import { type Writer, writeRows } from "./pushing.js";
import { scanTable } from "./remote-scan.js";
import { joinStoreStats, joinTableStats, type ShardReport } from "./remote-stats.js";
import { RemoteTable } from "./remote-table.js";
import { RemoteVersions } from "./remote-versions.js";
import type { Requests } from "./requests.js";
import { Watch } from "./watching.js";
import { WriteOrder } from "./write-order.js";

/** Opens a version whose parts are these checkpoints, by owner; `closed` is to be waited for when it is closed. */
export type OpenVersion = (
  name: string,
  generations: ReadonlyMap<string, number>,
  closed: () => Promise<void>,
) => Promise<Store>;

/** What a backend is given beside its cluster. */
export interface RemoteBackendOptions {
  readonly session: bigint;
  readonly transfer: Transfer;
  readonly memories: PlanMemories;
  /** The version that is read; undefined: the live state. */
  readonly version?: string | undefined;
  /** Opens a version of the same nodes. */
  readonly openVersion: OpenVersion;
  /** Versions that there may be over several shards, where a checkpoint does not say. */
  readonly keepVersions?: number | undefined;
  /** As Writer has it. */
  readonly writeFrameBytes?: number | undefined;
  /** Waited for when the store is closed. */
  readonly closed: () => Promise<void>;
}

/** The shards of nodes. */
export class RemoteBackend implements Backend<RemoteTable> {
  readonly location: string;
  readonly #cluster: Cluster;
  readonly #requests: Requests;
  readonly #session: bigint;
  readonly #transfer: Transfer;
  readonly #closed: () => Promise<void>;
  readonly #memories: PlanMemories;
  readonly #writer: Writer;
  readonly #version: string | undefined;
  readonly #openVersion: OpenVersion;
  readonly #versionsThere: RemoteVersions;
  /** Versions that were opened: they end with this. */
  readonly #versions = new Set<Store>();
  readonly #tables = new Map<string, RemoteTable>();
  readonly #pending = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  constructor(
    location: string,
    requests: Requests,
    {
      session,
      transfer,
      memories,
      version,
      openVersion,
      keepVersions,
      closed,
      ...rest
    }: RemoteBackendOptions,
  ) {
    const frameBytes = rest.writeFrameBytes;
    this.#version = version;
    this.#openVersion = openVersion;
    this.#versionsThere = new RemoteVersions(requests, keepVersions);
    this.location = location;
    this.#memories = memories;
    this.#closed = closed;
    this.#requests = requests;
    this.#cluster = requests.cluster;
    this.#session = session;
    this.#transfer = transfer;
    this.#writer = { cluster: this.#cluster, memories, order: new WriteOrder(), session, frameBytes };
  }

  // Tables: every shard has them all.

  openTable(name: string, options: TableOptions | undefined): Promise<RemoteTable> {
    return this.#open(name, false, options);
  }

  openTensor(name: string, options: TensorOptions | undefined): Promise<RemoteTable> {
    return this.#open(name, true, options);
  }

  async #open(name: string, tensor: boolean, options: object | undefined): Promise<RemoteTable> {
    this.#cluster.demandOpen();
    const json = options && optionsJson(options);
    const open = (owners: readonly number[]) =>
      this.#requests.askAll(
        { kind: "OpenTable", name, tensor, options: json },
        "TableReply",
        (body) => ({ ...body }),
        { owners },
      );
    // The first shard decides between those who make it at once with other options.
    const [first, ...rest] = this.#cluster.owners;
    const [reply] = await open([first]);
    for (const other of await open(rest))
      if (other.fingerprint !== reply.fingerprint || other.placement !== reply.placement)
        throw new EmbershardError(
          "TABLE_MISMATCH",
          `"${name}" is not the same on all shards: drop it, and make it anew`,
        );
    return this.#known(reply);
  }

  #known(reply: TableReply): RemoteTable {
    const table = new RemoteTable(reply, this.#transfer);
    const known = this.#tables.get(reply.name);
    if (known && !known.dropped && known.fingerprint === table.fingerprint) {
      known.definition = table.definition;
      return known;
    }
    this.#tables.set(reply.name, table);
    return table;
  }

  async dropTable(name: string): Promise<void> {
    await this.#requests.askAll({ kind: "DropTable", name }, "Done", () => undefined);
    const known = this.#tables.get(name);
    if (known) known.dropped = true;
    this.#tables.delete(name);
  }

  present(table: RemoteTable): RemoteTable | undefined {
    return table.dropped ? undefined : table;
  }

  async tableStats(table: RemoteTable): Promise<TableStats> {
    const all = await this.tables();
    const found = all.find(({ name }) => name === table.definition.name);
    if (found) return { ...found, skipped: found.skipped + table.skipped };
    throw new EmbershardError("TABLE_NOT_FOUND", `table "${table.definition.name}" has been dropped`);
  }

  async tables(): Promise<TableStats[]> {
    return joinTableStats((await this.#reports()).map(({ tables }) => tables));
  }

  async #reports(): Promise<ShardReport[]> {
    return this.#requests.askAll({ kind: "Stats" }, "Report", ({ json }) => JSON.parse(json) as ShardReport);
  }

  // Rows.

  pull(reads: readonly TableRead<RemoteTable>[]): Promise<void> {
    return this.#during(async () => {
      const call = this.#requests.call(...reads.map(({ signal }) => signal));
      try {
        await pullRows(this.#cluster, this.#memories, reads, call);
      } finally {
        call.close();
      }
    });
  }

  write(writes: readonly RowWrite<RemoteTable>[], request: WriteRequest): Promise<number> {
    return this.#during(async () => {
      this.#demandLive();
      const call = this.#requests.call(request.signal);
      try {
        const numbered = { request, sequence: this.#writer.order.nextSequence(), again: undefined };
        return await writeRows(this.#writer, writes, numbered, call);
      } finally {
        call.close();
      }
    });
  }

  async contains(table: RemoteTable, keys: BigUint64Array, found: Uint8Array): Promise<void> {
    await this.#during(() => askOfKeys(this.#requests, this.#memories, table, keys, "Contains", found));
  }

  async occurrences(table: RemoteTable, keys: BigUint64Array, into: Uint32Array): Promise<void> {
    await this.#during(() => askOfKeys(this.#requests, this.#memories, table, keys, "Occurrences", into));
  }

  async prefetch(table: RemoteTable, keys: BigUint64Array): Promise<void> {
    if (table.definition.memory === undefined) return;
    await this.#during(() => prefetchKeys(this.#requests, this.#memories, table, keys));
  }

  scan(table: RemoteTable, batchRows: number): AsyncIterable<ScanBatch> {
    return scanTable(this.#requests, table, "Rows", batchRows);
  }

  /** Lets calls that are under way be waited for when the store is closed. */
  #during<T>(work: () => Promise<T>): Promise<T> {
    this.#cluster.demandOpen();
    const running = work();
    this.#pending.add(running);
    const forget = () => this.#pending.delete(running);
    running.then(forget, forget);
    return running;
  }

  // What grows and goes.

  candidates(table: RemoteTable, batchRows: number): AsyncIterable<ScanBatch> {
    return scanTable(this.#requests, table, "Candidates", batchRows);
  }

  forgetCandidates(table: RemoteTable, { unseenSince, atMost }: ForgetOptions): Promise<number> {
    const { id, fingerprint } = table;
    return this.#change((write) => ({ kind: "Forget", write, table: id, fingerprint, unseenSince, atMost }));
  }

  async evict(table: RemoteTable, request: EvictionRequest): Promise<number> {
    const { id, fingerprint } = table;
    const { by, bound } = boundOf(request);
    const shards = this.#cluster.owners.length;
    const parts = by === EvictBy.Rows && shards > 1 ? await this.#rowsToEvict(table, bound) : undefined;
    return this.#change((write, owner) => ({
      kind: "Evict",
      write,
      table: id,
      fingerprint,
      by,
      bound: parts?.get(owner) ?? bound,
    }));
  }

  /** Divides a number of rows among shards by the rows that each has: no shard is asked for more. */
  async #rowsToEvict({ definition }: RemoteTable, rows: number): Promise<Map<number, number>> {
    const has = (await this.#reports()).map(
      ({ tables }) => tables.find(({ name }) => name === definition.name)?.rows ?? 0,
    );
    const all = has.reduce((sum, one) => sum + one, 0);
    const wanted = Math.min(rows, all);
    const upTo = (row: number) => Math.floor(wanted * (row / Math.max(1, all)));
    let before = 0;
    return new Map(
      this.#cluster.owners.map((owner, i) => {
        const first = before;
        before += has[i];
        return [owner, upTo(before) - upTo(first)];
      }),
    );
  }

  onEvicted(table: RemoteTable, listener: (rows: EvictedRows) => void): () => void {
    this.#cluster.demandOpen();
    const watch = new Watch(this.#cluster, this.#requests.settings, table, listener);
    return () => watch.end();
  }

  async decay(table: RemoteTable): Promise<void> {
    const { id, fingerprint } = table;
    await this.#change((write) => ({ kind: "Decay", write, table: id, fingerprint }));
  }

  /** A write that is about whole tables, on every shard: it has its place among those to slots, which it changes all. */
  async #change(body: (write: WriteInput, owner: number) => BodyInput): Promise<number> {
    this.#demandLive();
    const touched = await this.#during(() => {
      const { map } = this.#cluster;
      const sequence = this.#writer.order.nextSequence();
      const lastSlot = map.ownerOf.length - 1;
      const question = ({ welcome: { worker } }: Channel, owner: number) => {
        this.#cluster.noteWrite(owner);
        return body({ worker, session: this.#session, sequence, firstSlot: 0, lastSlot }, owner);
      };
      const placeOf = (owner: number) =>
        this.#writer.order.enter({ owner, epoch: map.epoch, first: 0, last: lastSlot, sequence });
      return this.#requests.askAll(question, "Done", (done) => done.touched, { placeOf });
    });
    return touched.reduce((sum, rows) => sum + rows, 0);
  }

  // Checkpoints and versions.

  checkpoint(work: Work<CheckpointProgress>, version?: VersionRequest): Promise<CheckpointInfo> {
    return this.#versionsThere.checkpoint(work, version);
  }

  versions(): Promise<VersionInfo[]> {
    return this.#versionsThere.list();
  }

  async deleteVersion(name: string): Promise<void> {
    this.#demandLive();
    return this.#versionsThere.delete(name);
  }

  async openVersion(name: string): Promise<Store> {
    this.#demandLive();
    return this.#during(async () => {
      const generations = await this.#versionsThere.generations(name);
      const closed = async () => void this.#versions.delete(version);
      const version = await this.#openVersion(name, generations, closed);
      this.#versions.add(version);
      return version;
    });
  }

  async diff(
    from: string,
    to: string | undefined,
    work: Work<CompareProgress> & { readonly largest: number },
  ): Promise<StateDiff> {
    this.#demandLive();
    return this.#versionsThere.diff(from, to, work);
  }

  changes(request: ChangesRequest): AsyncIterable<ChangeBatch> {
    this.#demandLive();
    return this.#versionsThere.changes(request);
  }

  async rollback(name: string): Promise<RollbackInfo> {
    this.#demandLive();
    return this.#versionsThere.rollback(name);
  }

  /** @throws VERSION_IS_READ_ONLY, as a node says it of all else that changes something */
  #demandLive(): void {
    if (this.#version !== undefined) throw versionIsReadOnly(this.#version);
  }

  // The whole.

  async mark(): Promise<Uint8Array | undefined> {
    const marks = await this.#requests.askAll({ kind: "GetMark" }, "Mark", ({ mark }) => mark?.slice());
    const [first] = marks;
    if (marks.every((mark) => sameBytes(mark, first))) return first;
    throw new EmbershardError(
      "UNSUPPORTED",
      "shards have different marks: the last writes reached some of them only. Ask a checkpoint, or keep your position elsewhere",
    );
  }

  async stats(): Promise<StoreStats> {
    return joinStoreStats(this.location, await this.#reports());
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      const underWay = Promise.allSettled(this.#pending).then(() =>
        Promise.allSettled([...this.#versions].map((version) => version.close())),
      );
      await this.#requests.patience(underWay);
      this.#cluster.close();
      await Promise.allSettled(this.#pending);
      await this.#closed();
    })();
    return this.#closing;
  }
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function boundOf(request: EvictionRequest): { by: EvictBy; bound: number } {
  if ("rows" in request) return { by: EvictBy.Rows, bound: request.rows };
  if ("olderThanSteps" in request) return { by: EvictBy.OlderThanSteps, bound: request.olderThanSteps };
  if ("olderThanMs" in request) return { by: EvictBy.OlderThanMs, bound: request.olderThanMs };
  if ("belowNorm" in request) return { by: EvictBy.BelowNorm, bound: request.belowNorm };
  if ("belowFrequency" in request) return { by: EvictBy.BelowFrequency, bound: request.belowFrequency };
  return { by: EvictBy.BelowScore, bound: request.belowScore };
}
