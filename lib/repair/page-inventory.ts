// Everything that the files of the pages' LevelDB hold, whether LevelDB would give it back or not.
import { EmbershardError } from "../base/errors.js";
import type { HashBlock } from "../base/hash-block.js";
import { createHashBlock } from "../kernel/hash-block.js";
import { coldPrefix, keptPrefix } from "../shard/cold-values.js";
import { decodePageKey } from "../shard/page-image.js";
import type { LevelFile, LevelFileDefect, LevelFiles } from "../store/level-files.js";
import { readLevelLog, readWriteBatch } from "../store/level-log-file.js";
import { type LevelEntry, readLevelBlock } from "../store/level-table.js";
import { describeKey, type Proof, proveValue } from "./stored-values.js";
import { filledPieces, piecesOf, Windows } from "./windows.js";

/** One entry of a file. */
export interface StoredEntry {
  readonly key: Uint8Array;
  readonly sequence: number;
  readonly deletion: boolean;
  readonly proof: Proof;
  readonly file: LevelFile;
  readonly offset: number;
  readonly bytes: number;
  /** Given of a write-ahead log, where values lie in pieces; the whole log stays in memory for it. */
  readonly value?: Uint8Array | undefined;
}

export interface InventoryOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onBytes?: ((bytes: number) => void) | undefined;
  /** Look at files too that LevelDB has given up, and trust no block without its checksum. */
  readonly remains?: boolean | undefined;
  /** Of cold rows, and those kept for versions, only the entries of keys that have a damaged value. */
  readonly coldRows?: "damaged" | undefined;
}

/** What the files hold. */
export interface PageInventory {
  /** Entries of each key, the one that counts first, by the key in hexadecimal. Beyond LevelDB's last sequence none counts. */
  readonly entries: ReadonlyMap<string, readonly StoredEntry[]>;
  readonly defects: readonly LevelFileDefect[];
  /** Bytes read. */
  readonly bytes: number;
}

/** Reads all files, checking every value. */
export async function takeInventory(
  files: LevelFiles,
  options: InventoryOptions,
  windows = new Windows(),
): Promise<PageInventory> {
  const entries = new Map<string, StoredEntry[]>();
  let lastSequence = files.version?.lastSequence ?? 0;
  const note = (entry: StoredEntry) => {
    const id = Buffer.from(entry.key).toString("hex");
    const known = entries.get(id);
    if (known) known.push(entry);
    else entries.set(id, [entry]);
  };
  const defects: LevelFileDefect[] = [...files.defects];
  const bytes = await readFiles(files, { ...options, windows, defects }, (entry, { log }) => {
    if (log && entry.file.current) lastSequence = Math.max(lastSequence, entry.sequence);
    if (options.coldRows !== "damaged" || !isCold(entry.key) || entry.proof.kind === "damaged") note(entry);
  });
  if (options.coldRows === "damaged") await noteOthers(files, { ...options, windows }, entries);
  const counts = ({ sequence, file }: StoredEntry) =>
    file.current && (files.version === undefined || sequence <= lastSequence) ? 1 : 0;
  for (const all of entries.values())
    all.sort((a, b) => counts(b) - counts(a) || b.sequence - a.sequence || rank(b) - rank(a));
  return { entries, defects, bytes };
}

/** Notes what else there is of the cold rows that have a damaged value: it may be that which counts. */
async function noteOthers(
  files: LevelFiles,
  { signal, remains, windows }: InventoryOptions & { readonly windows: Windows },
  entries: ReadonlyMap<string, StoredEntry[]>,
): Promise<void> {
  if (![...entries.values()].some(([{ key }]) => isCold(key))) return;
  await readFiles(files, { signal, remains, windows, defects: [] }, (entry) => {
    if (!isCold(entry.key) || entry.proof.kind === "damaged") return;
    entries.get(Buffer.from(entry.key).toString("hex"))?.push(entry);
  });
}

interface FileReading extends InventoryOptions {
  readonly windows: Windows;
  /** Gets what is wrong with the files. */
  readonly defects: LevelFileDefect[];
}

