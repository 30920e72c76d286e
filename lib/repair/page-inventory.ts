// Everything that the files of the pages' LevelDB hold, whether LevelDB would give it back or not.
import { EmbershardError } from "../base/errors.js";
import type { HashBlock } from "../base/hash-block.js";
import { createHashBlock } from "../kernel/hash-block.js";
import type { LevelFile, LevelFileDefect, LevelFiles } from "../store/level-files.js";
import { readLevelLog, readWriteBatch } from "../store/level-log-file.js";
import { type LevelEntry, readLevelTable } from "../store/level-table.js";
import { describeKey, type Proof, proveValue } from "./stored-values.js";

/** One entry of a file. */
export interface StoredEntry {
  readonly key: Uint8Array;
  readonly sequence: number;
  readonly deletion: boolean;
  readonly proof: Proof;
  readonly file: LevelFile;
  readonly offset: number;
  readonly bytes: number;
  /** Given in a write-ahead log, whose values lie in pieces. */
  readonly value?: Uint8Array | undefined;
}

export interface InventoryOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onBytes?: ((bytes: number) => void) | undefined;
  /** Look at files too that LevelDB has given up, and trust no block without its checksum. */
  readonly remains?: boolean;
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
export async function takeInventory(files: LevelFiles, options: InventoryOptions): Promise<PageInventory> {
  const entries = new Map<string, StoredEntry[]>();
  const defects: LevelFileDefect[] = [...files.defects];
  let lastSequence = files.version?.lastSequence ?? 0;
  let bytes = 0;
  const note = (entry: StoredEntry) => {
    const id = Buffer.from(entry.key).toString("hex");
    const known = entries.get(id);
    if (known) known.push(entry);
    else entries.set(id, [entry]);
  };
  for (const file of files.logs) {
    if (!file.current && !options.remains) continue;
    for (const entry of await readLog(file, defects)) {
      if (file.current) lastSequence = Math.max(lastSequence, entry.sequence);
      note(entry);
    }
    bytes += file.bytes;
    options.onBytes?.(file.bytes);
  }
  const tables = files.tables.filter(({ current }) => current || options.remains);
  for await (const { file, block } of readAhead(tables, options.signal)) {
    const found = readLevelTable(
      block.bytes.subarray(0, file.bytes),
      (entry) => {
        const stored = proveEntry(entry, file, block);
        note(stored);
        return stored.proof.kind !== "damaged" && stored.proof.kind !== "unknown" && !entry.deletion;
      },
      options.remains,
    );
    let before = 0;
    for (;;) {
      const step = found.next();
      if (step.done) {
        for (const { offset, reason } of step.value)
          defects.push({ file: file.name, offset, reason, crash: false });
        break;
      }
      // Others get a turn every 4 MiB.
      if (step.value - before < 4 << 20) continue;
      before = step.value;
      await new Promise((resolve) => setImmediate(resolve));
      demandWanted(options.signal);
    }
    bytes += file.bytes;
    options.onBytes?.(file.bytes);
  }
  const counts = ({ sequence, file }: StoredEntry) =>
    file.current && (files.version === undefined || sequence <= lastSequence) ? 1 : 0;
  for (const all of entries.values())
    all.sort((a, b) => counts(b) - counts(a) || b.sequence - a.sequence || rank(b) - rank(a));
  return { entries, defects, bytes };
}

/** Of copies of one entry a whole one counts more. */
function rank({ proof }: StoredEntry): number {
  return proof.kind === "damaged" ? 0 : 1;
}

export function demandWanted(signal: AbortSignal | undefined): void {
  if (signal?.aborted)
    throw new EmbershardError("ABORTED", "it was aborted; nothing was changed", { cause: signal.reason });
}

/** Reads the next file while one is looked at. */
async function* readAhead(
  files: readonly LevelFile[],
  signal: AbortSignal | undefined,
): AsyncGenerator<{ file: LevelFile; block: HashBlock }> {
  const longest = files.reduce((most, { bytes }) => Math.max(most, bytes), 0);
  if (longest === 0) return;
  const blocks = [createHashBlock(longest), createHashBlock(longest)];
  const fill = async (i: number): Promise<number> =>
    i < files.length ? files[i].read(blocks[i % 2].bytes.subarray(0, files[i].bytes)) : 0;
  let filling = fill(0);
  for (const [i, file] of files.entries()) {
    const filled = await filling;
    demandWanted(signal);
    if (filled < file.bytes) blocks[i % 2].bytes.fill(0, filled, file.bytes);
    filling = fill(i + 1);
    // Awaited only when this file is done; it must not count as unhandled meanwhile.
    filling.catch(() => undefined);
    yield { file, block: blocks[i % 2] };
  }
}

function proveEntry(entry: LevelEntry, file: LevelFile, block: HashBlock): StoredEntry {
  const { key, value, deletion, sequence, offset } = entry;
  const proof: Proof = deletion
    ? { kind: "unknown" }
    : proveValue(key, value, (from, length, seed) => block.checksum(offset + from, length, seed));
  return { key: key.slice(), sequence, deletion, proof, file, offset, bytes: value.length };
}

async function readLog(file: LevelFile, defects: LevelFileDefect[]): Promise<StoredEntry[]> {
  const bytes = new Uint8Array(file.bytes);
  const length = await file.read(bytes);
  const { records, defects: found } = readLevelLog(bytes.subarray(0, length));
  const lastGood = records.at(-1)?.offset ?? -1;
  for (const { offset, reason } of found)
    defects.push({ file: file.name, offset, reason, crash: offset > lastGood });
  const block = createHashBlock(Math.max(64, ...records.map(({ payload }) => payload.length)));
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
        block.bytes.set(value);
        proof = proveValue(key, value, (from, count, seed) => block.checksum(from, count, seed));
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
