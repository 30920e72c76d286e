// Where LevelDB's table files hold the values of some keys, so that long values can be read straight to where they belong.
import fs from "node:fs";
import { EmbershardError } from "../base/errors.js";
import type { LevelFile, LevelFiles } from "./level-files.js";
import {
  type IndexedBlock,
  type LevelEntry,
  loneEntryBytes,
  loneEntryHead,
  loneValueBytes,
  readLevelBlock,
  readLevelTableIndex,
  readLoneEntry,
  trailerBytes,
} from "./level-table.js";
import type { KeyRange, ValuePlace } from "./page-store.js";

/** A block that is much longer than LevelDB makes them has one long value, most likely. */
const longBlockBytes = 24 * 2 ** 10;

/**
 * Finds the newest value of every key in `ranges`, in the order of files and offsets. Demands that all entries are in
 * table files: nothing was written since LevelDB opened the directory. Undefined where anything in the files is unusual.
 * It reads a few bytes of each block, without waiting in between: call it where nobody minds.
 *
 * @throws IO
 */
export async function findLevelPlaces(
  { version, tables, logs, defects }: LevelFiles,
  ranges: readonly KeyRange[],
): Promise<ValuePlace[] | undefined> {
  if (!version || defects.length > 0 || logs.some(({ current, bytes }) => current && bytes > 0))
    return undefined;
  const newest = new Map<string, Found>();
  for (const file of tables) {
    if (!file.current) continue;
    const read = async (into: Uint8Array, position: number) => readNow(file, into, position);
    const index = await readLevelTableIndex(file.bytes, read, { filters: false });
    if (index.defects.length > 0 || !findInTable(file, index.blocks, ranges, newest)) return undefined;
  }
  return [...newest.values()].filter(({ deletion }) => !deletion);
}

/** Reads a value; see `PlacedValues`. */
export async function readPlace(place: ValuePlace, into: readonly Uint8Array[]): Promise<boolean> {
  const { key, fd, offset, length, unseen } = place;
  const wanted = unseen === undefined ? undefined : loneEntryHead(key, unseen, length);
  if (!wanted) return (await readAll(fd, into, offset)) === length;
  const head = new Uint8Array(wanted.length);
  const count = await readAll(fd, [head, ...into], offset - head.length);
  return count === head.length + length && compare(head, wanted) === 0;
}

/** Fills `into` as far as the file goes. Resolves to the bytes read. */
async function readAll(fd: number, into: readonly Uint8Array[], position: number): Promise<number> {
  let rest = into.filter(({ length }) => length > 0);
  let done = 0;
  while (rest.length > 0) {
    const count = await readSome(fd, rest, position + done);
    if (count === 0) break;
    done += count;
    let passed = count;
    rest = rest.flatMap((part) => {
      const skipped = Math.min(passed, part.length);
      passed -= skipped;
      return skipped === part.length ? [] : [part.subarray(skipped)];
    });
  }
  return done;
}

function readSome(fd: number, into: readonly Uint8Array[], position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.readv(fd, into, position, (cause, count) => {
      if (cause)
        reject(new EmbershardError("IO", `could not read the page store: ${cause.message}`, { cause }));
      else resolve(count);
    });
  });
}

interface Found extends ValuePlace {
  readonly sequence: number;
  readonly deletion: boolean;
}

/** Returns false where a block does not add up. */
function findInTable(
  file: LevelFile,
  blocks: readonly IndexedBlock[],
  ranges: readonly KeyRange[],
  newest: Map<string, Found>,
): boolean {
  const note = (entry: Omit<Found, "fd" | "unseen">, unseen?: number): void => {
    if (!ranges.some(({ gte, lt }) => compare(entry.key, gte) >= 0 && compare(entry.key, lt) < 0)) return;
    const { key, sequence, deletion, offset, length } = entry;
    const name = Buffer.from(key).toString("latin1");
    const known = newest.get(name);
    if (known && known.sequence >= sequence) return;
    // A place goes where its newest entry is found, not where the key was first seen.
    newest.delete(name);
    newest.set(name, { key, sequence, deletion, offset, length, fd: file.fd, unseen });
  };
  for (const [i, block] of blocks.entries()) {
    const before = blocks[i - 1]?.bound;
    const wanted = ranges.some(
      ({ gte, lt }) => compare(block.bound, gte) >= 0 && (!before || compare(before, lt) < 0),
    );
    if (!wanted) continue;
    if (block.size >= longBlockBytes) {
      const guessed = before && guessLone(before, block);
      if (guessed) {
        note(guessed, guessed.sequence);
        continue;
      }
      const begin = new Uint8Array(loneEntryBytes);
      const lone = readLoneEntry(begin.subarray(0, readNow(file, begin, block.offset)), block);
      if (lone) {
        note(lone);
        continue;
      }
    }
    const whole = new Uint8Array(block.size + trailerBytes);
    if (readNow(file, whole, block.offset) !== whole.length) return false;
    const visit = (entry: LevelEntry) => {
      note({ ...entry, length: entry.value.length });
      return true;
    };
    if (readLevelBlock(whole, block.offset, block, visit, true)) return false;
  }
  return true;
}

/**
 * What a long block holds when no key can lie between its last one and the one before: that key's value, as long as the
 * block allows. Whoever reads it sees whether that is so.
 */
function guessLone(
  before: Uint8Array,
  { offset, size, bound, sequence }: IndexedBlock,
): Omit<Found, "fd" | "unseen"> | undefined {
  const length = loneValueBytes(size, bound.length);
  if (sequence === undefined || length === undefined || !isNext(before, bound)) return undefined;
  return { key: bound, sequence, deletion: false, offset: offset + size - 8 - length, length };
}

/** Whether `b`, read as a number, is one more than `a`, and no longer. */
function isNext(a: Uint8Array, b: Uint8Array): boolean {
  let last = b.length - 1;
  while (last >= 0 && b[last] === 0 && a[last] === 0xff) last--;
  if (a.length !== b.length || last < 0 || b[last] !== a[last] + 1) return false;
  for (let i = 0; i < last; i++) if (a[i] !== b[i]) return false;
  return true;
}

function readNow({ fd }: LevelFile, into: Uint8Array, position: number): number {
  return fs.readSync(fd, into, 0, into.length, position);
}

function compare(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}
