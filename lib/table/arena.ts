import { assert } from "../base/assert.js";
import { EmbershardError } from "../base/errors.js";
import type { KernelExports, KernelInstance } from "../kernel/kernel.js";
import {
  FIRST_PAGE,
  KIND_DROPPED,
  KIND_ROWS,
  KIND_SCRATCH,
  M_BUMP,
  M_KIND,
  M_LIVE,
  M_TABLE,
  PAGE_BYTES,
  PAGE_LSNS,
  PAGE_META_BYTES,
  PAGE_METAS,
  PAGE_SHIFT,
  SCRATCH,
  SCRATCH_BYTES,
} from "../kernel/layout.js";
import { adviseHugePages, populateAhead } from "../kernel/memory-advice.js";
import { giveKernel, takeKernel } from "../kernel/spare-kernels.js";

export interface ArenaOptions {
  /** Most bytes that the arena may take, at most 4 GiB. */
  readonly limitBytes: number;
  readonly hugePages: "auto" | "off";
  /** Makes kernels; each over new memory unless given. */
  readonly kernel?: ((maximumBytes: number) => KernelInstance) | undefined;
}

/** Bytes of memory from which on what is added is fetched ahead: a small store takes no more than it needs. */
const populateFrom = 256 << 20;
/** The same where it is known that the memory will be used: the thread that fetches it takes a while to start. */
const populateExpectedFrom = 64 << 20;
/** Pages by which the memory of a large arena is ahead of its need: one of 64, 8 to 32 MiB. */
const aheadPages = (pages: number) => Math.min(256, Math.max(64, pages >> 6));
/** Bytes that are fetched ahead at once at least. */
const populateBytes = 8 << 20;

/**
 * One kernel instance with memory of its own: pages of rows, the index over them, and scratch where batches lie.
 *
 * Pointers are byte offsets. A view (`bytes`, `u32`, ...) dies when memory grows, so nobody keeps one: they are
 * read from here anew after every kernel call that may take pages, which `refresh` makes right.
 */
export class Arena {
  readonly number: number;
  kernel: KernelExports;
  bytes!: Uint8Array;
  u16!: Uint16Array;
  u32!: Uint32Array;
  u64!: BigUint64Array;
  f32!: Float32Array;
  data!: DataView;
  /** Whether the system agreed to back the memory with huge pages. */
  hugePages = false;
  #instance: KernelInstance;
  readonly #options: ArenaOptions;
  /** Bytes of memory that the system has had its advice about. */
  #advisedBytes = 0;
  /** Memory up to here has been asked for ahead. */
  #populatedBytes = 0;
  #expectedEnd = 0;
  #scratchAt = SCRATCH;
  #scratchBytes = SCRATCH_BYTES;
  #scratchUsed = 0;
  #released = false;

  constructor(number: number, options: ArenaOptions) {
    this.#instance = options.kernel?.(options.limitBytes) ?? takeKernel(options);
    this.number = number;
    this.kernel = this.#instance.exports;
    this.#options = options;
    this.kernel.begin(Math.floor(options.limitBytes / PAGE_BYTES));
    this.refresh();
  }

