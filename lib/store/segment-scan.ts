import type { BlockFactory, HashBlock } from "../base/hash-block.js";
import type { Files, OpenFile } from "./files.js";
import {
  readRecordHeader,
  recordBytes,
  recordHeaderBytes,
  recordVerifies,
  segmentHeaderBytes,
  segmentName,
  viewOf,
} from "./log-format.js";
import type { SurveyedSegment } from "./log-survey.js";

/** One record. `payload` is a view of the reader's memory, valid until the next batch is asked for. */
export interface LogRecord {
  readonly lsn: number;
  readonly type: number;
  readonly flags: number;
  readonly payload: Uint8Array;
  readonly file: string;
  /** Where the record begins in the file, in bytes. */
  readonly offset: number;
}

/** The first place of a segment that is not a good record. */
export interface SegmentDefect {
  readonly offset: number;
  readonly lsn: number;
  readonly reason: string;
}

const defaultChunkBytes = 8 * 2 ** 20;
// While one chunk is used, the next is read.
const aheadChunks = 2;

/** Reads the records of one segment in order, in chunks, and stops at the first that does not verify. */
export class SegmentScan {
  /** Why the scan stopped before the end of the file. */
  defect: SegmentDefect | undefined;
  /** The LSN after the last good record. */
  nextLsn: number;
  readonly #files: Files;
  readonly #createBlock: BlockFactory;
  readonly #segment: SurveyedSegment;
  readonly #name: string;
  readonly #chunkBytes: number;
  #file: OpenFile | undefined;
  #filling: Promise<number> | undefined;
  #offset = segmentHeaderBytes;

  /** Reads `chunkBytes` at once, more where a record is longer. */
  constructor(
    files: Files,
    createBlock: BlockFactory,
    segment: SurveyedSegment,
    chunkBytes = defaultChunkBytes,
  ) {
    this.#chunkBytes = chunkBytes;
    this.#files = files;
    this.#createBlock = createBlock;
    this.#segment = segment;
    this.#name = segmentName(segment.firstLsn);
    this.nextLsn = segment.firstLsn;
  }

  /** The bytes of the file up to the end of the last good record. */
  get goodBytes(): number {
    return this.#offset;
  }

  /** Non-empty batches; their payloads are valid until the next is asked for. */
  async *batches(): AsyncGenerator<LogRecord[]> {
    const { fileBytes } = this.#segment;
    if (this.#offset >= fileBytes) return;
    this.#file = await this.#files.open(this.#name, "read");
    const blocks = Array.from({ length: aheadChunks }, () =>
      this.#createBlock(this.#chunkLength(this.#chunkBytes)),
    );
    let turn = 0;
    let filling = this.#fill(blocks[0]);
    for (;;) {
      const filled = await filling;
      const { records, needBytes } =
        filled > 0
          ? this.#parse(blocks[turn], filled)
          : this.#stop([], "the file became shorter while it was read");
      const ended = this.defect !== undefined || this.#offset >= fileBytes;
      turn = (turn + 1) % aheadChunks;
      if (!ended) {
        if (needBytes > blocks[turn].bytes.length) blocks[turn] = this.#createBlock(needBytes);
        filling = this.#fill(blocks[turn]);
      }
      if (records.length > 0) yield records;
      if (ended) return;
    }
  }

  /** Whether a good record with a later LSN lies anywhere behind the defect. */
  async goodRecordFollows(): Promise<boolean> {
    if (!this.defect) return false;
    const { fileBytes, nonce } = this.#segment;
    const begin = this.defect.offset + 8;
    if (fileBytes - begin < recordHeaderBytes) return false;
    const block = this.#createBlock(fileBytes - begin);
    const length = await this.#file!.read(block.bytes, begin);
    const view = viewOf(block.bytes);
    for (let at = 0; at + recordHeaderBytes <= length; at += 8) {
      const { lsn, payloadBytes } = readRecordHeader(view, at);
      const bytes = recordBytes(payloadBytes);
      const plausible = lsn > this.defect.lsn && lsn - this.defect.lsn < length && at + bytes <= length;
      if (plausible && recordVerifies(block, view, at, bytes, nonce)) return true;
    }
    return false;
  }

  async close(): Promise<void> {
    // A read under way must not meet a closed file, or another that got its number.
    await Promise.allSettled([this.#filling]);
    await this.#file?.close();
    this.#file = undefined;
  }

  #chunkLength(bytes: number): number {
    return Math.min(bytes, this.#segment.fileBytes - this.#offset);
  }

  #fill(block: HashBlock): Promise<number> {
    const filling = this.#file!.read(
      block.bytes.subarray(0, this.#chunkLength(block.bytes.length)),
      this.#offset,
    );
    // Awaited only after the consumer had the batch before; it must not count as unhandled meanwhile.
    filling.catch(() => undefined);
    this.#filling = filling;
    return filling;
  }

  // Takes whole records off the chunk, which lies at #offset of the file.
  #parse(block: HashBlock, length: number): { records: LogRecord[]; needBytes: number } {
    const view = viewOf(block.bytes);
    const records: LogRecord[] = [];
    const begin = this.#offset;
    let at = 0;
    while (at < length) {
      const left = this.#segment.fileBytes - begin - at;
      if (left < recordHeaderBytes)
        return this.#stop(records, "the record is cut short by the end of the file");
      if (length - at < recordHeaderBytes) return { records, needBytes: this.#chunkBytes };
      const { lsn, payloadBytes, type, flags } = readRecordHeader(view, at);
      if (lsn !== this.nextLsn)
        return this.#stop(records, `LSN ${lsn} was found where ${this.nextLsn} belongs`);
      const bytes = recordBytes(payloadBytes);
      if (bytes > left)
        return this.#stop(records, `a record of ${bytes} bytes is cut short by the end of the file`);
      if (bytes > length - at) return { records, needBytes: Math.max(bytes, this.#chunkBytes) };
      if (!recordVerifies(block, view, at, bytes, this.#segment.nonce)) {
        return this.#stop(records, "the record's checksum does not match");
      }
      const payload = block.bytes.subarray(at + recordHeaderBytes, at + recordHeaderBytes + payloadBytes);
      records.push({ lsn, type, flags, payload, file: this.#name, offset: begin + at });
      this.nextLsn = lsn + 1;
      at += bytes;
      this.#offset = begin + at;
    }
    return { records, needBytes: this.#chunkBytes };
  }

  #stop(records: LogRecord[], reason: string): { records: LogRecord[]; needBytes: number } {
    this.defect = { offset: this.#offset, lsn: this.nextLsn, reason };
    return { records, needBytes: 0 };
  }
}
