import { randomBytes } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { checkName } from "../api/names.js";
import { describe, OptionReader } from "../api/option-reader.js";
import type { Store } from "../api/store-types.js";
import { systemClock } from "../base/clock.js";
import { EmbershardError } from "../base/errors.js";
import { LIMITS } from "../base/limits.js";
import { ArenaSet } from "../shard/arena-set.js";
import type { CheckpointPolicy } from "../shard/checkpointing.js";
import { Shard } from "../shard/shard.js";
import { demandVersion, readVersions } from "../shard/version.js";
import { readVersion } from "../shard/version-recovery.js";
import { nodeFiles } from "../store/node-files.js";
import type { PageStore } from "../store/page-store.js";
import { openThreadPageStore } from "../store/thread-page-store.js";
import { EmbeddedStore } from "./embedded-store.js";
import {
  beginBirth,
  clearRemains,
  endBirth,
  type Identity,
  inspectDirectory,
  newIdentity,
} from "./identity.js";

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
const ownerName = "owner";

/**
 * Opens the store in a directory, making it if need be, and recovers what was pushed. One process at a time has it.
 *
 * @throws INVALID_OPTIONS, NOT_A_STORE, LOCKED naming the owner's pid, NEWER_FORMAT, CORRUPT naming what is damaged, SHARD_COUNT,
 *   OUT_OF_MEMORY, IO
 */
export async function openStore(directory: string, options: StoreOptions = {}): Promise<Store> {
  if (typeof directory !== "string" || directory === "" || directory.includes("\0")) {
    throw new EmbershardError(
      "INVALID_ARGUMENT",
      `found directory ${describe(directory)}, expected the path of a directory`,
    );
  }
  const settings = readSettings(options);
  const path = resolve(directory);
  if (settings.version !== undefined) return openVersion(path, settings.version, settings);
  const known = await inspectDirectory(path, settings.create);
  if (!known) await beginBirth(path);
  const pages = await lockPages(path, known === undefined);
  try {
    // Only who has the lock may clear what is there, and another may have made the store before this one got it.
    const found = known ?? (await inspectDirectory(path, settings.create));
    if (!found) await clearRemains(join(path, "shards", "0000"), pages);
    const identity = found ?? newIdentity();
    const shard = await openShard(path, identity, pages, settings, found === undefined);
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
  await inspectDirectory(path, false);
  const pages = await lockPages(path, false);
  try {
    const versions = await readVersions(pages);
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

async function noteOwner(path: string): Promise<void> {
  try {
    await writeFile(join(path, ownerName), `${process.pid}\n`, { mode: 0o600 });
  } catch (cause) {
    throw new EmbershardError(
      "IO",
      `${join(path, ownerName)} cannot be written: ${(cause as Error).message}`,
      { cause },
    );
  }
}

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

/** Not OptionReader.number: these are counted, and never become float32s. */
function integerOf(read: OptionReader, name: string, least: number, most: number, fallback: number): number {
  const value = read.any(name) ?? fallback;
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new EmbershardError(
    "INVALID_OPTIONS",
    `openStore: found ${name} ${describe(value)}, expected an integer from ${least} to ${most}`,
  );
}

function readSettings(options: StoreOptions): Settings {
  const read = new OptionReader("openStore", options);
  const settings: Settings = {
    create: read.boolean("create", true),
    arenaBytes: integerOf(read, "arenaBytes", LIMITS.minimumArenaBytes, LIMITS.arenaBytes, LIMITS.arenaBytes),
    hugePages: read.choice("hugePages", ["auto", "off"], "auto"),
    logBufferBytes:
      "logBufferBytes" in options ? integerOf(read, "logBufferBytes", 1 << 16, 2 ** 31, 32 << 20) : undefined,
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
  const everyMs = integerOf(read, "everyMs", 10, 2 ** 31 - 1, usualEveryMs);
  const everyLogBytes =
    read.any("everyLogBytes") === undefined
      ? undefined
      : integerOf(read, "everyLogBytes", 1 << 16, 2 ** 53 - 1, usualLogBytes);
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
  const keep = integerOf(read, "keep", 1, 2 ** 31 - 1, 1);
  read.end();
  return keep;
}

/** Opens the pages, which is what locks the directory. */
async function lockPages(path: string, create: boolean): Promise<PageStore> {
  const shard = join(path, "shards", "0000");
  try {
    await mkdir(join(shard, "log"), { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new EmbershardError("IO", `${shard} cannot be made: ${(cause as Error).message}`, { cause });
  }
  try {
    return await openThreadPageStore(join(shard, "pages"), { create });
  } catch (cause) {
    if (!(cause instanceof EmbershardError) || cause.code !== "LOCKED") throw cause;
    const pid = await readFile(join(path, ownerName), "utf8").catch(() => "");
    const owner =
      pid.trim() === ""
        ? "another process"
        : Number(pid) === process.pid
          ? `this process (pid ${process.pid})`
          : `the process with pid ${pid.trim()}`;
    throw new EmbershardError(
      "LOCKED",
      `${path} is open in ${owner}: close it there, or ask the owner with \`embershard inspect\``,
      { cause },
    );
  }
}

function openShard(
  path: string,
  identity: Identity,
  pages: PageStore,
  settings: Settings,
  isNew: boolean,
): Promise<Shard> {
  const { arenaBytes, hugePages, logBufferBytes } = settings;
  let shard: Shard | undefined;
  const policy: CheckpointPolicy | undefined = settings.checkpoint && {
    everyMs: settings.checkpoint.everyMs,
    everyLogBytes: () =>
      settings.checkpoint!.everyLogBytes ??
      Math.max(usualLogBytes, 2 * (shard?.state.arenas.usedBytes() ?? 0)),
  };
  const opening = Shard.open({
    files: nodeFiles(join(path, "shards", "0000", "log")),
    pages,
    identity: { storeId: Uint8Array.from(Buffer.from(identity.id, "hex")), shard: 0 },
    clock: systemClock,
    nonce: () => randomBytes(8).readBigUInt64LE(),
    pause,
    arenaBytes,
    hugePages,
    logBufferBytes,
    checkpoint: policy,
    keepVersions: settings.keepVersions,
    mayBeNew: isNew,
  });
  return opening.then((opened) => {
    shard = opened;
    return opened;
  });
}

/** Has the store answer the command line, if it may. */
async function attachControl(path: string, shard: Shard, wanted: boolean): Promise<Store> {
  let closeControl = async (): Promise<void> => {};
  const store = new EmbeddedStore(path, shard, async () => {
    await closeControl();
    await rm(join(path, ownerName), { force: true });
  });
  if (wanted) {
    // Only now: a user without a control socket loads no network code.
    const [{ openControlSocket }, { controlHandlers }, { holdHandlers }, { versionHandlers }] =
      await Promise.all([
        import("./control-socket.js"),
        import("./inspection.js"),
        import("./hold-handlers.js"),
        import("./version-handlers.js"),
      ]);
    try {
      const socket = await openControlSocket(path, {
        ...controlHandlers(store),
        ...holdHandlers(store),
        ...versionHandlers(store),
      });
      closeControl = () => socket.close();
    } catch (error) {
      if (!(error instanceof EmbershardError) || error.code !== "IO") throw error;
      // A file system without sockets, say: everything but the command line works.
      process.emitWarning(
        `${error.message}: the command line cannot ask this store while it is open`,
        "EmbershardWarning",
      );
    }
  }
  return store;
}
