import { arrayLost } from "../api/arguments.js";
import type {
  Backend,
  ChangesRequest,
  RowWrite,
  TableRead,
  VersionRequest,
  Work,
  WriteRequest,
} from "../api/backend.js";
import { CheckedStore } from "../api/checked-store.js";
import type { CheckpointInfo, CheckpointProgress } from "../api/checkpoint-types.js";
import type { EvictionRequest, ForgetOptions } from "../api/eviction-request.js";
import type { ChangeBatch, EvictedRows, ScanBatch } from "../api/row-batches.js";
import type { Store, StoreStats, TableStats, TensorOptions } from "../api/store-types.js";
import type { TableOptions } from "../api/table-definition.js";
import type { CompareProgress, RollbackInfo, StateDiff, VersionInfo } from "../api/version-types.js";
import { EmbershardError } from "../base/errors.js";
import { formatVersion } from "../directory/identity.js";
import { expectRows } from "../shard/expecting.js";
import { openNamedTable, openNamedTensor } from "../shard/named-tables.js";
import { Shard } from "../shard/shard.js";
import { allTableStats, shardStats, tableStats } from "../shard/shard-stats.js";
import type { ArenaTable } from "../table/arena-table.js";

/** One shard in this process. */
export class EmbeddedBackend implements Backend<ArenaTable> {
  readonly location: string;
  readonly #shard: Shard;
  readonly #onClose: () => Promise<void>;
  #closing: Promise<void> | undefined;

  constructor(location: string, shard: Shard, onClose: () => Promise<void>) {
    this.location = location;
    this.#shard = shard;
    this.#onClose = onClose;
  }

  // Tables.

  openTable(name: string, options: TableOptions | undefined): Promise<ArenaTable> {
    return openNamedTable(this.#shard, name, options);
  }

  openTensor(name: string, options: TensorOptions | undefined): Promise<ArenaTable> {
    return openNamedTensor(this.#shard, name, options);
  }

  dropTable(name: string): Promise<void> {
    return this.#shard.dropTable(name);
  }

  present(table: ArenaTable): ArenaTable | undefined {
    return this.#shard.present(table);
  }

  async tableStats(table: ArenaTable): Promise<TableStats> {
    return tableStats(this.#shard, table);
  }

  async tables(): Promise<TableStats[]> {
    return allTableStats(this.#shard);
  }

  // Rows.

  pull(reads: readonly TableRead<ArenaTable>[]): Promise<void> | undefined {
    if (reads.some(({ signal }) => signal?.aborted)) throw aborted();
    if (reads.some(({ create }) => create !== undefined)) return this.#createAndPull(reads);
    const waits = reads.map((read) => this.#shard.pull(read)).filter((wait) => wait !== undefined);
    return waits.length === 0 ? undefined : Promise.all(waits).then(() => undefined);
  }

  async #createAndPull(reads: readonly TableRead<ArenaTable>[]): Promise<void> {
    const sizes = lengthsOf(reads);
    await Promise.all(
      reads.map(async ({ table, keys, create }) => {
        if (create === undefined) return;
        const write: RowWrite<ArenaTable> = { table, kind: "create", keys, learningRate: 0 };
        await this.#shard.write([write], { ack: create, step: 0 });
      }),
    );
    // Tables may have been dropped and the caller's arrays taken away while that waited.
    if (!lengthsOf(reads).every((size, i) => size === sizes[i]))
      throw arrayLost("the pull that borrows it waited");
    await this.pull(reads.map(({ create: _, ...read }) => ({ ...read, table: this.#there(read.table) })));
  }

  #there(table: ArenaTable): ArenaTable {
    const now = this.#shard.present(table);
    if (now) return now;
    throw new EmbershardError("TABLE_NOT_FOUND", `table "${table.definition.name}" has been dropped`);
  }

  contains(table: ArenaTable, keys: BigUint64Array, found: Uint8Array): Promise<void> | undefined {
    return this.#shard.contains(table, keys, found);
  }

  occurrences(table: ArenaTable, keys: BigUint64Array, into: Uint32Array): Promise<void> | undefined {
    return this.#shard.occurrences(table, keys, into);
  }

  prefetch(table: ArenaTable, keys: BigUint64Array): Promise<void> {
    return this.#shard.prefetch(table, keys);
  }

  expectRows(table: ArenaTable, rows: number): void {
    expectRows(this.#shard.state.arenas, table, rows);
  }

  scan(table: ArenaTable, batchRows: number, lent: boolean): AsyncIterable<ScanBatch> {
    return this.#shard.scan(table, batchRows, lent);
  }

  write(writes: readonly RowWrite<ArenaTable>[], request: WriteRequest): Promise<number> {
    if (request.signal?.aborted) return Promise.reject(aborted());
    return this.#shard.write(writes, request);
  }

  // What grows and goes.

  candidates(table: ArenaTable, batchRows: number): AsyncIterable<ScanBatch> {
    return this.#shard.scan(table.candidates!, batchRows);
  }

  forgetCandidates(table: ArenaTable, options: ForgetOptions): Promise<number> {
    return this.#shard.forgetCandidates(table.candidates!, options, table.definition.ack);
  }

  evict(table: ArenaTable, request: EvictionRequest): Promise<number> {
    return this.#shard.evict(table, request);
  }

  onEvicted(table: ArenaTable, listener: (rows: EvictedRows) => void): () => void {
    return this.#shard.onEvicted(table, listener);
  }

  decay(table: ArenaTable): Promise<void> {
    return this.#shard.decay(table);
  }

  // Checkpoints and versions.

  checkpoint(work: Work<CheckpointProgress>, version?: VersionRequest): Promise<CheckpointInfo> {
    return this.#shard.checkpoint(work, version);
  }

  async versions(): Promise<VersionInfo[]> {
    return this.#shard.versions.list();
  }

  async openVersion(name: string): Promise<Store> {
    const state = await this.#shard.versions.read(name);
    return new CheckedStore(new EmbeddedBackend(this.location, Shard.ofVersion(state), async () => {}));
  }

  diff(
    from: string,
    to: string | undefined,
    work: Work<CompareProgress> & { readonly largest: number },
  ): Promise<StateDiff> {
    return this.#shard.versions.diff(from, to, work);
  }

  changes(request: ChangesRequest): AsyncIterable<ChangeBatch> {
    return this.#shard.versions.changes(request);
  }

  rollback(name: string): Promise<RollbackInfo> {
    return this.#shard.rollBack(name);
  }

  deleteVersion(name: string): Promise<void> {
    return this.#shard.versions.delete(name);
  }

  // The whole.

  async mark(): Promise<Uint8Array | undefined> {
    const { mark } = this.#shard;
    return mark && new Uint8Array(mark);
  }

  async stats(): Promise<StoreStats> {
    return { directory: this.location, format: formatVersion, ...shardStats(this.#shard) };
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      // First, while the directory is still ours: the next owner makes its own.
      try {
        await this.#onClose();
      } finally {
        await this.#shard.close();
      }
    })();
    return this.#closing;
  }
}

function aborted(): EmbershardError {
  return new EmbershardError("ABORTED", "the caller aborted the call before it began: nothing was done");
}

function lengthsOf(reads: readonly TableRead<ArenaTable>[]): number[] {
  return reads.flatMap(({ keys, into, found, state }) => [
    keys.length,
    into.length,
    found?.length ?? 0,
    state?.length ?? 0,
  ]);
}
