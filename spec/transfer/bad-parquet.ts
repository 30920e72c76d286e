// Parquet files that are whole, and do not hold what a table takes.
import { parquetWriteBuffer, type SchemaElement } from "hyparquet-writer";
import type { ErrorCode } from "../../lib/index.js";

/** A column: its leaf's type, whether it is lists, whether its values may be missing, and its values. */
interface Column {
  readonly type: Pick<SchemaElement, "type" | "converted_type">;
  readonly lists?: boolean;
  readonly nullable?: boolean;
  readonly values: readonly unknown[];
}

const key = (...values: bigint[]): Column => ({
  type: { type: "INT64", converted_type: "UINT_64" },
  values,
});
const lists = (...values: (readonly unknown[] | null)[]): Column => ({
  type: { type: "FLOAT" },
  lists: true,
  values,
});

/** A file of these columns. */
export function parquetFile(columns: Readonly<Record<string, Column>>): Buffer {
  const schema: SchemaElement[] = [{ name: "root", num_children: Object.keys(columns).length }];
  for (const [name, { type, lists: isList, nullable }] of Object.entries(columns)) {
    const repetition = nullable ? ("OPTIONAL" as const) : ("REQUIRED" as const);
    if (!isList) {
      schema.push({ name, ...type, repetition_type: repetition });
      continue;
    }
    schema.push(
      { name, repetition_type: repetition, num_children: 1, converted_type: "LIST" },
      { name: "list", repetition_type: "REPEATED", num_children: 1 },
      { name: "element", ...type, repetition_type: repetition },
    );
  }
  const columnData = Object.entries(columns).map(([name, { values }]) => ({ name, data: [...values] }));
  return Buffer.from(parquetWriteBuffer({ columnData, schema, statistics: false }));
}

const two = key(7n, 8n);
const weights = lists([1, 2], [3, 4]);

export const goodParquet = parquetFile({ keys: two, weights });

type Bad = readonly [what: string, bytes: Buffer, code: ErrorCode, message: RegExp];

/** What may be wrong with a file's columns. */
export const badParquet: readonly Bad[] = [
  [
    "keys that are floats",
    parquetFile({ keys: { type: { type: "DOUBLE" }, values: [7, 8] }, weights }),
    "UNSUPPORTED",
    /column keys is /,
  ],
  [
    "keys that are text",
    parquetFile({
      keys: { type: { type: "BYTE_ARRAY", converted_type: "UTF8" }, values: ["7", "8"] },
      weights,
    }),
    "UNSUPPORTED",
    /column keys is /,
  ],
  [
    "weights that are integers",
    parquetFile({
      keys: two,
      weights: {
        type: { type: "INT32" },
        lists: true,
        values: [
          [1, 2],
          [3, 4],
        ],
      },
    }),
    "UNSUPPORTED",
    /column weights.* is lists of /,
  ],
  [
    "weights that are no lists",
    parquetFile({ keys: two, weights: { type: { type: "FLOAT" }, values: [1, 2] } }),
    "UNSUPPORTED",
    /column weights is .*expected lists of /,
  ],
  [
    "no weights",
    parquetFile({ keys: two, other: weights }),
    "CORRUPT",
    /found columns keys, expected keys and/,
  ],
  ["a key twice", parquetFile({ keys: key(7n, 7n), weights }), "CORRUPT", /key 7 of row 1 came before/],
  [
    "rows of several lengths",
    parquetFile({ keys: two, weights: lists([1, 2], [3]) }),
    "CORRUPT",
    /column weights/,
  ],
  [
    "a key that is missing",
    parquetFile({ keys: { ...two, nullable: true, values: [7n, null] }, weights }),
    "CORRUPT",
    /column keys/,
  ],
  [
    "a weight that is missing",
    parquetFile({
      keys: two,
      weights: {
        ...weights,
        nullable: true,
        values: [
          [1, null],
          [3, 4],
        ],
      },
    }),
    "CORRUPT",
    /column weights/,
  ],
  [
    "a row that is missing",
    parquetFile({ keys: two, weights: { ...weights, nullable: true, values: [[1, 2], null] } }),
    "CORRUPT",
    /column weights/,
  ],
  [
    "another dimension than the table's",
    parquetFile({ keys: two, weights: lists([1], [2]) }),
    "TABLE_MISMATCH",
    /1 element/,
  ],
  [
    "not a number",
    parquetFile({ keys: two, weights: lists([1, 2], [3, Number.NaN]) }),
    "NON_FINITE",
    /row 1/,
  ],
  [
    "a frequency below zero",
    parquetFile({
      keys: two,
      weights,
      frequency: { type: { type: "INT32" }, values: [1, -1] },
      last_step: { type: { type: "INT32" }, values: [1, 1] },
    }),
    "CORRUPT",
    /frequency of row 1/,
  ],
];
