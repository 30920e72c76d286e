// A directory of backups of one store: which there are, and where their pages lie.
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EmbershardError } from "../base/errors.js";
import { isAlive } from "../base/processes.js";
import { formatVersion, type Identity, isShardCount } from "../directory/identity.js";
import type { PlacementRecord } from "../ring/placement-record.js";
import { slotCount } from "../shard/arena-set.js";
import { decodePageKey, encodePageKey } from "../shard/page-image.js";
import { ENTRY, EntryReader, type EntryWriter, type FileOwner } from "./entry-file.js";
import { listFolder, shardPath } from "./shard-files.js";

/** What a backup is known by. Over all shards: of `lsn` and `generation` the greatest, of `replayLsn` the least, else sums. */
export interface BackupInfo extends BackupCounts {
  /** From 1, rising: its name in the directory. */
  readonly number: number;
  /** When it was made, milliseconds since 1970. */
  readonly at: number;
  /** The store's part in a cluster then, if it had one. */
  readonly placement?: PlacementRecord;
  /** What it has of each shard. */
  readonly shards: readonly ShardBackup[];
}

/** What a backup has of a shard. */
export interface ShardBackup extends BackupCounts {
  readonly shard: number;
}

export interface BackupCounts {
  /** The last record of the log in it: the state that it restores. */
  readonly lsn: number;
  /** Its checkpoint; 0 where the store had none. */
  readonly generation: number;
  readonly replayLsn: number;
  readonly pages: number;
  /** Pages that no backup before had. */
  readonly newPages: number;
  readonly records: number;
  readonly versions: readonly string[];
  /** Values beside pages: manifests of the checkpoint and of versions. */
  readonly values: number;
  /** Bytes that it added to the directory. */
  readonly bytes: number;
}

/** What the file of a shard's backup says: the bytes are seen. */
export type BackupSummary = Omit<ShardBackup, "bytes"> & Pick<BackupInfo, "number" | "at" | "placement">;

/** Where a page's image lies. */
export interface PagePlace {
  readonly key: Uint8Array;
  /** The checksum in the image: equal generations of two histories differ in it. */
  readonly checksum: bigint;
  /** Number of the pack, and where the entry begins in it. */
  readonly pack: number;
  readonly offset: number;
  /** Of the image. */
  readonly bytes: number;
}

const identityName = "backup";
const writerName = "writing";
const packsFolder = "packs";
const backupsFolder = "backups";

export function packName(shard: number, number: number): string {
  return join(shardPath(shard), packsFolder, `${String(number).padStart(6, "0")}.pack`);
}

export function backupName(shard: number, number: number): string {
  return join(shardPath(shard), backupsFolder, `${String(number).padStart(6, "0")}.backup`);
}

/** Whether a directory holds backups. */
export async function isBackupDirectory(directory: string): Promise<boolean> {
  const names: string[] = await readdir(directory).catch(() => []);
  return names.includes(identityName) && !names.includes("store");
}

/** The identity of the store whose backups a directory holds; each backup has its own placement. @throws NOT_A_STORE, CORRUPT, NEWER_FORMAT */
export async function readBackupIdentity(directory: string): Promise<Identity> {
  const path = join(directory, identityName);
  const text = await readFile(path, "utf8").catch((cause) => {
    throw new EmbershardError("NOT_A_STORE", `${directory} holds no backups: ${path} cannot be read`, {
      cause,
    });
  });
  let found: { format?: unknown; store?: unknown; shards?: unknown };
  try {
    found = JSON.parse(text);
  } catch (cause) {
    throw new EmbershardError("CORRUPT", `${path} is not JSON`, { cause });
  }
  if (typeof found?.format === "number" && found.format > 1)
    throw new EmbershardError(
      "NEWER_FORMAT",
      `${path} has format ${found.format}, this version reads 1: upgrade Embershard`,
    );
  const { store, shards } = found ?? {};
  if (
    found?.format !== 1 ||
    typeof store !== "string" ||
    !/^[0-9a-f]{32}$/.test(store) ||
    !isShardCount(shards)
  )
    throw new EmbershardError("CORRUPT", `${path} does not describe backups`);
  return { format: formatVersion, id: store, slots: slotCount, shards };
}

