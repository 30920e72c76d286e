// Checkpoints. Dirty pages are written as they are, between requests, under keys of a new generation; the manifest, written
// last, makes them current at once. What a page lacks of the checkpoint's instant, the end of the drain, is in the log.
import type { CheckpointInfo, CheckpointOptions } from "../api/checkpoint-types.js";
import { EmbershardError } from "../base/errors.js";
import { KIND_ROWS, PAGE_BYTES } from "../kernel/layout.js";
import type { PageBatch } from "../store/page-store.js";
import type { ArenaTable } from "../table/arena-table.js";
import { addDeletions, forgetDeletions, purgeGone } from "./cold-deletions.js";
import { type ColdNote, type ColdRows, coldNotes } from "./cold-rows.js";
import { noteOf } from "./hand-over.js";
import { clearGarbage, unusedOf } from "./image-use.js";
import { type Instant, noteInstant } from "./instant.js";
import { encodeManifest, type Manifest, manifestKey, type TableProgress } from "./manifest.js";
import { encodePage, encodePageKey, type PageKey, pageHeaderBytes } from "./page-image.js";
import type { PageLedger } from "./page-ledger.js";
import { encodeJson, RECORD } from "./records.js";
import { lastLsn, type RetiredTable, type ShardState } from "./shard-state.js";

/** Pages of one atomic, synced batch: 4 MiB. */
export const batchPages = 32;
/** Pages that are copied before others get a turn. */
export const slicePages = 4;

/** How a checkpoint is written by those who know more. */
export interface CheckpointPlan extends CheckpointOptions {
  /** For a log that failed: nothing may be pushed meanwhile. */
  readonly withoutLog?: boolean;
  /** Has writes wait from before the instant until it is called back. Whatever takes long has been done then. */
  readonly still?: (() => Promise<() => void>) | undefined;
  /** Told its instant, in that turn of the event loop. */
  readonly onInstant?: ((instant: Instant) => void) | undefined;
}

/**
 * Writes one checkpoint. One at a time.
 *
 * @throws ABORTED, or what the page store or log throw; every page that was to be written is then dirty again.
 */
export async function writeCheckpoint(
  state: ShardState,
  { withoutLog = false, still, onInstant, ...options }: CheckpointPlan,
): Promise<CheckpointInfo> {
  const began = state.clock.elapsed();
  const generation = nextGeneration(state);
  const replayLsn = lastLsn(state);
  const cold = coldNotes(state);
  const retired = state.retired.slice();
  const moved = state.arenas.moving?.done === true;
  const captured: PageKey[] = [];
  let goOn: (() => void) | undefined;
  demandWanted(options.signal);
  state.draining = true;
  try {
    await clearGarbage(state);
    const bytes = await drain(state, generation, captured, options);
    goOn = await still?.();
    demandWanted(options.signal);
    const ledger = state.ledger.copy();
    for (const { arena, page } of captured) ledger.set(arena, page, generation);
    // Of dropped tables, and of what a rollback that failed has left in the ledger.
    for (const { arena, page } of ledger.entries())
      if (state.arenas.all[arena]?.pageKind(page) !== KIND_ROWS) ledger.set(arena, page, 0);
    const lsn = lastLsn(state);
    const at = state.clock.now();
    const manifest = describe(state, ledger, { generation, replayLsn, lsn, at, moved, cold });
    onInstant?.(noteInstant(state, manifest, ledger));
    state.draining = false;
    goOn?.();
    if (!withoutLog) await reachedInLog(state, state.log.synced(lsn));
    if (state.broken) throw state.broken;
    if (!withoutLog) await purgeGone(state, replayLsn);
    const commit = state.pages.batch();
    commit.put(manifestKey, encodeManifest(manifest));
    const before = state.ledger;
    // Without a log the deletions are durable with the manifest, not before.
    if (withoutLog) await commitWithDeletions(state, replayLsn, commit);
    else await commit.write();
    state.ledger = ledger;
    const superseded = unusedOf(state, before);
    state.committed = { generation, replayLsn, lsn, at, pages: captured.length };
    if (moved) state.arenas.moving = undefined;
    await forget(state, superseded, retired, replayLsn, withoutLog);
    return {
      generation,
      lsn,
      pages: captured.length,
      bytes,
      superseded: superseded.length,
      milliseconds: state.clock.elapsed() - began,
    };
  } catch (error) {
    goOn?.();
    state.draining = false;
    if (state.committed?.generation !== generation) restore(state, captured);
    throw error;
  }
}

/** Replay begins beyond these deletions: they must have happened by then. */
async function commitWithDeletions(state: ShardState, lsn: number, commit: PageBatch): Promise<void> {
  await state.keeping.line.do(async () => {
    const purged: { one: ColdRows; keys: { key: bigint; at: number }[] }[] = [];
    for (const one of state.cold.values())
      purged.push({ one, keys: await addDeletions(state, one, lsn, commit, Number.POSITIVE_INFINITY) });
    await commit.write();
    for (const { one, keys } of purged) forgetDeletions(one, keys);
  });
}

