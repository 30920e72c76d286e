// The records that can be had: of segments, and of spares that still hold an old segment.
import type { BlockFactory } from "../base/hash-block.js";
import { createHashBlock } from "../kernel/hash-block.js";
import type { Files } from "../store/files.js";
import {
  decodeSegmentHeader,
  type LogIdentity,
  segmentHeaderBytes,
  segmentName,
} from "../store/log-format.js";
import { type LogRecord, SegmentScan } from "../store/segment-scan.js";
import type { FoundSegment, LogInventory } from "./log-inventory.js";

/** Segments by which the log can be followed from any LSN that one of them holds. */
export class LogChain {
  readonly #files: Files;
  readonly #segments: readonly FoundSegment[];

  private constructor(files: Files, segments: readonly FoundSegment[]) {
    this.#files = files;
    this.#segments = segments;
  }

  /** Looks through the spares, too: they keep what they held until they are written over. */
  static async find(files: Files, log: LogInventory, identity: LogIdentity): Promise<LogChain> {
    const segments = log.segments.filter(({ unreadable }) => unreadable === undefined);
    for (const spare of log.spares) {
      const found = await readSpare(files, spare, identity);
      if (found && !segments.some(({ firstLsn }) => firstLsn === found.firstLsn)) segments.push(found);
    }
    return new LogChain(files, segments);
  }

  /** The LSN after the last record that can be had when reading from `from` on; `from` where that one is missing. */
  reach(from: number): number {
    let next = from;
    for (let segment = this.#holding(next); segment; segment = this.#holding(next)) next = segment.nextLsn;
    return next;
  }

  /** The least LSN from which on all records up to `lsn` can be had. */
  beginning(lsn: number): number {
    let first = lsn;
    for (let before = this.#holding(first - 1); before; before = this.#holding(first - 1))
      first = before.firstLsn;
    return first;
  }

  /** Every record that can be had, in the order of segments. */
  async *all(): AsyncGenerator<LogRecord> {
    for (const { firstLsn, nextLsn } of [...this.#segments].sort((a, b) => a.firstLsn - b.firstLsn))
      yield* this.records(firstLsn, nextLsn);
  }

  /** The records from `from`, inclusive, to `to`, exclusive, which can be had. */
  async *records(from: number, to: number): AsyncGenerator<LogRecord> {
    let next = from;
    for (let segment = this.#holding(next); segment && next < to; segment = this.#holding(next)) {
      const { file, firstLsn, nonce, fileBytes } = segment;
      const scan = new SegmentScan(renamed(this.#files, segmentName(firstLsn), file), createHashBlock, {
        firstLsn,
        nonce,
        fileBytes,
      });
      try {
        for await (const batch of scan.batches()) {
          for (const record of batch) {
            if (record.lsn < next || record.lsn >= to) continue;
            yield record;
            next = record.lsn + 1;
          }
          if (next >= to) return;
        }
      } finally {
        await scan.close();
      }
    }
  }

  /** Of segments that hold a record the one that goes furthest. */
  #holding(lsn: number): FoundSegment | undefined {
    const holding = this.#segments.filter(({ firstLsn, nextLsn }) => firstLsn <= lsn && lsn < nextLsn);
    return holding.sort((a, b) => b.nextLsn - a.nextLsn)[0];
  }
}

function renamed(files: Files, name: string, as: string): Files {
  return { ...files, open: (one, mode) => files.open(one === name ? as : one, mode) };
}

async function readSpare(
  files: Files,
  file: string,
  identity: LogIdentity,
): Promise<FoundSegment | undefined> {
  const header = await readHeader(files, file, createHashBlock);
  if (!header) return undefined;
  const { firstLsn, nonce, storeId, fileBytes } = header;
  if (storeId.some((byte, i) => byte !== identity.storeId[i])) return undefined;
  const scan = new SegmentScan(renamed(files, segmentName(firstLsn), file), createHashBlock, {
    firstLsn,
    nonce,
    fileBytes,
  });
  try {
    for await (const _ of scan.batches());
    return { file, firstLsn, nonce, fileBytes, nextLsn: scan.nextLsn, mark: undefined };
  } finally {
    await scan.close();
  }
}

async function readHeader(files: Files, name: string, createBlock: BlockFactory) {
  const block = createBlock(segmentHeaderBytes);
  const file = await files.open(name, "read");
  try {
    await file.read(block.bytes, 0);
    const header = decodeSegmentHeader(block);
    return header && { ...header, fileBytes: await file.size() };
  } finally {
    await file.close();
  }
}
