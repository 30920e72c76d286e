// Making versions of checkpoints, and deleting them.

import type { CheckpointOptions } from "../api/checkpoint-types.js";
import { EmbershardError } from "../base/errors.js";
import { purgeGone } from "./cold-deletions.js";
import { foldTail } from "./folding.js";
import { clearGarbage, unusedOf } from "./image-use.js";
import type { Instant } from "./instant.js";
import type { ShardState } from "./shard-state.js";
import type { Companion } from "./together.js";
import {
  demandVersion,
  encodeVersion,
  encodeVersionKey,
  inOrder,
  type Version,
  versionOf,
} from "./version.js";

/** What a version is to be called, and how many there may be with it; older ones go. */
export interface VersionRequest {
  readonly name: string;
  readonly note: string;
  readonly keep?: number | undefined;
  /** What it has in common with the parts that other shards have of it. */
  readonly cut?: string | undefined;
  /** Who waits for those shards. */
  readonly companion?: Companion | undefined;
}

/** What making a version did besides writing a checkpoint. */
export interface MadeVersion {
  readonly version: Version;
  /** Images that were written for it alone. */
  readonly folded: number;
  /** Versions that went for it, and images that went with them. */
  readonly deleted: readonly string[];
  readonly deletedImages: number;
}

/** @throws VERSION_EXISTS */
export function demandNewVersion({ versions }: ShardState, name: string): void {
  if (versions.has(name))
    throw new EmbershardError(
      "VERSION_EXISTS",
      `there is a version "${name}" already: delete it first, or choose another name`,
    );
}

/**
 * Makes a version of a checkpoint that has been committed, whose tail is in the log, and whose cold rows are held. It is there, whole, when this
 * resolves, and not at all when it throws (after IO, nobody knows until the next opening).
 *
 * @throws VERSION_EXISTS, ABORTED, CORRUPT, IO
 */
export async function makeVersion(
  state: ShardState,
  instant: Instant,
  { name, note, keep, cut, companion }: VersionRequest,
  options: CheckpointOptions,
): Promise<MadeVersion> {
  demandNewVersion(state, name);
  const folded = await foldTail(state, instant, options);
  const { manifest, rows, imageBytes } = folded.instant;
  await purgeGone(state, manifest.lsn);
  const version = versionOf({ ...manifest, version: { name, note, rows, cut }, imageBytes });
  const leaving =
    keep === undefined
      ? []
      : inOrder(state.versions.values()).slice(0, Math.max(0, state.versions.size + 1 - keep));
  try {
    await companion?.written();
    if (leaving.length > 0) await expect(state, without(state, leaving));
    const commit = state.pages.batch();
    commit.put(encodeVersionKey(name), encodeVersion(version));
    for (const old of leaving) commit.del(encodeVersionKey(old.name));
    await commit.write();
  } catch (error) {
    state.garbage.push(...folded.written);
    throw error;
  }
  state.versions.set(name, version);
  await expect(state, [...without(state, leaving), name]);
  const deleted = leaving.map((old) => old.name);
  const deletedImages = await forgetVersions(state, deleted);
  return { version, folded: folded.written.length, deleted, deletedImages };
}

/**
 * Deletes a version, damaged or not, and what only it refers to; where `cut` is given, only if it has that one. Returns the images deleted.
 *
 * @throws VERSION_NOT_FOUND, IO
 */
export async function deleteVersion(state: ShardState, name: string, cut?: string): Promise<number> {
  const known = state.versions.get(name) ?? demandVersion(state.versions, name);
  if (cut !== undefined && ("damage" in known || known.cut !== cut))
    throw new EmbershardError("VERSION_NOT_FOUND", `version "${name}" has no part of cut ${cut} here`);
  await expect(state, without(state, [{ name }]));
  const commit = state.pages.batch();
  commit.del(encodeVersionKey(name));
  await commit.write();
  return forgetVersions(state, [name]);
}

/**
 * Says which versions there are to be: one that is made once it is there, one that goes before it does. Killed in between,
 * there is one more than is expected, never one less.
 */
async function expect(state: ShardState, names: readonly string[]): Promise<void> {
  await state.noteVersions(names);
  state.expectedVersions = names;
}

function without({ expectedVersions, versions }: ShardState, gone: readonly { name: string }[]): string[] {
  const names = new Set([...expectedVersions, ...versions.keys()]);
  for (const { name } of gone) names.delete(name);
  return [...names];
}

/** What versions that are no longer in the page store kept alive goes, too. */
async function forgetVersions(state: ShardState, names: readonly string[]): Promise<number> {
  const gone = names.map((name) => state.versions.get(name)!);
  for (const { name } of gone) state.versions.delete(name);
  const before = state.garbage.length;
  for (const version of gone) {
    if ("ledger" in version) state.garbage.push(...unusedOf(state, version.ledger));
    const from = "ledger" in version ? version.manifest.lsn : 0;
    if (state.cold.size > 0) state.keeping.stale.push({ from, to: Number.MAX_SAFE_INTEGER });
  }
  const images = state.garbage.length - before;
  if (gone.length > 0) await clearGarbage(state);
  return images;
}
