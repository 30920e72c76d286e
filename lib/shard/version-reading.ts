// Reading versions against one another and against the live state, which a checkpoint holds still for as long as it takes.

import type { CheckpointOptions } from "../api/checkpoint-types.js";
import type { ChangeBatch } from "../api/row-batches.js";
import type { CompareProgress, StateDiff } from "../api/version-types.js";
import { type CompareOptions, compareStates } from "./comparing.js";
import { type ComparedState, diffStates } from "./diff.js";
import { holdImages } from "./image-use.js";
import type { Instant } from "./instant.js";
import type { PageKey } from "./page-image.js";
import { PageLedger } from "./page-ledger.js";
import type { ShardState } from "./shard-state.js";
import type { Companion } from "./together.js";
import { demandVersion } from "./version.js";
import { holdVersion } from "./version-recovery.js";

export interface DiffOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: CompareProgress) => void) | undefined;
  /** Rows to name of each table, those that have moved furthest. */
  readonly largest: number;
  /** Who waits for the live states of other shards. */
  readonly companion?: Companion | undefined;
}

export interface ChangesOptions {
  readonly since: string;
  /** A version; the live state unless given. */
  readonly until?: string | undefined;
  readonly tables?: readonly string[] | undefined;
  readonly batchRows: number;
  /** As of a diff. */
  readonly companion?: Companion | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: CompareProgress) => void) | undefined;
}

/** Writes a checkpoint, folds it, and keeps its images until `release`. */
export type HoldLive = (options: CheckpointOptions) => Promise<HeldInstant>;

export interface HeldInstant {
  readonly instant: Instant;
  release(): void;
}

/** Bytes of rows that a comparison has waiting to be found at another place. */
const leftoverBytes = 64 << 20;
const diffBatchRows = 1024;

/** An instant whose images stay until it is let go; what was written for it alone is garbage then. */
export function holdInstant(
  state: ShardState,
  instant: Instant,
  written: readonly PageKey[],
  releaseCold: () => void,
): HeldInstant {
  const release = holdImages(state, new PageLedger(instant.manifest.pages));
  return {
    instant,
    release: () => {
      releaseCold();
      release();
      state.garbage.push(...written);
    },
  };
}

/** @throws VERSION_NOT_FOUND, CORRUPT, ABORTED, IO, and what a checkpoint throws where the live state is compared. */
export async function diffVersions(
  state: ShardState,
  from: string,
  to: string | undefined,
  options: DiffOptions,
  holdLive: HoldLive,
): Promise<StateDiff> {
  const { signal, onProgress, largest } = options;
  const held = await holdBoth(state, from, to, options, holdLive);
  try {
    const compare: CompareOptions = {
      pause: state.pause,
      batchRows: diffBatchRows,
      leftoverBytes: state.leftoverBytes ?? leftoverBytes,
      signal,
      onProgress,
    };
    const tables = await diffStates(state.pages, held.from, held.to, largest, compare);
    return { from, to: to ?? "live", tables };
  } finally {
    held.release();
  }
}

/** Rows that were added, changed and removed since a version. @throws as diffVersions */
export async function* changesSince(
  state: ShardState,
  { since, until, ...options }: ChangesOptions,
  holdLive: HoldLive,
): AsyncGenerator<ChangeBatch> {
  const { tables, batchRows, signal, onProgress } = options;
  const held = await holdBoth(state, since, until, options, holdLive);
  try {
    yield* compareStates(state.pages, held.from.manifest, held.to.manifest, {
      pause: state.pause,
      tables,
      batchRows,
      leftoverBytes: state.leftoverBytes ?? leftoverBytes,
      signal,
      onProgress,
    });
  } finally {
    held.release();
  }
}

async function holdBoth(
  state: ShardState,
  from: string,
  to: string | undefined,
  { signal }: { readonly signal?: AbortSignal | undefined },
  holdLive: HoldLive,
): Promise<{ from: ComparedState; to: ComparedState; release: () => void }> {
  const first = demandVersion(state.versions, from);
  const second = to === undefined ? undefined : demandVersion(state.versions, to);
  const releases = [holdVersion(state, first)];
  const release = () => {
    for (const one of releases) one();
  };
  if (second) {
    releases.push(holdVersion(state, second));
    return { from: first, to: second, release };
  }
  try {
    const live = await holdLive({ signal });
    releases.push(live.release);
    return { from: first, to: live.instant, release };
  } catch (error) {
    release();
    throw error;
  }
}
