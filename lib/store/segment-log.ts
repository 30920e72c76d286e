import { assert } from "../base/assert.js";
import { EmbershardError } from "../base/errors.js";
import type { BlockFactory } from "../base/hash-block.js";
import { type DurableMark, MarkFile, markSlotBytes } from "./durable-mark.js";
import type { Files } from "./files.js";
import { LogFlusher, type Segment } from "./log-flusher.js";
import {
  decodeSegmentHeader,
  type LogIdentity,
  maxPayloadBytes,
  recordBytes,
  recordHeaderBytes,
  sealRecord,
  segmentHeaderBytes,
  segmentName,
} from "./log-format.js";
import type { LogEnd } from "./log-reader.js";
import { isSpare, SpareFiles } from "./spare-files.js";
import { StagingRing } from "./staging-ring.js";

export interface SegmentLogOptions {
  readonly files: Files;
  readonly identity: LogIdentity;
  readonly createBlock: BlockFactory;
  /** Gives 64 random bits, different at each call. */
  readonly nonce: () => bigint;
  /** What the reader found; the writer goes on from there. */
  readonly end: LogEnd;
  /** Called once per failure, code `IO`. From then on nothing is written until `retry`. */
  readonly onFailure: (error: EmbershardError) => void;
  /** Bytes of records that may wait to be written. Default 32 MiB. */
  readonly logBufferBytes?: number;
  /** A segment ends before the record that would make it longer than this. Default 256 MiB. */
  readonly segmentBytes?: number;
  /** A sync starts by itself whenever this many bytes were written since the last. Default 32 MiB. */
  readonly syncEveryBytes?: number;
}

/** What `retry` found: the log works again; it still fails; or only a checkpoint and `restart` can help. */
export type RetryOutcome = "running" | "failed" | "restart";

const maxRunBytes = 4 * 2 ** 20;

/**
 * Continues the log that the reader found: cuts off its torn end, makes the rest durable and begins a new segment.
 * Errors: `IO`.
 */
export async function openSegmentLog(options: SegmentLogOptions): Promise<SegmentLog> {
  const { files, identity, createBlock, end } = options;
  await settleEnd(options);
  const mark = { lsn: Math.max(end.mark.lsn, end.nextLsn - 1), generation: end.mark.generation };
  const markFile = await MarkFile.replace(files, createBlock, identity, mark);
  return SegmentLog.begin(options, markFile, mark, await SpareFiles.find(files));
}

/**
 * The writer of a log: takes records without waiting, writes them in order in the background, and tells when they are
 * written (they survive the process) and synced (they survive power loss). Made by `openSegmentLog`.
 *
 * A failure loses nothing that was acknowledged and repeats nothing: unwritten records stay staged, promises stay
 * pending, and `retry` writes the same bytes to the same places.
 */
export class SegmentLog {
  readonly #options: SegmentLogOptions;
  readonly #segmentBytes: number;
  readonly #spares: SpareFiles;
  readonly #ring: StagingRing<Segment>;
  readonly #flusher: LogFlusher;
  // The first LSNs of the segments before the one that `append` fills, ascending.
  #older: number[];
  #appending: Segment;
  #nextLsn: number;
  #roomWaiters: { bytes: number; resolve: () => void }[] = [];
  #holds = 0;
  #closed = false;

