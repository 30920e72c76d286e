// Everything in a store's directory, read and checked but not judged. Nothing is written.
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { TableDefinition } from "../api/table-definition.js";
import { EmbershardError } from "../base/errors.js";
import { type Identity, inspectDirectory } from "../directory/identity.js";
import { createHashBlock } from "../kernel/hash-block.js";
import { slotCount } from "../shard/arena-set.js";
import type { Manifest } from "../shard/manifest.js";
import { encodePageKey } from "../shard/page-image.js";
import { decodeJson, RECORD } from "../shard/records.js";
import { readVersionRoll, type VersionRoll } from "../shard/version-roll.js";
import { readMarkFile } from "../store/durable-mark.js";
import type { Files } from "../store/files.js";
import { type LevelFiles, openLevelFiles } from "../store/level-files.js";
import {
  decodeSegmentHeader,
  firstLsnOf,
  type LogIdentity,
  segmentHeaderBytes,
} from "../store/log-format.js";
import { nodeFiles } from "../store/node-files.js";
import type { LogRecord } from "../store/segment-scan.js";
import { type LogInventory, takeLogInventory } from "./log-inventory.js";
import { currentEntry, type PageInventory, type StoredEntry, takeInventory } from "./page-inventory.js";
import type { RepairProgress } from "./report.js";
import { Windows } from "./windows.js";

export const pagesFolder = join("shards", "0000", "pages");
export const logFolder = join("shards", "0000", "log");

export interface ExamineOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: RepairProgress) => void) | undefined;
  /** See InventoryOptions. */
  readonly remains?: boolean;
  /** The store is at work: what is durable by now was promised, and what becomes so meanwhile is not looked for. */
  readonly live?: boolean;
  readonly onRecords?: ((records: readonly LogRecord[]) => void) | undefined;
}

export interface Examination {
  readonly directory: string;
  readonly identity: Identity | undefined;
  /** Why there is no identity. */
  readonly identityFault: EmbershardError | undefined;
  /** What the log's files say that the store is. */
  readonly logIdentity: LogIdentity;
  readonly levelFiles: LevelFiles;
  readonly pages: PageInventory;
  readonly log: LogInventory;
  /** Versions that there should be, and whether the file that says so is whole. */
  readonly roll: VersionRoll;
  /** What the log's good records define, and drop, in order. */
  readonly definitions: readonly LoggedDefinition[];
  /** The generation of the last checkpoint that was durable; 0 where none was. */
  readonly promised: number;
  readonly bytes: number;
}

/** One record that defines a table, or, without a definition, drops it. */
export interface LoggedDefinition {
  readonly number: number;
  readonly definition: TableDefinition | undefined;
}

/**
 * Reads everything. The caller closes `levelFiles`.
 *
 * @throws NOT_A_STORE, NEWER_FORMAT, SHARD_COUNT, IO, ABORTED
 */
export async function examine(directory: string, options: ExamineOptions): Promise<Examination> {
  const said = await readIdentity(directory);
  const votes = await identitiesInLog(join(directory, logFolder));
  const { identity, fault } = settleIdentity(said, votes);
  const logFiles = filesOf(join(directory, logFolder));
  const storeId = identity
    ? Uint8Array.from(Buffer.from(identity.id, "hex"))
    : (votes[0] ?? new Uint8Array(16));
  const logIdentity = { storeId, shard: 0 };
  const total =
    (await bytesIn(join(directory, pagesFolder))) + (await bytesIn(join(directory, logFolder), /\.log$/));
  let bytes = 0;
  const onBytes = (count: number) => {
    bytes += count;
    options.onProgress?.({ bytes, total: Math.max(bytes, total) });
  };
  const { signal, remains = false, live = false } = options;
  const definitions: LoggedDefinition[] = [];
  const onRecords = (records: readonly LogRecord[]) => {
    for (const record of records) noteDefinition(record, definitions);
    options.onRecords?.(records);
  };
  const before = await readMarkFile(logFiles, createHashBlock, logIdentity);
  const rollBefore = await readVersionRoll(logFiles, logIdentity);
  const levelFiles = await openLevelFiles(join(directory, pagesFolder));
  const windows = new Windows();
  try {
    // A store at work may make and delete some meanwhile.
    const { names, whole } = await readVersionRoll(logFiles, logIdentity);
    const roll = { names: names.filter((name) => rollBefore.names.includes(name)), whole };
    const pages = await takeInventory(levelFiles, { signal, onBytes, remains }, windows);
    const log = await takeLogInventory(
      logFiles,
      { identity: logIdentity, signal, onBytes, onRecords },
      windows,
    );
    const promised = (live ? before.mark : log.mark)?.generation ?? 0;
    return {
      promised,
      roll,
      directory,
      identity,
      identityFault: fault,
      logIdentity,
      levelFiles,
      pages,
      log,
      definitions,
      bytes,
    };
  } catch (error) {
    await levelFiles.close();
    throw error;
  }
}

