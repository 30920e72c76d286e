// The public shapes of a store, the same for an embedded and, later, for a remote one.

import type {
  CheckpointInfo,
  CheckpointProgress,
  CheckpointOptions as PlainCheckpointOptions,
} from "./checkpoint-types.js";
import type { CounterColumns } from "./counter-columns.js";
import type { EvictionRequest, ForgetOptions } from "./eviction-request.js";
import type { ChangeBatch, EvictedRows, EvictionCounts, ScanBatch } from "./row-batches.js";
import type { StateStorage, StorageOptions, WeightStorage } from "./row-storage.js";
import type { Ack, TableDefinition, TableOptions } from "./table-definition.js";
import type { CompareProgress, RollbackInfo, StateDiff, TableDiff, VersionInfo } from "./version-types.js";

export type {
  Ack,
  ChangeBatch,
  CheckpointInfo,
  CheckpointProgress,
  CompareProgress,
  CounterColumns,
  EvictedRows,
  EvictionCounts,
  EvictionRequest,
  ForgetOptions,
  RollbackInfo,
  ScanBatch,
  StateDiff,
  TableDefinition,
  TableDiff,
  TableOptions,
  VersionInfo,
};

export interface CheckpointOptions extends PlainCheckpointOptions {
  /** Makes the checkpoint a version of this name, which stays as it is whatever happens later. */
  readonly version?: string;
  /** Up to 4,096 characters about the version. */
  readonly note?: string;
  /** Versions that there may be with this one: the oldest go. `versions.keep` of `openStore` unless given. */
  readonly keep?: number;
}

export interface VersionDiffOptions {
  /** Rows to name of each table, 0 to 1,000; 10 unless given. */
  readonly largest?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: CompareProgress) => void;
}

export interface VersionChangesOptions {
  /** The version to begin with. */
  readonly since: string;
  /** The version to end with; the live state unless given. */
  readonly until?: string;
  /** Names of tables; all unless given. */
  readonly tables?: readonly string[];
  /** Rows, or keys, of a batch, at most: 1 to 65,536; 1,024 unless given. */
  readonly batch?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: CompareProgress) => void;
}

/** What a write promises when it resolves, and what is logged with it. */
export interface WriteOptions {
  /** "memory": applied. "os": in the log, survives kill -9. "fsync": survives power loss. The table's own unless given. */
  readonly ack?: Ack;
  /** Up to 4 KiB of the caller's own, such as its position in the data, logged in the same record. See `Store.mark`. */
  readonly mark?: Uint8Array;
  /**
   * Ends the call with ABORTED, or with PARTIAL where some owners had done their part. In a store of this process that is so before
   * the write begins only; over the wire the write may have had its effect all the same.
   */
  readonly signal?: AbortSignal;
}

export interface PushOptions extends WriteOptions {
  /**
   * What is added to the rows' counters, f32[n] by name, finite and not negative, summed over equal keys. A first counter
   * that is left out counts occurrences; a second one that is left out stays.
   */
  readonly counters?: CounterColumns;
  /** The caller's step, 0 to 2^32 - 1, kept as the rows' last step. Required, from 1, where the optimizer counts steps by table. */
  readonly step?: number;
  /** Instead of the table's. */
  readonly learningRate?: number;
}

export interface AssignOptions extends WriteOptions {
  /** Optimizer state, f32[n * stateFloats]. A row that exists keeps its state when this is left out. */
  readonly state?: Float32Array;
  /**
   * u32[n], given together with `lastStep`: how often the rows were pushed, as the store that they come from knows it. A
   * frequency beyond the largest that is kept becomes that one. Left out: rows keep theirs, new ones begin at 0.
   */
  readonly frequency?: Uint32Array;
  /** u32[n], given together with `frequency`: the steps of the rows' last pushes. */
  readonly lastStep?: Uint32Array;
  /**
   * What the table's counters become, f32[n] by name, all of them: finite and not negative. Left out: rows keep theirs, new
   * ones begin at 0.
   */
  readonly counters?: CounterColumns;
}

