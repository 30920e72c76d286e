import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Store } from "../api/store-types.js";
import { EmbershardError } from "../base/errors.js";
import { livingOwner } from "../directory/owner.js";
import { createHashBlock } from "../kernel/hash-block.js";
import { decodeKeptKey, encodeColdKey } from "../shard/cold-values.js";
import { decodeManifest, encodeManifest, type Manifest, manifestKey } from "../shard/manifest.js";
import { readLog } from "../store/log-reader.js";
import { nodeFiles } from "../store/node-files.js";
import { directoryOf, withFiles } from "./access.js";
import {
  type BackupInfo,
  type BackupSummary,
  backupName,
  backupNumbers,
  lockBackupDirectory,
  type PagePlace,
  packName,
  publishBackup,
  readBackup,
  readShardBackup,
  writePlaces,
} from "./backup-directory.js";
import { ENTRY, EntryWriter, type FileOwner } from "./entry-file.js";
import { type Examination, examineShards, imagesOf } from "./examination.js";
import { identify } from "./identification.js";
import { followLog } from "./log-inventory.js";
import {
  currentEntry,
  demandWanted,
  type PageInventory,
  type StoredEntry,
  whereIs,
} from "./page-inventory.js";
import type { RepairProgress } from "./report.js";
import { logFolder } from "./shard-files.js";
import { proverOf } from "./stored-values.js";
import { judge } from "./verification.js";

export interface BackupOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: RepairProgress) => void) | undefined;
}

/**
 * Adds a backup of a store, open or closed, to a directory of its own: pages that an earlier backup there has are not
 * written again. An open store writes a checkpoint first and goes on with its work. The store is verified on the way: a
 * damaged one is not backed up.
 *
 * @throws CORRUPT when the store is damaged; UNSUPPORTED while a node or several threads have it open; NOT_A_STORE, LOCKED, IO, ABORTED: the directory's backups are as before
 */
export async function backupStore(
  store: string | Store,
  to: string,
  options: BackupOptions = {},
): Promise<BackupInfo> {
  const directory = directoryOf(store);
  const target = directoryOf(to);
  const { onProgress } = options;
  await demandAtRest(directory);
  return withFiles(store, { signal: options.signal, checkpoint: true }, async (live, signal) => {
    const said = await identify(directory);
    const { identity } = said;
    if (!identity) throw damaged(directory, "store", said.fault!.message);
    const at = Date.now();
    const looked = { said, signal, onProgress, live: live !== undefined };
    let number = 0;
    let release: (() => Promise<void>) | undefined;
    try {
      await examineShards(directory, looked, async (found) => {
        demandWhole(found);
        // Only now: nothing is made for a damaged store.
        release ??= await lockBackupDirectory(target, identity);
        number ||= ((await backupNumbers(target)).at(-1) ?? 0) + 1;
        await writeShard(found, contentsOf(found, live?.instant), { to: target, number, at, signal });
      });
      await publishBackup(target, number, identity.shards);
      return await readBackup(target, number, identity);
    } finally {
      await release?.();
    }
  });
}

/** A node, and a store on several threads, do not keep their shards at one instant. @throws UNSUPPORTED */
async function demandAtRest(directory: string): Promise<void> {
  const owner = await livingOwner(directory);
  if (!owner?.as) return;
  const who =
    owner.as.kind === "node"
      ? `node at ${owner.as.address}, pid ${owner.pid}: stop it (SIGTERM)`
      : `store on ${owner.as.threads} threads of the process with pid ${owner.pid}: close it there`;
  throw new EmbershardError(
    "UNSUPPORTED",
    `${directory} is that of a ${who}, back up the closed directory, and start it again. Shards at work would not be of one instant`,
  );
}

function demandWhole(found: Examination): void {
  const [first] = judge(found).filter(({ severity }) => severity === "damage");
  if (first) throw damaged(found.directory, first.file, first.message);
}

