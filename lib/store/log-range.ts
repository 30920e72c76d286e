import { EmbershardError } from "../base/errors.js";
import type { BlockFactory } from "../base/hash-block.js";
import type { Files } from "./files.js";
import { firstLsnOf, type LogIdentity, segmentName } from "./log-format.js";
import { surveySegment } from "./log-survey.js";
import { type LogRecord, SegmentScan } from "./segment-scan.js";

export interface LogRange {
  readonly identity: LogIdentity;
  readonly createBlock: BlockFactory;
  /** The first LSN, inclusive. */
  readonly from: number;
  /** The last LSN, inclusive. */
  readonly to: number;
}

/**
 * Reads records `from` to `to` of a log that is being written, in order. Demands that all of them have been written and
 * are not discarded meanwhile; what comes after them is not looked at. Payloads are valid until the next batch.
 * Errors: `CORRUPT` when one of them cannot be had, `IO`.
 */
export async function* readLogRange(
  files: Files,
  { identity, createBlock, from, to }: LogRange,
): AsyncGenerator<readonly LogRecord[]> {
  if (from > to) return;
  const present = (await files.list())
    .map(firstLsnOf)
    .filter((lsn) => lsn !== undefined && lsn <= to)
    .sort((a, b) => a! - b!) as number[];
  const start = present.findLastIndex((firstLsn) => firstLsn <= from);
  let next = from;
  for (const firstLsn of present.slice(Math.max(start, 0))) {
    const segment = await surveySegment(files, firstLsn, { identity, createBlock });
    const scan = new SegmentScan(files, createBlock, segment);
    try {
      for await (const records of scan.batches()) {
        const wanted = records.filter(({ lsn }) => lsn >= next && lsn <= to);
        if (wanted.length === 0) continue;
        if (wanted[0].lsn !== next) break;
        yield wanted;
        next = wanted[wanted.length - 1].lsn + 1;
        if (next > to) return;
      }
    } finally {
      await scan.close();
    }
  }
  throw new EmbershardError(
    "CORRUPT",
    `the log should hold records ${from} to ${to}, and record ${next} was not found in ${present.map(segmentName).join(", ") || "any segment"}`,
  );
}
