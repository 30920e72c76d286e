// Everything in the files of a store's shard, read and checked but not judged. Nothing is written.
import { join } from "node:path";
import type { TableDefinition } from "../api/table-definition.js";
import { createHashBlock } from "../kernel/hash-block.js";
import type { Manifest } from "../shard/manifest.js";
import { encodePageKey } from "../shard/page-image.js";
import { decodeJson, RECORD } from "../shard/records.js";
import { readVersionRoll, type VersionRoll } from "../shard/version-roll.js";
import { readMarkFile } from "../store/durable-mark.js";
import { type LevelFiles, openLevelFiles } from "../store/level-files.js";
import type { LogIdentity } from "../store/log-format.js";
import type { LogRecord } from "../store/segment-scan.js";
import { type Identification, identify } from "./identification.js";
import { type LogInventory, noLog, takeLogInventory } from "./log-inventory.js";
import { currentEntry, type PageInventory, type StoredEntry, takeInventory } from "./page-inventory.js";
import type { RepairProgress } from "./report.js";
import { filesIn, logFolder, pagesFolder } from "./shard-files.js";
import { Windows } from "./windows.js";

export interface ExamineOptions {
  /** Which shard; the first unless given. */
  readonly shard?: number | undefined;
  /** What `identify` gave, where the caller has it. */
  readonly said?: Identification | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: RepairProgress) => void) | undefined;
  /** See InventoryOptions. */
  readonly remains?: boolean;
  /** See InventoryOptions. */
  readonly coldRows?: "damaged";
  /** The store is at work: what is durable by now was promised, and what becomes so meanwhile is not looked for. */
  readonly live?: boolean;
  /** The log is read, unless told otherwise: nobody keeps the files of a store at work in place then. */
  readonly withLog?: boolean | undefined;
  readonly onRecords?: ((records: readonly LogRecord[]) => void) | undefined;
}

export interface Examination {
  readonly directory: string;
  /** Of the whole store. */
  readonly said: Identification;
  readonly shard: number;
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
 * Reads everything of one shard. The caller closes `levelFiles`.
 *
 * @throws NOT_A_STORE, NEWER_FORMAT, IO, ABORTED
 */
export async function examine(directory: string, options: ExamineOptions): Promise<Examination> {
  const { shard = 0 } = options;
  const said = options.said ?? (await identify(directory));
  const logFiles = filesIn(join(directory, logFolder(shard)));
  const logIdentity = { storeId: said.storeId, shard };
  let bytes = 0;
  const expected = bytesToRead(said, options);
  const onBytes = (count: number) => {
    bytes += count;
    options.onProgress?.({ bytes, total: Math.max(bytes, expected) });
  };
  const { signal, remains = false, coldRows, live = false } = options;
  const definitions: LoggedDefinition[] = [];
  const onRecords = (records: readonly LogRecord[]) => {
    for (const record of records) noteDefinition(record, definitions);
    options.onRecords?.(records);
  };
  const before = await readMarkFile(logFiles, createHashBlock, logIdentity);
  const rollBefore = await readVersionRoll(logFiles, logIdentity);
  const levelFiles = await openLevelFiles(join(directory, pagesFolder(shard)));
  const windows = new Windows();
  try {
    // A store at work may make and delete some meanwhile.
    const { names, whole } = await readVersionRoll(logFiles, logIdentity);
    const roll = { names: names.filter((name) => rollBefore.names.includes(name)), whole };
    const pages = await takeInventory(levelFiles, { signal, onBytes, remains, coldRows }, windows);
    const log =
      options.withLog === false
        ? noLog
        : await takeLogInventory(logFiles, { identity: logIdentity, signal, onBytes, onRecords }, windows);
    const promised = (live ? before.mark : log.mark)?.generation ?? 0;
    return {
      promised,
      roll,
      directory,
      said,
      shard,
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

function bytesToRead({ bytes, pageBytes }: Identification, { withLog }: ExamineOptions): number {
  return withLog === false ? pageBytes : bytes;
}

/**
 * Examines shard after shard of a store and gives what `work` makes of each. Progress is over all. One is held at a time.
 *
 * @throws as examine, and what `work` throws
 */
export async function examineShards<T>(
  directory: string,
  { onProgress, ...options }: Omit<ExamineOptions, "shard">,
  work: (found: Examination) => T | Promise<T>,
): Promise<T[]> {
  const said = options.said ?? (await identify(directory));
  const results: T[] = [];
  const expected = bytesToRead(said, options);
  let before = 0;
  for (const shard of said.shards) {
    const told = ({ bytes }: RepairProgress) =>
      onProgress?.({ bytes: before + bytes, total: Math.max(before + bytes, expected) });
    const found = await examine(directory, { ...options, said, shard, onProgress: told });
    try {
      results.push(await work(found));
      before += found.bytes;
    } finally {
      await found.levelFiles.close();
    }
  }
  return results;
}

function noteDefinition({ type, payload }: LogRecord, definitions: LoggedDefinition[]): void {
  if (type !== RECORD.define && type !== RECORD.drop) return;
  const json = decodeJson(payload) as TableDefinition;
  definitions.push({ number: json.number, definition: type === RECORD.define ? json : undefined });
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
