import { EmbershardError } from "../base/errors.js";
import type { HashBlock } from "../base/hash-block.js";
import { type DurableMark, encodeMark, type MarkFile, markSlotBytes } from "./durable-mark.js";
import type { OpenFile } from "./files.js";
import {
  encodeSegmentHeader,
  type LogIdentity,
  logVersion,
  segmentHeaderBytes,
  segmentMarkOffset,
  segmentName,
} from "./log-format.js";
import { Milestone } from "./milestone.js";
import type { PreparedFile, SpareFiles } from "./spare-files.js";
import type { StagingRing } from "./staging-ring.js";

/** One file of the log, on the disk once it was entered. */
export interface Segment {
  readonly firstLsn: number;
  readonly nonce: bigint;
  /** Where the next record goes, counting those that are only staged. */
  endBytes: number;
  /** Where its written records end, and up to where the system was told to forget them. */
  writtenBytes: number;
  forgottenBytes: number;
  file: OpenFile | undefined;
  /** Whether the file was written over, so that it has to be cut off where its records end. */
  longer: boolean;
}

export interface FlusherOptions {
  readonly identity: LogIdentity;
  readonly ring: StagingRing<Segment>;
  readonly markFile: MarkFile;
  /** Files of segments that are no longer needed, to be written over. */
  readonly spares: SpareFiles;
  /** Blocks of `segmentHeaderBytes` and `markSlotBytes`, owned from now on. */
  readonly headerBlock: HashBlock;
  readonly markBlock: HashBlock;
  readonly mark: DurableMark;
  readonly syncEveryBytes: number;
  /** Called whenever staged bytes were written and their place can be taken. */
  readonly onRoom: () => void;
  readonly onFailure: (error: EmbershardError) => void;
}

interface Failure {
  readonly error: EmbershardError;
  /** A sync failed: what was written since the last good one may be gone from the page cache. */
  readonly rewind: boolean;
}

/**
 * Where a file is written over, zeros fill the last block of each write, which the system would have to read otherwise: a
 * read waits behind all that is being synced. The next write takes their place.
 */
const blockBytes = 4096;

/** Written records are forgotten in pieces of this many bytes. */
const forgetBytes = 1 << 20;

/**
 * Carries staged records to the disk: writes them in order, one write at a time, syncs for all who wait at once, and
 * changes segments. Who waits for a write does not wait for syncs when the segment changes: the next sync begins with the
 * segment that was left and the name of the new one. After a failure it stands still until `retry` or `reset`.
 */
export class LogFlusher {
  readonly written: Milestone;
  readonly synced: Milestone;
  readonly generation: Milestone;
  readonly #options: FlusherOptions;
  #current: Segment | undefined;
  // The one before it, until that is durable to its end and the name of the current one is durable.
  #left: Segment | undefined;
  #wantedGeneration: number;
  // What lies in files now. After a failed sync it falls back behind what was once said to be written.
  #onDiskLsn: number;
  #dataSyncedLsn: number;
  #unsyncedBytes = 0;
  #failure: Failure | undefined;
  // The file of the segment to come.
  #prepared: { readonly segment: Segment; readonly file: Promise<PreparedFile> } | undefined;
  #writing: Promise<void> | undefined;
  #syncing: Promise<void> | undefined;
  // Syncs take turns.
  #lane: Promise<void> = Promise.resolve();

  constructor(options: FlusherOptions) {
    this.#options = options;
    this.written = new Milestone(options.mark.lsn);
    this.synced = new Milestone(options.mark.lsn);
    this.generation = new Milestone(options.mark.generation);
    this.#wantedGeneration = options.mark.generation;
    this.#onDiskLsn = options.mark.lsn;
    this.#dataSyncedLsn = options.mark.lsn;
  }

  get failure(): EmbershardError | undefined {
    return this.#failure?.error;
  }

  /** The segment that is being written. */
  get current(): Segment | undefined {
    return this.#current;
  }

  /** The first of the segments whose files are in use. */
  get oldestInUse(): Segment | undefined {
    return this.#left ?? this.#current;
  }