export interface ScanOptions {
  /** Rows of a batch, at most: 1 to 65,536. Unless given 4,096, or fewer where these would take more than 4 MiB. */
  readonly batch?: number;
  /**
   * True: the arrays of a batch hold until the next batch but one is asked for, and may then be used again, so that no new
   * memory has to be fetched for each. Unless given they are the caller's.
   */
  readonly lent?: boolean;
}

export interface PullOptions {
  /** Where to put the rows, f32[n * dim]; a new array unless given. */
  readonly into?: Float32Array;
  /** u8[n]: gets 1 where the key has a row, else 0; with `create` every key has one. */
  readonly found?: Uint8Array;
  /** f32[n * stateFloats]: gets the optimizer state. */
  readonly state?: Float32Array;
  /** Read in every element where a key has no row, instead of its initial value. */
  readonly default?: number;
  /** Create the rows that do not exist, at the table's ack level. */
  readonly create?: boolean;
  /** f32[n] by name: get the rows' counters as of now, 0 where a key has no row. */
  readonly counters?: CounterColumns;
  /** Ends the call with ABORTED, or PARTIAL; in a store of this process before it begins only. Arrays given may hold some of the rows then. */
  readonly signal?: AbortSignal;
}

/**
 * Rows of one dimension under 64-bit keys. Every u64 is a key. Arrays given are borrowed until the promise settles.
 */
export interface Table {
  readonly name: string;
  /** Floats of weights in a row. */
  readonly dim: number;
  /** Floats of optimizer state in a row. */
  readonly stateFloats: number;
  /** The definition in force. */
  readonly options: TableDefinition;

  /**
   * Reads rows: u64[n] -> f32[n * dim] in the order of the keys. A key without a row reads as its initial value, a
   * function of (seed, key, element); no row is created unless asked for.
   *
   * @throws INVALID_ARGUMENT, CLOSED
   */
  pull(keys: BigUint64Array, options?: PullOptions): Promise<Float32Array>;

  /**
   * Applies the optimizer to gradients f32[n * dim]. Gradients of equal keys are summed first, in float32 and in order
   * of occurrence. Rows that do not exist are created. All or nothing; resolves when as durable as asked.
   *
   * @throws INVALID_ARGUMENT, NON_FINITE, TOO_LARGE, NOT_LOGGED, READ_ONLY, OUT_OF_MEMORY, CLOSED
   */
  push(keys: BigUint64Array, gradients: Float32Array, options?: PushOptions): Promise<void>;

  /**
   * Reads cold rows ahead, for pulls and pushes to come: resolves when they are at hand. At most an eighth of the table's
   * memory, and 32 MiB; what is read later displaces what was read before. Nothing to do for a table without `memory`.
   *
   * @throws INVALID_ARGUMENT, CORRUPT, IO, CLOSED
   */
  prefetch(keys: BigUint64Array): Promise<void>;

  /** Which keys have rows: u64[n] -> u8[n] of 0 and 1. @throws INVALID_ARGUMENT, CLOSED */
  contains(keys: BigUint64Array): Promise<Uint8Array>;

  /**
   * Sets weights f32[n * dim], creating rows that do not exist. Where a key comes twice, the last value stays.
   * Frequencies and steps are left alone unless given. @throws as push
   */
  assign(keys: BigUint64Array, rows: Float32Array, options?: AssignOptions): Promise<void>;

  /** Deletes rows. Resolves to how many existed. @throws as push */
  delete(keys: BigUint64Array, options?: WriteOptions): Promise<number>;

  /**
   * All rows in batches, in no particular order, while writes go on: a row that is there throughout comes exactly once.
   *
   * @throws INVALID_ARGUMENT, CLOSED
   */
  scan(options?: ScanOptions): AsyncIterable<ScanBatch>;

