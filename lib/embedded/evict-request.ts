import type { EvictionRequest, Store } from "../api/store-types.js";
import { EmbershardError } from "../base/errors.js";

/**
 * Evicts rows for the command line. `params` is `{ table: string }` and one field of `Table.evict`.
 *
 * @throws as Store.table and Table.evict
 */
export async function evictRows(
  store: Pick<Store, "table">,
  params: unknown,
): Promise<{ table: string; evicted: number }> {
  const { table, ...request } = (params ?? {}) as { table?: unknown };
  if (typeof table !== "string")
    throw new EmbershardError("INVALID_ARGUMENT", "evict is asked for with { table } and one condition");
  const evicted = await (await store.table(table)).evict(request as EvictionRequest);
  return { table, evicted };
}
