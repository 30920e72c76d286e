// LevelDB's table files (doc/table_format.md), read without LevelDB: every block, also of files that nothing refers to.
import { ByteReader } from "./byte-reader.js";
import { maskedCrc32c } from "./crc32c.js";
import type { LevelDefect } from "./level-log-file.js";
import { viewOf } from "./log-format.js";

/** One entry of a table file. `key` and `value` are views of the bytes that it was read from. */
export interface LevelEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly deletion: boolean;
  /** Of entries with equal keys the one with the greatest sequence counts. */
  readonly sequence: number;
  /** Where the value begins in the file. */
  readonly offset: number;
}

/** Where a block lies in its file. A trailer of 5 bytes follows it. */
export interface LevelBlock {
  readonly offset: number;
  readonly size: number;
}

/** A block that a table file's index names. */
export interface IndexedBlock extends LevelBlock {
  /** No key in it comes after this one. */
  readonly bound: Uint8Array;
  /** The sequence of the bound if it is the block's last key, and that no deletion; else undefined. */
  readonly sequence: number | undefined;
}

const footerBytes = 48;
/** Index, filters and footer of nearly all files lie within so many bytes of the end: one read instead of four. */
const tailBytes = 32_768;
const magic = 0xdb47_7524_8b80_fb57n;
/** Of a block: its compression and its checksum. */
export const trailerBytes = 5;

/**
 * Reads what a table file says of its blocks, which is little, and checks it. Its blocks are in the order of keys, and, in
 * all files that LevelDB writes, of offsets. Its filters, which only keep LevelDB from looking, are checked unless told not to.
 *
 * @throws what `read` throws
 */
export async function readLevelTableIndex(
  bytes: number,
  read: (into: Uint8Array, position: number) => Promise<number>,
  { filters = true }: { readonly filters?: boolean } = {},
): Promise<{ blocks: IndexedBlock[]; defects: LevelDefect[] }> {
  const defects: LevelDefect[] = [];
  const blocks: IndexedBlock[] = [];
  const defect = (offset: number, reason: string) => void defects.push({ offset, reason, tail: false });
  const readAt = async (offset: number, size: number): Promise<Uint8Array> => {
    const loaded = new Uint8Array(Math.max(0, Math.min(size, bytes - offset)));
    return loaded.subarray(0, loaded.length > 0 ? await read(loaded, offset) : 0);
  };
  const tailAt = Math.max(0, bytes - tailBytes);
  const tail = await readAt(tailAt, tailBytes);
  /** A block with its trailer, cut short where the file ends. */
  const load = async ({ offset, size }: LevelBlock): Promise<Uint8Array> =>
    offset < tailAt
      ? readAt(offset, size + trailerBytes)
      : tail.subarray(offset - tailAt, offset - tailAt + size + trailerBytes);
  const at = Math.max(0, bytes - footerBytes);
  const footer = readFooter(tail.subarray(at - tailAt));
  if (!footer) {
    defect(at, "its footer does not add up");
    return { blocks, defects };
  }
  const index = readBlock(await load(footer.index));
  const meta = filters ? readBlock(await load(footer.meta)) : [];
  if (!meta) defect(footer.meta.offset, "the index of its filters does not match its checksum");
  for (const { value } of meta ?? []) {
    const handle = readHandle(new ByteReader(value));
    if (!handle || !blockVerifies(await load(handle), { offset: 0, size: handle.size }))
      defect(handle?.offset ?? footer.meta.offset, "a filter does not match its checksum");
  }
  if (!index) defect(footer.index.offset, "its index does not match its checksum");
  for (const { key, value } of index ?? []) {
    const handle = readHandle(new ByteReader(value));
    const bound = innerKey(key);
    if (handle && bound && handle.offset + handle.size + trailerBytes <= bytes) {
      // Where LevelDB shortens a bound it gives it the greatest sequence that there is.
      const exact = !bound.deletion && Number.isSafeInteger(bound.sequence);
      blocks.push({ ...handle, bound: bound.key, sequence: exact ? bound.sequence : undefined });
    } else defect(footer.index.offset, "its index names a block that is not there");
  }
  return { blocks, defects };
}

/**
 * Reads the entries of one block. `window` holds bytes of the file from `base` on, the block and its trailer among them.
 * `visit` is given each entry and says whether the entry proves itself by a checksum of its own. LevelDB's checksum is
 * looked at where one does not, or, with `always`, before entries are visited: those of a damaged block are left out then.
 * Returns what is wrong with the block.
 */
export function readLevelBlock(
  window: Uint8Array,
  base: number,
  block: LevelBlock,
  visit: (entry: LevelEntry) => boolean,
  always = false,
): LevelDefect | undefined {
  const handle = { offset: block.offset - base, size: block.size };
  const defect = (reason: string) => ({ offset: block.offset, reason, tail: false });
  if (always && !blockVerifies(window, handle)) return defect("a block does not match its checksum");
  const entries = parseBlock(window, handle);
  if (!entries) return defect("a block does not add up");
  let proven = true;
  for (const { key, value, offset } of entries) {
    const inner = innerKey(key);
    if (!inner || !visit({ ...inner, value, offset: base + offset })) proven = false;
  }
  return proven || always || blockVerifies(window, handle)
    ? undefined
    : defect("a block does not match its checksum");
}

/** Bytes of a block that `readLoneEntry` wants: enough for the lengths and for a key of 64 bytes. */
export const loneEntryBytes = 96;