function damaged(directory: string, file: string, message: string): EmbershardError {
  return new EmbershardError(
    "CORRUPT",
    `${directory} is damaged (${file}: ${message}): nothing was backed up; \`embershard verify\` says everything`,
  );
}

/** What a backup holds beside the log. */
interface Contents {
  /** Of the checkpoint, or of the instant that a store at work has given; undefined where there is none. */
  readonly manifest: Manifest | undefined;
  /** Manifests of versions, and what is cold. */
  readonly values: readonly BackedValue[];
  readonly images: readonly StoredEntry[];
  /** The log belongs to it: the instant of a store at work needs no more than its pages and cold rows. */
  readonly withLog: boolean;
}

/** A stored value, and its key in the store that is made of the backup. */
interface BackedValue {
  readonly entry: StoredEntry;
  readonly key: Uint8Array;
}

function contentsOf({ pages }: Examination, instant: Uint8Array | undefined): Contents {
  const given = instant && decodeManifest(instant);
  const current = currentEntry(pages, manifestKey);
  const stored = current?.proof.kind === "manifest" ? current.proof.manifest : undefined;
  const manifest = given ?? stored;
  const last = given?.lsn ?? Number.POSITIVE_INFINITY;
  const versions = [...pages.entries.values()].flatMap(([entry]) => {
    const { proof, deletion, file } = entry;
    // One that was made since belongs to a later backup.
    return proof.kind === "version" && !deletion && file.current && proof.manifest.lsn <= last
      ? [{ entry, manifest: proof.manifest }]
      : [];
  });
  const images = new Map<string, StoredEntry>();
  for (const one of [...(manifest ? [manifest] : []), ...versions.map((version) => version.manifest)])
    for (const { entry: image } of imagesOf(pages, one))
      if (image) images.set(Buffer.from(image.key).toString("hex"), image);
  const lsns = versions.map((version) => version.manifest.lsn);
  const values = [
    ...versions.map(({ entry }) => ({ entry, key: entry.key })),
    ...coldValuesOf(pages, last, lsns),
  ];
  return { manifest, values, images: [...images.values()], withLog: given === undefined };
}

/** Values of cold rows that count at the last LSN, or at that of a version. */
function coldValuesOf(pages: PageInventory, last: number, versions: readonly number[]): BackedValue[] {
  const found: BackedValue[] = [];
  for (const [entry] of pages.entries.values()) {
    const { proof, deletion, file, key } = entry;
    if (proof.kind !== "cold" || deletion || !file.current || proof.written > last) continue;
    const kept = decodeKeptKey(key);
    if (!kept || versions.some((lsn) => proof.written <= lsn && lsn < kept.at && kept.at <= last))
      found.push({ entry, key });
    // It was superseded after the instant: there it is the row's.
    else if (kept.at > last) found.push({ entry, key: encodeColdKey(kept.table, kept.key) });
  }
  return found.sort((a, b) => order(a.entry, b.entry));
}

/** By where they lie, so that files are read from front to back. */
function order(a: StoredEntry, b: StoredEntry): number {
  return a.file.name < b.file.name ? -1 : a.file.name > b.file.name ? 1 : a.offset - b.offset;
}

/** The backup that is being written. */
interface Writing {
  readonly to: string;
  readonly number: number;
  readonly at: number;
  readonly signal: AbortSignal;
}

