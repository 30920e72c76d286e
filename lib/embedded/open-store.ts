import { checkName } from "../api/names.js";
import { OptionReader } from "../api/option-reader.js";
import type { Store } from "../api/store-types.js";
import { systemClock } from "../base/clock.js";
import { LIMITS } from "../base/limits.js";
import {
  beginBirth,
  clearRemains,
  endBirth,
  type Identity,
  inspectDirectory,
  newIdentity,
} from "../directory/identity.js";
import { forgetOwner, noteOwner } from "../directory/owner.js";
import { lockShard, openLockedShard, shardFolder } from "../directory/shard-opening.js";
import { checkStandsAlone } from "../directory/standing-alone.js";
import { ArenaSet } from "../shard/arena-set.js";
import { Shard } from "../shard/shard.js";
import { demandVersion, readVersions } from "../shard/version.js";
import { readVersion } from "../shard/version-recovery.js";
import { EmbeddedStore } from "./embedded-store.js";
import { listenForCommands } from "./store-control.js";
import { storePath } from "./store-path.js";

/** How a store is opened. */
export interface StoreOptions {
  /** Make a store where there is none. True unless given. */
  readonly create?: boolean;
  /** Most bytes of one arena, 32 MiB to 4 GiB; a full one hands half of its rows to a new one. 4 GiB unless given. */
  readonly arenaBytes?: number;
  /** Back memory with 2 MiB pages where the optional package koffi and the system allow it. "auto" unless given. */
  readonly hugePages?: "auto" | "off";
  /** Bytes of pushes that may wait to be written to the log; beyond them pushes wait. 32 MiB unless given. */
  readonly logBufferBytes?: number;
  /**
   * When a checkpoint starts by itself, or false for never. Unless given: every 5 minutes, and whenever the log since
   * the last one has grown to twice the bytes of the rows, at least 256 MiB.
   */
  readonly checkpoint?: false | { readonly everyMs?: number; readonly everyLogBytes?: number };
  /** Answer the command line over a socket in the directory. True unless given. */
  readonly control?: boolean;
  /** Versions that there may be after making one: the oldest go. No limit unless given. */
  readonly versions?: { readonly keep: number };
  /**
   * Opens the version of this name instead of the live state, for reading. The directory is let go as soon as the version
   * is in memory; nothing in it is changed. All other options but `arenaBytes` and `hugePages` mean nothing then.
   */
  readonly version?: string;
}

const usualEveryMs = 300_000;
const usualLogBytes = 256 << 20;

/**
 * Opens the store in a directory, making it if need be, and recovers what was pushed. One process at a time has it.
 *
 * @throws INVALID_OPTIONS, NOT_A_STORE, LOCKED naming the owner's pid, NEWER_FORMAT, CORRUPT naming what is damaged, SHARD_COUNT,
 *   UNSUPPORTED of a cluster's node, OUT_OF_MEMORY, IO
 */
export function openStore(directory: string, options: StoreOptions = {}): Promise<Store> {
  return open(directory, options, checkStandsAlone);
}

/** As `openStore`, also where the store is a part of a cluster: for tools, which leave keys of others alone. */
export function openPart(directory: string, options: StoreOptions = {}): Promise<Store> {
  return open(directory, options, () => {});
}

async function open(
  directory: string,
  options: StoreOptions,
  check: (identity: Identity | undefined, directory: string) => void,
): Promise<Store> {
  const path = storePath(directory);
  const settings = readSettings(options);
  if (settings.version !== undefined) return openVersion(path, settings.version, settings);
  const known = await inspectDirectory(path, { create: settings.create, shards: 1 });
  check(known, directory);
  if (!known) await beginBirth(path);
  const pages = await lockShard(path, 0, known === undefined);
  try {
    // Only who has the lock may clear what is there. Before this one got it another may have made the store, or put one in its place.
    const found = await inspectDirectory(path, { create: known === undefined, shards: 1 });
    check(found, directory);
    if (!found) await clearRemains(shardFolder(path, 0), pages);
    const identity = found ?? newIdentity();
    const shard = await openLockedShard(path, identity, 0, pages, settings, found === undefined);
    try {
      if (!found) await endBirth(path, identity);
      await noteOwner(path);
      return await attachControl(path, shard, settings.control);
    } catch (error) {
      await shard.close();
      throw error;
    }
  } catch (error) {
    await pages.close();
    throw error;
  }
}

