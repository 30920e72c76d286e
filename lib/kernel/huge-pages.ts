import { systemCalls } from "../base/system-calls.js";

const hugeBytes = 2 << 20;
/** MADV_HUGEPAGE of Linux's madvise(2). */
const madvHugePage = 14;

/**
 * Asks the system to back the bytes [from, to) of a memory with 2 MiB pages, which saves a page walk at each random
 * row. Returns whether it agreed; never required.
 */
export function adviseHugePages(buffer: ArrayBuffer, from: number, to: number): boolean {
  const calls = systemCalls();
  if (!calls) return false;
  const first = Math.ceil(from / hugeBytes) * hugeBytes;
  const bytes = Math.floor(to / hugeBytes) * hugeBytes - first;
  return bytes <= 0 || calls.madvise(new Uint8Array(buffer, first, bytes), bytes, madvHugePage) === 0;
}
