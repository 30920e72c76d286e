// The columns that an exported table has, in their order in a file. They are the same in every format.

import { joinCounters } from "../api/counter-columns.js";
import { EmbershardError } from "../base/errors.js";
import type { ElementType } from "./element-types.js";
import type { RowShape } from "./row-file.js";
import type { RowBatch } from "./transfer-types.js";

export type ColumnName = "keys" | "weights" | "state" | "frequency" | "last_step" | "counters";

export const COLUMN_NAMES: readonly ColumnName[] = [
  "keys",
  "weights",
  "state",
  "frequency",
  "last_step",
  "counters",
];

/** The array beside the columns, U64 of any length, that an incremental export has: keys whose rows are gone. */
export const REMOVED_NAME = "removed";

/** Names of all arrays that an export may have. */
export const ARRAY_NAMES: readonly string[] = [...COLUMN_NAMES, REMOVED_NAME];

export interface ColumnLayout {
  readonly name: ColumnName;
  readonly type: ElementType;
  /** Elements of a row; undefined where a row has one number and the column one axis. */
  readonly width: number | undefined;
  /** Bytes of a row. */
  readonly rowBytes: number;
  readonly of: (batch: RowBatch) => ArrayBufferView;
}

/** Columns for rows of a shape; state where it has some, and the counters of these names. */
export function columnsFor({
  dim,
  stateFloats,
  counters,
}: RowShape & { readonly counters: readonly string[] }): ColumnLayout[] {
  const columns: ColumnLayout[] = [
    { name: "keys", type: "U64", width: undefined, rowBytes: 8, of: ({ keys }) => keys },
    { name: "weights", type: "F32", width: dim, rowBytes: 4 * dim, of: ({ rows }) => rows },
  ];
  if (stateFloats > 0)
    columns.push({
      name: "state",
      type: "F32",
      width: stateFloats,
      rowBytes: 4 * stateFloats,
      of: ({ state }) => state,
    });
  columns.push(
    { name: "frequency", type: "U32", width: undefined, rowBytes: 4, of: ({ frequency }) => frequency },
    { name: "last_step", type: "U32", width: undefined, rowBytes: 4, of: ({ lastStep }) => lastStep },
  );
  if (counters.length > 0)
    columns.push({
      name: "counters",
      type: "F32",
      width: counters.length,
      rowBytes: 4 * counters.length,
      of: (batch) => countersOf(batch, counters),
    });
  return columns;
}

/** f32[n * names], row by row. @throws INVALID_ARGUMENT where a batch, which may be the caller's, has none */
export function countersOf({ keys, counters }: RowBatch, names: readonly string[]): Float32Array {
  const missing = names.find((name) => counters?.[name]?.length !== keys.length);
  if (missing === undefined) return joinCounters(names, counters!, keys.length);
  throw new EmbershardError(
    "INVALID_ARGUMENT",
    `a batch of ${keys.length} rows has no counters.${missing} of as many, expected all that table.scan() gives`,
  );
}

export function shapeOf({ width }: ColumnLayout, rows: number): number[] {
  return width === undefined ? [rows] : [rows, width];
}
