// The file DIR/store: what the directory is. Written last when a store is made, so that a directory with it is whole.
import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { EmbershardError } from "../base/errors.js";
import { LIMITS } from "../base/limits.js";
import { isPlacementRecord, type PlacementRecord } from "../ring/placement-record.js";
import { slotCount } from "../shard/arena-set.js";
import type { PageStore } from "../store/page-store.js";
import { isRepaired, isResharded, repairedBeside, reshardedBeside } from "./replacing.js";

export const formatVersion = 1;

export interface Identity {
  readonly format: number;
  /** 16 bytes, hexadecimal. */
  readonly id: string;
  readonly slots: number;
  readonly shards: number;
  /** Its part in a cluster, if it has one. */
  readonly placement?: PlacementRecord;
}

const identityName = "store";
/** Stands in a directory whose making has begun and not ended: what is there then is nobody's. */
const birthName = "creating";

/** What is expected of a directory. */
export interface Expectation {
  /** It may be that there is no store yet. */
  readonly create: boolean;
  /** How many shards the store must have; any number unless given. */
  readonly shards?: number | undefined;
}

/**
 * What a directory holds: a store; nothing yet, or the remains of a making that was cut short.
 *
 * @throws NOT_A_STORE, NEWER_FORMAT, CORRUPT, SHARD_COUNT, IO
 */
export async function inspectDirectory(
  directory: string,
  { create, shards }: Expectation,
): Promise<Identity | undefined> {
  const names = await listDirectory(directory, create);
  if (names.includes(identityName)) {
    const identity = await readIdentity(directory);
    if (shards !== undefined && identity.shards !== shards) throw otherShards(directory, identity, shards);
    await demandFolders(directory, identity);
    return identity;
  }
  if (names.length === 0 || names.includes(birthName)) {
    if (create) return undefined;
    throw new EmbershardError("NOT_A_STORE", `${directory} holds no store: expected the directory of one`);
  }
  if (names.includes("shards")) {
    throw new EmbershardError(
      "CORRUPT",
      `${join(directory, identityName)} is missing though there are shards: restore it from a backup`,
    );
  }
  throw new EmbershardError(
    "NOT_A_STORE",
    `${directory} is not empty and holds no store: choose an empty or a new directory`,
  );
}

