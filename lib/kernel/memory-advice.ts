// Advice to the system about memory. All of it is optional: without it the same work takes longer.
import { systemCalls } from "../base/system-calls.js";

const hugeBytes = 2 << 20;
/** MADV_HUGEPAGE and MADV_POPULATE_WRITE of Linux's madvise(2). */
const madvHugePage = 14;
const madvPopulateWrite = 23;

/**
 * Asks the system to back the bytes [from, to) of a memory with 2 MiB pages, which saves a page walk at each random
 * row. Returns whether it agreed.
 */
export function adviseHugePages(buffer: ArrayBuffer, from: number, to: number): boolean {
  const calls = systemCalls();
  if (!calls) return false;
  const first = Math.ceil(from / hugeBytes) * hugeBytes;
  const bytes = Math.floor(to / hugeBytes) * hugeBytes - first;
  return bytes <= 0 || calls.madvise(new Uint8Array(buffer, first, bytes), bytes, madvHugePage) === 0;
}

/** Bytes that are populated in one call. */
const populateBytes = 16 << 20;

let populating: Promise<unknown> = Promise.resolve();

/**
 * Has another thread of the process fetch the bytes [from, to) of a memory from the system, which zeroes them, so that
 * whoever uses them first does not wait for it. One call at a time; what has been used meanwhile is left as it is.
 */
export function populateAhead(buffer: ArrayBuffer, from: number, to: number): void {
  const calls = systemCalls();
  if (!calls) return;
  // Memory that grows again detaches the buffer; the bytes stay where they are.
  const bytes = new Uint8Array(buffer, from, to - from);
  for (let at = 0; at < bytes.length; at += populateBytes) {
    const part = bytes.subarray(at, at + populateBytes);
    populating = populating.then(
      () =>
        new Promise<void>((resolve) =>
          part.length === 0
            ? resolve()
            : calls.madviseLater(part, part.length, madvPopulateWrite, () => resolve()),
        ),
    );
  }
}