/** Opens a version of a store that nobody has open. */
async function openVersion(path: string, name: string, settings: Settings): Promise<Store> {
  await inspectDirectory(path, { create: false, shards: 1 });
  const pages = await lockShard(path, 0, false);
  try {
    const versions = await readVersions(pages, []);
    const version = demandVersion(versions, name);
    const { arenaBytes, hugePages } = settings;
    const arenas = new ArenaSet({ limitBytes: arenaBytes, hugePages });
    const others = [...versions.values()].flatMap((one) => ("ledger" in one ? [one.ledger] : []));
    const state = await readVersion({ pages, arenas, clock: systemClock, pause, others }, version);
    return new EmbeddedStore(path, Shard.ofVersion(state), async () => {});
  } finally {
    await pages.close();
  }
}

const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Settings {
  readonly create: boolean;
  readonly arenaBytes: number;
  readonly hugePages: "auto" | "off";
  readonly logBufferBytes: number | undefined;
  readonly checkpoint: { everyMs: number; everyLogBytes: number | undefined } | undefined;
  readonly control: boolean;
  readonly keepVersions: number | undefined;
  readonly version: string | undefined;
}

/** Checks options, and fills in what is not given. @throws INVALID_OPTIONS */
export function readSettings(options: StoreOptions): Settings {
  const read = new OptionReader("openStore", options);
  const settings: Settings = {
    create: read.boolean("create", true),
    arenaBytes: read.integer("arenaBytes", LIMITS.minimumArenaBytes, LIMITS.arenaBytes, LIMITS.arenaBytes),
    hugePages: read.choice("hugePages", ["auto", "off"], "auto"),
    logBufferBytes:
      "logBufferBytes" in options ? read.integer("logBufferBytes", 1 << 16, 2 ** 31, 32 << 20) : undefined,
    checkpoint: readPolicy(read.any("checkpoint")),
    control: read.boolean("control", true),
    version: readVersionName(read.any("version")),
    keepVersions: readKeep(read.any("versions")),
  };
  read.any("logBufferBytes");
  read.end();
  return settings;
}

function readPolicy(given: unknown): Settings["checkpoint"] {
  if (given === false) return undefined;
  const read = new OptionReader("openStore: checkpoint", given === undefined ? {} : given);
  const everyMs = read.integer("everyMs", 10, 2 ** 31 - 1, usualEveryMs);
  const everyLogBytes =
    read.any("everyLogBytes") === undefined
      ? undefined
      : read.integer("everyLogBytes", 1 << 16, 2 ** 53 - 1, usualLogBytes);
  read.end();
  return { everyMs, everyLogBytes };
}

function readVersionName(given: unknown): string | undefined {
  if (given === undefined) return undefined;
  checkName("version", given);
  return given;
}

function readKeep(given: unknown): number | undefined {
  if (given === undefined) return undefined;
  const read = new OptionReader("openStore: versions", given);
  const keep = read.integer("keep", 1, 2 ** 31 - 1, 1);
  read.end();
  return keep;
}

/** Has the store answer the command line, if it may. */
async function attachControl(path: string, shard: Shard, wanted: boolean): Promise<Store> {
  let closeControl = async (): Promise<void> => {};
  const store = new EmbeddedStore(path, shard, async () => {
    await closeControl();
    await forgetOwner(path);
  });
  if (wanted) {
    const { holdHandlers } = await import("./hold-handlers.js");
    closeControl = await listenForCommands(path, store, holdHandlers(store));
  }
  return store;
}
