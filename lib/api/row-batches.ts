// Rows as they are handed out: in columns of one length. Whoever gets them owns the arrays.
import type { CounterColumns } from "./counter-columns.js";

/** Rows of one table that two states do not have alike, in columns of one length; the caller owns the arrays. */
export interface ChangeBatch {
  readonly table: string;
  /** The table was dropped, or made anew under its name: all rows that it had are gone, before these are added. */
  readonly reset: boolean;
  /** u64[n]: rows that were added or changed. */
  readonly keys: BigUint64Array;
  /** f32[n * dim] */
  readonly rows: Float32Array;
  /** f32[n * stateFloats] */
  readonly state: Float32Array;
  /** u32[n] */
  readonly frequency: Uint32Array;
  /** u32[n] */
  readonly lastStep: Uint32Array;
  /** f32[n] by name, as of the later state; absent where the table has no counters, and where there are no rows. */
  readonly counters?: CounterColumns;
  /** u8[n]: 1 where the row is new, 0 where it changed. */
  readonly added: Uint8Array;
  /** f64[n]: how far the weights have moved, by Euclid; 0 where the row is new. */
  readonly distance: Float64Array;
  /** u64[]: keys whose rows are gone. */
  readonly removed: BigUint64Array;
}

/** Why rows were evicted: the table had too many, they were too old, their norm was too small, or someone asked for it. */
export type EvictionReason = "capacity" | "age" | "norm" | "request";

/** Rows that have been evicted; whoever is told owns the arrays. */
export interface EvictedRows extends RowBatch {
  readonly reason: EvictionReason;
  /**
   * From nodes only: rows that went before these and are not told, since too much waited for this client. A batch may have
   * this and no rows.
   */
  readonly missed?: number;
}

/** Rows evicted since the store was opened, by reason, and slices that it took. */
export type EvictionCounts = Readonly<Record<EvictionReason, number>> & { readonly slices: number };

/** Some rows of a table, in columns of one length. */
export interface RowBatch {
  /** u64[n] */
  readonly keys: BigUint64Array;
  /** f32[n * dim] */
  readonly rows: Float32Array;
  /** f32[n * stateFloats] */
  readonly state: Float32Array;
  /** u32[n]: occurrences pushed. */
  readonly frequency: Uint32Array;
  /** u32[n]: the step of the last push. */
  readonly lastStep: Uint32Array;
  /** f32[n] by name, as of now; absent where the table has no counters. */
  readonly counters?: CounterColumns;
}

/** What a scan gives; the caller owns the arrays. */
export interface ScanBatch extends RowBatch {
  /** f64[n]: when rows were last written, milliseconds since the epoch, to a tenth of a second; absent without `eviction`. */
  readonly writtenAt?: Float64Array;
}
