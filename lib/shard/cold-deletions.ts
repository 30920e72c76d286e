// Values of rows that were deleted, and how they go.
import type { PageBatch } from "../store/page-store.js";
import type { ArenaTable } from "../table/arena-table.js";
import { joinKeys, keepSuperseded, readSuperseded } from "./cold-keeping.js";
import type { ColdRows } from "./cold-rows.js";
import { encodeColdKey } from "./cold-values.js";
import type { ShardState } from "./shard-state.js";

/** Deletions of one batch. */
export const deletionsOfBatch = 4096;

/** Notes that rows are gone for good, by the record of that LSN: of one that was cold once there may still be a value. */
export function noteGone({ cold }: ShardState, table: ArenaTable, keys: BigUint64Array, lsn: number): void {
  const rows = cold.size > 0 ? cold.get(table.definition.number) : undefined;
  if (!rows) return;
  if (rows.written) for (const key of keys) rows.noteDeleted(key, lsn);
  rows.forgetReads(keys);
}

/** Deletes the values of rows that were deleted up to `lsn`, which is durable; what versions need of them is kept. */
export async function purgeDeleted(state: ShardState, cold: ColdRows, lsn: number): Promise<void> {
  for (let more = true; more; ) {
    more = await state.keeping.line.do(async () => {
      // Dropped, or rolled back: its values are others' by now.
      if (state.cold.get(cold.table.definition.number) !== cold) return false;
      const batch = state.pages.batch();
      const purged = await addDeletions(state, cold, lsn, batch, deletionsOfBatch);
      if (purged.length === 0) return false;
      await batch.write();
      forgetDeletions(cold, purged);
      return true;
    });
  }
}

/** Deletes the values of all rows that were gone at an LSN, which is durable: an instant has no values that count for nothing. */
export async function purgeGone(state: ShardState, lsn: number): Promise<void> {
  for (const cold of state.cold.values()) await purgeDeleted(state, cold, lsn);
}

/**
 * Adds deletions of values of rows that were deleted up to `lsn` to a batch. Returns what they were of. The caller has the
 * line of the changes.
 */
export async function addDeletions(
  state: ShardState,
  cold: ColdRows,
  lsn: number,
  batch: PageBatch,
  limit: number,
): Promise<{ key: bigint; at: number }[]> {
  const table = cold.table.definition.number;
  const added: { table: number; key: bigint; at: number }[] = [];
  for (const [key, at] of cold.deleted) {
    if (added.length >= limit) break;
    if (at <= lsn) added.push({ table, key, at });
  }
  const values = await readSuperseded(state, joinKeys(added));
  for (const [i, one] of added.entries()) {
    keepSuperseded(state, batch, one, values?.(i));
    batch.del(encodeColdKey(table, one.key));
  }
  return added;
}

/** After their values are gone. */
export function forgetDeletions(cold: ColdRows, purged: readonly { key: bigint; at: number }[]): void {
  for (const { key, at } of purged) if (cold.deleted.get(key) === at) cold.deleted.delete(key);
  cold.forgetReads(purged.map(({ key }) => key));
}
