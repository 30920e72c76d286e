// What verification finds, as data: the command line prints it, `--json` gives it as it is.

/**
 * note: nothing is wrong; crashes leave that, and opening the store clears it. harmless: bytes are damaged, and no row
 * depends on them. damage: the store does not open, or not with everything that it held.
 */
export type Severity = "note" | "harmless" | "damage";

/** What a finding is about. */
export type Part =
  | "identity"
  | "page store"
  | "manifest"
  | "page"
  | "version"
  | "cold row"
  | "log"
  | "durable mark"
  | "owner"
  | "backup";

export interface Affected {
  /** Names of tables, as far as they can be known. */
  readonly tables?: readonly string[] | undefined;
  /** Rows at most. */
  readonly rows?: number | undefined;
  /** Records of the log, both ends inclusive. */
  readonly lsns?: { readonly from: number; readonly to: number } | undefined;
  /** Named versions. */
  readonly versions?: readonly string[] | undefined;
}

export interface Finding {
  readonly severity: Severity;
  readonly part: Part;
  /** The file, relative to the directory. */
  readonly file: string;
  /** Bytes from its beginning. */
  readonly offset?: number | undefined;
  /** What of it, in words: a page, a record. */
  readonly what?: string | undefined;
  readonly message: string;
  readonly affects: Affected;
}

/** What was found in one shard. */
export interface ShardVerification {
  readonly shard: number;
  /** ok: nothing of it is damaged. */
  readonly status: "ok" | "damaged";
  /** Bytes that were read. */
  readonly bytes: number;
  /** Images of pages, records and versions that are whole. */
  readonly pages: number;
  readonly records: number;
  readonly versions: number;
  /** The last record; 0 where there is none. */
  readonly lsn: number;
  /** The last checkpoint's generation; 0 where there is none. */
  readonly generation: number;
}

/** Over all shards: of `lsn` and `generation` the greatest, of all other numbers the sums. */
export interface VerifyReport {
  readonly directory: string;
  /** ok: nothing is damaged. */
  readonly status: "ok" | "damaged";
  readonly findings: readonly Finding[];
  /** Bytes that were read. */
  readonly bytes: number;
  readonly milliseconds: number;
  /** Images of pages, records and versions that are whole. */
  readonly pages: number;
  readonly records: number;
  readonly versions: number;
  /** The last record; 0 where there is none. */
  readonly lsn: number;
  /** The last checkpoint's generation; 0 where there is none. */
  readonly generation: number;
  /** Each shard; none of a directory of backups. */
  readonly shards: readonly ShardVerification[];
}

export interface RepairProgress {
  readonly bytes: number;
  /** Of all files; of files in use they may grow meanwhile. */
  readonly total: number;
}

export function statusOf(findings: readonly Finding[]): "ok" | "damaged" {
  return findings.some(({ severity }) => severity !== "note") ? "damaged" : "ok";
}

/** Something that a repair could not bring back. */
export interface Loss {
  readonly kind: "page" | "cold row" | "records" | "checkpoint" | "version";
  readonly message: string;
  /** Of several the one that it is of. */
  readonly shard?: number;
  readonly arena?: number;
  readonly page?: number;
  /** As far as they can be known. */
  readonly tables?: readonly string[];
  /** Of cold rows: how many are gone. Of a page: how many at most, where that can be known. */
  readonly rows?: number;
  /**
   * Keys of lost rows, decimal. Of a page, at most 10,000: those that records of the log name, and those that its damaged image
   * tells, some of which may be wrong, or an older image of it. Of cold rows, at most 1,000: where there are more keys than rows,
   * which of them had a row nobody knows; where there are less, the others are not known.
   */
  readonly keys?: readonly string[];
  /** Records of the log, both ends inclusive. */
  readonly lsns?: { readonly from: number; readonly to: number };
  readonly version?: string;
}

export interface RepairReport {
  readonly directory: string;
  /** whole: nothing was wrong; refused: it would lose something, and nothing was changed. */
  readonly status: "whole" | "repaired" | "refused";
  /** What was wrong. */
  readonly findings: readonly Finding[];
  /** What is gone; where it was refused, what would be. Everything else is there, to the bit. */
  readonly losses: readonly Loss[];
  /** Where the damaged directory is kept, untouched. */
  readonly original: string | null;
}
