// A store in a real directory with a life behind it: checkpoints, reopenings, several tables, and what it holds by the oracle.
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Store } from "../../lib/api/store-types.js";
import { Prng } from "../../lib/base/prng.js";
import { openStore } from "../../lib/index.js";
import { openings, operationAt, type Scale } from "../chaos/operations.js";
import { Performer } from "../chaos/performer.js";
import { type Contents, readContents, World } from "../chaos/world.js";
import { firstAct, Guest, type GuestRows, type GuestState, guestRows } from "./guest.js";

export const scale: Scale = { keys: 40, batch: 10, burst: 60 };

export interface LivedStore {
  readonly directory: string;
  readonly seed: number;
  /** Operations 1 to this were performed. */
  readonly operations: number;
  /** The log's last LSN after each operation; 0 before the first. */
  readonly lsns: readonly number[];
  /** The last operation that the log's durable mark covers. */
  readonly durable: number;
  /** What the table that the oracle does not know was, in order; none where there is no such table. */
  readonly guests: readonly GuestState[];
  /** What the versions held. */
  readonly versions: ReadonlyMap<string, VersionContents>;
  remove(): void;
}

export interface VersionContents {
  readonly contents: string;
  readonly guest: GuestRows | undefined;
}

export const quietly = { control: false, checkpoint: false, hugePages: "off", arenaBytes: 32 << 20 } as const;

/**
 * Lives a life and is killed: the directory is a copy of that of an open store. A rich one has versions, and a table that
 * admits, counts, decays and evicts.
 */
export async function liveStore(seed: number, length = 60, rich = false): Promise<LivedStore> {
  const random = new Prng(seed);
  const home = mkdtempSync(join(tmpdir(), "embershard-repair-"));
  const [living, directory] = [join(home, "living"), join(home, "store")];
  let store = await openStore(living, quietly);
  let performer = await Performer.over(store);
  const lsns = [0];
  let durable = 0;
  const guests: GuestState[] = [];
  const versions = new Map<string, VersionContents>();
  const guest = new Guest(seed);
  const noteGuest = async () => {
    const { lsn } = (await store.stats()).log;
    guests.push({ lsn, rows: await guestRows(store) });
  };
  if (rich) await noteGuest();
  const operations = openings + 5 + random.below(length);
  for (let i = 1; i <= operations; i++) {
    if (rich && i === 3) await guest.make(store);
    else if (rich && i >= firstAct(seed) && random.below(2) === 0) await guest.act(random, i);
    if (rich) await noteGuest();
    await performer.perform(operationAt(seed, i, scale), i);
    lsns.push((await store.stats()).log.lsn);
    const what = random.below(12);
    if (what === 0) await store.checkpoint();
    if (rich && what === 2) {
      const version = `v${i}`;
      await store.checkpoint({ version });
      versions.set(version, await versionContents(store));
    }
    if (rich && what === 3 && versions.size > 1) {
      const [first] = versions.keys();
      await store.deleteVersion(first);
      versions.delete(first);
    }
    if (what === 1) {
      await store.close();
      store = await openStore(living, quietly);
      performer = await Performer.over(store);
      if (rich && i >= 3) await guest.make(store);
    }
    const { syncedLsn } = (await store.stats()).log;
    durable = lsns.findLastIndex((lsn) => lsn <= syncedLsn);
  }
  await written(store);
  await copyLiving(living, directory);
  await store.close();
  rmSync(living, { recursive: true });
  return {
    directory,
    seed,
    operations,
    lsns,
    durable,
    guests,
    versions,
    remove: () => rmSync(home, { recursive: true, force: true }),
  };
}

/** All that a store, or a version, holds. */
export async function versionContents(store: Store): Promise<VersionContents> {
  return { contents: fingerprint(await readContents(store)), guest: await guestRows(store) };
}

/** Waits until the log is in its files. */
async function written(store: Store): Promise<void> {
  while ((await store.stats()).log.writtenLsn < (await store.stats()).log.lsn)
    await new Promise((resolve) => setImmediate(resolve));
}

/** Copies an open store as a kill would leave it: again where LevelDB, which compacts when it likes, changed its files meanwhile. */
async function copyLiving(living: string, directory: string): Promise<void> {
  const names = () => readdirSync(living, { recursive: true, encoding: "utf8" }).sort().join();
  for (;;) {
    const before = names();
    try {
      cpSync(living, directory, {
        recursive: true,
        filter: (from) => !/control|owner/.test(from.slice(living.length)),
      });
      if (names() === before) return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
    rmSync(directory, { recursive: true, force: true });
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A copy to damage. */
export function copyOf({ directory }: LivedStore, name: string): string {
  const to = join(directory, "..", name);
  rmSync(to, { recursive: true, force: true });
  cpSync(directory, to, { recursive: true });
  return to;
}

export interface Found {
  readonly contents: Contents;
  readonly guest: GuestRows | undefined;
  readonly mark: Uint8Array | undefined;
}

/** Opens a store and reads all that it holds. */
export async function contentsOf(directory: string): Promise<Found> {
  const store = await openStore(directory, { ...quietly, create: false });
  try {
    return {
      contents: await readContents(store),
      guest: await guestRows(store),
      mark: await store.mark(),
    };
  } finally {
    await store.close();
  }
}

/** Contents as text, to compare. */
export function fingerprint({ tables, tensor }: Contents): string {
  const parts = [...tables].map(([name, { rows, learningRate }]) => {
    const sorted = [...rows].sort(([a], [b]) => (a < b ? -1 : 1));
    return `${name} ${learningRate} ${sorted.map(([key, { weights, state, frequency, lastStep }]) => `${key}:${weights}:${state}:${frequency}:${lastStep}`)}`;
  });
  return [...parts.sort(), `${tensor}`].join("\n");
}

/** What the store held after an operation, by the oracle. */
export function worldAfter({ seed }: LivedStore, end: number): World {
  const world = new World();
  for (let i = 1; i <= end; i++) world.apply(operationAt(seed, i, scale), i);
  return world;
}
