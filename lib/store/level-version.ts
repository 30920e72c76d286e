// What LevelDB's MANIFEST says: which table files there are (db/version_edit.cc).
import { ByteReader } from "./byte-reader.js";
import type { LevelDefect } from "./level-log-file.js";
import { readLevelLog } from "./level-log-file.js";

export interface LevelTableFile {
  readonly number: number;
  readonly level: number;
  readonly bytes: number;
  /** Its first and its last key. */
  readonly smallest: Uint8Array;
  readonly largest: Uint8Array;
}

export interface LevelVersion {
  /** Table files by number. */
  readonly tables: Map<number, LevelTableFile>;
  /** Write-ahead logs from this number on count. */
  readonly logNumber: number;
  readonly prevLogNumber: number;
  readonly lastSequence: number;
  readonly nextFileNumber: number;
}

const tags = {
  comparator: 1,
  logNumber: 2,
  nextFile: 3,
  lastSequence: 4,
  compactPointer: 5,
  deletedFile: 6,
  newFile: 7,
  prevLog: 9,
} as const;

/** Reads a MANIFEST. Its defects are what LevelDB would refuse, or silently take for the end. */
export function readLevelManifest(bytes: Uint8Array): { version: LevelVersion; defects: LevelDefect[] } {
  const { records, defects } = readLevelLog(bytes);
  const version = {
    tables: new Map<number, LevelTableFile>(),
    logNumber: 0,
    prevLogNumber: 0,
    lastSequence: 0,
    nextFileNumber: 0,
  };
  for (const { offset, payload } of records) {
    if (!applyEdit(version, payload))
      defects.push({ offset, reason: "an edit does not add up", tail: false });
  }
  if (version.nextFileNumber === 0)
    defects.push({ offset: 0, reason: "it does not say which files there are", tail: false });
  return { version, defects };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function applyEdit(version: Mutable<LevelVersion>, payload: Uint8Array): boolean {
  const read = new ByteReader(payload);
  while (!read.done) {
    switch (read.varint()) {
      case tags.comparator:
        if (!read.string()) return false;
        break;
      case tags.logNumber:
        version.logNumber = read.varint();
        break;
      case tags.prevLog:
        version.prevLogNumber = read.varint();
        break;
      case tags.nextFile:
        version.nextFileNumber = read.varint();
        break;
      case tags.lastSequence:
        version.lastSequence = read.varint();
        break;
      case tags.compactPointer:
        if (Number.isNaN(read.varint()) || !read.string()) return false;
        break;
      case tags.deletedFile:
        read.varint();
        version.tables.delete(read.varint());
        break;
      case tags.newFile: {
        const [level, number, bytes] = [read.varint(), read.varint(), read.varint()];
        const [smallest, largest] = [read.string(), read.string()].map((key) => key?.slice(0, -8));
        if (!smallest || !largest || Number.isNaN(level + number + bytes)) return false;
        version.tables.set(number, { number, level, bytes, smallest, largest });
        break;
      }
      default:
        return false;
    }
  }
  return !Number.isNaN(version.logNumber + version.nextFileNumber + version.lastSequence);
}