function noteDefinition({ type, payload }: LogRecord, definitions: LoggedDefinition[]): void {
  if (type !== RECORD.define && type !== RECORD.drop) return;
  const json = decodeJson(payload) as TableDefinition;
  definitions.push({ number: json.number, definition: type === RECORD.define ? json : undefined });
}

/** The files of a folder, none where there is no folder. */
export function filesOf(directory: string): Files {
  const files = nodeFiles(directory);
  return {
    ...files,
    list: () =>
      files.list().catch((error: EmbershardError) => {
        if ((error.cause as NodeJS.ErrnoException).code === "ENOENT") return [];
        throw error;
      }),
  };
}

interface SaidIdentity {
  readonly identity: Identity | undefined;
  readonly fault: EmbershardError | undefined;
}

async function readIdentity(directory: string): Promise<SaidIdentity> {
  try {
    return { identity: await inspectDirectory(directory, { create: false, shards: 1 }), fault: undefined };
  } catch (error) {
    if (!(error instanceof EmbershardError) || error.code !== "CORRUPT") throw error;
    return { identity: undefined, fault: error };
  }
}

/** A flipped digit makes `store` that of another store: then no file of the log is its own. */
function settleIdentity(said: SaidIdentity, votes: readonly Uint8Array[]): SaidIdentity {
  const { identity } = said;
  if (!identity || votes.length === 0) return said;
  const ids = votes.map((id) => Buffer.from(id).toString("hex"));
  if (ids.includes(identity.id)) return said;
  const message = `store says that the store is ${identity.id}, every file of the log that it is ${ids[0]}`;
  return { identity: undefined, fault: new EmbershardError("CORRUPT", message) };
}

/** The identities that headers of segments bear, that of most first. */
async function identitiesInLog(directory: string): Promise<Uint8Array[]> {
  const files = filesOf(directory);
  const block = createHashBlock(segmentHeaderBytes);
  const votes = new Map<string, number>();
  for (const name of (await files.list()).filter((one) => firstLsnOf(one) !== undefined)) {
    const file = await files.open(name, "read");
    try {
      await file.read(block.bytes.fill(0), 0);
    } finally {
      await file.close();
    }
    const header = decodeSegmentHeader(block);
    if (header?.shard !== 0) continue;
    const id = Buffer.from(header.storeId).toString("hex");
    votes.set(id, (votes.get(id) ?? 0) + 1);
  }
  return [...votes].sort(([, a], [, b]) => b - a).map(([id]) => Uint8Array.from(Buffer.from(id, "hex")));
}

/** What the file `store` has to say, as far as the log knows. */
export function identityOf({ storeId }: LogIdentity): Identity {
  return { format: 1, id: Buffer.from(storeId).toString("hex"), slots: slotCount, shards: 1 };
}

async function bytesIn(directory: string, names = /./): Promise<number> {
  const there = (await readdir(directory).catch(() => [])).filter((name) => names.test(name));
  // A file may go while it is looked at: this is an estimate.
  const sizes = there.map((name) =>
    stat(join(directory, name)).then(
      ({ size }) => size,
      () => 0,
    ),
  );
  return (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0);
}

/** A page that a manifest names. */
export interface NamedImage {
  readonly arena: number;
  readonly page: number;
  readonly generation: number;
  /** What the page store has for it; undefined where it has nothing. */
  readonly entry: StoredEntry | undefined;
}

/** The pages that a manifest names. */
export function* imagesOf(inventory: PageInventory, manifest: Manifest): Generator<NamedImage> {
  for (const [arena, generations] of manifest.pages.entries()) {
    for (const [page, generation] of generations.entries()) {
      if (generation === 0) continue;
      yield {
        arena,
        page,
        generation,
        entry: currentEntry(inventory, encodePageKey({ generation, arena, page })),
      };
    }
  }
}

/** The number of the process that says it has the directory open, if that process is there. */
export async function livingOwner(directory: string): Promise<number | undefined> {
  const text = await readFile(join(directory, "owner"), "utf8").catch(() => "");
  const pid = Number(text.trim());
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  try {
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    // EPERM: it is there, and another user's.
    return (error as NodeJS.ErrnoException).code === "EPERM" ? pid : undefined;
  }
}