  private constructor(options: SegmentLogOptions, markFile: MarkFile, mark: DurableMark, spares: SpareFiles) {
    const { createBlock, end } = options;
    this.#spares = spares;
    this.#options = options;
    this.#segmentBytes = options.segmentBytes ?? 256 * 2 ** 20;
    this.#ring = new StagingRing(createBlock, options.logBufferBytes ?? 32 * 2 ** 20, maxRunBytes);
    this.#flusher = new LogFlusher({
      identity: options.identity,
      spares,
      ring: this.#ring,
      markFile,
      headerBlock: createBlock(segmentHeaderBytes),
      markBlock: createBlock(markSlotBytes),
      mark,
      syncEveryBytes: options.syncEveryBytes ?? 32 * 2 ** 20,
      onRoom: () => this.#wakeRoom(),
      onFailure: options.onFailure,
    });
    this.#nextLsn = end.nextLsn;
    this.#older = end.segments.filter((firstLsn) => firstLsn < end.nextLsn);
    this.#appending = this.#newSegment();
  }

  /** @internal */
  static async begin(
    options: SegmentLogOptions,
    markFile: MarkFile,
    mark: DurableMark,
    spares: SpareFiles,
  ): Promise<SegmentLog> {
    const log = new SegmentLog(options, markFile, mark, spares);
    await log.#flusher.enter(log.#appending);
    if (log.failure) {
      await log.#flusher.close();
      throw log.failure;
    }
    return log;
  }

  /** The LSN that the next record will get. */
  get nextLsn(): number {
    return this.#nextLsn;
  }

  /** Every record up to here survives the process. */
  get writtenLsn(): number {
    return this.#flusher.written.value;
  }

  /** Every record up to here survives power loss, and the durable mark says so. */
  get syncedLsn(): number {
    return this.#flusher.synced.value;
  }

  /** The generation in the durable mark. */
  get generation(): number {
    return this.#flusher.generation.value;
  }

  /** Bytes staged and not written yet. */
  get pendingBytes(): number {
    return this.#ring.pendingBytes;
  }

  /** Segment files, the one being written included. */
  get segments(): number {
    return this.#older.length + 1;
  }

  /** Whether somebody waits for a record to be written or durable. */
  get awaited(): boolean {
    const { written, synced } = this.#flusher;
    return Math.min(written.lowestWaiting, synced.lowestWaiting) < Number.POSITIVE_INFINITY;
  }

  /** Why nothing is written at present; undefined when all is well. */
  get failure(): EmbershardError | undefined {
    return this.#flusher.failure;
  }

  /**
   * Undefined when a record with a payload of `payloadBytes` can be appended at once; otherwise resolves when it may
   * be possible. Call it again after waiting, and append without another `await` in between. A record longer than
   * the whole buffer waits until nothing else does.
   */
  room(payloadBytes: number): Promise<void> | undefined {
    const bytes = recordBytes(payloadBytes);
    if (this.#ring.fits(bytes)) return undefined;
    return new Promise((resolve) => this.#roomWaiters.push({ bytes, resolve }));
  }

  /**
   * Stages one record and returns its LSN. `parts` are joined to its payload and copied before this returns. Demands
   * that `room` gave undefined. Works while the log is failed. Errors: `TOO_LARGE`, `CLOSED`.
   */
  append(type: number, flags: number, parts: readonly Uint8Array[]): number {
    if (this.#closed) throw new EmbershardError("CLOSED", "the log is closed");
    let payloadBytes = 0;
    for (const part of parts) payloadBytes += part.length;
    if (payloadBytes > maxPayloadBytes) {
      throw new EmbershardError(
        "TOO_LARGE",
        `a log record of ${payloadBytes} bytes exceeds ${maxPayloadBytes}; split it`,
      );
    }
    const bytes = recordBytes(payloadBytes);
    const lsn = this.#nextLsn;
    const segment = this.#segmentFor(bytes);
    const { block, view, offset } = this.#ring.place(bytes, lsn, segment);
    let position = offset + recordHeaderBytes;
    for (const part of parts) {
      block.bytes.set(part, position);
      position += part.length;
    }
    sealRecord(block, view, offset, { lsn, payloadBytes, type, flags }, segment.nonce);
    this.#nextLsn = lsn + 1;
    this.#flusher.startWriting();
    return lsn;
  }

  /** Resolves when the record `lsn` survives the process; undefined when it already does. */
  written(lsn: number): Promise<void> | undefined {
    return this.#flusher.written.reached(lsn);
  }

  /** Has the record `lsn` made durable, with all that are written by then; undefined when it already is. */
  synced(lsn: number): Promise<void> | undefined {
    const reached = this.#flusher.synced.reached(lsn);
    if (reached) this.#flusher.startSyncing();
    return reached;
  }

  /** Makes the generation of a committed checkpoint part of the durable mark; resolves when that is durable. */
  commitGeneration(generation: number): Promise<void> | undefined {
    const reached = this.#flusher.generation.reached(generation);
    if (reached) this.#flusher.wantGeneration(generation);
    return reached;
  }

  /** Keeps all segments where they are, for somebody who reads them, until the returned function is called. */
  hold(): () => void {
    this.#holds++;
    let held = true;
    return () => {
      if (held) this.#holds--;
      held = false;
    };
  }

  /**
   * Gives up the segments that hold only records before `lsn`. Those whose files are in use stay, and while somebody
   * holds them all do, until the next call. Errors: `IO`.
   */
  async discardBefore(lsn: number): Promise<void> {
    if (this.#holds > 0) return;
    const inUse = this.#flusher.oldestInUse?.firstLsn ?? 0;
    while (this.#older.length > 0 && this.#older[0] < inUse && (this.#older[1] ?? inUse) <= lsn) {
      // Taken off first: a file that cannot be removed now is found, and removed, after the next opening.
      const oldest = this.#older.shift()!;
      await this.#spares.keep(segmentName(oldest));
    }
    await this.#spares.settle();
  }

  /** Tries to go on after a failure. Nothing is lost or repeated, whatever it gives. */
  async retry(): Promise<RetryOutcome> {
    // The disk may be full, and they are only there for speed. What cannot be removed now can be at the next try.
    if (this.failure && !(await this.#spares.clear())) return "failed";
    if (!(await this.#flusher.retry(this.#appending))) return "restart";
    return this.failure ? "failed" : "running";
  }

  /**
   * Goes on in a new segment after `retry` gave "restart". Demands that a checkpoint of every record before `lsn` is
   * durable and that `lsn` is `nextLsn`: those records then count as synced. Errors: `IO`; the log is still failed.
   */
  async restart(lsn: number): Promise<void> {
    assert(this.failure, "only a failed log is restarted");
    assert(lsn === this.#nextLsn, "a log restarts at the record that comes next");
    const { current } = this.#flusher;
    if (current) {
      // Those after the current one exist only in memory; one that begins at `lsn` holds nothing and is made anew.
      const begun = [...this.#older, this.#appending.firstLsn];
      this.#older = begun.filter((firstLsn) => firstLsn <= current.firstLsn && firstLsn < lsn);
    }
    await this.#flusher.reset(lsn);
    this.#appending = this.#newSegment();
    await this.#flusher.enter(this.#appending);
    if (!this.failure) await this.#flusher.flush();
    this.#wakeRoom();
    if (this.failure) throw this.failure;
    await this.discardBefore(lsn);
  }

  /** Writes and syncs all that is staged and closes the files. Errors: `IO` when the log is failed or fails now. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#flusher.idle();
    if (!this.failure && this.syncedLsn < this.#nextLsn - 1) await this.#flusher.flush();
    await this.#flusher.close();
    if (this.failure) throw this.failure;
  }

  #segmentFor(bytes: number): Segment {
    const { endBytes } = this.#appending;
    if (endBytes > segmentHeaderBytes && endBytes + bytes > this.#segmentBytes) {
      const before = this.#appending;
      this.#older.push(before.firstLsn);
      this.#appending = this.#newSegment();
      // Only the one that comes next.
      if (this.#flusher.current === before) this.#flusher.prepare(this.#appending);
    }
    return this.#appending;
  }

  #newSegment(): Segment {
    return {
      firstLsn: this.#nextLsn,
      nonce: this.#options.nonce(),
      endBytes: segmentHeaderBytes,
      writtenBytes: segmentHeaderBytes,
      forgottenBytes: 0,
      file: undefined,
      longer: false,
    };
  }

  #wakeRoom(): void {
    const waiting = this.#roomWaiters;
    this.#roomWaiters = waiting.filter(({ bytes }) => !this.#ring.fits(bytes));
    for (const { bytes, resolve } of waiting) if (this.#ring.fits(bytes)) resolve();
  }
}

/**
 * Cuts the torn end off, and makes the rest durable, names included. What lies beyond the durable mark is written again: a
 * sync that failed in the process before leaves pages that are clean though they never reached the disk, and no sync
 * takes them.
 */
async function settleEnd({ files, createBlock, end }: SegmentLogOptions): Promise<void> {
  for (const firstLsn of end.givenUp) await files.remove(segmentName(firstLsn));
  await removeSparesFrom(files, createBlock, end.nextLsn);
  for (const { firstLsn, from, to } of end.unsynced) {
    const file = await files.open(segmentName(firstLsn), "write");
    try {
      await file.truncate(to);
      const chunk = createBlock(Math.min(maxRunBytes, to - from)).bytes;
      for (let at = from; at < to; at += chunk.length) {
        const length = await file.read(chunk.subarray(0, Math.min(chunk.length, to - at)), at);
        await file.write(chunk.subarray(0, length), at);
      }
      await file.datasync();
    } finally {
      await file.close();
    }
  }
  // Before a mark says that any of it is durable, and before a new segment takes the place of what was removed.
  await files.syncDirectory();
}

/**
 * Removes spares that held a segment from `nextLsn` on: power failed before its name was durable. Repair looks for records
 * in spares, and others will have their LSNs.
 */
async function removeSparesFrom(files: Files, createBlock: BlockFactory, nextLsn: number): Promise<void> {
  const block = createBlock(segmentHeaderBytes);
  for (const name of (await files.list()).filter(isSpare)) {
    block.bytes.fill(0);
    const file = await files.open(name, "read");
    try {
      await file.read(block.bytes, 0);
    } finally {
      await file.close();
    }
    const header = decodeSegmentHeader(block);
    if (header && header.firstLsn >= nextLsn) await files.remove(name);
  }
}