async function listDirectory(directory: string, create: boolean): Promise<string[]> {
  try {
    if (!(await stat(directory)).isDirectory())
      throw new EmbershardError("NOT_A_STORE", `${directory} is a file, expected a directory`);
    return await readdir(directory);
  } catch (cause) {
    if (cause instanceof EmbershardError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === "ENOENT") await demandNoneBeside(directory);
    if (code === "ENOENT" && create) return [];
    if (code === "ENOENT")
      throw new EmbershardError(
        "NOT_A_STORE",
        `${directory} does not exist: expected the directory of a store`,
        { cause },
      );
    if (code === "ENOTDIR")
      throw new EmbershardError("NOT_A_STORE", `${directory} lies below a file, expected a directory`, {
        cause,
      });
    throw new EmbershardError("IO", `${directory} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

/** Refuses a path with nothing at it where the store that belongs there lies beside it. @throws NOT_A_STORE */
async function demandNoneBeside(directory: string): Promise<void> {
  const path = resolve(directory);
  const resharded = reshardedBeside(path);
  const repaired = repairedBeside(path);
  if (await isResharded(resharded)) {
    const { shards } = await readIdentity(resharded);
    throw endedEarly(path, resharded, `embershard reshard ${path} --shards ${shards}`);
  }
  if (await isRepaired(repaired)) throw endedEarly(path, repaired, `embershard repair ${path}`);
}

function endedEarly(path: string, beside: string, command: string): EmbershardError {
  return new EmbershardError(
    "NOT_A_STORE",
    `${path} does not exist: \`${command}\` was ended before the store that it made, ${beside}, had taken its place. Run it again`,
  );
}

function otherShards(directory: string, { shards }: Identity, wanted: number): EmbershardError {
  const found = `${shards} shard${shards === 1 ? "" : "s"}`;
  return new EmbershardError(
    "SHARD_COUNT",
    `${join(directory, identityName)} says ${found}, expected ${wanted}: open it with that number, or change it with \`embershard reshard ${directory} --shards ${wanted}\``,
  );
}

/** What the file `store` says, whatever lies beside it. @throws NEWER_FORMAT, CORRUPT, IO */
export async function readIdentity(directory: string): Promise<Identity> {
  const path = join(directory, identityName);
  const text = await readFile(path, "utf8").catch((cause) => {
    throw new EmbershardError("IO", `${path} cannot be read: ${(cause as Error).message}`, { cause });
  });
  let found: Partial<Identity> | null;
  try {
    found = JSON.parse(text);
  } catch (cause) {
    throw new EmbershardError("CORRUPT", `${path} cannot be read as JSON: ${(cause as Error).message}`, {
      cause,
    });
  }
  if (typeof found !== "object" || found === null) {
    throw new EmbershardError("CORRUPT", `${path} does not describe a store: restore it from a backup`);
  }
  if (typeof found.format === "number" && found.format > formatVersion) {
    throw new EmbershardError(
      "NEWER_FORMAT",
      `${path} has format ${found.format}, this version knows up to ${formatVersion}: upgrade Embershard`,
    );
  }
  if (
    found.format !== formatVersion ||
    typeof found.id !== "string" ||
    !/^[0-9a-f]{32}$/.test(found.id) ||
    found.slots !== slotCount ||
    !isShardCount(found.shards) ||
    !(found.placement === undefined || isPlacementRecord(found.placement))
  ) {
    throw new EmbershardError("CORRUPT", `${path} does not describe a store: restore it from a backup`);
  }
  return found as Identity;
}

/** The numbers of the shards that have a folder, ascending. */
export async function shardNumbers(directory: string): Promise<number[]> {
  const names: string[] = await readdir(join(directory, "shards")).catch(() => []);
  return names
    .filter((name) => /^\d{4}$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

/** A wrong number would give rows to shards that do not have them. */
async function demandFolders(directory: string, { shards }: Identity): Promise<void> {
  const numbers = await shardNumbers(directory);
  if (numbers.length === shards && numbers.at(-1) === shards - 1) return;
  throw new EmbershardError(
    "CORRUPT",
    `${join(directory, identityName)} says that shards are 0 to ${shards - 1}, there are folders of ${numbers.join(", ") || "none"}: restore it from a backup`,
  );
}

/** Whether it is a number of shards that a store may have. */
export function isShardCount(shards: unknown): shards is number {
  return typeof shards === "number" && Number.isInteger(shards) && shards >= 1 && shards <= LIMITS.shards;
}

/** Begins to make a store. */
export async function beginBirth(directory: string): Promise<void> {
  await access(directory, async () => {
    const made = await mkdir(directory, { recursive: true });
    for (let folder = directory; made !== undefined && folder !== dirname(made); ) {
      folder = dirname(folder);
      await syncFolder(folder);
    }
    const file = await open(join(directory, birthName), "w");
    await file.close();
  });
}

export function newIdentity(shards = 1, placement?: PlacementRecord): Identity {
  const id = randomBytes(16).toString("hex");
  return { format: formatVersion, id, slots: slotCount, shards, ...(placement && { placement }) };
}

/** Clears the remains of a making that was cut short from a shard's directory. The caller has its lock, which is that of `pages`. */
export async function clearRemains(shard: string, pages: PageStore): Promise<void> {
  await access(shard, async () => {
    await rm(join(shard, "log"), { recursive: true, force: true });
    await mkdir(join(shard, "log"), { mode: 0o700 });
  });
  for await (const entries of pages.entries({ gte: Uint8Array.of(0), lt: Uint8Array.of(255) })) {
    const batch = pages.batch();
    for (const { key } of entries) batch.del(key);
    await batch.write();
  }
}

/** Ends it, durably. */
export async function endBirth(directory: string, identity: Identity): Promise<void> {
  await access(directory, async () => {
    const fresh = join(directory, `${identityName}.new`);
    const file = await open(fresh, "w", 0o600);
    try {
      await file.writeFile(`${JSON.stringify(identity, null, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    // What it vouches for first: a folder that was made is there after power loss only once the one around it is synced.
    for (let shard = 0; shard < identity.shards; shard++)
      await syncFolder(join(directory, "shards", String(shard).padStart(4, "0")));
    for (const folder of [join(directory, "shards"), directory]) await syncFolder(folder);
    await rename(fresh, join(directory, identityName));
    await rm(join(directory, birthName), { force: true });
    await syncFolder(directory);
  });
}

/** Makes a folder's entries durable. */
export async function syncFolder(path: string): Promise<void> {
  // Windows cannot open a directory; NTFS journals its entries by itself.
  if (process.platform === "win32") return;
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function access(directory: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (cause) {
    throw new EmbershardError(
      "IO",
      `a store cannot be made in ${directory}: ${(cause as Error).message}. Check that it can be written to and has room`,
      { cause },
    );
  }
}