/**
 * Reads the entry of a block that holds one entry and no more, from the block's first `loneEntryBytes`, or all of it.
 * Undefined where it holds several, or its beginning does not add up. The value is not looked at; its length is given.
 */
export function readLoneEntry(
  begin: Uint8Array,
  block: LevelBlock,
): (Omit<LevelEntry, "value"> & { readonly length: number }) | undefined {
  const read = new ByteReader(begin, 0, Math.min(begin.length, block.size));
  const [shared, own, length] = [read.varint(), read.varint(), read.varint()];
  const key = read.take(own);
  // Behind the value lie where it begins, and that there is one.
  if (shared !== 0 || !key || read.at + length + 8 !== block.size) return undefined;
  const inner = innerKey(key);
  return inner && { ...inner, offset: block.offset + read.at, length };
}

/** What lies before the value in a block that holds one long value and no more. */
export function loneEntryHead(key: Uint8Array, sequence: number, length: number): Uint8Array {
  const own = key.length + 8;
  const head = new Uint8Array(5 + own);
  head.set([0, own, (length & 0x7f) | 0x80, ((length >>> 7) & 0x7f) | 0x80, length >>> 14]);
  head.set(key, 5);
  const view = viewOf(head);
  view.setUint32(5 + key.length, ((sequence % 2 ** 24) * 256 + 1) >>> 0, true);
  view.setUint32(9 + key.length, Math.floor(sequence / 2 ** 24), true);
  return head;
}

/** How long the value is if a block of `blockBytes` holds it alone, under a key of `keyBytes`: of 16 KiB to 2 MiB, else undefined. */
export function loneValueBytes(blockBytes: number, keyBytes: number): number | undefined {
  const length = blockBytes - 8 - (5 + keyBytes + 8);
  return keyBytes + 8 < 128 && length >= 2 ** 14 && length < 2 ** 21 ? length : undefined;
}

/** The footer that `bytes` ends with. */
function readFooter(bytes: Uint8Array): { meta: LevelBlock; index: LevelBlock } | undefined {
  if (bytes.length < footerBytes) return undefined;
  const at = bytes.length - footerBytes;
  if (viewOf(bytes).getBigUint64(at + 40, true) !== magic) return undefined;
  const read = new ByteReader(bytes, at, at + 40);
  const meta = readHandle(read);
  const index = readHandle(read);
  return meta && index && { meta, index };
}

function readHandle(read: ByteReader): LevelBlock | undefined {
  const [offset, size] = [read.varint(), read.varint()];
  return Number.isNaN(offset + size) ? undefined : { offset, size };
}

/** A block is `size` bytes, a type (0: not compressed) and the masked checksum of both. */
function blockVerifies(bytes: Uint8Array, { offset, size }: LevelBlock): boolean {
  const end = offset + size;
  if (end + trailerBytes > bytes.length) return false;
  return viewOf(bytes).getUint32(end + 1, true) === maskedCrc32c(bytes, offset, end + 1);
}

/** `bytes` is the block and its trailer. */
function readBlock(bytes: Uint8Array): BlockEntry[] | undefined {
  const handle = { offset: 0, size: bytes.length - trailerBytes };
  return handle.size >= 0 && blockVerifies(bytes, handle) ? parseBlock(bytes, handle) : undefined;
}

interface BlockEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly offset: number;
}

/** The entries of a block; undefined where lengths, restarts or compression do not add up. */
function parseBlock(bytes: Uint8Array, { offset, size }: LevelBlock): BlockEntry[] | undefined {
  const end = offset + size;
  if (size < 4 || end + trailerBytes > bytes.length || bytes[end] !== 0) return undefined;
  const view = viewOf(bytes);
  const restarts = view.getUint32(end - 4, true);
  const restartsAt = end - 4 - 4 * restarts;
  if (restartsAt < offset) return undefined;
  const read = new ByteReader(bytes, offset, restartsAt);
  const entries: BlockEntry[] = [];
  let key: Uint8Array = new Uint8Array(0);
  let restart = 0;
  while (!read.done) {
    const begins = read.at - offset;
    const [shared, own, length] = [read.varint(), read.varint(), read.varint()];
    if (restart < restarts && view.getUint32(restartsAt + 4 * restart, true) === begins) {
      if (shared !== 0) return undefined;
      restart++;
    }
    const rest = read.take(own);
    const at = read.at;
    const value = read.take(length);
    if (!rest || !value || !(shared <= key.length)) return undefined;
    key = shared === 0 ? rest : Buffer.concat([key.subarray(0, shared), rest]);
    entries.push({ key, value, offset: at });
  }
  // An empty block has one restart, at 0.
  return restart === restarts || (entries.length === 0 && restarts === 1) ? entries : undefined;
}

/** What LevelDB adds to a key: sequence << 8 | type, where type 1 is a value and 0 a deletion (db/dbformat.h). */
function innerKey(key: Uint8Array): { key: Uint8Array; sequence: number; deletion: boolean } | undefined {
  if (key.length < 8) return undefined;
  const at = key.length - 8;
  const view = viewOf(key);
  if (key[at] > 1) return undefined;
  const sequence = view.getUint32(at, true) / 256 + view.getUint32(at + 4, true) * 2 ** 24;
  return { key: key.subarray(0, at), sequence: Math.floor(sequence), deletion: key[at] === 0 };
}