  /** Makes the views right after a call that may have grown memory. Cheap when it has not. */
  refresh(): void {
    const buffer = this.#instance.memory.buffer;
    if (this.bytes !== undefined && this.bytes.buffer === buffer) return;
    // Not the views' length: growing has detached them.
    const grownFrom = this.#advisedBytes;
    this.#advisedBytes = buffer.byteLength;
    this.bytes = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.u64 = new BigUint64Array(buffer);
    this.f32 = new Float32Array(buffer);
    this.data = new DataView(buffer);
    if (this.#options.hugePages === "auto")
      this.hugePages = adviseHugePages(buffer, grownFrom, buffer.byteLength);
  }

  /**
   * Makes sure that `pages` can be taken. Returns false when limit or system refuse. A large arena, and one that is known to
   * become larger, grows before it must, so that another thread has time to fetch the memory.
   */
  commit(pages: number): boolean {
    const { kernel } = this;
    const used = kernel.pagesUsed();
    const large = 2 * used * PAGE_BYTES >= populateFrom;
    const ahead = large ? Math.min(aheadPages(used), kernel.pagesLeft() - pages) : 0;
    const committed =
      (ahead > 0 && kernel.commitPages(pages + ahead) !== 0) || kernel.commitPages(pages) !== 0;
    this.refresh();
    const end = this.pagesEnd;
    // Known to be used: asked for before whoever fills it arrives there, not just then.
    if (end < this.#expectedEnd) this.#populateTo(Math.min(this.#expectedEnd, end + 2 * aheadPages(used)));
    else if (ahead > 0) this.#populateTo(end + aheadPages(used));
    return committed;
  }

  /** Has memory up to page number `end` fetched from the system by another thread. */
  #populateTo(end: number): void {
    const { buffer } = this.#instance.memory;
    if (buffer.byteLength < (this.pagesEnd < this.#expectedEnd ? populateExpectedFrom : populateFrom)) return;
    const from = Math.max(this.#populatedBytes, this.pagesEnd * PAGE_BYTES);
    const to = Math.min(buffer.byteLength, end * PAGE_BYTES);
    if (to - from < populateBytes) return;
    populateAhead(buffer, from, to);
    this.#populatedBytes = to;
  }

  /** Grows memory at once for pages up to number `end`, as far as the limit and the system allow. */
  expectPages(end: number): void {
    this.kernel.commitPages(Math.max(0, Math.min(end - this.pagesEnd, this.kernel.pagesLeft())));
    this.refresh();
    this.#expectedEnd = end;
  }

  /** Grows memory at once so that `pages` can be taken without growing it, if limit and system allow. */
  reserve(pages: number): void {
    this.kernel.commitPages(pages);
    this.refresh();
  }

  /** Pages that can be taken while memory stays as large as it is. */
  get reservedPages(): number {
    return this.bytes.length / PAGE_BYTES - this.kernel.pagesUsed();
  }

  /** Has the memory of those pages fetched from the system by another thread. */
  fetchExpected(): void {
    this.#populateTo(this.#expectedEnd);
  }

  /**
   * Gives the memory back to the system. The arena is empty from then on, and can take nothing. Somebody else gets the
   * kernel, if that is sound.
   */
  release(sound: boolean): void {
    // One that came from elsewhere goes with its memory.
    if (this.#released || this.#options.kernel) return;
    this.#released = true;
    this.#instance = giveKernel(this.#instance, this.#options, sound);
    this.kernel = this.#instance.exports;
    this.refresh();
  }

  /** Bytes of memory that pages in use and the kernel's own data take. */
  usedBytes(): number {
    return this.kernel.pagesUsed() * PAGE_BYTES;
  }

  /**
   * Begins a request that needs `bytes` of scratch in all; what an earlier request had there is gone.
   *
   * @throws TOO_LARGE when the arena cannot hold that much scratch.
   */
  beginScratch(bytes: number): void {
    this.#scratchUsed = 0;
    if (this.#growScratch(bytes)) return;
    throw new EmbershardError(
      "TOO_LARGE",
      `the request needs ${bytes} bytes of working memory, which the arena does not have: split it`,
    );
  }

  /** Between requests: makes the scratch as large as requests to come need it, if that leaves `kept` pages. */
  expectScratch(bytes: number, kept: number): void {
    if (this.hasScratch(bytes, kept)) this.#growScratch(bytes);
  }

  #growScratch(bytes: number): boolean {
    if (bytes <= this.#scratchBytes) return true;
    const pages = Math.ceil(bytes / PAGE_BYTES);
    const first = this.kernel.takeRun(pages, KIND_SCRATCH);
    if (first === 0) return false;
    this.#giveScratch();
    this.#scratchAt = first * PAGE_BYTES;
    this.#scratchBytes = pages * PAGE_BYTES;
    this.refresh();
    return true;
  }

  /** Whether the limit leaves room for so much scratch, with `kept` pages besides. It takes pages that lie side by side. */
  hasScratch(bytes: number, kept = 0): boolean {
    if (bytes <= this.#scratchBytes) return true;
    const { kernel } = this;
    const pages = Math.ceil(bytes / PAGE_BYTES);
    const unused = kernel.pagesLeft() + kernel.pagesUsed() - kernel.pagesEnd();
    return pages <= unused && pages + kept <= kernel.pagesLeft();
  }

  #giveScratch(): void {
    if (this.#scratchAt === SCRATCH) return;
    const first = this.#scratchAt / PAGE_BYTES;
    for (let i = 0; i < this.#scratchBytes / PAGE_BYTES; i++) this.kernel.givePage(first + i);
  }

  /** Takes `bytes` of the scratch that `beginScratch` made sure of; 64-byte aligned. */
  takeScratch(bytes: number): number {
    const at = this.#scratchAt + this.#scratchUsed;
    this.#scratchUsed += (bytes + 63) & ~63;
    assert(this.#scratchUsed <= this.#scratchBytes, "scratch was reserved before it is taken");
    return at;
  }

  /** Bytes of scratch taken so far, to go back to. */
  get scratchUsed(): number {
    return this.#scratchUsed;
  }

  /** Lets go what was taken since `scratchUsed` was `used`. */
  rewindScratch(used: number): void {
    this.#scratchUsed = used;
  }

  /** Where the scratch begins, for loops that use all of it again and again. */
  get scratchAt(): number {
    return this.#scratchAt;
  }

  get scratchBytes(): number {
    return this.#scratchBytes;
  }

  // Pages, by number.

  get firstPage(): number {
    return FIRST_PAGE;
  }

  get pagesEnd(): number {
    return this.kernel.pagesEnd();
  }

  pageKind(page: number): number {
    return this.data.getUint16(PAGE_METAS + page * PAGE_META_BYTES + M_KIND, true);
  }

  pageTable(page: number): number {
    return this.data.getUint16(PAGE_METAS + page * PAGE_META_BYTES + M_TABLE, true);
  }

  /** Places ever used in a page of rows. */
  pagePlaces(page: number): number {
    return this.data.getUint16(PAGE_METAS + page * PAGE_META_BYTES + M_BUMP, true);
  }

  pageRows(page: number): number {
    return this.data.getUint32(PAGE_METAS + page * PAGE_META_BYTES + M_LIVE, true);
  }

  setPagePlaces(page: number, places: number): void {
    this.data.setUint16(PAGE_METAS + page * PAGE_META_BYTES + M_BUMP, places, true);
  }

  /** LSN of the last record applied to a page. */
  pageLsn(page: number): number {
    const at = (PAGE_LSNS >> 2) + page * 2;
    return (this.u32[at + 1] & 0x7fff_ffff) * 0x1_0000_0000 + this.u32[at];
  }

  setPageLsn(page: number, lsn: number): void {
    const at = (PAGE_LSNS >> 2) + page * 2;
    this.u32[at] = lsn >>> 0;
    this.u32[at + 1] = Math.floor(lsn / 0x1_0000_0000);
  }

  pageDirty(page: number): boolean {
    return this.u32[(PAGE_LSNS >> 2) + page * 2 + 1] >>> 31 === 1;
  }

  markDirty(page: number): void {
    this.u32[(PAGE_LSNS >> 2) + page * 2 + 1] |= 0x8000_0000;
  }

  markClean(page: number): void {
    this.u32[(PAGE_LSNS >> 2) + page * 2 + 1] &= 0x7fff_ffff;
  }

  /** The bytes of a page of rows that are in use, as a view. */
  pageBytes(page: number, length: number): Uint8Array {
    const at = page * 2 ** PAGE_SHIFT;
    return this.bytes.subarray(at, at + length);
  }

  /** Makes pages `from` to `end`, exclusive, nobody's and zero, whatever they held. For arenas that are only worked in. */
  emptyPages(from: number, end: number): void {
    const used = Math.min(end, this.pagesEnd);
    if (from < used) this.bytes.fill(0, from * PAGE_BYTES, used * PAGE_BYTES);
    this.bytes.fill(0, PAGE_METAS + from * PAGE_META_BYTES, PAGE_METAS + end * PAGE_META_BYTES);
    this.bytes.fill(0, PAGE_LSNS + 8 * from, PAGE_LSNS + 8 * end);
  }

  /** Takes a table's pages out of use without giving them away yet. Returns their numbers. */
  retirePages(table: number): number[] {
    const retired: number[] = [];
    for (let page = FIRST_PAGE; page < this.pagesEnd; page++) {
      if (this.pageTable(page) !== table || this.pageKind(page) === 0 || this.pageKind(page) === KIND_SCRATCH)
        continue;
      retired.push(page);
      this.data.setUint16(PAGE_METAS + page * PAGE_META_BYTES + M_KIND, KIND_DROPPED, true);
      this.markClean(page);
    }
    return retired;
  }

  /** The pages of rows that have changed since they were last written. */
  dirtyPages(): number[] {
    const dirty: number[] = [];
    for (let page = FIRST_PAGE, end = this.pagesEnd; page < end; page++) {
      if (this.pageDirty(page) && this.pageKind(page) === KIND_ROWS) dirty.push(page);
    }
    return dirty;
  }
}
