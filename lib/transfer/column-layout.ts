// The columns that an exported table has, in their order in a file. They are the same in every format.

import type { ElementType } from "./element-types.js";
import type { RowShape } from "./row-file.js";
import type { RowBatch } from "./transfer-types.js";

export type ColumnName = "keys" | "weights" | "state" | "frequency" | "last_step";

export const COLUMN_NAMES: readonly ColumnName[] = ["keys", "weights", "state", "frequency", "last_step"];

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

/** Columns for rows of a shape; state where it has some. */
export function columnsFor({ dim, stateFloats }: RowShape): ColumnLayout[] {
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
  return columns;
}

export function shapeOf({ width }: ColumnLayout, rows: number): number[] {
  return width === undefined ? [rows] : [rows, width];
}