  /**
   * How often keys were pushed: u64[n] -> u32[n], 0 for what was never pushed or is forgotten. Of a key with a row that is
   * its frequency; of one without, in a table that admits, what was counted, of which a sketch may say too much.
   *
   * @throws INVALID_ARGUMENT, CLOSED
   */
  occurrences(keys: BigUint64Array): Promise<Uint32Array>;

  /**
   * Keys that were counted and have no row, in a table that admits by exact counters, in batches like those of `scan`.
   *
   * @throws UNSUPPORTED where there are none or a sketch counts, which knows no keys; INVALID_ARGUMENT, CLOSED
   */
  candidates(options?: { readonly batch?: number }): AsyncIterable<CandidateBatch>;

  /**
   * Forgets what was counted of keys without a row: of those that `options` say, or of all. Goes on in small writes between
   * others. Resolves to how many keys are forgotten; 0 of a sketch, which can only forget all.
   *
   * @throws UNSUPPORTED where the table does not admit, or a sketch is to forget some; and as push
   */
  forgetCandidates(options?: ForgetOptions): Promise<number>;

  /**
   * Evicts rows now: so many by the table's policy, or all that are older than so many steps or milliseconds, or below a
   * norm, frequency or score. In slices, while others go on. Resolves to how many went, as durable as a push.
   *
   * @throws INVALID_ARGUMENT, READ_ONLY, CLOSED
   */
  evict(request: EvictionRequest): Promise<number>;

  /**
   * Has `listener` told of rows that the table lets go, batch by batch, in the turn in which they go: they are out of the
   * table, and their record is in the log's buffer. What it throws is emitted as a warning of the process, and the store goes on.
   * Returns what ends that.
   */
  onEvicted(listener: (rows: EvictedRows) => void): () => void;

  /** Multiplies all counters by their rate, at once however many rows there are. @throws INVALID_ARGUMENT, READ_ONLY, CLOSED */
  decay(): Promise<void>;

  stats(): Promise<TableStats>;
}

/** Some candidates of a table, in columns of one length; the caller owns the arrays. */
export interface CandidateBatch {
  /** u64[n] */
  readonly keys: BigUint64Array;
  /** u32[n]: how often they were pushed. */
  readonly occurrences: Uint32Array;
  /** u32[n]: the step of the last push. */
  readonly lastStep: Uint32Array;
}

/** How a table fares with a limit of memory; what is counted is counted since the store was opened. */
export interface ColdStats {
  /** Bytes that rows and index may take in memory. */
  readonly memory: number;
  /** Rows that are in the page store and not in memory. */
  readonly rows: number;
  /** Keys that were pulled whose rows were in memory, or nowhere; and whose rows were cold. */
  readonly hits: number;
  readonly misses: number;
  /** Rows that came into memory, and that left it. */
  readonly promotions: number;
  readonly demotions: number;
}

export interface TableStats {
  readonly name: string;
  readonly rows: number;
  readonly dim: number;
  readonly stateFloats: number;
  readonly optimizer: string;
  /** What weights and state are stored as. */
  readonly storage: WeightStorage;
  readonly stateStorage: StateStorage;
  /** Bytes of memory of rows and index, and of what admission counts. */
  readonly bytes: number;
  readonly logged: boolean;
  readonly ack: Ack;
  /** Gradients that were skipped because they were not finite, since the store was opened. */
  readonly skipped: number;
  /** Given for a table that admits. */
  readonly admission?: AdmissionStats;
  /** Rows evicted since the store was opened, by reason, and slices that it took. Given for tables with `eviction`. */
  readonly evicted?: EvictionCounts;
  /** Given for a table with a limit of memory. */
  readonly cold?: ColdStats;
  /** Given for a tensor. */
  readonly shape?: readonly number[];
}

/** What a table's admission has, and has done since the store was opened. */
export interface AdmissionStats {
  /** Keys that were counted and have no row; null of a sketch, which knows no keys. */
  readonly candidates: number | null;
  /** Bytes of memory that counting them takes. */
  readonly bytes: number;
  /** Rows created because their keys had been pushed often enough. */
  readonly admitted: number;
  /** Occurrences of keys that were counted only, and gradients, summed over the equal keys of a push, not kept. */
  readonly occurrences: number;
  readonly gradients: number;
}

