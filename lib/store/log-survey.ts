import { EmbershardError } from "../base/errors.js";
import type { BlockFactory, HashBlock } from "../base/hash-block.js";
import {
  brokenHeader,
  type DurableMark,
  decodeMark,
  type HeaderMark,
  laterMark,
  markFileName,
  readMarkFile,
} from "./durable-mark.js";
import type { Files } from "./files.js";
import {
  decodeSegmentHeader,
  firstLsnOf,
  type LogIdentity,
  logVersion,
  segmentHeaderBytes,
  segmentMarkOffset,
  segmentName,
} from "./log-format.js";

export interface SurveyOptions {
  readonly identity: LogIdentity;
  readonly createBlock: BlockFactory;
  /** The first LSN that is needed: what lies before it is neither demanded nor given. */
  readonly from: number;
  /** Accept a directory with no log in it, as right after the creation of a store. Default false. */
  readonly mayBeNew?: boolean;
}

export interface SurveyedSegment {
  readonly firstLsn: number;
  readonly nonce: bigint;
  readonly fileBytes: number;
}

/** What the directory holds, before any record is read. */
export interface LogSurvey {
  /** The latest of the marks that verify. */
  readonly mark: DurableMark;
  /** The segments to read, from the one that holds `from`, ascending. */
  readonly segments: readonly SurveyedSegment[];
  /** The first LSNs of all segments in the directory, without `unborn`, ascending. */
  readonly present: readonly number[];
  /** A last segment whose creation a crash cut short. It holds no record. */
  readonly unborn: number | undefined;
}

/**
 * Looks at the names, the segment headers and the durable marks.
 * Errors: `CORRUPT` naming what is damaged or missing, `NEWER_FORMAT`, `IO`.
 */
export async function surveyLog(files: Files, options: SurveyOptions): Promise<LogSurvey> {
  const { from, createBlock, identity } = options;
  const markFile = await readMarkFile(files, createBlock, identity);
  let present = (await files.list())
    .map(firstLsnOf)
    .filter((lsn) => lsn !== undefined)
    .sort((a, b) => a - b);
  if (present.length === 0 && !markFile.mark && options.mayBeNew) {
    return { mark: { lsn: 0, generation: 0 }, segments: [], present, unborn: undefined };
  }
  const block = createBlock(segmentHeaderBytes);
  const newest = present.at(-1);
  let unborn: number | undefined;
  if (newest !== undefined && (await isUnborn(files, newest, block))) {
    unborn = newest;
    present = present.slice(0, -1);
  }
  const start = present.findLastIndex((firstLsn) => firstLsn <= from);
  if (start < 0 && present.length > 0) {
    const missing = `records ${from} to ${present[0] - 1}`;
    throw new EmbershardError(
      "CORRUPT",
      `the log begins with ${segmentName(present[0])}: ${missing} are missing`,
    );
  }
  const segments: SurveyedSegment[] = [];
  const headers: HeaderMark[] = [];
  for (const firstLsn of present.slice(Math.max(start, 0))) {
    const fileBytes = await readHeaderBlock(files, firstLsn, block);
    segments.push({ firstLsn, nonce: verifiedNonce(block, firstLsn, identity), fileBytes });
    headers.push({ firstLsn, mark: decodeMark(block, segmentMarkOffset, identity) });
  }
  const broken = brokenHeader(headers);
  if (!markFile.whole && (broken || headers.length === 0)) {
    const places = broken ? `the header of ${segmentName(broken.firstLsn)}` : "its segments";
    throw new EmbershardError(
      "CORRUPT",
      `both places of the log's durable mark are damaged or missing: ${markFileName} and ${places}`,
    );
  }
  const mark = headers.reduce((latest, header) => laterMark(latest, header.mark), markFile.mark)!;
  return { mark, segments, present, unborn };
}

/** Reads and verifies the header of one segment. Errors: `CORRUPT`, `NEWER_FORMAT`, `IO`. */
export async function surveySegment(
  files: Files,
  firstLsn: number,
  { createBlock, identity }: Pick<SurveyOptions, "createBlock" | "identity">,
): Promise<SurveyedSegment> {
  const block = createBlock(segmentHeaderBytes);
  const fileBytes = await readHeaderBlock(files, firstLsn, block);
  return { firstLsn, nonce: verifiedNonce(block, firstLsn, identity), fileBytes };
}

async function readHeaderBlock(files: Files, firstLsn: number, block: HashBlock): Promise<number> {
  block.bytes.fill(0);
  const file = await files.open(segmentName(firstLsn), "read");
  try {
    await file.read(block.bytes, 0);
    return await file.size();
  } finally {
    await file.close();
  }
}

// A header is durable before the first record is written behind it.
async function isUnborn(files: Files, firstLsn: number, block: HashBlock): Promise<boolean> {
  const fileBytes = await readHeaderBlock(files, firstLsn, block);
  return fileBytes <= segmentHeaderBytes && (fileBytes < segmentHeaderBytes || !decodeSegmentHeader(block));
}

function verifiedNonce(block: HashBlock, firstLsn: number, identity: LogIdentity): bigint {
  const name = segmentName(firstLsn);
  const header = decodeSegmentHeader(block);
  if (!header) throw new EmbershardError("CORRUPT", `the header of log segment ${name} does not verify`);
  if (header.version > logVersion) {
    const found = `log segment ${name} has format ${header.version}, this version reads up to ${logVersion}`;
    throw new EmbershardError("NEWER_FORMAT", `${found}: upgrade Embershard`);
  }
  if (header.shard !== identity.shard || header.storeId.some((byte, i) => byte !== identity.storeId[i])) {
    throw new EmbershardError("CORRUPT", `log segment ${name} belongs to another store or shard`);
  }
  if (header.firstLsn !== firstLsn) {
    throw new EmbershardError("CORRUPT", `log segment ${name} says that it begins at LSN ${header.firstLsn}`);
  }
  return header.nonce;
}
