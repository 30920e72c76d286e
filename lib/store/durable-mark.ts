import type { BlockFactory, HashBlock } from "../base/hash-block.js";
import type { Files, OpenFile } from "./files.js";
import { replaceFile } from "./files.js";
import { type LogIdentity, readLsn, viewOf, writeLsn } from "./log-format.js";

/**
 * What is known to be on the disk. It is kept in two places, the file MARK and the header of the segment that is being
 * written, which are written one after the other: a crash can tear one of them, never both.
 */
export interface DurableMark {
  /** Every record up to this LSN, inclusive, was made durable. 0: none. */
  readonly lsn: number;
  /** The generation of the last checkpoint that committed. 0: none. */
  readonly generation: number;
}

export const markFileName = "MARK";
export const markSlotBytes = 64;
// The two slots of MARK lie in different blocks of the disk.
const markFileBytes = 8192;
const slotOffsets = [0, 4096] as const;

// Slot:
//   0 checksum u64 = XXH64(bytes 8 to 63, seed 0) | 8 LSN u64 | 16 generation u32 | 20 shard u32 | 24 store id u8[16]
//   40 zero

/** Writes a slot to `offset` of `block`. */
export function encodeMark(block: HashBlock, offset: number, mark: DurableMark, identity: LogIdentity): void {
  const view = viewOf(block.bytes);
  block.bytes.fill(0, offset, offset + markSlotBytes);
  writeLsn(view, offset + 8, mark.lsn);
  view.setUint32(offset + 16, mark.generation, true);
  view.setUint32(offset + 20, identity.shard, true);
  block.bytes.set(identity.storeId, offset + 24);
  view.setBigUint64(offset, block.checksum(offset + 8, markSlotBytes - 8, 0n), true);
}

/** Reads the slot at `offset`; undefined when it does not verify or is another log's. */
export function decodeMark(block: HashBlock, offset: number, identity: LogIdentity): DurableMark | undefined {
  const view = viewOf(block.bytes);
  if (view.getBigUint64(offset, true) !== block.checksum(offset + 8, markSlotBytes - 8, 0n)) return undefined;
  if (view.getUint32(offset + 20, true) !== identity.shard) return undefined;
  if (identity.storeId.some((byte, i) => block.bytes[offset + 24 + i] !== byte)) return undefined;
  return { lsn: readLsn(view, offset + 8), generation: view.getUint32(offset + 16, true) };
}

/** The greater of two marks. Both fields only ever rise. */
export function laterMark(a: DurableMark | undefined, b: DurableMark | undefined): DurableMark | undefined {
  if (!a || !b) return a ?? b;
  return { lsn: Math.max(a.lsn, b.lsn), generation: Math.max(a.generation, b.generation) };
}

/** The copy of the mark in the header of a segment. */
export interface HeaderMark {
  readonly firstLsn: number;
  /** Undefined when it does not verify. */
  readonly mark: DurableMark | undefined;
}

/**
 * Of headers, ascending, the one whose copy is needed and does not verify. A new header's copy is older than that of the
 * segment before, up to the first sync; one that covers all segments before its own makes theirs needless.
 */
export function brokenHeader<T extends HeaderMark>(headers: readonly T[]): T | undefined {
  const decisive = headers.findLast(({ firstLsn, mark }) => !mark || mark.lsn >= firstLsn - 1);
  return decisive?.mark ? undefined : decisive;
}

/** What the file MARK says. `whole` is false when the file is missing or any slot of it does not verify. */
export async function readMarkFile(
  files: Files,
  createBlock: BlockFactory,
  identity: LogIdentity,
): Promise<{ mark: DurableMark | undefined; whole: boolean }> {
  if (!(await files.list()).includes(markFileName)) return { mark: undefined, whole: false };
  const block = createBlock(markFileBytes);
  const file = await files.open(markFileName, "read");
  try {
    await file.read(block.bytes, 0);
  } finally {
    await file.close();
  }
  const slots = slotOffsets.map((offset) => decodeMark(block, offset, identity));
  return { mark: laterMark(slots[0], slots[1]), whole: slots.every((slot) => slot !== undefined) };
}

/** The file MARK, open for writing. */
export class MarkFile {
  readonly #file: OpenFile;
  readonly #block: HashBlock;
  readonly #identity: LogIdentity;
  #next = 0;

  private constructor(file: OpenFile, block: HashBlock, identity: LogIdentity) {
    this.#file = file;
    this.#block = block;
    this.#identity = identity;
  }

  /** Replaces MARK by one whose two slots both hold `mark`, durably, and keeps it open. */
  static async replace(
    files: Files,
    createBlock: BlockFactory,
    identity: LogIdentity,
    mark: DurableMark,
  ): Promise<MarkFile> {
    const block = createBlock(markFileBytes);
    for (const offset of slotOffsets) encodeMark(block, offset, mark, identity);
    await replaceFile(files, markFileName, block.bytes);
    return new MarkFile(await files.open(markFileName, "write"), block, identity);
  }

  /** Makes `mark` durable in the older of the two slots. One call at a time. */
  async write(mark: DurableMark): Promise<void> {
    const offset = slotOffsets[this.#next];
    encodeMark(this.#block, offset, mark, this.#identity);
    await this.#file.write(this.#block.bytes.subarray(offset, offset + markSlotBytes), offset);
    await this.#file.datasync();
    // Only now: a failed write is repeated in the same slot, so that the other one stays whole.
    this.#next = 1 - this.#next;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
