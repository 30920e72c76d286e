import { assert } from "../base/assert.js";
import { EmbershardError } from "../base/errors.js";
import type { DurableMark } from "./durable-mark.js";
import type { Files } from "./files.js";
import { segmentName } from "./log-format.js";
import { type LogSurvey, type SurveyedSegment, type SurveyOptions, surveyLog } from "./log-survey.js";
import { type LogRecord, type SegmentDefect, SegmentScan } from "./segment-scan.js";

export type { LogRecord } from "./segment-scan.js";

export interface ReadLogOptions extends SurveyOptions {
  /**
   * What it means when, beyond the durable mark, a damaged record is followed by a good one, or the last segment but one
   * by the last. "torn": power may have failed since, and unsynced writes may be lost in any order, so the log ends
   * before the first damage. "damage": only processes have ended since (same boot), so nothing written can be missing,
   * and it is reported. Default "torn".
   */
  readonly holes?: "torn" | "damage";
}

/** Where the end of a log is torn off. */
export interface LogTail {
  readonly file: string;
  readonly offset: number;
  /** The LSN of the first record that is lost, were there one. */
  readonly lsn: number;
  readonly reason: string;
}

/** Where a log ends: all that its writer needs to go on. */
export interface LogEnd {
  readonly nextLsn: number;
  readonly mark: DurableMark;
  /** The first LSN of each segment, ascending. */
  readonly segments: readonly number[];
  readonly tail: LogTail | undefined;
  /** What may not be durable of the segments, ascending. */
  readonly unsynced: readonly UnsyncedPart[];
  /** The first LSN of each segment that belongs to the torn end as a whole: its file goes. */
  readonly givenUp: readonly number[];
}

/** The end of a segment: the bytes from `from` to `to`, exclusive, hold records beyond the durable mark, what follows none. */
export interface UnsyncedPart {
  readonly firstLsn: number;
  readonly from: number;
  readonly to: number;
}

/**
 * Opens a log for reading: looks at its headers and marks at once, and at its records as they are asked for.
 * Errors: `CORRUPT` naming what is damaged or missing, `NEWER_FORMAT`, `IO`.
 */
export async function readLog(files: Files, options: ReadLogOptions): Promise<LogReading> {
  return new LogReading(files, options, await surveyLog(files, options));
}

/** One pass over a log. */
export class LogReading {
  readonly #files: Files;
  readonly #options: ReadLogOptions;
  readonly #survey: LogSurvey;
  #end: LogEnd | undefined;

  /** @internal */
  constructor(files: Files, options: ReadLogOptions, survey: LogSurvey) {
    this.#files = files;
    this.#options = options;
    this.#survey = survey;
  }

  /** The durable mark that the log bears. */
  get mark(): DurableMark {
    return this.#survey.mark;
  }

