// How the generated tables describe the schema to verifier, reader and writer.

/** What a field holds. `safe` u64s are numbers, others bigints; names that end in s are vectors. */
export type FieldKind =
  | "bool"
  | "u8"
  | "u16"
  | "u32"
  | "u64"
  | "f32"
  | "f64"
  | "tag"
  | "union"
  | "string"
  | "strings"
  | "table"
  | "tables"
  | "u8s"
  | "u16s"
  | "u32s"
  | "u64s";

export interface FieldSchema {
  /** Of the property, in camel case. */
  readonly name: string;
  /** Index in the vtable. */
  readonly slot: number;
  readonly kind: FieldKind;
  /** That it takes in the table: of an offset 4. */
  readonly bytes: number;
  readonly required: boolean;
  /** Number of the feature that its presence needs; -1: none. */
  readonly feature: number;
  /** Of an element of a vector of numbers. */
  readonly elementBytes?: number;
  /** A vector that comes behind everything else. */
  readonly bulk?: boolean;
  /** A u64 that is at most 2^53 - 1. */
  readonly safe?: boolean;
  /** What it is where it is absent. A field of a number without this is undefined then. */
  readonly otherwise?: number | bigint | boolean;
  /** Index of the enum that its value is of. */
  readonly values?: number;
  /** Index of the table that it refers to. */
  readonly table?: number;
}

export interface TableSchema {
  readonly name: string;
  /** Fields that are not known are skipped, not refused. */
  readonly open: boolean;
  /** Number of the feature that its presence needs; -1: none. */
  readonly feature: number;
  /** By slot. */
  readonly fields: readonly FieldSchema[];
}

export interface EnumSchema {
  readonly name: string;
  /** Values are sums of 1 << i, else they are i. */
  readonly flags: boolean;
  /** For each i the number of the feature that its use needs; -1: none. */
  readonly features: readonly number[];
}
