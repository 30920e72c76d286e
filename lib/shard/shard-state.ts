import type { Clock } from "../base/clock.js";
import { EmbershardError } from "../base/errors.js";
import type { LogRecord } from "../store/log-reader.js";
import type { PageStore } from "../store/page-store.js";
import type { SegmentLog } from "../store/segment-log.js";
import type { ArenaTable } from "../table/arena-table.js";
import { parts } from "../table/candidates.js";
import type { ArenaSet } from "./arena-set.js";
import type { ColdKeeping } from "./cold-keeping.js";
import type { ColdRows } from "./cold-rows.js";
import type { Interruption } from "./interruption.js";
import type { PageKey } from "./page-image.js";
import type { PageLedger } from "./page-ledger.js";
import type { Sequences } from "./sequences.js";
import type { Share } from "./share.js";
import type { KnownVersion } from "./version.js";

/** Pages of a dropped table: out of use, and not given away until a checkpoint has forgotten what they held. */
export interface RetiredTable {
  readonly index: number;
  /** LSN of the drop. */
  readonly lsn: number;
  readonly pages: readonly { arena: number; page: number }[];
}

/** Values of a dropped table in the page store. */
export interface ColdRemains {
  /** The table's number. */
  readonly table: number;
  /** LSN of the drop. */
  readonly lsn: number;
}

/** Somebody who reads a state that the shard is not, or is no more. */
export interface StateReader {
  /** Whose images are read. */
  readonly ledger: PageLedger | undefined;
  /** The instant whose cold rows are read. */
  readonly coldLsn?: number | undefined;
}

/** What a committed checkpoint is known by. */
export interface CommittedCheckpoint {
  readonly generation: number;
  readonly replayLsn: number;
  readonly lsn: number;
  readonly at: number;
  readonly pages: number;
}

/** What is used of a log. */
export type ShardLog = Pick<SegmentLog, keyof SegmentLog>;

/** Everything that a shard is, shared by the modules that work on it. */
export interface ShardState {
  arenas: ArenaSet;
  tables: Map<string, ArenaTable>;
  readonly log: ShardLog;
  /** Reads records of the log, `from` to `to`, both inclusive, that have been written; see `readLogRange`. */
  readonly records: (from: number, to: number) => AsyncIterable<readonly LogRecord[]>;
  /** Waits for the log that end when it fails: who mends it may have to wait for those who wait for it. */
  readonly logWaits: Interruption;
  readonly pages: PageStore;
  /** The cold rows of each table that has a limit of memory, by its number. */
  readonly cold: Map<number, ColdRows>;
  readonly coldRemains: ColdRemains[];
  readonly clock: Clock;
  /** Lets others run: resolves in a later turn of the event loop. */
  readonly pause: () => Promise<void>;
  ledger: PageLedger;
  /** Versions by name, oldest first. */
  versions: Map<string, KnownVersion>;
  /** The version that this is, of a shard that is one. */
  readonly version: string | undefined;
  readonly readers: Set<StateReader>;
  /** What is under way with values of cold rows. */
  readonly keeping: ColdKeeping;
  /** Pages that making a version has in memory at once. */
  readonly foldPages: number;
  /** Bytes of rows that comparing has in memory at once, unless the usual. */
  readonly leftoverBytes: number | undefined;
  /** Names of the versions that there should be, as the file beside the log last had them. */
  expectedVersions: readonly string[];
  /** Makes names what that file has, durably. @throws IO */
  readonly noteVersions: (names: readonly string[]) => Promise<void>;
  /** The greatest number that a generation of images has had. */
  lastGeneration: number;
  committed: CommittedCheckpoint | undefined;
  /** The caller's mark of the last push that had one. */
  mark: Uint8Array | undefined;
  /** What workers have pushed. No rollback takes it back. */
  readonly sequences: Sequences;
  /** The latest time that a write has had, milliseconds since the epoch: a clock that goes back does not lower it. */
  time: number;
  /** Which part of all keys it has; undefined: all, or nobody has said yet. */
  share?: Share | undefined;
  /** No row goes by itself, whatever tables say. */
  readonly keepsAll?: boolean | undefined;
  /** The number that the next table gets. */
  nextTable: number;
  retired: RetiredTable[];
  /** A checkpoint is writing pages: unlogged tables log meanwhile. */
  draining: boolean;
  /** A rollback is being committed: nobody logs anything meanwhile. */
  held: boolean;
  /** Set when an invariant broke: memory cannot be trusted, and nothing is read from it or written from it any more. */
  broken: EmbershardError | undefined;
  /** Images that nothing refers to, left by a checkpoint that failed or was forgotten by a crash. */
  garbage: PageKey[];
}

/** LSN of the last record. */
export function lastLsn(state: ShardState): number {
  return state.log.nextLsn - 1;
}

/** The time now, as writes get it: never before that of an earlier write. */
export function timeNow(state: ShardState): number {
  state.time = Math.max(state.time, Math.floor(state.clock.now()));
  return state.time;
}

/** Takes the pages of a dropped table, and of its candidates, out of use in every arena. */
export function retireTable(arenas: ArenaSet, table: ArenaTable, lsn: number): RetiredTable[] {
  return parts(table).map((one) => {
    arenas.tables.delete(one);
    const pages = arenas.all.flatMap((arena) =>
      arena.retirePages(one.index).map((page) => ({ arena: arena.number, page })),
    );
    return { index: one.index, lsn, pages };
  });
}

/**
 * Runs work on the arenas. Where it breaks an invariant (the kernel traps, an assertion fails) memory may be half
 * changed, and the shard stops: every later call fails with INTERNAL. What the log holds is whole.
 */
export function guarded<T>(state: ShardState, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const internal = cause instanceof EmbershardError ? cause.code === "INTERNAL" : true;
    if (internal) {
      state.broken ??= stopped(cause);
      throw state.broken;
    }
    throw cause;
  }
}

/** What every call is told after an invariant broke. */
export function stopped(cause: unknown): EmbershardError {
  const what = cause instanceof Error ? cause.message : String(cause);
  return new EmbershardError(
    "INTERNAL",
    `the store has stopped, since an invariant broke (${what}): close it and open it again; everything acknowledged is in the log`,
    { cause },
  );
}

/** What those are told who wait for a log that could not be made durable before the shard was closed. */
export function lostAtClose(cause: unknown): EmbershardError {
  return new EmbershardError(
    "IO",
    "the store was closed before the push was durable: it may or may not be there when it is opened again",
    { cause },
  );
}