/** Waits for the log as long as it works. @throws IO when it fails or has failed. */
export async function reachedInLog(
  { log, logWaits }: ShardState,
  reached: Promise<void> | undefined,
): Promise<void> {
  if (!reached) return;
  if (log.failure) throw log.failure;
  await logWaits.guard(reached);
}

/** A number that no image in the page store has yet. */
export function nextGeneration(state: ShardState): number {
  return ++state.lastGeneration;
}

/** Copies the pages that are dirty now, each as it is when its turn comes. Returns the bytes written. */
async function drain(
  state: ShardState,
  generation: number,
  captured: PageKey[],
  { signal, onProgress }: CheckpointOptions,
): Promise<number> {
  const tables = new Map<number, ArenaTable>([...state.arenas.tables].map((table) => [table.index, table]));
  const queue = state.arenas.all.flatMap((arena) => arena.dirtyPages().map((page) => ({ arena, page })));
  const image = new Uint8Array(pageHeaderBytes + PAGE_BYTES);
  let bytes = 0;
  for (let from = 0; from < queue.length; from += batchPages) {
    const batch = state.pages.batch();
    const end = Math.min(from + batchPages, queue.length);
    for (let i = from; i < end; i++) {
      if (i % slicePages === 0) await state.pause();
      demandWanted(signal);
      if (state.broken) throw state.broken;
      const { arena, page } = queue[i];
      const table = tables.get(arena.pageTable(page));
      // Its table may have been dropped meanwhile.
      if (arena.pageKind(page) !== KIND_ROWS || !arena.pageDirty(page) || !table) continue;
      const key = { generation, arena: arena.number, page };
      const length = encodePage(arena, table, key, image);
      arena.markClean(page);
      captured.push(key);
      batch.put(encodePageKey(key), image.subarray(0, length));
      bytes += length;
    }
    await batch.write();
    onProgress?.({ pages: end, total: queue.length, bytes, phase: "copying" });
  }
  return bytes;
}

/** @throws ABORTED saying `what` becomes of it. */
export function demandWanted(
  signal: AbortSignal | undefined,
  what = "the checkpoint was aborted; the one before it stands",
): void {
  if (signal?.aborted) throw new EmbershardError("ABORTED", what, { cause: signal.reason });
}

function describe(
  state: ShardState,
  ledger: PageLedger,
  {
    generation,
    replayLsn,
    lsn,
    at,
    moved,
    cold,
  }: {
    generation: number;
    replayLsn: number;
    lsn: number;
    at: number;
    moved: boolean;
    cold: readonly ColdNote[];
  },
): Manifest {
  const { arenas } = state;
  return {
    generation,
    replayLsn,
    lsn,
    at,
    tables: [...state.tables.values()].map((table) => table.definition),
    progress: progressOf(state),
    time: state.time || undefined,
    nextTable: state.nextTable,
    arenaOf: arenas.all.length > 1 ? Buffer.from(arenas.arenaOf).toString("base64") : undefined,
    handOver: arenas.moving && !moved ? noteOf(arenas.moving) : undefined,
    cold: cold.length > 0 ? cold : undefined,
    mark: state.mark && Buffer.from(state.mark).toString("base64"),
    workers: state.sequences.note(),
    pages: ledger.toArrays(arenas.all),
  };
}

function progressOf({ tables }: ShardState): TableProgress[] | undefined {
  const progress = [...tables.values()]
    .filter(({ highestStep, epoch }) => highestStep > 0 || epoch > 0)
    .map(({ definition, highestStep, epoch }) => ({ number: definition.number, step: highestStep, epoch }));
  return progress.length === 0 ? undefined : progress;
}

/** After the commit: the log learns of it, what it superseded goes, retired pages can be used again. */
async function forget(
  state: ShardState,
  superseded: PageKey[],
  retired: readonly RetiredTable[],
  replayLsn: number,
  withoutLog: boolean,
): Promise<void> {
  state.garbage.push(...superseded);
  for (const { pages } of retired)
    for (const { arena, page } of pages) state.arenas.all[arena].kernel.givePage(page);
  state.retired = state.retired.filter((one) => !retired.includes(one));
  if (!withoutLog) {
    const { generation, lsn } = state.committed!;
    if (state.log.room(64) === undefined)
      state.log.append(RECORD.checkpoint, 0, [encodeJson({ generation, replayLsn, lsn })]);
    await reachedInLog(state, state.log.commitGeneration(generation));
    await state.log.discardBefore(replayLsn + 1);
  }
  await clearGarbage(state);
}

/** After a failure: the pages are dirty again, and what was written of them is garbage. */
function restore(state: ShardState, captured: readonly PageKey[]): void {
  for (const { arena, page } of captured) {
    if (state.arenas.all[arena].pageKind(page) === KIND_ROWS) state.arenas.all[arena].markDirty(page);
  }
  state.garbage.push(...captured);
}
