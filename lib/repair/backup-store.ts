import { rm } from "node:fs/promises";
import { join, sep } from "node:path";
import { checkName } from "../api/names.js";
import type { Store } from "../api/store-types.js";
import { EmbershardError } from "../base/errors.js";
import { createHashBlock } from "../kernel/hash-block.js";
import { decodeKeptKey, encodeColdKey } from "../shard/cold-values.js";
import { decodeManifest, encodeManifest, type Manifest, manifestKey } from "../shard/manifest.js";
import { encodeVersionKey } from "../shard/version.js";
import { readLog } from "../store/log-reader.js";
import { nodeFiles } from "../store/node-files.js";
import { atWork, directoryOf, type LiveStore, withFiles } from "./access.js";
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
import { type VersionMaker, withVersion } from "./backup-version.js";
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
  /**
   * Back up this version instead of what the store is now. Its shards may be at work meanwhile, of a node or on several threads;
   * the log is not read then.
   */
  readonly version?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: RepairProgress) => void) | undefined;
}

/**
 * Adds a backup of a store, open or closed, to a directory of its own: pages that an earlier backup there has are not
 * written again. An open store writes a checkpoint first and goes on with its work; one on several threads makes a version, which is
 * deleted in the end. The store is verified on the way: a damaged one is not backed up.
 *
 * @throws CORRUPT when the store is damaged; INVALID_ARGUMENT for a directory in the store; VERSION_NOT_FOUND; VERSION_IS_READ_ONLY for a store that is open as a version; UNSUPPORTED for the directory of a store that a node or several threads
 *   have open, unless a version is named, and for one that nodes serve; NOT_A_STORE, LOCKED, IO, ABORTED: the directory's backups are
 *   as before
 */
export async function backupStore(
  store: string | Store,
  to: string,
  options: BackupOptions = {},
): Promise<BackupInfo> {
  const { version, signal, onProgress } = options;
  if (version !== undefined) checkName("version", version);
  const target = directoryOf(to);
  const directory = directoryOf(store);
  if (`${target}${sep}`.startsWith(`${directory}${sep}`))
    throw new EmbershardError(
      "INVALID_ARGUMENT",
      `found ${target} for backups of ${directory}, which it lies in: give another directory, best on another disk`,
    );
  const opened = typeof store === "string" ? undefined : (await store.stats()).version;
  if (opened !== undefined)
    throw new EmbershardError(
      "VERSION_IS_READ_ONLY",
      `this is version "${opened}" of the store in ${directory}: back that up, with { version: "${opened}" }`,
    );
  const named = (name: string) =>
    backUp(directory, target, { version: name, signal, onProgress, beside: true });
  const who = await atWork(directory);
  if (who !== undefined) {
    if (version !== undefined) return named(version);
    if (typeof store === "string")
      throw new EmbershardError(
        "UNSUPPORTED",
        `${directory} is ${who}, and its shards at work are not of one instant: make a version, and back that up, as \`embershard backup\` does`,
      );
    const make: VersionMaker["make"] = ({ name, ...rest }) =>
      store.checkpoint({ version: name, ...rest, ...(signal && { signal }) });
    const maker = { list: () => store.versions(), make, delete: (name: string) => store.deleteVersion(name) };
    return withVersion(maker, named);
  }
  return withFiles(store, { signal, checkpoint: version === undefined }, (live, wanted) =>
    backUp(directory, target, { version, signal: wanted, onProgress, live }),
  );
}

/** What is backed up, and how it may be read. */
interface Order extends BackupOptions {
  /** What the owner keeps in place. */
  readonly live?: LiveStore | undefined;
  /** It is read beside an owner that keeps nothing in place but versions. */
  readonly beside?: boolean;
}

async function backUp(directory: string, target: string, order: Order): Promise<BackupInfo> {
  const { version, live, beside = false, onProgress } = order;
  const signal = order.signal ?? new AbortController().signal;
  const said = await identify(directory);
  const { identity } = said;
  if (!identity) throw damaged(directory, "store", said.fault!.message);
  const at = Date.now();
  const looked = { said, signal, onProgress, live: beside || live !== undefined, withLog: !beside };
  const cuts = new Set<string | undefined>();
  let number = 0;
  let release: (() => Promise<void>) | undefined;
  try {
    await examineShards(directory, looked, async (found) => {
      demandWhole(found);
      const instant = version === undefined ? heldInstant(live) : instantOf(found, version, cuts);
      // Only now: nothing is made for a damaged store.
      release ??= await lockBackupDirectory(target, identity);
      number ||= ((await backupNumbers(target)).at(-1) ?? 0) + 1;
      await writeShard(found, contentsOf(found, instant, version), { to: target, number, at, signal });
    });
    await publishBackup(target, number, identity.shards);
    return await readBackup(target, number, identity);
  } finally {
    await release?.();
  }
}

function heldInstant(live: LiveStore | undefined): Manifest | undefined {
  return live?.instant && decodeManifest(live.instant);
}

/**
 * The manifest of what a shard was at a version. `cuts` has what its parts in the shards before have in common.
 *
 * @throws VERSION_NOT_FOUND; CORRUPT where parts are of different versions
 */
function instantOf(
  { directory, pages, shard }: Examination,
  name: string,
  cuts: Set<string | undefined>,
): Manifest {
  const entry = currentEntry(pages, encodeVersionKey(name));
  if (entry?.proof.kind !== "version")
    throw new EmbershardError(
      "VERSION_NOT_FOUND",
      `${directory}: there is no version "${name}"${shard > 0 ? ` in shard ${shard}` : ""}; \`embershard versions list\` says which there are. Nothing was backed up`,
    );
  const { version, imageBytes: _, ...manifest } = entry.proof.manifest;
  if (cuts.add(version!.cut).size > 1)
    throw new EmbershardError(
      "CORRUPT",
      `${directory}: what shards have of version "${name}" is not of one instant; nothing was backed up`,
    );
  // All that it is of is in its pages.
  return { ...manifest, replayLsn: manifest.lsn };
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

/** All of a shard, or what it was at an instant, which `version` is the name of. */
function contentsOf(
  { pages }: Examination,
  given: Manifest | undefined,
  version: string | undefined,
): Contents {
  const current = currentEntry(pages, manifestKey);
  const stored = current?.proof.kind === "manifest" ? current.proof.manifest : undefined;
  const manifest = given ?? stored;
  const last = given?.lsn ?? Number.POSITIVE_INFINITY;
  const versions = [...pages.entries.values()].flatMap(([entry]) => {
    const { proof, deletion, file } = entry;
    // One that was made since belongs to a later backup.
    const counts = proof.kind === "version" && proof.name !== version && proof.manifest.lsn <= last;
    return counts && !deletion && file.current ? [{ entry, manifest: proof.manifest }] : [];
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
