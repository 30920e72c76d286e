// What does the work behind the public calls: a shard in this process, or the shards of nodes. Everything it is given has been checked.
import type { CheckpointInfo, CheckpointProgress } from "./checkpoint-types.js";
import type { EvictionRequest, ForgetOptions } from "./eviction-request.js";
import type { ChangeBatch, EvictedRows, ScanBatch } from "./row-batches.js";
import type { Store, StoreStats, TableStats, TensorOptions } from "./store-types.js";
import type { Ack, TableDefinition, TableOptions } from "./table-definition.js";
import type { CompareProgress, RollbackInfo, StateDiff, VersionInfo } from "./version-types.js";

/** A table as whoever does the work knows it. */
export interface TableHandle {
  readonly definition: TableDefinition;
  readonly dim: number;
  readonly stateFloats: number;
}

/** What to read, and the caller's arrays to read it into. */
export interface RowRead<T> {
  readonly table: T;
  /** u64[n] */
  readonly keys: BigUint64Array;
  /** f32[n * dim] */
  readonly into: Float32Array;
  /** f32[n * stateFloats] */
  readonly state?: Float32Array | undefined;
  /** u8[n]: 1 where the key has a row. */
  readonly found?: Uint8Array | undefined;
  /** f32[n * counters], row by row: gets the counters as of now, 0 where a key has no row. */
  readonly counters?: Float32Array | undefined;
  /** Read instead of the initial value where there is no row. */
  readonly fallback?: number | undefined;
}

/** A read as the public calls make it. */
export interface TableRead<T> extends RowRead<T> {
  /** Creates the rows that do not exist first, as durable as this. */
  readonly create?: Ack | undefined;
  readonly signal?: AbortSignal | undefined;
}

export type WriteKind = "push" | "create" | "assign" | "delete";

/** One table's part of a write. Arrays are borrowed until the write's promise settles. */
export interface RowWrite<T> {
  readonly table: T;
  readonly kind: WriteKind;
  /** u64[n] */
  readonly keys: BigUint64Array;
  /** push: gradients f32[n * dim]; assign: rows f32[n * dim] */
  readonly values?: Float32Array | undefined;
  /** assign: f32[n * stateFloats] */
  readonly states?: Float32Array | undefined;
  /** assign: what the rows have been through, u32[n] each. */
  readonly history?: RowHistory | undefined;
  /**
   * push: how often each key occurred, its gradient being the sum of that many, u32[n], 1 to 2^30 - 1; 1 each unless given.
   */
  readonly counts?: Uint32Array | undefined;
  /** push: what is added to the counters; assign: what they are set to. f32[n * counters] */
  readonly counters?: Float32Array | undefined;
  readonly learningRate: number;
}

export interface RowHistory {
  readonly frequency: Uint32Array;
  readonly lastStep: Uint32Array;
}

/** What a write promises, and what is logged with it. */
export interface WriteRequest {
  readonly ack: Ack;
  readonly step: number;
  readonly mark?: Uint8Array | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface VersionRequest {
  readonly name: string;
  readonly note: string;
  /** Versions that there may be with this one: the oldest go. */
  readonly keep?: number | undefined;
}

/** Signal and listener of long work. */
export interface Work<P> {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: P) => void) | undefined;
}

export interface ChangesRequest extends Work<CompareProgress> {
  readonly since: string;
  readonly until?: string | undefined;
  readonly tables?: readonly string[] | undefined;
  readonly batchRows: number;
}

/** Answers in a promise only where somebody has to be waited for. Rejects with the codes that `Store` and `Table` name. */
export interface Backend<T extends TableHandle> {
  /** The directory, or the address of the nodes. */
  readonly location: string;

  openTable(name: string, options: TableOptions | undefined): Promise<T>;
  openTensor(name: string, options: TensorOptions | undefined): Promise<T>;
  dropTable(name: string): Promise<void>;
  /** What a table is now: itself, what it became by a rollback, or undefined when it was dropped. */
  present(table: T): T | undefined;
  tableStats(table: T): Promise<TableStats>;
  tables(): Promise<TableStats[]>;

  /** Reads of several tables, in one visit. */
  pull(reads: readonly TableRead<T>[]): Promise<void> | undefined;
  contains(table: T, keys: BigUint64Array, found: Uint8Array): Promise<void> | undefined;
  /** Writes how often each key was pushed, u32[n] of zeros. */
  occurrences(table: T, keys: BigUint64Array, into: Uint32Array): Promise<void> | undefined;
  prefetch(table: T, keys: BigUint64Array): Promise<void>;
  /** Prepares for so many more rows, where that can be done. */
  expectRows?(table: T, rows: number): void;
  /** `lent`: arrays may be used again, once the next batch but one is asked for. */
  scan(table: T, batchRows: number, lent: boolean): AsyncIterable<ScanBatch>;
  /** Resolves to the rows touched; for deletes, those that existed. */
  write(writes: readonly RowWrite<T>[], request: WriteRequest): Promise<number>;

  candidates(table: T, batchRows: number): AsyncIterable<ScanBatch>;
  forgetCandidates(table: T, options: ForgetOptions): Promise<number>;
  evict(table: T, request: EvictionRequest): Promise<number>;
  onEvicted(table: T, listener: (rows: EvictedRows) => void): () => void;
  decay(table: T): Promise<void>;

  checkpoint(work: Work<CheckpointProgress>, version?: VersionRequest): Promise<CheckpointInfo>;
  versions(): Promise<VersionInfo[]>;
  openVersion(name: string): Promise<Store>;
  diff(
    from: string,
    to: string | undefined,
    work: Work<CompareProgress> & { readonly largest: number },
  ): Promise<StateDiff>;
  changes(request: ChangesRequest): AsyncIterable<ChangeBatch>;
  rollback(name: string): Promise<RollbackInfo>;
  deleteVersion(name: string): Promise<void>;

  mark(): Promise<Uint8Array | undefined>;
  stats(): Promise<StoreStats>;
  close(): Promise<void>;
}
