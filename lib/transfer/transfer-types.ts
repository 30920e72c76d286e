// The public shapes of export and import.
import type { CounterColumns } from "../api/counter-columns.js";
import type { Ack, TableDefinition, TableOptions } from "../api/table-definition.js";

/** How rows lie in files: docs/export-and-import.md. */
export type TransferFormat = "safetensors" | "npy" | "parquet";

/** Some rows of a table in columns of one length, as a scan gives them. */
export interface RowBatch {
  /** u64[n] */
  readonly keys: BigUint64Array;
  /** f32[n * dim] */
  readonly rows: Float32Array;
  /** f32[n * stateFloats] */
  readonly state: Float32Array;
  /** u32[n] */
  readonly frequency: Uint32Array;
  /** u32[n] */
  readonly lastStep: Uint32Array;
  /** f32[n] by name; absent where the table has no counters. */
  readonly counters?: CounterColumns;
}

/** Rows of a table that changed, and keys of those that are gone, as `store.changes()` gives them. */
export interface ChangedRows extends RowBatch {
  /** All rows that the table had are gone: it was made anew. */
  readonly reset: boolean;
  /** u64[] */
  readonly removed: BigUint64Array;
}

/** What exports and imports take of a table; the embedded store's `Table` is one. */
export interface TransferTable {
  readonly name: string;
  readonly dim: number;
  readonly stateFloats: number;
  readonly options: TableDefinition;
  contains(keys: BigUint64Array): Promise<Uint8Array>;
  assign(
    keys: BigUint64Array,
    rows: Float32Array,
    options?: {
      state?: Float32Array;
      frequency?: Uint32Array;
      lastStep?: Uint32Array;
      counters?: CounterColumns;
      ack?: Ack;
    },
  ): Promise<void>;
  delete(keys: BigUint64Array, options?: { ack?: Ack }): Promise<number>;
  scan(options?: { readonly batch?: number; readonly lent?: boolean }): AsyncIterable<RowBatch>;
  stats(): Promise<{ readonly rows: number }>;
  /** Says that so many rows will be created now. A hint. */
  expectRows?(rows: number): void;
}

/** What exports and imports take of a store; every `Store` is one. */
export interface TransferStore {
  table(name: string, options?: TableOptions): Promise<TransferTable>;
  changes(options: {
    readonly since: string;
    readonly tables: readonly string[];
    readonly signal?: AbortSignal;
  }): AsyncIterable<ChangedRows>;
  tables(): Promise<readonly { readonly name: string }[]>;
  dropTable(name: string): Promise<void>;
}

/** How far an export or import is. */
export interface TransferProgress {
  /** What is being done: rows are read and written, a file is checked, rows are deleted, bytes go over the network. */
  readonly phase: "export" | "check" | "import" | "delete" | "upload" | "download";
  /** Rows, or bytes of an upload or download, that are done, and all of them as far as that is known. */
  readonly done: number;
  readonly total: number;
}

/** Where an S3-compatible server is and who asks. What is left out comes from the usual AWS_* variables of the environment. */
export interface S3Options {
  /** Such as "http://127.0.0.1:9000", with the bucket as the first part of the path; AWS's own unless given. */
  readonly endpoint?: string;
  readonly region?: string;
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  readonly sessionToken?: string;
  /** Bytes of a part, 5 MiB to 5 GiB; 16 MiB unless given, more where the object would have over 10,000 parts. */
  readonly partBytes?: number;
  /** Tries of a request that fails for reasons that pass: 6 unless given. */
  readonly tries?: number;
  /** Milliseconds before the second try, doubled for each further one: 200 unless given. */
  readonly retryMs?: number;
}

interface TransferOptions {
  /** Told by the end of the name unless given: `.safetensors`, `.parquet`, else a directory of `.npy` files. */
  readonly format?: TransferFormat;
  readonly signal?: AbortSignal;
  /** Called often; must be quick. */
  readonly onProgress?: (progress: TransferProgress) => void;
  readonly s3?: S3Options;
  /** Directory for the copy of what goes to or comes from S3; the system's for temporary files unless given. */
  readonly scratch?: string;
}

export interface ExportOptions extends TransferOptions {
  /** Optimizer state, too. False unless given. */
  readonly state?: boolean;
  /** Only rows that were pushed at least so often. */
  readonly minFrequency?: number;
  /** Only rows whose weights have at least this Euclidean norm. */
  readonly minNorm?: number;
  /** Only rows of these keys. */
  readonly keys?: BigUint64Array;
  /**
   * A version: only what changed since, rows as they are now and keys of rows that are gone. Imported over an export of
   * that version it makes the table. Without `rows` and `keys`; rows that changed and are below a threshold count as gone.
   */
  readonly since?: string;
  /** Rows to take instead of all of the table's: batches as `table.scan()` gives them, each key at most once in all. */
  readonly rows?: AsyncIterable<RowBatch>;
  /** False: what is written is left to the system, as `cp` does, and may be lost with the power. True unless given. */
  readonly sync?: boolean;
}

export interface ExportReport {
  readonly format: TransferFormat;
  readonly rows: number;
  /** Keys of rows that are gone `since`. */
  readonly removed: number;
  /** Of all files. */
  readonly bytes: number;
  /** Paths or s3:// addresses. */
  readonly files: readonly string[];
}

export interface ImportOptions extends TransferOptions {
  /**
   * What becomes of rows that are there. "merge": the file's rows take the place of those of the same keys; "replace":
   * and all other rows are deleted; "fail": nothing is changed where one key is there. "fail" unless given.
   */
  readonly existing?: "merge" | "replace" | "fail";
  /** Optimizer state. Unless given: if the file has some that fits. True: refuse a file without. False: leave it out. */
  readonly state?: boolean;
  /** What the table is made with if there is none; the file's own description unless given. */
  readonly table?: TableOptions;
  /** Of the writes; the table's unless given. */
  readonly ack?: Ack;
}

export interface ImportReport {
  readonly format: TransferFormat;
  /** Rows of the file, all of which are in the table now. */
  readonly rows: number;
  /** Rows that "replace" deleted, or that a file of changes said were gone. */
  readonly deleted: number;
  /** Whether the table was made. */
  readonly created: boolean;
  /** Whether optimizer state came with the rows, and if not, why. */
  readonly state: "restored" | "none" | "left out" | "does not fit";
  /** Whether frequencies and last steps came with the rows. */
  readonly history: boolean;
  /** Whether counters came with the rows. */
  readonly counters: boolean;
}
