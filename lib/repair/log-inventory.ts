// Everything that the files of the log hold. Unlike recovery it does not end at the first damage.
import type { HashBlock } from "../base/hash-block.js";
import { createHashBlock } from "../kernel/hash-block.js";
import {
  type DurableMark,
  decodeMark,
  laterMark,
  markFileName,
  readMarkFile,
} from "../store/durable-mark.js";
import type { Files } from "../store/files.js";
import {
  decodeSegmentHeader,
  firstLsnOf,
  type LogIdentity,
  logVersion,
  segmentHeaderBytes,
  segmentMarkOffset,
  segmentName,
} from "../store/log-format.js";
import { type LogRecord, type SegmentDefect, SegmentScan } from "../store/segment-scan.js";
import { isSpare } from "../store/spare-files.js";
import { demandWanted } from "./page-inventory.js";
import { Windows, windowBytes } from "./windows.js";

export interface FoundSegment {
  /** The file it lies in: a spare may still hold an old segment. */
  readonly file: string;
  readonly firstLsn: number;
  readonly nonce: bigint;
  readonly fileBytes: number;
  /** Why nothing of it can be read. */
  readonly unreadable?: string | undefined;
  /** The LSN after its last good record. */
  readonly nextLsn: number;
  readonly defect?: SegmentDefect | undefined;
  /** Its copy of the durable mark; undefined when that does not verify. */
  readonly mark: DurableMark | undefined;
}

export interface LogInventory {
  /** Whether it was looked at: `noLog` was not. */
  readonly read: boolean;
  /** Segments by their first LSN. */
  readonly segments: readonly FoundSegment[];
  /** A last segment whose making was cut short. */
  readonly unborn: number | undefined;
  readonly mark: DurableMark | undefined;
  /** Whether MARK is there and whole. */
  readonly markFileWhole: boolean;
  readonly spares: readonly string[];
  readonly bytes: number;
}

/** Of a log that is left alone. */
export const noLog: LogInventory = {
  read: false,
  segments: [],
  unborn: undefined,
  mark: undefined,
  markFileWhole: false,
  spares: [],
  bytes: 0,
};

export interface LogInventoryOptions {
  readonly identity: LogIdentity;
  readonly signal?: AbortSignal | undefined;
  readonly onBytes?: ((bytes: number) => void) | undefined;
  /** Given each batch of good records, in the order of segments. */
  readonly onRecords?: ((records: readonly LogRecord[]) => void) | undefined;
}

/** Reads all segments, checking every record. Errors: `IO`, `ABORTED`. */
export async function takeLogInventory(
  files: Files,
  options: LogInventoryOptions,
  windows = new Windows(),
): Promise<LogInventory> {
  const { identity } = options;
  // First: what is in the files by then is at least what it promises.
  const markFile = await readMarkFile(files, createHashBlock, identity);
  const names = await files.list();
  const present = names
    .map(firstLsnOf)
    .filter((lsn) => lsn !== undefined)
    .sort((a, b) => a - b);
  const block = createHashBlock(segmentHeaderBytes);
  const segments: FoundSegment[] = [];
  let unborn: number | undefined;
  let mark = markFile.mark;
  let bytes = 0;
  for (const firstLsn of present) {
    const fileBytes = await readHeader(files, segmentName(firstLsn), block);
    const header = decodeSegmentHeader(block);
    if (
      firstLsn === present.at(-1) &&
      fileBytes <= segmentHeaderBytes &&
      (fileBytes < segmentHeaderBytes || !header)
    ) {
      unborn = firstLsn;
      continue;
    }
    const headerMark = decodeMark(block, segmentMarkOffset, identity);
    mark = laterMark(mark, headerMark);
    const unreadable = faultOf(block, firstLsn, identity);
    const found = { file: segmentName(firstLsn), firstLsn, fileBytes, mark: headerMark };
    bytes += fileBytes;
    if (unreadable !== undefined || !header) {
      segments.push({ ...found, nonce: 0n, unreadable, nextLsn: firstLsn });
      options.onBytes?.(fileBytes);
      continue;
    }
    segments.push({
      ...found,
      nonce: header.nonce,
      ...(await scanSegment(files, found, header.nonce, options, windows)),
    });
  }
  const spares = names.filter(isSpare);
  return { read: true, segments, unborn, mark, markFileWhole: markFile.whole, spares, bytes };
}