/** Writes a shard's part of a backup, which has no name yet. */
async function writeShard(
  found: Examination,
  { manifest, values, images, withLog }: Contents,
  writing: Writing,
): Promise<void> {
  const { to, number, at, signal } = writing;
  const { placement } = found.said.identity!;
  const owner = found.logIdentity;
  const known = new Map<string, PagePlace>();
  for (const one of await backupNumbers(to))
    for (const place of (await readShardBackup(to, one, owner)).places)
      known.set(placeId(place.key, place.checksum), place);
  const { places, added } = await writePack(images, known, owner, writing);
  const replayLsn = manifest?.replayLsn ?? 0;
  const goodLsn = withLog ? followLog(found.log, replayLsn + 1).goodLsn : manifest!.lsn + 1;
  const summary: BackupSummary = {
    number,
    at,
    shard: owner.shard,
    ...(placement && { placement }),
    lsn: goodLsn - 1,
    generation: manifest?.generation ?? 0,
    replayLsn,
    pages: images.length,
    newPages: added,
    records: goodLsn - 1 - replayLsn,
    versions: values.flatMap(({ entry: { proof } }) => (proof.kind === "version" ? [proof.name] : [])),
    values: values.length + (manifest ? 1 : 0),
  };
  const writer = await EntryWriter.create(join(to, `${backupName(owner.shard, number)}.new`), owner);
  try {
    await writer.add(ENTRY.summary, new Uint8Array(0), new TextEncoder().encode(JSON.stringify(summary)));
    await writePlaces(writer, places);
    if (manifest) await writer.add(ENTRY.value, manifestKey, encodeManifest(manifest));
    for (const { entry, key } of values) {
      demandWanted(signal);
      await writer.add(ENTRY.value, key, await readValue(entry));
    }
    await writeRecords(found, writer, summary, signal);
  } catch (error) {
    await writer.close();
    throw error;
  }
  await writer.finish();
}

function placeId(key: Uint8Array, checksum: bigint): string {
  return `${Buffer.from(key).toString("hex")}/${checksum}`;
}

/** Writes the images that no pack has. */
async function writePack(
  images: readonly StoredEntry[],
  known: ReadonlyMap<string, PagePlace>,
  owner: FileOwner,
  { to, number, signal }: Writing,
): Promise<{ places: PagePlace[]; added: number }> {
  const places: PagePlace[] = [];
  const prove = proverOf();
  let writer: EntryWriter | undefined;
  let added = 0;
  // Of a backup of this number that was killed.
  const path = join(to, packName(owner.shard, number));
  await rm(path, { force: true });
  try {
    for (const image of images) {
      if (image.proof.kind !== "page") continue;
      const { checksum } = image.proof.header;
      const place = known.get(placeId(image.key, checksum));
      if (place) {
        places.push(place);
        continue;
      }
      demandWanted(signal);
      writer ??= await EntryWriter.create(path, owner);
      const value = await readValue(image);
      const fault = prove({ key: image.key, value }, checksum);
      if (fault !== undefined)
        throw new EmbershardError("CORRUPT", `${whereIs(image)}: read again, ${fault}`);
      const offset = await writer.add(ENTRY.page, image.key, value);
      places.push({ key: image.key, checksum, pack: number, offset, bytes: value.length });
      added++;
    }
  } catch (error) {
    await writer?.close();
    throw error;
  }
  await writer?.finish();
  return { places, added };
}

/** The bytes of a stored value, read again. The image in a pack is checked when it is read. */
export async function readValue(entry: StoredEntry): Promise<Uint8Array> {
  if (entry.value) return entry.value;
  const bytes = new Uint8Array(entry.bytes);
  if ((await entry.file.read(bytes, entry.offset)) === bytes.length) return bytes;
  throw new EmbershardError("IO", `${whereIs(entry)}: it became shorter while it was read`);
}

/** Writes the records that the pages lack, up to the backup's last. */
async function writeRecords(
  { directory, logIdentity }: Examination,
  writer: EntryWriter,
  { replayLsn, lsn: last }: BackupSummary,
  signal: AbortSignal,
): Promise<void> {
  if (last <= replayLsn) return;
  const files = nodeFiles(join(directory, logFolder(logIdentity.shard)));
  const reading = await readLog(files, {
    identity: logIdentity,
    createBlock: createHashBlock,
    from: replayLsn + 1,
  });
  const head = new Uint8Array(4);
  const view = new DataView(head.buffer);
  for await (const batch of reading.batches()) {
    demandWanted(signal);
    for (const { lsn, type, flags, payload } of batch) {
      if (lsn > last) return;
      view.setUint16(0, type, true);
      view.setUint16(2, flags, true);
      await writer.add(ENTRY.record, head, payload, lsn);
    }
  }
}
