// Rolling back: the live state becomes that of a version, by one write of a manifest that refers to the version's images.
import type { RollbackInfo } from "../api/version-types.js";
import { assert } from "../base/assert.js";
import { nextGeneration, reachedInLog } from "./checkpoint.js";
import { demandNoCold } from "./cold-refusals.js";
import { clearGarbage, unusedOf } from "./image-use.js";
import { encodeManifest, type Manifest, manifestKey } from "./manifest.js";
import { PageLedger } from "./page-ledger.js";
import { encodeJson, RECORD } from "./records.js";
import { lastLsn, type ShardState } from "./shard-state.js";
import { demandVersion } from "./version.js";
import { othersOf, recoverVersion } from "./version-recovery.js";

/**
 * Makes a shard what a version of it is. Nothing may be written meanwhile, and no checkpoint: the caller sees to that,
 * `state.held` to what the shard does by itself. Before the manifest is written nothing has changed, after it
 * everything has; the log goes on without a gap.
 *
 * @throws VERSION_NOT_FOUND, CORRUPT, OUT_OF_MEMORY, IO: nothing has changed then, unless the write of the manifest itself
 *   failed, when nobody knows until the next opening.
 */
export async function rollBack(state: ShardState, name: string): Promise<RollbackInfo> {
  const began = state.clock.now();
  const version = demandVersion(state.versions, name);
  demandNoCold(state, `rollback to "${name}"`);
  const { pages, clock, pause } = state;
  const source = { pages, arenas: state.arenas.sibling(), clock, pause, others: othersOf(state) };
  const recovered = await recoverVersion(source, version);
  const generation = nextGeneration(state);
  state.held = true;
  try {
    const lsn = lastLsn(state);
    const manifest: Manifest = {
      ...version.manifest,
      generation,
      replayLsn: lsn,
      lsn,
      at: clock.now(),
      nextTable: Math.max(state.nextTable, version.manifest.nextTable),
      time: state.time || undefined,
      // A push that comes again after the rollback is one of those that were rolled back, not a new one.
      workers: state.sequences.note(),
      version: undefined,
      imageBytes: undefined,
    };
    await reachedInLog(state, state.log.synced(lsn));
    if (state.broken) throw state.broken;
    const commit = pages.batch();
    commit.put(manifestKey, encodeManifest(manifest));
    await commit.write();
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
  } finally {
    state.held = false;
  }
  const { lsn } = state.committed;
  await noteInLog(state, { generation, replayLsn: lsn, lsn, version: name });
  await clearGarbage(state);
  const discarded = lsn - version.manifest.lsn;
  return { version: name, generation, lsn, discarded, milliseconds: clock.now() - began };
}

async function noteInLog(
  state: ShardState,
  note: { generation: number; replayLsn: number; lsn: number; version: string },
): Promise<void> {
  if (state.log.room(256) === undefined) state.log.append(RECORD.checkpoint, 0, [encodeJson(note)]);
  await reachedInLog(state, state.log.commitGeneration(note.generation));
  await state.log.discardBefore(note.replayLsn + 1);
}
