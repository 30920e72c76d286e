// Candidates for people: which keys were counted and have no row, and forgetting them.
import type { WriteRequest } from "../api/backend.js";
import type { ForgetOptions } from "../api/eviction-request.js";
import type { ScanBatch } from "../api/row-batches.js";
import type { Ack } from "../api/table-definition.js";
import type { ArenaTable } from "../table/arena-table.js";
import type { ArenaSet } from "./arena-set.js";
import type { RowWrite } from "./staging.js";

/** Of an arena's answer: the key has a row there. */
const rowBit = 0x8000_0000;
/** Keys that are forgotten in one write. */
const writeKeys = 4096;
const sketchBytes = 1 << 20;

/** What forgetting takes of a shard. */
export interface ForgettingShard {
  scan(table: ArenaTable, batchRows: number): AsyncIterable<ScanBatch>;
  write(writes: readonly RowWrite[], request: WriteRequest): Promise<number>;
}

/** Forgets candidates, some thousands at a time. Resolves to how many rows of candidates are gone. */
export async function forgetCandidates(
  shard: ForgettingShard,
  candidates: ArenaTable,
  wanted: ForgetOptions,
  ack: Ack,
): Promise<number> {
  let forgotten = 0;
  for await (const batch of shard.scan(candidates, forgetRows(candidates))) {
    const keys = keysToForget(batch, wanted);
    if (keys.length === 0) continue;
    const write: RowWrite = { table: candidates, kind: "delete", keys, learningRate: 0 };
    forgotten += await shard.write([write], { ack, step: 0 });
  }
  return forgotten;
}

/** Rows of candidates that are read, and deleted, at once. */
function forgetRows({ bySlot, recordBytes }: ArenaTable): number {
  return bySlot ? Math.max(1, Math.floor(sketchBytes / recordBytes)) : writeKeys;
}

/** The keys of a batch of candidates that are to be forgotten. */
function keysToForget(
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
    for (const arena of set.all) {
      arena.beginScratch(12 * n + 2 * 64);
      const at = arena.takeScratch(8 * n);
      const counts = arena.takeScratch(4 * n);
      arena.u64.set(keys.subarray(from, from + n), at / 8);
      arena.kernel.occurrencesOf(table.index, at, n, counts);
      // A row is in one arena, and what a sketch counted of its key may be in another, before or after it moves. The bit of
      // rows is the highest, so the greatest is the row's, or else the only one that is not 0.
      for (let i = 0; i < n; i++) {
        const found = arena.u32[counts / 4 + i];
        if (found > into[from + i]) into[from + i] = found;
      }
    }
    for (let i = from; i < from + n; i++) into[i] &= ~rowBit;
  }
}
