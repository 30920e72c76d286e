// Pages: the memory of an arena in runs of 128 KiB, handed out to tables (rows, index, directory) and to scratch.
import {
  FIRST_PAGE,
  KIND_FREE,
  M_BUMP,
  M_FREE,
  M_KIND,
  M_LIVE,
  M_NEXT,
  M_TABLE,
  PAGE_BYTES,
  PAGE_LSNS,
  PAGE_METAS,
  PAGE_SHIFT,
} from "./layout";

/** Pages by which memory grows at once: 64 MiB. */
const GROW_PAGES: u32 = 512;

let limit: u32 = 256;
let next: u32 = FIRST_PAGE;
let freeHead: u32 = 0;
let freeCount: u32 = 0;

/** Begins with memory of which nothing has been handed out, zero above the module's own data, and which may have grown before. */
export function beginPages(most: u32): void {
  limit = most;
  next = FIRST_PAGE;
  freeHead = 0;
  freeCount = 0;
}

/** Pages that can still be handed out without passing the limit. */
export function pagesLeft(): u32 {
  return freeCount + (limit - next);
}

/** Pages handed out and not given back. */
export function pagesUsed(): u32 {
  return next - freeCount;
}

/** One more than the highest page ever handed out. */
export function pagesEnd(): u32 {
  return next;
}

export function metaOf(page: u32): usize {
  return PAGE_METAS + ((<usize>page) << 4);
}

/** Makes sure that `pages` more can be taken without growing. Returns false when limit or system refuse. */
export function commitPages(pages: u32): bool {
  if (pages <= freeCount) return true;
  if (pages > pagesLeft()) return false;
  const end = next + (pages - freeCount);
  const have = <u32>(memory.size() >> 1);
  if (end <= have) return true;
  const want = min(max(end, have + GROW_PAGES), limit);
  if (memory.grow(<i32>((want - have) << 1)) >= 0) return true;
  return memory.grow(<i32>((end - have) << 1)) >= 0;
}

/** Takes one zeroed page. The caller has made sure that there is one. */
export function takePage(kind: u16, table: u32): u32 {
  let page = freeHead;
  if (page != 0) {
    freeHead = load<u32>(metaOf(page), M_NEXT);
    freeCount--;
    memory.fill((<usize>page) << PAGE_SHIFT, 0, PAGE_BYTES);
  } else {
    if (!commitPages(1)) unreachable();
    page = next++;
  }
  claimMeta(page, kind, table);
  return page;
}

function claimMeta(page: u32, kind: u16, table: u32): void {
  const meta = metaOf(page);
  store<u16>(meta, <u16>table, M_TABLE);
  store<u16>(meta, kind, M_KIND);
  store<u32>(meta, 0, M_LIVE);
  store<u16>(meta, 0, M_FREE);
  store<u16>(meta, 0, M_BUMP);
  store<u32>(meta, 0, M_NEXT);
}

export function givePage(page: u32): void {
  const meta = metaOf(page);
  store<u16>(meta, KIND_FREE, M_KIND);
  store<u32>(meta, freeHead, M_NEXT);
  store<u64>(PAGE_LSNS + ((<usize>page) << 3), 0);
  freeHead = page;
  freeCount++;
}

/** Takes `pages` adjacent pages, not zeroed. Returns the first, or 0 when there is no room. */
export function takeRun(pages: u32, kind: u16): u32 {
  if (pages > limit - next) return 0;
  const end = next + pages;
  const have = <u32>(memory.size() >> 1);
  if (end > have && memory.grow(<i32>((end - have) << 1)) < 0) return 0;
  const first = next;
  next = end;
  for (let page = first; page < end; page++) claimMeta(page, kind, 0);
  return first;
}

/**
 * Recovery: makes page number `page` a page of `table`'s rows, whatever order pages come in. Numbers passed over
 * become free. Returns false when the page is beyond the limit.
 */
export function claimPage(page: u32, kind: u16, table: u32): bool {
  if (page < FIRST_PAGE || page >= limit) return false;
  if (page >= next) {
    const have = <u32>(memory.size() >> 1);
    if (page >= have) {
      const want = min(max(page + 1, have + GROW_PAGES), limit);
      if (memory.grow(<i32>((want - have) << 1)) < 0) return false;
    }
    // Recovery takes pages before anything else does; what it passes over is linked into the free list by sweepPages.
    for (let passed = next; passed < page; passed++) store<u16>(metaOf(passed), KIND_FREE, M_KIND);
    next = page + 1;
  }
  claimMeta(page, kind, table);
  return true;
}

/** Recovery: puts every page that nobody claimed into the free list. */
export function sweepPages(): void {
  freeHead = 0;
  freeCount = 0;
  for (let page = FIRST_PAGE; page < next; page++) {
    if (load<u16>(metaOf(page), M_KIND) == KIND_FREE) givePage(page);
  }
}