export interface TensorOptions
  extends StorageOptions,
    Pick<TableOptions, "optimizer" | "initializer" | "seed" | "ack" | "logged" | "nonFinite"> {
  /** Lengths of the axes, row-major. */
  readonly shape: readonly number[];
  /** Floats of the rows that hold it, and what ranges of pushes begin and end at. Chosen from the shape unless given. */
  readonly block?: number;
}

/** A range of elements of a tensor, flat and row-major: `from` inclusive, `to` exclusive; the whole tensor unless given. */
export interface TensorRange {
  readonly from?: number;
  readonly to?: number;
}

/** Dense parameters: a table whose rows are blocks of the tensor. */
export interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Elements in all. */
  readonly length: number;
  /** Pushes and assignments begin and end at multiples of it, or at the end of the tensor. */
  readonly block: number;
  readonly options: TableDefinition;
  /** Reads a range into f32[to - from]. @throws INVALID_ARGUMENT, CLOSED */
  pull(options?: TensorRange & { readonly into?: Float32Array }): Promise<Float32Array>;
  /** Applies the optimizer to gradients f32[to - from] of a range. @throws UNALIGNED_RANGE, and as Table.push */
  push(gradients: Float32Array, options?: TensorRange & Omit<PushOptions, "counters">): Promise<void>;
  /** Sets a range. @throws as push */
  assign(values: Float32Array, options?: TensorRange & WriteOptions): Promise<void>;
  stats(): Promise<TableStats>;
}

export interface PullRequest extends PullOptions {
  readonly table: Table;
  readonly keys: BigUint64Array;
}

/** One table's or tensor's part of a push of several. */
export type PushRequest =
  | {
      readonly table: Table;
      readonly keys: BigUint64Array;
      readonly gradients: Float32Array;
      readonly learningRate?: number;
      readonly counters?: CounterColumns;
    }
  | (TensorRange & {
      readonly tensor: Tensor;
      readonly gradients: Float32Array;
      readonly learningRate?: number;
    });

/** What is known of somebody who pushes from elsewhere; numbers of 64 bits are decimal. */
export interface WorkerStats {
  readonly name: string;
  readonly session: string;
  /** The highest clock that it has told; null before its first push. */
  readonly clock: string | null;
  /** The highest sequence of a push that was applied; 0 before the first. */
  readonly sequence: string;
}

export interface StoreStats {
  readonly directory: string;
  readonly format: number;
  readonly tables: readonly TableStats[];
  readonly memory: {
    readonly arenas: number;
    /** Pages that are in use. */
    readonly bytes: number;
    readonly hugePages: boolean;
    /** Half of an arena's rows are on their way to a new one; `bytes` grows until they are there. */
    readonly moving: boolean;
  };
  readonly log: {
    /** The last record, and up to where records survive the process and power loss. */
    readonly lsn: number;
    readonly writtenLsn: number;
    readonly syncedLsn: number;
    /** Bytes that wait to be written. */
    readonly pendingBytes: number;
    /** Bytes logged since the last checkpoint began. */
    readonly bytes: number;
    readonly segments: number;
    /** Records replayed when the store was opened. */
    readonly replayed: number;
  };
  readonly checkpoint: {
    readonly generation: number;
    readonly lsn: number;
    /** Milliseconds since the epoch. */
    readonly at: number;
    readonly ageMs: number;
    readonly pages: number;
  } | null;
  /** How many there are, and the bytes on the disk that only they refer to, images of pages counted whole. */
  readonly versions: { readonly count: number; readonly ownBytes: number };
  /** Absent where there is none. */
  readonly workers?: readonly WorkerStats[];
  /** Given where the store is open as one of its versions. */
  readonly version?: string;
  readonly health: "ok" | "read-only";
  readonly reason?: string;
}

