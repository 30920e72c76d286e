import { hashName } from "../api/keys.js";
import type { TableDefinition } from "../api/table-definition.js";

/** What may change while a table lives, or differs from shard to shard. */
const changing = new Set(["number", "candidates", "made", "ack", "nonFinite", "eviction", "memory"]);

/** A table's id on the wire: XXH64 of its name. */
export function tableId(name: string): bigint {
  return hashName(name, 0n);
}

/**
 * XXH64 of what of a definition never changes, as JSON with its fields in the order of their names: equal on all shards,
 * and another one for a table that was dropped and made anew with other settings.
 */
export function tableFingerprint(definition: TableDefinition): bigint {
  const lasting = Object.fromEntries(
    Object.entries(definition).filter(([name, value]) => value !== undefined && !changing.has(name)),
  );
  const { learningRate: _, ...optimizer } = definition.optimizer;
  return hashName(
    JSON.stringify(inOrder({ ...lasting, optimizer, evicting: definition.eviction !== undefined })),
    2n,
  );
}

function inOrder(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  return Object.fromEntries(
    entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, one]) => [name, inOrder(one)]),
  );
}
