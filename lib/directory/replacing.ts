// A directory that is made beside a store takes its place by two renames. Killed between them, there is no store at its path:
// who opens it would make an empty one, which the next run would take for the store.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** In the directory that resharding makes: what of the old one is in it. */
export const progressName = "resharding";

export interface Progress {
  /** How many shards the old directory has. */
  readonly from: number;
  /** How many of them are in the new one, whole. */
  readonly done: number;
  /** What they were like when they were read, and the one that is being read. */
  readonly read: readonly Moment[];
}

/** Where a shard's log ends and which checkpoint is its last: whatever changes a shard makes one of them greater. */
export type Moment = readonly [lsn: number, generation: number];

/** Where the store of another number of shards is made. */
export const reshardedBeside = (path: string): string => `${path}.resharding`;

/** Where the repaired store is made. */
export const repairedBeside = (path: string): string => `${path}.repairing`;

/** What a directory says of what is in it; undefined where it says nothing that can be understood. */
export async function readProgress(target: string): Promise<Progress | undefined> {
  const text = await readFile(join(target, progressName), "utf8").catch(() => "null");
  try {
    const found = JSON.parse(text);
    return Array.isArray(found?.read) ? found : undefined;
  } catch {
    return undefined;
  }
}

/** Whether resharding has copied everything to it. */
export async function isResharded(target: string): Promise<boolean> {
  const progress = await readProgress(target);
  return progress !== undefined && progress.done >= progress.from;
}

/** Whether repair has ended making it. */
export async function isRepaired(target: string): Promise<boolean> {
  const names: string[] = await readdir(target).catch(() => []);
  return names.includes("store") && !names.includes("creating");
}