  /** Begins to write what is staged, if it has not begun. */
  startWriting(): void {
    // Without a segment somebody is about to enter one, and writes then.
    if (this.#writing || this.#failure || !this.#current || !this.#options.ring.first) return;
    // After the caller's turn, so that what it appends in one go is written in one go.
    this.#writing = Promise.resolve()
      .then(() => this.#write())
      .finally(() => {
        this.#writing = undefined;
        this.startWriting();
      });
  }

  /** Begins a sync if somebody waits for one or enough was written. */
  startSyncing(): void {
    if (this.#syncing || this.#failure || !this.#dueSync()) return;
    this.#syncing = this.#inTurn(async () => {
      if (this.#dueSync()) await this.#sync();
    }).finally(() => {
      this.#syncing = undefined;
      this.startSyncing();
    });
  }

  wantGeneration(generation: number): void {
    this.#wantedGeneration = Math.max(this.#wantedGeneration, generation);
    this.startSyncing();
  }

  /** Begins to make the file of the segment that will be entered next, so that entering it waits for less. */
  prepare(segment: Segment): void {
    if (this.#prepared || this.#failure) return;
    const file = this.#prepare(segment);
    // Whoever enters the segment is told; until then a failure must not count as unhandled.
    file.catch(() => undefined);
    this.#prepared = { segment, file };
  }

  /** Writes everything staged by now, and syncs; resolves when that is done or has failed. */
  async flush(): Promise<void> {
    const { ring } = this.#options;
    const last = ring.lastLsn;
    while (!this.#failure && ring.first && this.#onDiskLsn < last) {
      this.startWriting();
      await this.#writing;
    }
    await this.#inTurn(() => this.#sync());
  }

  /** Resolves when no operation is under way. */
  async idle(): Promise<void> {
    while (this.#writing || this.#syncing) await Promise.all([this.#writing, this.#syncing]);
    await this.#lane;
  }

  /** Tries again; `appending` is where the log's next record goes. False: only a checkpoint and `reset` can help. */
  async retry(appending: Segment): Promise<boolean> {
    await this.idle();
    if (!this.#failure) return true;
    if (this.#failure.rewind) {
      const { ring } = this.#options;
      if (!ring.canRewind) return false;
      // The same bytes go to the same places, so that a kill meanwhile loses nothing that was written.
      ring.rewind();
      this.#onDiskLsn = this.#dataSyncedLsn;
    }
    this.#failure = undefined;
    if (!this.#current) await this.enter(appending);
    await this.flush();
    return true;
  }

  /** Forgets the current segment, all that is staged and the failure; everything before `lsn` counts as written. */
  async reset(lsn: number): Promise<void> {
    await this.idle();
    const abandoned = [this.#left?.file, this.#current?.file];
    this.#left = undefined;
    this.#current = undefined;
    for (const file of abandoned) await this.#closeFile(file);
    await this.#abandonPrepared();
    this.#options.ring.clear();
    this.#onDiskLsn = lsn - 1;
    this.#dataSyncedLsn = lsn - 1;
    this.#unsyncedBytes = 0;
    this.#failure = undefined;
    this.written.advance(lsn - 1);
  }

  async close(): Promise<void> {
    await this.idle();
    await this.#abandonPrepared();
    await this.#left?.file?.close();
    await this.#current?.file?.close();
    await this.#options.markFile.close();
  }

  async #write(): Promise<void> {
    const { ring } = this.#options;
    for (let run = ring.first; run && !this.#failure; run = ring.first) {
      const segment = run.target;
      // After a failed sync what was left is written again.
      if (segment !== this.#current && segment !== this.#left) await this.enter(segment);
      if (this.#failure) return;
      const { lastLsn, bytes } = run;
      // Not where it is written again: what follows it there was acknowledged.
      const fills = segment.longer && lastLsn > this.written.value;
      run.writing = true;
      try {
        await segment.file!.write(
          run.block.bytes.subarray(run.offset, run.offset + bytes),
          run.fileOffset,
          fills ? -(run.fileOffset + bytes) & (blockBytes - 1) : 0,
        );
      } catch (error) {
        run.writing = false;
        this.#fail(error, { rewind: false });
        return;
      }
      ring.finishFirst();
      this.#unsyncedBytes += bytes;
      segment.writtenBytes = run.fileOffset + bytes;
      this.#onDiskLsn = lastLsn;
      this.written.advance(lastLsn);
      this.#options.onRoom();
      this.startSyncing();
    }
  }

  #dueSync(): boolean {
    if (!this.#current) return false;
    // Not before all of what was left is written again.
    if (this.#left && this.#onDiskLsn < this.#current.firstLsn - 1) return false;
    if (this.#left || this.#wantedGeneration > this.generation.value) return true;
    if (this.#onDiskLsn <= this.synced.value) return false;
    const { syncEveryBytes } = this.#options;
    return this.synced.lowestWaiting <= this.#onDiskLsn || this.#unsyncedBytes >= syncEveryBytes;
  }

  // What was left, data, then the mark in the segment's header, then the mark in its own file: each durable before the
  // next is touched, so that a mark never promises too much and a crash tears at most one of its places.
  async #sync(): Promise<void> {
    const { markBlock, identity, markFile } = this.#options;
    // The segment may change again meanwhile: what the mark promises lies in the current one and in settled ones.
    while (this.#left) if (!(await this.#settle(this.#left))) return;
    const segment = this.#current!;
    const file = segment.file!;
    const mark = { lsn: this.#onDiskLsn, generation: this.#wantedGeneration };
    if (!(await this.#syncData(segment))) return;
    try {
      encodeMark(markBlock, 0, mark, identity);
      await file.write(markBlock.bytes.subarray(0, markSlotBytes), segmentMarkOffset);
      await file.datasync();
    } catch (error) {
      this.#fail(error, { rewind: true });
      return;
    }
    try {
      await markFile.write(mark);
    } catch (error) {
      this.#fail(error, { rewind: false });
      return;
    }
    this.generation.advance(mark.generation);
    this.synced.advance(mark.lsn);
  }

  /** Makes the segment that was left durable to its end, then the name of the current one. Returns whether that went well. */
  async #settle(left: Segment): Promise<boolean> {
    const current = this.#current!;
    try {
      // Again: a sync that failed may have lost it.
      if (left.longer) await left.file!.truncate(left.endBytes);
      await left.file!.datasync();
    } catch (error) {
      this.#fail(error, { rewind: true });
      return false;
    }
    try {
      await this.#options.spares.syncNames();
    } catch (error) {
      this.#fail(error, { rewind: false });
      return false;
    }
    const lsn = current.firstLsn - 1;
    this.#dataSyncedLsn = lsn;
    this.#unsyncedBytes = current.writtenBytes - segmentHeaderBytes;
    this.#options.ring.release(lsn);
    this.#forget(left, left.endBytes);
    this.#left = undefined;
    await this.#closeFile(left.file);
    return !this.#failure;
  }

  /** Makes durable what was written to the current segment by now; no mark says so yet. Returns whether that went well. */
  async #syncData(segment: Segment): Promise<boolean> {
    const lsn = this.#onDiskLsn;
    const bytes = this.#unsyncedBytes;
    const { writtenBytes } = segment;
    try {
      await segment.file!.datasync();
    } catch (error) {
      this.#fail(error, { rewind: true });
      return false;
    }
    this.#dataSyncedLsn = lsn;
    this.#unsyncedBytes -= bytes;
    this.#forget(segment, writtenBytes);
    this.#options.ring.release(lsn);
    return true;
  }

  /** Nobody reads a log but recovery: it must not crowd out what is read. The block being written stays. */
  #forget(segment: Segment, writtenBytes: number): void {
    const end = writtenBytes - (writtenBytes % forgetBytes);
    if (end <= segment.forgottenBytes) return;
    segment.file!.forget(segment.forgottenBytes, end);
    segment.forgottenBytes = end;
  }

  /** Makes `segment` the current one. The first has a durable name then; another's becomes durable with the next sync. */
  async enter(segment: Segment): Promise<void> {
    const { spares } = this.#options;
    while (this.#left && !this.#failure) {
      this.startSyncing();
      await this.#syncing;
    }
    if (this.#failure) return;
    const old = this.#current;
    let prepared: PreparedFile | undefined;
    try {
      if (old?.longer) await old.file!.truncate(old.endBytes);
      const ahead = this.#prepared?.segment === segment ? this.#prepared.file : undefined;
      if (ahead) this.#prepared = undefined;
      prepared = await (ahead ?? this.#prepare(segment));
      await spares.publish(prepared, segmentName(segment.firstLsn));
      if (!old) await spares.syncNames();
    } catch (error) {
      this.#fail(error, { rewind: false });
      return this.#closeFile(prepared?.file);
    }
    segment.file = prepared.file;
    segment.longer = prepared.longer;
    this.#left = old;
    this.#current = segment;
  }

  /** Makes a file with the header of `segment`: a place of the mark, which says what is durable now. */
  async #prepare(segment: Segment): Promise<PreparedFile> {
    const { headerBlock, identity, spares } = this.#options;
    const mark = { lsn: this.#dataSyncedLsn, generation: this.generation.value };
    headerBlock.bytes.fill(0);
    encodeSegmentHeader(headerBlock, { ...identity, ...segment, version: logVersion });
    encodeMark(headerBlock, segmentMarkOffset, mark, identity);
    return spares.prepare(headerBlock.bytes.subarray(0, segmentHeaderBytes));
  }

  /** Gives up what was prepared for a segment that will not be entered. */
  async #abandonPrepared(): Promise<void> {
    // What could not be made need not be given up.
    const abandoned = await this.#prepared?.file.catch(() => undefined);
    this.#prepared = undefined;
    try {
      if (abandoned) await this.#options.spares.giveBack(abandoned);
    } catch (error) {
      this.#fail(error, { rewind: false });
    }
  }

  // Once only, even when it fails: its number may be another file's by then.
  async #closeFile(file: OpenFile | undefined): Promise<void> {
    try {
      await file?.close();
    } catch (error) {
      this.#fail(error, { rewind: false });
    }
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#lane = this.#lane.then(() => (this.#failure ? undefined : work()));
    return this.#lane;
  }

  #fail(cause: unknown, { rewind }: { rewind: boolean }): void {
    const error =
      cause instanceof EmbershardError
        ? cause
        : new EmbershardError("INTERNAL", "the log met an error that no file operation reports", { cause });
    const known = this.#failure;
    this.#failure = { error: known?.error ?? error, rewind: rewind || known?.rewind === true };
    if (!known) this.#options.onFailure(error);
  }
}
