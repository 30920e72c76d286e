import { EmbershardError } from "../base/errors.js";

export interface CompareProgress {
  /** Pages looked at, of `total`; begins anew where another pass is needed. */
  readonly pages: number;
  readonly total: number;
}

/** How one table differs in two states. */
export interface TableDiff {
  readonly table: string;
  /** Whether both have it. "remade": the second has another table of that name, and all rows are counted as removed and added. */
  readonly status: "kept" | "made" | "dropped" | "remade";
  /** Rows in the first state and in the second. */
  readonly before: number;
  readonly after: number;
  readonly added: number;
  readonly removed: number;
  /** Rows whose weights, state, frequency or last step differ, or their counters or time of the last write, where they have some. */
  readonly changed: number;
  /** The rows whose weights have moved furthest, by Euclid, the furthest first; NaN, of rows that have diverged, before all. */
  readonly largest: readonly { readonly key: bigint; readonly distance: number }[];
}

export interface StateDiff {
  /** Names of versions; "live" is the live state. */
  readonly from: string;
  readonly to: string;
  /** Tables that either has, also those that do not differ. */
  readonly tables: readonly TableDiff[];
}

export interface RollbackInfo {
  readonly version: string;
  /** The checkpoint that it is. */
  readonly generation: number;
  /** The last record before it; the next one changes the version. */
  readonly lsn: number;
  /** Records after the version that count no more. */
  readonly discarded: number;
  readonly milliseconds: number;
}

/** What is known of a version without reading its rows. */
export interface VersionInfo {
  readonly name: string;
  readonly note: string;
  /** When its instant was, milliseconds since the epoch. */
  readonly at: number;
  /** The last record of the log that it holds. */
  readonly lsn: number;
  readonly generation: number;
  readonly tables: readonly { readonly name: string; readonly rows: number }[];
  /** Rows of all tables. */
  readonly rows: number;
  /** Pages that it refers to. */
  readonly pages: number;
  /** Bytes of those pages on the disk. */
  readonly bytes: number;
  /** Of them, bytes that nothing else refers to: what deleting it gives back. */
  readonly ownBytes: number;
  /** What the parts of a version over several shards have in common, a number in decimal digits. */
  readonly cut?: string;
  /** Why it cannot be read; then numbers are 0, but perhaps `at`. It can be deleted. */
  readonly damage?: string;
}

/** What is said of a version that cannot be read. */
export function damagedVersion(name: string, damage: string, at = 0): VersionInfo {
  return {
    name,
    note: "",
    at,
    lsn: 0,
    generation: 0,
    tables: [],
    rows: 0,
    pages: 0,
    bytes: 0,
    ownBytes: 0,
    damage,
  };
}

/** What a write to a version is told. */
export function versionIsReadOnly(version?: string): EmbershardError {
  return new EmbershardError(
    "VERSION_IS_READ_ONLY",
    `this is ${version === undefined ? "a version" : `version "${version}"`} of a store, which never changes: write to the live store`,
  );
}