  /** Where the log ends. Demands that `batches` has been read to its end. */
  get end(): LogEnd {
    assert(this.#end, "a log's end is known when it was read to its end");
    return this.#end;
  }

  /**
   * The records from `from` on, in order and without gaps, several at a time. Read it once.
   * Errors: `CORRUPT` naming file, offset, LSN and what is missing; `IO`.
   */
  async *batches(): AsyncGenerator<readonly LogRecord[]> {
    const { segments, present, unborn, mark } = this.#survey;
    const { from } = this.#options;
    let nextLsn = segments[0]?.firstLsn ?? from;
    let tail: LogTail | undefined;
    const unsynced: UnsyncedPart[] = [];
    const givenUp: number[] = [];
    for (const [i, segment] of segments.entries()) {
      if (segment.firstLsn !== nextLsn) this.#reportGap(segments[i - 1], nextLsn, segment.firstLsn);
      const { firstLsn } = segment;
      const next = segments[i + 1]?.firstLsn;
      const scan = new SegmentScan(this.#files, this.#options.createBlock, segment);
      try {
        let unsyncedFrom: number | undefined;
        for await (const records of scan.batches()) {
          unsyncedFrom ??= records.find(({ lsn }) => lsn > mark.lsn)?.offset;
          const wanted = records[0].lsn >= from ? records : records.filter(({ lsn }) => lsn >= from);
          if (wanted.length > 0) yield wanted;
        }
        nextLsn = scan.nextLsn;
        const { defect, goodBytes } = scan;
        // Where its records are durable, its end may not be, until a mark speaks of the next one.
        if (next === undefined || mark.lsn < next)
          unsynced.push({ firstLsn, from: unsyncedFrom ?? goodBytes, to: goodBytes });
        if (next !== undefined) {
          const torn = this.#mayBeTorn(segments.length - i, nextLsn);
          if (defect && !torn) this.#reportDefect(segment, defect, "in a segment that was complete");
          if (!torn || nextLsn >= next) continue;
          const reason = `the segment ends, and ${segmentName(next)} follows`;
          tail = { file: segmentName(firstLsn), offset: goodBytes, lsn: nextLsn, reason, ...defect };
          givenUp.push(next);
          break;
        }
        if (defect) {
          if (this.#options.holes === "damage" && (await scan.goodRecordFollows())) {
            this.#reportDefect(segment, defect, "and good ones follow");
          }
          tail = { file: segmentName(firstLsn), ...defect };
        }
      } finally {
        await scan.close();
      }
    }
    this.#demandAcknowledged(nextLsn, tail);
    if (unborn !== undefined) {
      const file = segmentName(unborn);
      // Its predecessor was complete and durable, unless it was given up for a checkpoint of all before this one.
      if (tail && unborn > from)
        throw new EmbershardError("CORRUPT", `${describe(tail)}, though ${file} was begun after it`);
      tail = { file, offset: 0, lsn: nextLsn, reason: "its creation was cut short" };
      givenUp.push(unborn);
    }
    const left = present.filter((firstLsn) => !givenUp.includes(firstLsn));
    this.#end = { nextLsn: Math.max(nextLsn, from), mark, segments: left, tail, unsynced, givenUp };
  }

  /**
   * Whether a power failure may have left it so that one of the last `remaining` segments, not the last of them, is not
   * good up to the next, but only before LSN `lsn`: the writer makes a segment durable only after it has begun the next
   * one, but before it begins another one, and before a mark speaks of the next.
   */
  #mayBeTorn(remaining: number, lsn: number): boolean {
    const { mark } = this.#survey;
    const promised = mark.lsn >= lsn && mark.lsn >= this.#options.from;
    return remaining === 2 && !promised && this.#options.holes !== "damage";
  }

  /** Whatever was known to be durable, and is needed, must be there. */
  #demandAcknowledged(nextLsn: number, tail: LogTail | undefined): void {
    const { mark, unborn, segments } = this.#survey;
    const durableLsn = Math.max(mark.lsn, (unborn ?? 0) - 1);
    if (durableLsn < nextLsn || durableLsn < this.#options.from) return;
    const last = segments.at(-1);
    const where = tail
      ? describe(tail)
      : `the log ends after ${last ? segmentName(last.firstLsn) : "nothing"}`;
    throw new EmbershardError(
      "CORRUPT",
      `${where}: records ${nextLsn} to ${durableLsn} were durable and are missing`,
    );
  }

  #reportGap(before: SurveyedSegment | undefined, expected: number, found: number): never {
    const ends = before
      ? `log segment ${segmentName(before.firstLsn)} ends before LSN ${expected}`
      : "the log";
    throw new EmbershardError(
      "CORRUPT",
      `${ends}, and ${segmentName(found)} follows: records ${expected} to ${found - 1} are missing`,
    );
  }

  #reportDefect(segment: SurveyedSegment, defect: SegmentDefect, circumstance: string): never {
    const where = describe({ file: segmentName(segment.firstLsn), ...defect });
    throw new EmbershardError("CORRUPT", `${where}, ${circumstance}`);
  }
}

function describe({ file, offset, lsn, reason }: LogTail): string {
  return `log segment ${file}, offset ${offset}, LSN ${lsn}: ${reason}`;
}
