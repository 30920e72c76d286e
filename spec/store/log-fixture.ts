import type { EmbershardError } from "../../lib/base/errors.js";
import { Prng } from "../../lib/base/prng.js";
import type { Files } from "../../lib/store/files.js";
import type { LogIdentity } from "../../lib/store/log-format.js";
import { type LogEnd, type ReadLogOptions, readLog } from "../../lib/store/log-reader.js";
import { openSegmentLog, type SegmentLog, type SegmentLogOptions } from "../../lib/store/segment-log.js";
import { xxhashBlock } from "./xxhash-block.js";

export const identity: LogIdentity = { storeId: Uint8Array.from({ length: 16 }, (_, i) => i + 1), shard: 3 };

export interface ReadBack {
  readonly lsns: number[];
  readonly payloads: Uint8Array[];
  readonly end: LogEnd;
}

export async function readAll(files: Files, options: Partial<ReadLogOptions> = {}): Promise<ReadBack> {
  const reading = await readLog(files, {
    from: 1,
    identity,
    createBlock: xxhashBlock,
    mayBeNew: true,
    ...options,
  });
  const lsns: number[] = [];
  const payloads: Uint8Array[] = [];
  for await (const records of reading.batches()) {
    for (const { lsn, payload } of records) {
      lsns.push(lsn);
      payloads.push(payload.slice());
    }
  }
  return { lsns, payloads, end: reading.end };
}

export interface OpenedLog {
  readonly log: SegmentLog;
  readonly found: ReadBack;
  readonly failures: EmbershardError[];
}

let openings = 0;

/** Reads and opens a log with small segments and a small buffer. */
export async function reopen(
  files: Files,
  options: Partial<SegmentLogOptions> = {},
  reading: Partial<ReadLogOptions> = {},
): Promise<OpenedLog> {
  const found = await readAll(files, reading);
  const failures: EmbershardError[] = [];
  const random = new Prng(++openings);
  const log = await openSegmentLog({
    files,
    identity,
    createBlock: xxhashBlock,
    nonce: () => (BigInt(random.u32()) << 32n) | BigInt(random.u32()),
    end: found.end,
    onFailure: (error) => failures.push(error),
    logBufferBytes: 4096,
    segmentBytes: 4096 + 3000,
    syncEveryBytes: 2048,
    ...options,
  });
  return { log, found, failures };
}

/** The payload that every test expects of the record `lsn`: its length and bytes follow from it. */
export function payloadOf(lsn: number): Uint8Array {
  const random = new Prng(lsn);
  return Uint8Array.from({ length: random.below(300) }, () => random.below(256));
}

/** Appends the expected record; waits for room first. */
export async function append(log: SegmentLog): Promise<number> {
  const payload = payloadOf(log.nextLsn);
  for (let wait = log.room(payload.length); wait; wait = log.room(payload.length)) await wait;
  const half = payload.length >> 1;
  return log.append(7, 1, [payload.subarray(0, half), payload.subarray(half)]);
}

/** Undefined when the records are 1, 2, 3 ... (or from `first`) with their expected payloads; else what is wrong. */
export function wrongness({ lsns, payloads }: ReadBack, first = 1): string | undefined {
  for (const [i, lsn] of lsns.entries()) {
    if (lsn !== first + i) return `LSN ${lsn} at place ${i}`;
    if (Buffer.compare(payloads[i], payloadOf(lsn)) !== 0) return `payload of LSN ${lsn}`;
  }
  return undefined;
}