/** Tables and tensors in one directory, or, later, on nodes. */
export interface Store extends AsyncDisposable {
  readonly directory: string;
  /**
   * Opens a table, or makes it. On an existing table options may be left out; of those given, learning rate, ack,
   * nonFinite and eviction change it.
   *
   * @throws INVALID_NAME, INVALID_OPTIONS, TABLE_NOT_FOUND, TABLE_MISMATCH, READ_ONLY, CLOSED
   */
  table(name: string, options?: TableOptions): Promise<Table>;
  /** Opens a tensor, or makes it. @throws as table */
  tensor(name: string, options?: TensorOptions): Promise<Tensor>;
  tables(): Promise<TableStats[]>;
  /** Drops a table or tensor and all its rows. @throws TABLE_NOT_FOUND, READ_ONLY, CLOSED */
  dropTable(name: string): Promise<void>;
  /** Reads several tables in one visit. */
  pull(requests: readonly PullRequest[]): Promise<Float32Array[]>;
  /** Pushes to several tables and tensors as one: all or nothing, one record in the log. */
  push(
    requests: readonly PushRequest[],
    options?: Omit<PushOptions, "learningRate" | "counters">,
  ): Promise<void>;
  /**
   * Writes a point-in-time copy of everything while pushes go on; opening then replays only what came after. With
   * `version` it also gets a name and stays as it is until it is deleted; resolves when it is there, whole.
   *
   * @throws VERSION_EXISTS, INVALID_NAME, ABORTED, IO, READ_ONLY, CLOSED: there is no such version then
   */
  checkpoint(options?: CheckpointOptions): Promise<CheckpointInfo>;
  /** The versions that there are, oldest first. @throws CLOSED */
  versions(): Promise<VersionInfo[]>;
  /**
   * A version as a store of its own, for reading: in memory whole, independent of this one and of the directory from now
   * on. Close it to let the memory go. Writes to it are refused with VERSION_IS_READ_ONLY.
   *
   * @throws VERSION_NOT_FOUND, CORRUPT naming what is damaged, OUT_OF_MEMORY, IO, CLOSED
   */
  openVersion(name: string): Promise<Store>;
  /**
   * Makes the store what it was at a version: rows, tables and mark. Tables and tensors that were opened stay usable, except
   * those that the version does not have. Writes that are called meanwhile wait and change the version. All at once or
   * not at all, whatever fails; takes the memory of both states for a while.
   *
   * @throws VERSION_NOT_FOUND, CORRUPT, OUT_OF_MEMORY, IO, READ_ONLY, CLOSED
   */
  rollback(name: string): Promise<RollbackInfo>;
  /**
   * How two versions differ: rows added, removed and changed in each table, and those whose weights have moved furthest.
   * Without `to`, the live state, of which a checkpoint is written for that. Reads only pages that differ, memory is bounded.
   *
   * @throws VERSION_NOT_FOUND, INVALID_ARGUMENT, CORRUPT, ABORTED, IO, CLOSED; READ_ONLY without `to`
   */
  diff(from: string, to?: string, options?: VersionDiffOptions): Promise<StateDiff>;
  /**
   * Rows that were added or changed since a version, and keys whose rows are gone, in batches of one table each and in no
   * particular order, each row once: applied to a copy of the version they make it the live state, of which a checkpoint is
   * written first, or the version `until`.
   *
   * @throws as diff
   */
  changes(options: VersionChangesOptions): AsyncIterable<ChangeBatch>;
  /** Deletes a version and gives back what only it needs. @throws VERSION_NOT_FOUND, IO, READ_ONLY, CLOSED */
  deleteVersion(name: string): Promise<void>;
  /** The mark of the last push that had one, of the recovered state right after opening; the caller owns the copy. */
  mark(): Promise<Uint8Array | undefined>;
  stats(): Promise<StoreStats>;
  /** Makes what was pushed durable and lets the directory go. Safe to call twice. @throws IO */
  close(): Promise<void>;
}
