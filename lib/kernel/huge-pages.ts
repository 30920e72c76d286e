import { createRequire } from "node:module";

const hugeBytes = 2 << 20;
/** MADV_HUGEPAGE of Linux's madvise(2). */
const madvHugePage = 14;

type Advise = (address: Uint8Array, bytes: number, advice: number) => number;

let advise: Advise | null | undefined;

function loadAdvise(): Advise | null {
  if (process.platform !== "linux") return null;
  try {
    const koffi = createRequire(import.meta.url)("koffi");
    return koffi.load(null).func("int madvise(void *address, size_t bytes, int advice)") as Advise;
  } catch {
    // koffi is optional, and may not have a build for this platform: small pages then.
    return null;
  }
}

/**
 * Asks the system to back the bytes [from, to) of a memory with 2 MiB pages, which saves a page walk at each random
 * row. Returns whether it agreed; never required.
 */
export function adviseHugePages(buffer: ArrayBuffer, from: number, to: number): boolean {
  if (advise === undefined) advise = loadAdvise();
  if (advise === null) return false;
  const first = Math.ceil(from / hugeBytes) * hugeBytes;
  const bytes = Math.floor(to / hugeBytes) * hugeBytes - first;
  if (bytes <= 0) return true;
  return advise(new Uint8Array(buffer, first, bytes), bytes, madvHugePage) === 0;
}
