import { assert } from "../base/assert.js";
import type { BlockFactory, HashBlock } from "../base/hash-block.js";
import { viewOf } from "./log-format.js";

/** Where a run goes: the segment is the log's business. */
export interface RunTarget {
  /** The next free byte of the segment's file. */
  endBytes: number;
}

/** Consecutive records that lie together in memory and in one segment: the unit of writing. */
export interface Run<T extends RunTarget> {
  readonly target: T;
  readonly block: HashBlock;
  readonly view: DataView;
  /** Where it begins in the block, and in the segment's file. */
  readonly offset: number;
  readonly fileOffset: number;
  bytes: number;
  lastLsn: number;
  /** It is being written, so nothing may be added to it. */
  writing: boolean;
}

/**
 * The bounded memory between `append` and the disk: one ring of bytes in which records wait to be written, and in
 * which written ones stay until their place is needed, so that they can be written again when a sync fails.
 */
export class StagingRing<T extends RunTarget> {
  readonly #createBlock: BlockFactory;
  readonly #block: HashBlock;
  readonly #view: DataView;
  readonly #maxRunBytes: number;
  #head = 0;
  #pending: Run<T>[] = [];
  #retained: Run<T>[] = [];
  #pendingBytes = 0;
  // The last LSN that was written, is not known to be synced and is no longer here; 0 when there is none.
  #lostLsn = 0;

  constructor(createBlock: BlockFactory, bytes: number, maxRunBytes: number) {
    this.#createBlock = createBlock;
    this.#block = createBlock(bytes);
    this.#view = viewOf(this.#block.bytes);
    this.#maxRunBytes = maxRunBytes;
  }

  /** The oldest run that is not written yet. */
  get first(): Run<T> | undefined {
    return this.#pending[0];
  }

  /** The LSN of the newest record that is not written yet; 0 when there is none. */
  get lastLsn(): number {
    return this.#pending.at(-1)?.lastLsn ?? 0;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Whether a record of `bytes` can be placed. One longer than the ring fits when nothing waits. */
  fits(bytes: number): boolean {
    if (this.#pending.length === 0) return true;
    return bytes <= this.#block.bytes.length && this.#placeFor(bytes) !== undefined;
  }

  /** Takes `bytes` for the record `lsn` and returns where to put them. Demands `fits(bytes)`. */
  place(bytes: number, lsn: number, target: T): { block: HashBlock; view: DataView; offset: number } {
    assert(this.fits(bytes), "a record is appended only when there is room for it");
    this.#pendingBytes += bytes;
    const fileOffset = target.endBytes;
    target.endBytes += bytes;
    if (bytes > this.#block.bytes.length) {
      const block = this.#createBlock(bytes);
      const view = viewOf(block.bytes);
      this.#pending.push({ target, block, view, offset: 0, fileOffset, bytes, lastLsn: lsn, writing: false });
      return { block, view, offset: 0 };
    }
    const offset = this.#pending.length === 0 ? this.#restOffset(bytes) : this.#placeFor(bytes)!;
    this.#forget(offset, offset + bytes);
    this.#head = offset + bytes;
    const last = this.#pending.at(-1);
    if (
      last &&
      this.#joins(last, { target, offset, fileOffset }) &&
      last.bytes + bytes <= this.#maxRunBytes &&
      !last.writing
    ) {
      last.bytes += bytes;
      last.lastLsn = lsn;
    } else {
      const { block, view } = { block: this.#block, view: this.#view };
      this.#pending.push({ target, block, view, offset, fileOffset, bytes, lastLsn: lsn, writing: false });
    }
    return { block: this.#block, view: this.#view, offset };
  }

  /** The first run is written: its place may be taken when it is needed. */
  finishFirst(): void {
    const run = this.#pending.shift()!;
    run.writing = false;
    this.#pendingBytes -= run.bytes;
    if (run.block !== this.#block) {
      this.#lostLsn = run.lastLsn;
      return;
    }
    const last = this.#retained.at(-1);
    if (last && this.#joins(last, run) && last.bytes + run.bytes <= this.#maxRunBytes) {
      last.bytes += run.bytes;
      last.lastLsn = run.lastLsn;
    } else {
      this.#retained.push(run);
    }
  }

  /** Everything up to `lsn` is synced and will not be asked for again. */
  release(lsn: number): void {
    while (this.#retained.length > 0 && this.#retained[0].lastLsn <= lsn) this.#retained.shift();
    if (this.#lostLsn <= lsn) this.#lostLsn = 0;
  }

  /** Whether all that is written and not yet released can be written again. */
  get canRewind(): boolean {
    return this.#lostLsn === 0;
  }

  /** Makes all that is written and not yet released pending again. Demands `canRewind`. */
  rewind(): void {
    assert(this.canRewind, "only what is still staged is written again");
    for (const run of this.#retained) this.#pendingBytes += run.bytes;
    this.#pending = [...this.#retained, ...this.#pending];
    this.#retained = [];
  }

  /** Forgets everything. */
  clear(): void {
    this.#pending = [];
    this.#retained = [];
    this.#pendingBytes = 0;
    this.#lostLsn = 0;
    this.#head = 0;
  }

  // Neighbours in the ring need not be neighbours in the file: a record longer than the ring may lie between.
  #joins(run: Run<T>, next: Pick<Run<T>, "target" | "offset" | "fileOffset">): boolean {
    if (run.block !== this.#block || run.target !== next.target) return false;
    return run.offset + run.bytes === next.offset && run.fileOffset + run.bytes === next.fileOffset;
  }

  // With nothing pending the ring begins anew, where the cache is warm, unless that would give up a complete history.
  #restOffset(bytes: number): number {
    const worthKeeping = this.#retained.length > 0 && this.#lostLsn === 0;
    return worthKeeping && this.#head + bytes <= this.#block.bytes.length ? this.#head : 0;
  }

  // Pending bytes lie from the first pending run to the head, perhaps around the end. Head and first coincide only
  // when the ring is full.
  #placeFor(bytes: number): number | undefined {
    const capacity = this.#block.bytes.length;
    const first = this.#pending.find((run) => run.block === this.#block);
    if (!first) return this.#restOffset(bytes);
    if (this.#head <= first.offset) return first.offset - this.#head >= bytes ? this.#head : undefined;
    if (capacity - this.#head >= bytes) return this.#head;
    return first.offset >= bytes ? 0 : undefined;
  }

  #forget(begin: number, end: number): void {
    const kept = this.#retained.filter((run) => run.offset >= end || run.offset + run.bytes <= begin);
    if (kept.length === this.#retained.length) return;
    for (const run of this.#retained)
      if (!kept.includes(run)) this.#lostLsn = Math.max(this.#lostLsn, run.lastLsn);
    this.#retained = kept;
  }
}
