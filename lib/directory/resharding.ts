// Another number of shards for a store that nobody has open: a directory is made beside it, and takes its place.
import { open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { EmbershardError } from "../base/errors.js";
import { LIMITS } from "../base/limits.js";
import { shardsOfSlots } from "../ring/placement.js";
import { slotCount } from "../shard/arena-set.js";
import { adoptCopies, copyRows } from "../shard/row-copies.js";
import type { Shard } from "../shard/shard.js";
import { copyState, joinTables } from "../shard/state-copies.js";
import type { PageStore } from "../store/page-store.js";
import { beginBirth, type Identity, inspectDirectory, syncFolder } from "./identity.js";
import { makeDirectory } from "./making.js";
import {
  isResharded,
  type Moment,
  type Progress,
  progressName,
  readProgress,
  reshardedBeside,
} from "./replacing.js";
import { lockShard, openLockedShard, type ShardSettings } from "./shard-opening.js";

export interface ReshardOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told of rows that have been copied, of `total`. */
  readonly onProgress?: ((progress: { readonly rows: number; readonly total: number }) => void) | undefined;
}

export interface ReshardInfo {
  readonly from: number;
  readonly to: number;
  /** Rows copied in this run. */
  readonly rows: number;
  /** Where the store as it was is kept. */
  readonly original: string | null;
}

const settings: ShardSettings = { arenaBytes: LIMITS.arenaBytes, hugePages: "off", keepsAll: true };

/**
 * Gives a closed store another number of shards: the same rows, state, frequencies, steps, counters, candidates, marks and
 * sequences of workers, bit for bit. What was cut short goes on where it was, or begins anew where the store has changed since. The store as it was is
 * kept under another name.
 *
 * @throws UNSUPPORTED of a store with versions, with tables that have a limit of memory, or of a cluster's node; LOCKED,
 *   NOT_A_STORE, also where something else is in the way of the new directory; NEWER_FORMAT, CORRUPT, OUT_OF_MEMORY, IO, ABORTED, INVALID_OPTIONS: the store is as it was
 */
export async function reshardDirectory(
  directory: string,
  shards: number,
  options: ReshardOptions = {},
): Promise<ReshardInfo> {
  const path = resolve(directory);
  const target = reshardedBeside(path);
  await finishSwap(path, target);
  const identity = (await inspectDirectory(path, { create: false }))!;
  if (!Number.isInteger(shards) || shards < 1 || shards > LIMITS.threads)
    throw new EmbershardError("INVALID_OPTIONS", `found ${shards} shards, expected 1 to ${LIMITS.threads}`);
  if (identity.placement)
    throw unsupported(path, "it is of a cluster's node, whose file says which slots its shards have");
  const info = { from: identity.shards, to: shards };
  if (identity.shards === shards) return { ...info, rows: 0, original: null };
  const locks = await lockAll(path, identity);
  const unlock = async () => {
    for (const lock of locks.splice(0)) await lock.close();
  };
  try {
    const work = { path, identity, locks, target, shards };
    const rows = await copyAll(work, await beginTarget(work), options);
    return { ...info, rows, original: await swap(path, target, identity.shards, unlock) };
  } finally {
    await unlock();
  }
}

function unsupported(path: string, why: string): EmbershardError {
  return new EmbershardError("UNSUPPORTED", `${path} cannot be resharded: ${why}`);
}

/** Whoever has all locks has the store to itself. */
async function lockAll(path: string, { shards }: Identity): Promise<PageStore[]> {
  const locks: PageStore[] = [];
  try {
    for (let number = 0; number < shards; number++) locks.push(await lockShard(path, number, false));
  } catch (error) {
    for (const lock of locks) await lock.close();
    throw error;
  }
  return locks;
}

interface Copying {
  readonly path: string;
  readonly identity: Identity;
  readonly locks: readonly PageStore[];
  readonly target: string;
  readonly shards: number;
}

/** Goes on with a directory that was begun for this, if the shards that are in it are still what they were, or begins one. */
async function beginTarget(work: Copying): Promise<Progress> {
  const { target, identity, shards } = work;
  const begun = await readProgress(target);
  if (begun && begun.done > 0) {
    const found = await inspectDirectory(target, { create: true }).catch(() => undefined);
    const fits = found?.id === identity.id && found.shards === shards && begun.from === identity.shards;
    if (fits && (await isAsRead(work, begun))) return begun;
  }
  await removeTarget(target);
  await beginBirth(target);
  const progress: Progress = { from: identity.shards, done: 0, read: [] };
  await writeProgress(target, progress);
  await makeDirectory(target, { id: identity.id, shards });
  return progress;
}

async function isAsRead(work: Copying, { read }: Progress): Promise<boolean> {
  for (const [number, [lsn, generation]] of read.entries()) {
    const source = await openSource(work, number);
    const [nowLsn, nowGeneration] = momentOf(source);
    await source.close();
    if (nowLsn !== lsn || nowGeneration !== generation) return false;
  }
  return true;
}

