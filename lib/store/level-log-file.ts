// Files in LevelDB's log format (doc/log_format.md): its write-ahead logs `*.log` and its `MANIFEST-*`.
import { ByteReader } from "./byte-reader.js";
import { type Crc32c, crc32c, masked } from "./crc32c.js";
import { viewOf } from "./log-format.js";

/** A place in a file of LevelDB's that does not add up. */
export interface LevelDefect {
  readonly offset: number;
  readonly reason: string;
  /** Nothing follows it: what a crash leaves looks like that. */
  readonly tail: boolean;
}

export interface LevelLogRecord {
  /** Where it begins in the file. */
  readonly offset: number;
  /** A view of the bytes that it was read from. */
  readonly payload: Uint8Array;
}

const blockBytes = 32_768;
const headerBytes = 7;
// 3 is a middle part.
const [full, first, last] = [1, 2, 4];

/**
 * Reads all records of a file. Behind a defect it goes on with the next block, as LevelDB does. The bytes are taken over:
 * parts of a record are moved together within them. `crc` is that of `bytes`.
 */
export function readLevelLog(
  bytes: Uint8Array,
  crc: Crc32c = (from, to) => crc32c(bytes, from, to),
): { records: LevelLogRecord[]; defects: LevelDefect[] } {
  const view = viewOf(bytes);
  const records: LevelLogRecord[] = [];
  const defects: LevelDefect[] = [];
  /** Where the parts of a record lie that have been read. */
  let parts: { readonly from: number; to: number } | undefined;
  let began = 0;
  const defect = (offset: number, reason: string, tail = false) => {
    defects.push({ offset, reason, tail });
    parts = undefined;
  };
  for (let at = 0; at < bytes.length; ) {
    const blockEnd = Math.min(bytes.length, at - (at % blockBytes) + blockBytes);
    if (blockEnd - at < headerBytes) {
      if (blockEnd === bytes.length && blockEnd % blockBytes !== 0) defect(at, "a record is cut short", true);
      else if (bytes.subarray(at, blockEnd).some((byte) => byte !== 0))
        defect(at, "a block does not end with zeros");
      at = blockEnd;
      continue;
    }
    const length = view.getUint16(at + 4, true);
    const type = bytes[at + 6];
    const end = at + headerBytes + length;
    if (end > blockEnd) {
      defect(at, "a record is longer than its block", blockEnd === bytes.length);
      at = blockEnd;
      continue;
    }
    if (type < full || type > last || view.getUint32(at, true) !== masked(crc(at + 6, end))) {
      defect(at, "a record's checksum does not match", blockEnd === bytes.length);
      at = blockEnd;
      continue;
    }
    const from = at + headerBytes;
    if (type === full || type === first) {
      if (parts) defect(at, "a record begins within another");
      began = at;
      parts = { from, to: end };
    } else if (parts) {
      bytes.copyWithin(parts.to, from, end);
      parts.to += end - from;
    } else if (defects.length === 0) defect(at, "a record has no beginning");
    if (parts && (type === full || type === last)) {
      records.push({ offset: began, payload: bytes.subarray(parts.from, parts.to) });
      parts = undefined;
    }
    at = end;
  }
  if (parts) defect(began, "a record has no end", true);
  return { records, defects };
}

/** One change in a write-ahead log. */
export interface LevelChange {
  readonly key: Uint8Array;
  /** Absent: a deletion. */
  readonly value: Uint8Array | undefined;
  readonly sequence: number;
}

/** Takes a record of a write-ahead log apart (db/write_batch.cc); undefined where its lengths do not add up. */
export function readWriteBatch(payload: Uint8Array): LevelChange[] | undefined {
  if (payload.length < 12) return undefined;
  const view = viewOf(payload);
  const begin = Number(view.getBigUint64(0, true));
  const count = view.getUint32(8, true);
  const read = new ByteReader(payload, 12);
  const changes: LevelChange[] = [];
  while (!read.done) {
    const type = read.take(1)![0];
    const key = read.string();
    const value = type === 1 ? read.string() : undefined;
    if (type > 1 || !key || (type === 1 && !value)) return undefined;
    changes.push({ key, value, sequence: begin + changes.length });
  }
  return changes.length === count ? changes : undefined;
}
