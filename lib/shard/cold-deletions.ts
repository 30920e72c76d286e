// Values of rows that were deleted, and how they go.
import type { PageBatch } from "../store/page-store.js";
import type { ArenaTable } from "../table/arena-table.js";
import type { ColdRows } from "./cold-rows.js";
import { encodeColdKey } from "./cold-values.js";
import type { ShardState } from "./shard-state.js";

/** Deletions of one batch. */
export const deletionsOfBatch = 4096;

/** Notes that rows are gone for good, by the record of that LSN: of one that was cold once there may still be a value. */
export function noteGone({ cold }: ShardState, table: ArenaTable, keys: BigUint64Array, lsn: number): void {
  const rows = cold.size > 0 ? cold.get(table.definition.number) : undefined;
  if (!rows) return;
  if (rows.written) for (const key of keys) rows.deleted.set(key, lsn);
  rows.forgetReads(keys);
}

/** Deletes the values of rows that were deleted up to `lsn`, which is durable. */
export async function purgeDeleted(state: ShardState, cold: ColdRows, lsn: number): Promise<void> {
  for (;;) {
    const batch = state.pages.batch();
    const purged = addDeletions(cold, lsn, batch, deletionsOfBatch);
    if (purged.length === 0) return;
    await batch.write();
    forgetDeletions(cold, purged);
  }
}

/** Adds deletions of values of rows that were deleted up to `lsn` to a batch. Returns what they were of. */
export function addDeletions(
  cold: ColdRows,
  lsn: number,
  batch: PageBatch,
  limit: number,
): { key: bigint; lsn: number }[] {
  const added: { key: bigint; lsn: number }[] = [];
  for (const [key, deletedAt] of cold.deleted) {
    if (added.length >= limit) break;
    if (deletedAt > lsn) continue;
    batch.del(encodeColdKey(cold.table.definition.number, key));
    added.push({ key, lsn: deletedAt });
  }
  return added;
}

/** After their values are gone: a key that was deleted again meanwhile stays. */
export function forgetDeletions(cold: ColdRows, purged: readonly { key: bigint; lsn: number }[]): void {
  for (const { key, lsn } of purged) if (cold.deleted.get(key) === lsn) cold.deleted.delete(key);
  cold.forgetReads(purged.map(({ key }) => key));
}
