// Another number of shards for a store that nobody has open: a directory is made beside it, and takes its place.
import { readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { EmbershardError } from "../base/errors.js";
import { LIMITS } from "../base/limits.js";
import { shardsOfSlots } from "../ring/placement.js";
import { slotCount } from "../shard/arena-set.js";
import { adoptCopies, copyRows } from "../shard/row-copies.js";
import type { Shard } from "../shard/shard.js";
import { copyState, joinTables } from "../shard/state-copies.js";
import type { PageStore } from "../store/page-store.js";
import { type Identity, inspectDirectory, syncFolder } from "./identity.js";
import { makeDirectory } from "./making.js";
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
/** In the new directory: which of the old shards are in it, whole. */
const progressName = "resharding";

/**
 * Gives a closed store another number of shards: the same rows, state, frequencies, steps, counters, candidates, marks and
 * sequences of workers, bit for bit. What was cut short goes on where it was. The store as it was is kept under another name.
 *
 * @throws UNSUPPORTED of a store with versions, with tables that have a limit of memory, or of a cluster's node; LOCKED,
 *   NOT_A_STORE, NEWER_FORMAT, CORRUPT, OUT_OF_MEMORY, IO, ABORTED, INVALID_OPTIONS: the store is as it was
 */
export async function reshardDirectory(
  directory: string,
  shards: number,
  options: ReshardOptions = {},
): Promise<ReshardInfo> {
  const path = resolve(directory);
  const target = `${path}.resharding`;
  await finishSwap(path, target);
  const identity = (await inspectDirectory(path, { create: false }))!;
  if (!Number.isInteger(shards) || shards < 1 || shards > LIMITS.shards)
    throw new EmbershardError("INVALID_OPTIONS", `found ${shards} shards, expected 1 to ${LIMITS.shards}`);
  if (identity.placement)
    throw unsupported(path, "it is of a cluster's node, whose file says which slots its shards have");
  const info = { from: identity.shards, to: shards };
  if (identity.shards === shards) return { ...info, rows: 0, original: null };
  const locks = await lockAll(path, identity);
  let rows = 0;
  try {
    await beginTarget(target, identity, shards);
    rows = await copyAll({ path, identity, locks, target, shards }, options);
  } finally {
    for (const lock of locks) await lock.close();
  }
  return { ...info, rows, original: await swap(path, target, identity.shards) };
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

/** Goes on with a directory that was begun for this, or begins one. */
async function beginTarget(target: string, { id }: Identity, shards: number): Promise<void> {
  const begun = await inspectDirectory(target, { create: true }).catch(() => undefined);
  // Before the first checkpoint nothing is worth anything.
  const goesOn = begun?.id === id && begun.shards === shards && (await readProgress(target)) > 0;
  if (!goesOn) await rm(target, { recursive: true, force: true });
  await makeDirectory(target, { id, shards });
}

interface Copying {
  readonly path: string;
  readonly identity: Identity;
  readonly locks: readonly PageStore[];
  readonly target: string;
  readonly shards: number;
}

async function copyAll(
  { path, identity, locks, target, shards }: Copying,
  options: ReshardOptions,
): Promise<number> {
  const wasDone = await readProgress(target);
  const targetOf = shardsOfSlots(shards, slotCount);
  const sourceOf = shardsOfSlots(identity.shards, slotCount);
  const to: Shard[] = [];
  let rows = 0;
  try {
    for (let number = 0; number < shards; number++) {
      const pages = await lockShard(target, number, false);
      to.push(await openLockedShard(target, identity, number, pages, settings, false));
    }
    for (let number = wasDone; number < identity.shards; number++) {
      const source = await openLockedShard(path, identity, number, locks[number], settings, false);
      try {
        demandCopyable(path, source);
        rows += await copyShard(source, number, to, { sourceOf, targetOf }, options);
      } finally {
        await source.close();
      }
      for (const shard of to) await shard.checkpoint({});
      await writeFile(join(target, progressName), `${number + 1}\n`);
    }
  } finally {
    for (const shard of to) await shard.close();
  }
  return rows;
}

async function readProgress(target: string): Promise<number> {
  const text = await readFile(join(target, progressName), "utf8").catch(() => "0");
  return Number.parseInt(text, 10) || 0;
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

/** Puts the new directory in the place of the old one. Gives the name under which that is kept. */
async function swap(path: string, target: string, shards: number): Promise<string> {
  let original = `${path}.${shards}-shards`;
  for (let i = 2; await exists(original); i++) original = `${path}.${shards}-shards-${i}`;
  await rename(path, original);
  await rename(target, path);
  await syncFolder(dirname(path));
  await rm(join(path, progressName), { force: true });
  return original;
}

/** Ends a run that was killed between the two renames. */
async function finishSwap(path: string, target: string): Promise<void> {
  if ((await exists(path)) || !(await exists(join(target, "store")))) return;
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