async function scanSegment(
  files: Files,
  { firstLsn, fileBytes }: { firstLsn: number; fileBytes: number },
  nonce: bigint,
  { signal, onBytes, onRecords }: LogInventoryOptions,
  windows: Windows,
): Promise<{ nextLsn: number; defect: SegmentDefect | undefined }> {
  let turn = 0;
  // Only the first two: in the other one of two may lie what is used while one is too small for a record.
  const nextWindow = (bytes: number) => (turn < 2 ? windows.at(turn++, bytes) : createHashBlock(bytes));
  const scan = new SegmentScan(files, nextWindow, { firstLsn, nonce, fileBytes }, windowBytes);
  let told = 0;
  try {
    for await (const records of scan.batches()) {
      demandWanted(signal);
      onRecords?.(records);
      onBytes?.(scan.goodBytes - told);
      told = scan.goodBytes;
    }
    onBytes?.(fileBytes - told);
    return { nextLsn: scan.nextLsn, defect: scan.defect };
  } finally {
    await scan.close();
  }
}

async function readHeader(files: Files, name: string, block: HashBlock): Promise<number> {
  block.bytes.fill(0);
  const file = await files.open(name, "read");
  try {
    await file.read(block.bytes, 0);
    return await file.size();
  } finally {
    await file.close();
  }
}

function faultOf(block: HashBlock, firstLsn: number, identity: LogIdentity): string | undefined {
  const header = decodeSegmentHeader(block);
  if (!header) return "its header does not verify";
  if (header.version > logVersion)
    return `it has format ${header.version}, this version reads up to ${logVersion}`;
  if (header.shard !== identity.shard || header.storeId.some((byte, i) => byte !== identity.storeId[i]))
    return "it belongs to another store or shard";
  if (header.firstLsn !== firstLsn) return `its header says that it begins at LSN ${header.firstLsn}`;
  return undefined;
}

/** What the log lacks of the records that are needed. */
export interface LogState {
  /** Records from `from` up to here, exclusive, are there without a gap. */
  readonly goodLsn: number;
  /** Why not further; undefined where the log ends in good order. */
  readonly break?: { readonly file: string; readonly offset: number; readonly reason: string } | undefined;
  /** The last LSN that is known to have been: of records, names of segments, and the mark. */
  readonly lastLsn: number;
  /** Whether what lies behind `goodLsn` was promised: else it is a torn end, as crashes leave. */
  readonly damaged: boolean;
}

/** Follows the log from LSN `from` on. */
export function followLog({ segments, unborn, mark }: LogInventory, from: number): LogState {
  const start = segments.findLastIndex(({ firstLsn }) => firstLsn <= from);
  const known = Math.max(
    mark?.lsn ?? 0,
    (unborn ?? 1) - 1,
    ...segments.map(({ firstLsn, nextLsn }) => Math.max(firstLsn, nextLsn) - 1),
  );
  if (start < 0) {
    const [first] = segments;
    const reason = first ? "records before it are missing" : `no segment holds LSN ${from}`;
    const damaged = first !== undefined || (mark !== undefined && mark.lsn >= from);
    return {
      goodLsn: from,
      break: damaged ? { file: first?.file ?? markFileName, offset: 0, reason } : undefined,
      lastLsn: known,
      damaged,
    };
  }
  let next = segments[start].firstLsn;
  for (const [i, segment] of segments.slice(start).entries()) {
    const { file, firstLsn, unreadable, defect, nextLsn } = segment;
    const last = start + i === segments.length - 1;
    const at = (offset: number, reason: string, damaged: boolean): LogState => ({
      goodLsn: Math.max(next, from),
      break: { file, offset, reason },
      lastLsn: known,
      damaged,
    });
    if (firstLsn !== next) return at(0, `it begins at LSN ${firstLsn}, and ${next} is missing`, true);
    if (unreadable !== undefined) return at(0, unreadable, true);
    next = nextLsn;
    const following = segments[start + i + 1];
    const marked = mark !== undefined && mark.lsn >= next && mark.lsn >= from;
    // The last but one may be torn, as the reader says.
    if (start + i === segments.length - 2 && !marked && next <= following.firstLsn) {
      if (next === following.firstLsn) continue;
      const damaged = following.unreadable !== undefined || (unborn ?? 0) > from;
      const offset = defect?.offset ?? segment.fileBytes;
      return at(offset, defect?.reason ?? `it ends, and ${following.file} follows`, damaged);
    }
    if (!defect) continue;
    const promised = !last || (mark !== undefined && mark.lsn >= defect.lsn) || (unborn ?? 0) > defect.lsn;
    return at(defect.offset, defect.reason, promised && known >= from);
  }
  const short = known >= next && known >= from;
  const file = segments.at(-1)!.file;
  return {
    goodLsn: Math.max(next, from),
    break: short
      ? { file, offset: segments.at(-1)!.fileBytes, reason: `it ends before LSN ${known}, which was durable` }
      : undefined,
    lastLsn: known,
    damaged: short,
  };
}