export function storeIdOf({ id }: Identity): Uint8Array {
  return Uint8Array.from(Buffer.from(id, "hex"));
}

/**
 * Makes a directory one of backups of a store, or checks that it is, and locks it for writing, which one at a time does. Gives
 * what unlocks it.
 *
 * @throws NOT_A_STORE where it holds something else, LOCKED, IO
 */
export async function lockBackupDirectory(directory: string, store: Identity): Promise<() => Promise<void>> {
  await mkdir(directory, { recursive: true });
  const names = await readdir(directory);
  if (!names.includes(identityName)) {
    if (names.some((name) => name !== `${identityName}.new`))
      throw new EmbershardError(
        "NOT_A_STORE",
        `${directory} is not empty and holds no backups: choose another directory`,
      );
    await replaceDurably(
      directory,
      identityName,
      `${JSON.stringify({ format: 1, store: store.id, shards: store.shards }, null, 2)}\n`,
    );
  }
  const known = await readBackupIdentity(directory);
  if (known.id !== store.id)
    throw new EmbershardError(
      "NOT_A_STORE",
      `${directory} holds backups of another store (${known.id}, not ${store.id}): choose another directory`,
    );
  if (known.shards !== store.shards)
    throw new EmbershardError(
      "NOT_A_STORE",
      `${directory} holds backups of this store when it had ${known.shards} shards, now it has ${store.shards}: choose another directory`,
    );
  for (let shard = 0; shard < store.shards; shard++)
    for (const folder of [packsFolder, backupsFolder])
      await mkdir(join(directory, shardPath(shard), folder), { recursive: true });
  return lock(directory);
}

/** `writing` bears the pid of who writes; one that a killed process left does not count. */
async function lock(directory: string): Promise<() => Promise<void>> {
  const path = join(directory, writerName);
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      await writeFile(path, `${process.pid}\n`, { flag: "wx" });
      return () => rm(path, { force: true });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EEXIST")
        throw new EmbershardError("IO", `${path}: ${(cause as Error).message}`, { cause });
    }
    const pid = Number((await readFile(path, "utf8").catch(() => "")).trim());
    if (pid !== 0 && isAlive(pid))
      throw new EmbershardError(
        "LOCKED",
        `the process with pid ${pid} writes a backup to ${directory}: wait for its end`,
      );
    await rm(path, { force: true });
  }
  throw new EmbershardError("LOCKED", `another process writes a backup to ${directory}: wait for its end`);
}

