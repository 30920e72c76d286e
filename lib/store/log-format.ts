// The bytes of the log, shared by its writer and its reader. The document is docs/formats/log.md.
// All numbers are little-endian.
import type { HashBlock } from "../base/hash-block.js";

/** What ties a log to its store: 16 bytes of identity, and the number of the shard. */
export interface LogIdentity {
  readonly storeId: Uint8Array;
  readonly shard: number;
}

export interface SegmentHeader extends LogIdentity {
  readonly version: number;
  /** The LSN of the segment's first record. */
  readonly firstLsn: number;
  /** Unique to this creation of the file: it seeds every record's checksum, so that older bytes never verify. */
  readonly nonce: bigint;
}

export const logVersion = 1;
/** A segment's records begin here. */
export const segmentHeaderBytes = 4096;
/** Where a segment's header block keeps its copy of the durable mark. */
export const segmentMarkOffset = 512;
export const recordHeaderBytes = 32;
/** The longest payload of one record. */
export const maxPayloadBytes = 2 ** 30;

/** The bytes a record takes in the file: its header and its payload, padded with zeros to a multiple of 8. */
export function recordBytes(payloadBytes: number): number {
  return recordHeaderBytes + Math.ceil(payloadBytes / 8) * 8;
}

export function segmentName(firstLsn: number): string {
  return `${firstLsn.toString(16).padStart(16, "0")}.log`;
}

/** The first LSN that a file's name states; undefined when it is no segment's name. */
export function firstLsnOf(name: string): number | undefined {
  if (!/^[0-9a-f]{16}\.log$/.test(name)) return undefined;
  const lsn = Number.parseInt(name.slice(0, 16), 16);
  return Number.isSafeInteger(lsn) ? lsn : undefined;
}

// Segment header:
//   0 magic u8[8] | 8 version u32 | 12 shard u32 | 16 store id u8[16] | 32 first LSN u64 | 40 nonce u64
//   48 checksum u64 = XXH64(bytes 0 to 47, seed 0)
const segmentMagic = Uint8Array.from("EMBERLOG", (letter) => letter.charCodeAt(0));
const segmentChecksumOffset = 48;

/** Writes a header to the beginning of `block`, whose other bytes are left alone. */
export function encodeSegmentHeader(block: HashBlock, header: SegmentHeader): void {
  const view = viewOf(block.bytes);
  block.bytes.set(segmentMagic, 0);
  view.setUint32(8, header.version, true);
  view.setUint32(12, header.shard, true);
  block.bytes.set(header.storeId, 16);
  writeLsn(view, 32, header.firstLsn);
  view.setBigUint64(40, header.nonce, true);
  view.setBigUint64(segmentChecksumOffset, block.checksum(0, segmentChecksumOffset, 0n), true);
}

/** Reads the header at the beginning of `block`; undefined when it does not verify. */
export function decodeSegmentHeader(block: HashBlock): SegmentHeader | undefined {
  const view = viewOf(block.bytes);
  if (segmentMagic.some((byte, i) => block.bytes[i] !== byte)) return undefined;
  if (view.getBigUint64(segmentChecksumOffset, true) !== block.checksum(0, segmentChecksumOffset, 0n))
    return undefined;
  return {
    version: view.getUint32(8, true),
    shard: view.getUint32(12, true),
    storeId: block.bytes.slice(16, 32),
    firstLsn: readLsn(view, 32),
    nonce: view.getBigUint64(40, true),
  };
}

// Record:
//   0 checksum u64 = XXH64(bytes 8 to the end, padding included; seed = the segment's nonce)
//   8 LSN u64 | 16 payload bytes u32 | 20 type u16 | 22 flags u16 | 24 zero u64 | 32 payload, zeros to a multiple of 8

export interface RecordHeader {
  readonly lsn: number;
  readonly payloadBytes: number;
  readonly type: number;
  readonly flags: number;
}

/** Writes the header of the record at `offset` of `block` (its payload is there already), pads it, and seals it. */
export function sealRecord(
  block: HashBlock,
  view: DataView,
  offset: number,
  header: RecordHeader,
  nonce: bigint,
): void {
  const bytes = recordBytes(header.payloadBytes);
  block.bytes.fill(0, offset + recordHeaderBytes + header.payloadBytes, offset + bytes);
  writeLsn(view, offset + 8, header.lsn);
  view.setUint32(offset + 16, header.payloadBytes, true);
  view.setUint16(offset + 20, header.type, true);
  view.setUint16(offset + 22, header.flags, true);
  view.setUint32(offset + 24, 0, true);
  view.setUint32(offset + 28, 0, true);
  view.setBigUint64(offset, block.checksum(offset + 8, bytes - 8, nonce), true);
}

/** Reads a record's header, unverified. An LSN that is no safe integer reads as NaN. */
export function readRecordHeader(view: DataView, offset: number): RecordHeader {
  return {
    lsn: readLsn(view, offset + 8),
    payloadBytes: view.getUint32(offset + 16, true),
    type: view.getUint16(offset + 20, true),
    flags: view.getUint16(offset + 22, true),
  };
}

/** Whether the whole record of `bytes` bytes at `offset` of `block` carries its checksum. */
export function recordVerifies(
  block: HashBlock,
  view: DataView,
  offset: number,
  bytes: number,
  nonce: bigint,
): boolean {
  return view.getBigUint64(offset, true) === block.checksum(offset + 8, bytes - 8, nonce);
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function writeLsn(view: DataView, offset: number, lsn: number): void {
  view.setUint32(offset, lsn >>> 0, true);
  view.setUint32(offset + 4, Math.floor(lsn / 2 ** 32), true);
}

export function readLsn(view: DataView, offset: number): number {
  const lsn = view.getUint32(offset + 4, true) * 2 ** 32 + view.getUint32(offset, true);
  return Number.isSafeInteger(lsn) ? lsn : Number.NaN;
}
