// Candidates for people: which keys were counted and have no row, and forgetting them.
import type { ArenaTable } from "../table/arena-table.js";
import type { ArenaSet } from "./arena-set.js";
import type { ScanBatch } from "./scanning.js";

/** Which candidates to forget; all that is given must hold. */
export interface ForgetOptions {
  /** Those whose last push had an earlier step. */
  readonly unseenSince?: number | undefined;
  /** Those that were seen so often at most. */
  readonly atMost?: number | undefined;
}

/** Keys that are forgotten in one write. */
const writeKeys = 4096;
const sketchBytes = 1 << 20;

/** Rows of candidates that are read, and deleted, at once. */
export function forgetRows({ bySlot, recordBytes }: ArenaTable): number {
  return bySlot ? Math.max(1, Math.floor(sketchBytes / recordBytes)) : writeKeys;
}

/** The keys of a batch of candidates that are to be forgotten. */
export function keysToForget(
  { keys, frequency, lastStep }: ScanBatch,
  { unseenSince = Number.POSITIVE_INFINITY, atMost = Number.POSITIVE_INFINITY }: ForgetOptions,
): BigUint64Array {
  return keys.filter((_, i) => lastStep[i] < unseenSince && frequency[i] <= atMost);
}

/** Writes how often each key has been pushed to u32[n]; a sketch may say more than that. */
export function occurrencesOf(
  set: ArenaSet,
  table: ArenaTable,
  keys: BigUint64Array,
  into: Uint32Array,
): void {
  const chunk = 8192;
  for (let from = 0; from < keys.length; from += chunk) {
    const n = Math.min(chunk, keys.length - from);
    const inRows = new Uint8Array(n);
    for (const arena of set.all) {
      arena.beginScratch(13 * n + 3 * 64);
      const at = arena.takeScratch(8 * n);
      const counts = arena.takeScratch(4 * n);
      const found = arena.takeScratch(n);
      arena.u64.set(keys.subarray(from, from + n), at / 8);
      arena.kernel.occurrencesOf(table.index, at, n, counts);
      arena.kernel.containsRows(table.index, at, n, found);
      // A row counts, wherever it is; its key's slot of a sketch may be in another arena while it is handed over.
      for (let i = 0; i < n; i++) {
        const count = arena.u32[counts / 4 + i];
        if (arena.bytes[found + i]) {
          inRows[i] = 1;
          into[from + i] = count;
        } else if (!inRows[i] && count > into[from + i]) into[from + i] = count;
      }
    }
  }
}
