import type { TableDescription } from "./table-description.js";
import type { RowBatch } from "./transfer-types.js";

/** Rows as an import reads them, in columns of one length; borrowed until the next batch is asked for. */
export interface RowColumns {
  /** u64[n] */
  readonly keys: BigUint64Array;
  /** f32[n * dim] */
  readonly rows: Float32Array;
  /** f32[n * stateFloats] */
  readonly state?: Float32Array;
  /** u32[n] each, both or none. */
  readonly frequency?: Uint32Array;
  readonly lastStep?: Uint32Array;
  /** f32[n * counterFloats], row by row. */
  readonly counters?: Float32Array;
}

/** What a reader leaves out unless it is asked for. */
export interface WantedColumns {
  readonly state: boolean;
  readonly counters: boolean;
}

/** What a file of rows has. */
export interface RowShape {
  readonly dim: number;
  /** Floats of state of a row; 0 where there is no state. */
  readonly stateFloats: number;
}

/** Takes rows and becomes files. One call at a time; after `finish` or `abandon` no more. */
export interface RowWriter {
  /** Takes a batch, whose arrays it needs until the next call resolves. May resolve before it is written. @throws IO */
  write(batch: RowBatch): Promise<void>;
  /**
   * Writes what is left and the ends of files, and makes them durable if asked to. `removed` is given where the file holds
   * changes only. Gives the bytes of each file. @throws IO, TOO_LARGE
   */
  finish(removed?: BigUint64Array): Promise<readonly { readonly name: string; readonly bytes: number }[]>;
  /** Lets go of the files, which the caller removes. */
  abandon(): Promise<void>;
}

/** A file of rows whose structure adds up. What its columns hold is known only when they have been read. */
export interface RowReader extends RowShape {
  readonly rows: number;
  /** Whether it has frequencies and last steps. */
  readonly history: boolean;
  /** How many counters a row has in it; 0: none. Their names are the description's. */
  readonly counterFloats: number;
  /** Whether it holds what changed since another state, and not a table. */
  readonly changesOnly: boolean;
  /** How many keys `removed` gives. */
  readonly removedRows: number;
  /** What the file says of the table that it comes from. */
  readonly description: TableDescription | undefined;
  /** All keys in order; each array is borrowed until the next is asked for. @throws IO, CORRUPT, UNSUPPORTED */
  keys(): AsyncIterable<BigUint64Array>;
  /** Keys whose rows are gone; none unless it holds changes only. As `keys`. */
  removed(): AsyncIterable<BigUint64Array>;
  /** All rows in order. @throws IO, CORRUPT, UNSUPPORTED */
  batches(wanted: WantedColumns): AsyncIterable<RowColumns>;
  /** @throws CORRUPT when the file was changed since it was opened. */
  demandUnchanged(): Promise<void>;
  close(): Promise<void>;
}
