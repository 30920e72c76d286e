import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Store } from "../api/store-types.js";
import { EmbershardError } from "../base/errors.js";
import { createHashBlock } from "../kernel/hash-block.js";
import { manifestKey } from "../shard/manifest.js";
import { readLog } from "../store/log-reader.js";
import { nodeFiles } from "../store/node-files.js";
import { directoryOf, withFiles } from "./access.js";
import {
  type BackupInfo,
  type BackupSummary,
  backupName,
  backupNumbers,
  type PagePlace,
  packName,
  publishBackup,
  readBackup,
  storeIdOf,
  withBackupDirectory,
  writePlaces,
} from "./backup-directory.js";
import { demandNoColdRows } from "./cold-refusal.js";
import { ENTRY, EntryWriter } from "./entry-file.js";
import { type Examination, examine, imagesOf, logFolder } from "./examination.js";
import { followLog } from "./log-inventory.js";
import { currentEntry, demandWanted, type StoredEntry, whereIs } from "./page-inventory.js";
import { type RepairProgress, statusOf } from "./report.js";
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
 * @throws CORRUPT when the store is damaged; UNSUPPORTED when it has tables larger than their memory; NOT_A_STORE, LOCKED, IO, ABORTED: the directory's backups are as before
 */
export async function backupStore(
  store: string | Store,
  to: string,
  options: BackupOptions = {},
): Promise<BackupInfo> {
  const directory = directoryOf(store);
  const target = directoryOf(to);
  const { onProgress } = options;
  return withFiles(store, { signal: options.signal, checkpoint: true }, async (live, signal) => {
    const found = await examine(directory, { signal, onProgress, live: live !== undefined });
    try {
      demandNoColdRows(found, `${directory} cannot be backed up`);
      demandWhole(found);
      return await withBackupDirectory(target, found.identity!, () => writeBackup(found, target, signal));
    } finally {
      await found.levelFiles.close();
    }
  });
}

function demandWhole(found: Examination): void {
  const [first] = judge(found).filter(({ severity }) => severity === "damage");
  if (statusOf(first ? [first] : []) === "ok") return;
  throw new EmbershardError(
    "CORRUPT",
    `${found.directory} is damaged (${first.file}: ${first.message}): nothing was backed up; \`embershard verify\` says everything`,
  );
}

/** What a backup holds beside the log. */
interface Contents {
  /** Manifests of the checkpoint and of versions. */
  readonly values: readonly StoredEntry[];
  readonly images: readonly StoredEntry[];
}

function contentsOf({ pages }: Examination): Contents {
  const values: StoredEntry[] = [];
  const images = new Map<string, StoredEntry>();
  const current = currentEntry(pages, manifestKey);
  for (const [entry] of pages.entries.values()) {
    if (entry.deletion || !entry.file.current) continue;
    const { proof } = entry;
    if (proof.kind !== "version" && !(proof.kind === "manifest" && entry === current)) continue;
    values.push(entry);
    for (const { entry: image } of imagesOf(pages, proof.manifest))
      if (image) images.set(Buffer.from(image.key).toString("hex"), image);
  }
  return { values, images: [...images.values()] };
}

async function writeBackup(found: Examination, to: string, signal: AbortSignal): Promise<BackupInfo> {
  const storeId = storeIdOf(found.identity!);
  const numbers = await backupNumbers(to);
  const known = new Map<string, PagePlace>();
  for (const one of numbers)
    for (const place of (await readBackup(to, one, storeId)).places)
      known.set(placeId(place.key, place.checksum), place);
  const number = (numbers.at(-1) ?? 0) + 1;
  const { values, images } = contentsOf(found);
  const { places, added } = await writePack(images, known, { to, number, storeId, signal });
  const manifest = values.map(({ proof }) => proof).find((proof) => proof.kind === "manifest")?.manifest;
  const replayLsn = manifest?.replayLsn ?? 0;
  const { goodLsn } = followLog(found.log, replayLsn + 1);
  const summary: BackupSummary = {
    number,
    at: Date.now(),
    lsn: goodLsn - 1,
    generation: manifest?.generation ?? 0,
    replayLsn,
    pages: images.length,
    newPages: added,
    records: goodLsn - 1 - replayLsn,
    versions: values.flatMap(({ proof }) => (proof.kind === "version" ? [proof.name] : [])),
    values: values.length,
  };
  const writer = await EntryWriter.create(join(to, `${backupName(number)}.new`), storeId);
  try {
    await writer.add(ENTRY.summary, new Uint8Array(0), new TextEncoder().encode(JSON.stringify(summary)));
    await writePlaces(writer, places);
    for (const entry of values) await writer.add(ENTRY.value, entry.key, await readValue(entry));
    await writeRecords(found, writer, summary, signal);
  } catch (error) {
    await writer.close();
    throw error;
  }
  await writer.finish();
  await publishBackup(to, number);
  return (await readBackup(to, number, storeId)).info;
}

function placeId(key: Uint8Array, checksum: bigint): string {
  return `${Buffer.from(key).toString("hex")}/${checksum}`;
}

/** Writes the images that no pack has. */
async function writePack(
  images: readonly StoredEntry[],
  known: ReadonlyMap<string, PagePlace>,
  { to, number, storeId, signal }: { to: string; number: number; storeId: Uint8Array; signal: AbortSignal },
): Promise<{ places: PagePlace[]; added: number }> {
  const places: PagePlace[] = [];
  const prove = proverOf();
  let writer: EntryWriter | undefined;
  let added = 0;
  // Of a backup of this number that was killed.
  await rm(join(to, packName(number)), { force: true });
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
      writer ??= await EntryWriter.create(join(to, packName(number)), storeId);
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
  const files = nodeFiles(join(directory, logFolder));
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