/** Gives every entry of all files, and whether it lies in a write-ahead log. Returns how many bytes were read. */
async function readFiles(
  files: LevelFiles,
  { signal, onBytes, remains, windows, defects }: FileReading,
  take: (entry: StoredEntry, from: { readonly log: boolean }) => void,
): Promise<number> {
  let bytes = 0;
  for (const file of files.logs) {
    if (!file.current && !remains) continue;
    for (const entry of await readLog(file, defects)) take(entry, { log: true });
    bytes += file.bytes;
    onBytes?.(file.bytes);
  }
  const tables = files.tables.filter(({ current }) => current || remains);
  let last: LevelFile | undefined;
  const finish = (next?: LevelFile) => {
    if (last && last !== next) {
      bytes += last.bytes;
      onBytes?.(last.bytes);
    }
    last = next;
  };
  for await (const { piece, window } of filledPieces(piecesOf(tables, defects), windows)) {
    const { file, from, blocks } = piece;
    demandWanted(signal);
    finish(file);
    const held = window.bytes.subarray(0, piece.to - from);
    // A value proves itself, but not its sequence: beyond the last one LevelDB does not find it.
    const visit = (entry: LevelEntry) => {
      const stored = proveEntry(entry, file, window, from);
      take(stored, { log: false });
      if (file.current && entry.sequence > (files.version?.lastSequence ?? Number.POSITIVE_INFINITY))
        return false;
      return stored.proof.kind !== "damaged" && stored.proof.kind !== "unknown" && !entry.deletion;
    };
    for (const block of blocks) {
      const defect = readLevelBlock(held, from, block, visit, remains);
      if (defect && remains && file.current) {
        const salvage = (entry: LevelEntry) => {
          const stored = salvaged(proveEntry(entry, file, window, from));
          if (stored) take(stored, { log: false });
          return true;
        };
        readLevelBlock(held, from, block, salvage);
      }
      if (defect)
        defects.push({ file: file.name, offset: defect.offset, reason: defect.reason, crash: false });
    }
  }
  finish();
  return bytes;
}

/**
 * What can be used of an entry of a damaged block, where keys and sequences are not proven. Manifests and images say themselves what they
 * are, and of which generation; what cold rows come to is checked when all are there. A damaged image may still tell keys.
 */
function salvaged(entry: StoredEntry): StoredEntry | undefined {
  const { key, deletion, proof } = entry;
  if (isCold(key)) return entry;
  if (deletion || proof.kind === "unknown") return undefined;
  if (proof.kind !== "damaged") return entry;
  return decodePageKey(key) && { ...entry, sequence: -1 };
}

/** Of copies of one entry a whole one counts more. */
function rank({ proof }: StoredEntry): number {
  return proof.kind === "damaged" ? 0 : 1;
}

export function demandWanted(signal: AbortSignal | undefined): void {
  if (signal?.aborted)
    throw new EmbershardError("ABORTED", "it was aborted; nothing was changed", { cause: signal.reason });
}

/** `window` holds bytes of the file from `base` on. */
function proveEntry(entry: LevelEntry, file: LevelFile, window: HashBlock, base: number): StoredEntry {
  const { key, value, deletion, sequence, offset } = entry;
  const proof: Proof = deletion
    ? { kind: "unknown" }
    : proveValue(key, value, (from, length, seed) => window.checksum(offset - base + from, length, seed));
  return { key: key.slice(), sequence, deletion, proof, file, offset, bytes: value.length };
}

async function readLog(file: LevelFile, defects: LevelFileDefect[]): Promise<StoredEntry[]> {
  const block = createHashBlock(Math.max(64, file.bytes));
  const length = await file.read(block.bytes.subarray(0, file.bytes));
  const { records, defects: found } = readLevelLog(block.bytes.subarray(0, length), (from, to) =>
    block.crc32c(from, to - from),
  );
  const lastGood = records.at(-1)?.offset ?? -1;
  for (const { offset, reason } of found)
    defects.push({ file: file.name, offset, reason, crash: offset > lastGood });
  const entries: StoredEntry[] = [];
  for (const { offset, payload } of records) {
    const changes = readWriteBatch(payload);
    if (!changes) {
      defects.push({ file: file.name, offset, reason: "a batch does not add up", crash: false });
      continue;
    }
    for (const { key, value, sequence } of changes) {
      let proof: Proof = { kind: "unknown" };
      if (value) {
        const at = value.byteOffset - block.bytes.byteOffset;
        proof = proveValue(key, value, (from, count, seed) => block.checksum(at + from, count, seed));
      }
      entries.push({
        key: key.slice(),
        sequence,
        deletion: !value,
        proof,
        file,
        offset,
        bytes: value?.length ?? 0,
        value,
      });
    }
  }
  return entries;
}

/** The entry that LevelDB gives for a key; undefined where it has none. */
export function currentEntry(inventory: PageInventory, key: Uint8Array): StoredEntry | undefined {
  const [first] = inventory.entries.get(Buffer.from(key).toString("hex")) ?? [];
  return first?.file.current && !first.deletion ? first : undefined;
}

/** Where an entry lies, for people. */
export function whereIs({ key, file, offset }: StoredEntry): string {
  return `${describeKey(key)}, in ${file.name} at offset ${offset}`;
}

/** Whether it is the key of a cold row, or of one that is kept for versions. */
export function isCold(key: Uint8Array): boolean {
  return key[0] === coldPrefix || key[0] === keptPrefix;
}
