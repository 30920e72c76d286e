// Rolling back: the live state becomes that of a version, by one write of a manifest that refers to the version's images.
import type { RollbackInfo } from "../api/version-types.js";
import { assert } from "../base/assert.js";
import { nextGeneration, reachedInLog } from "./checkpoint.js";
import { finishRestore } from "./cold-restoring.js";
import { clearGarbage, unusedOf } from "./image-use.js";
import { encodeManifest, type Manifest, manifestKey } from "./manifest.js";
import { PageLedger } from "./page-ledger.js";
import { readManifest } from "./page-loading.js";
import { encodeJson, RECORD } from "./records.js";
import type { Recovered } from "./recovered.js";
import { lastLsn, type ShardState } from "./shard-state.js";
import { demandVersion, type Version } from "./version.js";
import { othersOf, recoverVersion } from "./version-recovery.js";

/**
 * Makes a shard what a version of it is. Nothing may be written meanwhile, and no checkpoint: the caller sees to that,
 * `state.held` to what the shard does by itself. Before the manifest is written nothing has changed, after it
 * everything has; the log goes on without a gap.
 *
 * @throws VERSION_NOT_FOUND, CORRUPT, OUT_OF_MEMORY, IO: nothing has changed then, unless the write of the manifest itself
 *   failed, when nobody knows until the next opening; or cold rows could not be put back, when it has happened, and healing
 *   goes on with that.
 */
export async function rollBack(state: ShardState, name: string): Promise<RollbackInfo> {
  const began = state.clock.elapsed();
  const version = demandVersion(state.versions, name);
  const { pages, clock, pause } = state;
  const source = { pages, arenas: state.arenas.sibling(), clock, pause, others: othersOf(state) };
  const recovered = await recoverVersion(source, version);
  const generation = nextGeneration(state);
  const withCold = state.cold.size > 0 || recovered.cold.size > 0 || state.coldRemains.length > 0;
  state.held = true;
  try {
    if (withCold) {
      // Nobody writes values meanwhile; and the rollback has an LSN of its own, between those of versions.
      await state.keeping.line.do(async () => {
        await appendNote(state);
        await commit(state, version, recovered, generation, true);
        try {
          await finishRestore(state);
          await clearRestore(state);
        } catch (error) {
          // It has happened, and healing does the rest.
          state.keeping.failRestore();
          throw error;
        }
      });
    } else await commit(state, version, recovered, generation, false);
  } finally {
    state.held = false;
  }
  const { lsn } = state.committed!;
  await noteInLog(state, { generation, replayLsn: lsn, lsn, version: name });
  await clearGarbage(state);
  const discarded = lsn - version.manifest.lsn;
  return { version: name, generation, lsn, discarded, milliseconds: clock.elapsed() - began };
}

/** Writes the manifest that is the rollback, and makes memory what it says. */
async function commit(
  state: ShardState,
  version: Version,
  recovered: Recovered,
  generation: number,
  withCold: boolean,
): Promise<void> {
  const lsn = lastLsn(state);
  const manifest: Manifest = {
    ...version.manifest,
    generation,
    replayLsn: lsn,
    lsn,
    at: state.clock.now(),
    nextTable: Math.max(state.nextTable, version.manifest.nextTable),
    time: state.time || undefined,
    // A push that comes again after the rollback is one of those that were rolled back, not a new one.
    workers: state.sequences.note(),
    coldRestore: withCold ? { lsn: version.manifest.lsn, at: lsn } : undefined,
    version: undefined,
    imageBytes: undefined,
  };
  await reachedInLog(state, state.log.synced(lsn));
  if (state.broken) throw state.broken;
  await writeManifest(state, manifest);
  assert(lastLsn(state) === lsn, "nothing is logged while a rollback is committed");
  const before = state.ledger;
  state.arenas = recovered.arenas;
  state.tables = recovered.tables;
  state.ledger = new PageLedger(manifest.pages);
  state.committed = { generation, replayLsn: lsn, lsn, at: manifest.at, pages: 0 };
  state.mark = recovered.mark;
  state.nextTable = manifest.nextTable;
  state.retired = [];
  state.garbage.push(...unusedOf(state, before));
  state.cold.clear();
  for (const [number, cold] of recovered.cold) state.cold.set(number, cold);
  state.coldRemains.length = 0;
  if (manifest.coldRestore) state.keeping.beginRestore(manifest.coldRestore);
}

async function writeManifest({ pages }: ShardState, manifest: Manifest): Promise<void> {
  const batch = pages.batch();
  batch.put(manifestKey, encodeManifest(manifest));
  await batch.write();
}

/** The cold rows are back: says so, and lets those go on who wait to read some. */
async function clearRestore(state: ShardState): Promise<void> {
  const manifest = (await readManifest(state.pages))!;
  await writeManifest(state, { ...manifest, coldRestore: undefined });
  state.keeping.endRestore();
}

/** Appends a record that readers skip. */
async function appendNote(state: ShardState): Promise<void> {
  for (let wait = state.log.room(256); wait; wait = state.log.room(256)) await reachedInLog(state, wait);
  state.log.append(RECORD.checkpoint, 0, [encodeJson({ generation: 0, replayLsn: 0, lsn: 0 })]);
}

async function noteInLog(
  state: ShardState,
  note: { generation: number; replayLsn: number; lsn: number; version: string },
): Promise<void> {
  if (state.log.room(256) === undefined) state.log.append(RECORD.checkpoint, 0, [encodeJson(note)]);
  await reachedInLog(state, state.log.commitGeneration(note.generation));
  await state.log.discardBefore(note.replayLsn + 1);
}