/** Removes what was begun; what says that it was comes last. @throws NOT_A_STORE where nothing was, but something is there */
async function removeTarget(target: string): Promise<void> {
  const names = await readdir(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw new EmbershardError("IO", `${target} cannot be read: ${error.message}`, { cause: error });
  });
  const marks = [progressName, "creating"];
  if (names.length > 0 && !names.some((name) => marks.includes(name)))
    throw new EmbershardError(
      "NOT_A_STORE",
      `${target} is in the way: resharding makes the new store there, and did not begin what there is. Move it away`,
    );
  for (const name of names)
    if (!marks.includes(name)) await rm(join(target, name), { recursive: true, force: true });
  await rm(target, { recursive: true, force: true });
}

async function copyAll(work: Copying, begun: Progress, options: ReshardOptions): Promise<number> {
  const { path, identity, target, shards } = work;
  const targetOf = shardsOfSlots(shards, slotCount);
  const sourceOf = shardsOfSlots(identity.shards, slotCount);
  const to: Shard[] = [];
  let rows = 0;
  try {
    for (let number = 0; number < shards; number++) {
      const pages = await lockShard(target, number, false);
      to.push(await openLockedShard(target, identity, number, pages, settings, false));
    }
    const read = begun.read.slice(0, begun.done);
    for (let number = begun.done; number < identity.shards; number++) {
      const source = await openSource(work, number);
      try {
        demandCopyable(path, source);
        read.push(momentOf(source));
        await writeProgress(target, { from: identity.shards, done: number, read });
        rows += await copyShard(source, number, to, { sourceOf, targetOf }, options);
      } finally {
        await source.close();
      }
      for (const shard of to) await shard.checkpoint({});
      await writeProgress(target, { from: identity.shards, done: number + 1, read });
    }
  } finally {
    for (const shard of to) await shard.close();
  }
  return rows;
}

/** Opens a shard of the old directory, which stays locked when it is closed. */
function openSource({ path, identity, locks }: Copying, number: number): Promise<Shard> {
  return openLockedShard(path, identity, number, lent(locks[number]), settings, false);
}

/** A page store that its borrower cannot close. */
function lent(pages: PageStore): PageStore {
  return {
    entries: (range) => pages.entries(range),
    place: async (ranges) => pages.place?.(ranges),
    get: (key) => pages.get(key),
    getMany: (keys, keyBytes) => pages.getMany(keys, keyBytes),
    batch: () => pages.batch(),
    compact: (range) => pages.compact(range),
    reopen: () => pages.reopen(),
    close: async () => {},
  };
}

function momentOf({ log, state }: Shard): Moment {
  return [log.nextLsn, state.committed?.generation ?? 0];
}

async function writeProgress(target: string, progress: Progress): Promise<void> {
  const file = await open(join(target, progressName), "w");
  try {
    await file.writeFile(`${JSON.stringify(progress)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
}

function demandCopyable(path: string, { state }: Shard): void {
  if (state.versions.size > 0)
    throw unsupported(
      path,
      `it has versions, which are of its shards: delete them (embershard versions delete)`,
    );
  const limited = [...state.tables.values()].find(({ definition }) => definition.memory !== undefined);
  if (limited)
    throw unsupported(path, `table "${limited.definition.name}" has a limit of memory: export and import it`);
}

/** Which shard has each slot, before and after. */
interface Slots {
  readonly sourceOf: Uint16Array;
  readonly targetOf: Uint16Array;
}

async function copyShard(
  source: Shard,
  number: number,
  to: readonly Shard[],
  { sourceOf, targetOf }: Slots,
  { signal, onProgress }: ReshardOptions,
): Promise<number> {
  const { state } = source;
  const tables = [...state.tables.values()];
  const total = tables.reduce((sum, table) => sum + state.arenas.rows(table), 0);
  let rows = 0;
  for (const [t, shard] of to.entries()) {
    // Tables are everywhere, rows where their slots are.
    const pairs = await joinTables(source, shard);
    const slots = Uint8Array.from(targetOf, (of, slot) => (of === t && sourceOf[slot] === number ? 1 : 0));
    const first = slots.indexOf(1);
    if (first < 0) continue;
    for (const { from, into } of pairs)
      for (const copies of copyRows(state, from, slots)) {
        if (signal?.aborted)
          throw new EmbershardError("ABORTED", "resharding was aborted; run again it goes on", {
            cause: signal.reason,
          });
        rows += await adoptCopies(shard, into, copies);
        onProgress?.({ rows, total });
      }
    await copyState(source, shard, { first, last: slots.lastIndexOf(1) });
  }
  return rows;
}

/**
 * Puts the new directory in the place of the old one. Gives the name under which that is kept. Nobody can open the old one before it has
 * that name, except on Windows, where a folder is not renamed while files in it are open.
 */
async function swap(
  path: string,
  target: string,
  shards: number,
  unlock: () => Promise<void>,
): Promise<string> {
  let original = `${path}.${shards}-shards`;
  for (let i = 2; await exists(original); i++) original = `${path}.${shards}-shards-${i}`;
  if (process.platform === "win32") await unlock();
  await rename(path, original);
  // LevelDB knows its files by the path that they had: it ends before there are others.
  await unlock();
  await rename(target, path);
  await syncFolder(dirname(path));
  await rm(join(path, progressName), { force: true });
  return original;
}

/** Ends a run that was killed between the two renames: not one that has not copied everything. */
async function finishSwap(path: string, target: string): Promise<void> {
  if (await exists(path)) return;
  if (!(await isResharded(target))) return;
  await rename(target, path);
  await syncFolder(dirname(path));
  await rm(join(path, progressName), { force: true });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