/** Writes a file so that it is there whole, or not. */
async function replaceDurably(directory: string, name: string, text: string): Promise<void> {
  const file = await open(join(directory, `${name}.new`), "w", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(join(directory, `${name}.new`), join(directory, name));
  await syncFolder(directory);
}

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

/** Gives the files of a backup their names, that of the first shard last: from then on it is a backup. */
export async function publishBackup(directory: string, number: number, shards: number): Promise<void> {
  for (const folder of [directory, join(directory, "shards")]) await syncFolder(folder);
  for (let shard = shards - 1; shard >= 0; shard--) {
    const folder = join(directory, shardPath(shard));
    for (const name of [".", packsFolder, backupsFolder]) await syncFolder(join(folder, name));
    const path = join(directory, backupName(shard, number));
    await rename(`${path}.new`, path);
    await syncFolder(join(folder, backupsFolder));
  }
}

/** The numbers of the backups, ascending: those that the first shard has. */
export async function backupNumbers(directory: string): Promise<number[]> {
  return numbersIn(join(directory, shardPath(0), backupsFolder), /^(\d+)\.backup$/);
}

/** The numbers of the packs of a shard, ascending. */
export async function packNumbers(directory: string, shard: number): Promise<number[]> {
  return numbersIn(join(directory, shardPath(shard), packsFolder), /^(\d+)\.pack$/);
}

async function numbersIn(folder: string, names: RegExp): Promise<number[]> {
  return (await listFolder(folder))
    .map((name) => names.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => a - b);
}

/** What a backup says of a shard, and where its pages lie. @throws CORRUPT, IO */
export async function readShardBackup(
  directory: string,
  number: number,
  owner: FileOwner,
): Promise<{ summary: BackupSummary; info: ShardBackup; places: PagePlace[] }> {
  const reader = await EntryReader.open(join(directory, backupName(owner.shard, number)), owner);
  try {
    let summary: BackupSummary | undefined;
    const places: PagePlace[] = [];
    for await (const { kind, value } of reader.entries()) {
      if (kind === ENTRY.summary) summary = JSON.parse(new TextDecoder().decode(value.slice()));
      if (kind === ENTRY.pages) places.push(...decodePlaces(value));
      // Both come first.
      if (kind === ENTRY.record || kind === ENTRY.value) break;
    }
    if (!summary) throw new EmbershardError("CORRUPT", `${reader.path} does not say what it is`);
    const pack = await stat(join(directory, packName(owner.shard, number))).then(
      ({ size }) => size,
      // A backup without new pages has no pack.
      () => 0,
    );
    const { number: _number, at: _at, placement: _placement, ...counts } = summary;
    return { summary, info: { ...counts, bytes: reader.bytes + pack }, places };
  } finally {
    await reader.close();
  }
}

const placeBytes = 48;
const placesPerEntry = 4096;

/** Writes where pages lie: 48 bytes each, key 11 and zeros to 16, checksum u64, offset u64, pack u32, bytes u32, zero u64. */
export async function writePlaces(writer: EntryWriter, places: readonly PagePlace[]): Promise<void> {
  for (let from = 0; from < places.length; from += placesPerEntry) {
    const some = places.slice(from, from + placesPerEntry);
    const bytes = new Uint8Array(some.length * placeBytes);
    const view = new DataView(bytes.buffer);
    for (const [i, { key, checksum, offset, pack, bytes: length }] of some.entries()) {
      const at = i * placeBytes;
      bytes.set(key, at);
      view.setBigUint64(at + 16, checksum, true);
      view.setBigUint64(at + 24, BigInt(offset), true);
      view.setUint32(at + 32, pack, true);
      view.setUint32(at + 36, length, true);
    }
    await writer.add(ENTRY.pages, new Uint8Array(0), bytes);
  }
}

function decodePlaces(value: Uint8Array): PagePlace[] {
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  return Array.from({ length: Math.floor(value.length / placeBytes) }, (_, i) => {
    const at = i * placeBytes;
    return {
      key: encodePageKey(decodePageKey(value.subarray(at, at + 11))!),
      checksum: view.getBigUint64(at + 16, true),
      offset: Number(view.getBigUint64(at + 24, true)),
      pack: view.getUint32(at + 32, true),
      bytes: view.getUint32(at + 36, true),
    };
  });
}

/** What a backup says of itself. @throws CORRUPT, IO */
export async function readBackup(directory: string, number: number, store: Identity): Promise<BackupInfo> {
  const storeId = storeIdOf(store);
  const shards: ShardBackup[] = [];
  let first: BackupSummary | undefined;
  for (let shard = 0; shard < store.shards; shard++) {
    const { summary, info } = await readShardBackup(directory, number, { storeId, shard });
    first ??= summary;
    shards.push(info);
  }
  const { at, placement } = first!;
  const sum = (of: (shard: ShardBackup) => number) => shards.reduce((all, shard) => all + of(shard), 0);
  return {
    number,
    at,
    ...(placement && { placement }),
    lsn: Math.max(...shards.map(({ lsn }) => lsn)),
    generation: Math.max(...shards.map(({ generation }) => generation)),
    replayLsn: Math.min(...shards.map(({ replayLsn }) => replayLsn)),
    pages: sum(({ pages }) => pages),
    newPages: sum(({ newPages }) => newPages),
    records: sum(({ records }) => records),
    versions: [...new Set(shards.flatMap(({ versions }) => versions))],
    values: sum(({ values }) => values),
    bytes: sum(({ bytes }) => bytes),
    shards,
  };
}

/** All backups of a directory, oldest first. @throws NOT_A_STORE, CORRUPT, NEWER_FORMAT, IO */
export async function listBackups(directory: string): Promise<BackupInfo[]> {
  const store = await readBackupIdentity(directory);
  const found: BackupInfo[] = [];
  for (const number of await backupNumbers(directory)) found.push(await readBackup(directory, number, store));
  return found;
}
