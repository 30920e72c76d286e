// Rows that go from one shard to another as they are: weights, state, frequency, steps and counters, bit for bit.
import type { Arena } from "../table/arena.js";
import type { ArenaTable } from "../table/arena-table.js";
import { slotCount } from "./arena-set.js";
import { containsRows } from "./reading.js";
import type { Shard } from "./shard.js";
import { guarded, type ShardState } from "./shard-state.js";

export interface RowCopies {
  readonly keys: BigUint64Array;
  /** recordBytes each. */
  readonly records: Uint8Array;
}

/** Rows of a table, or of its candidates, whose slots have 1 in `slots` (u8[16384]), page by page. The arrays are the caller's. */
export function* copyRows(state: ShardState, table: ArenaTable, slots: Uint8Array): Generator<RowCopies> {
  for (const arena of state.arenas.all) {
    const next = (from: number) => arena.kernel.nextPageOf(table.index, from, arena.pagesEnd);
    for (let page = next(arena.firstPage); page !== 0; page = next(page + 1)) {
      const copies = guarded(state, () => copyPage(arena, table, page, slots));
      if (copies.keys.length > 0) yield copies;
    }
  }
}

function copyPage(arena: Arena, table: ArenaTable, page: number, slots: Uint8Array): RowCopies {
  const { kernel } = arena;
  const most = table.rowsPerPage;
  arena.beginScratch(slotCount + most * (9 + table.recordBytes) + 4 * 64);
  const slotsAt = arena.takeScratch(slotCount);
  const keysAt = arena.takeScratch(8 * most);
  const found = arena.takeScratch(most);
  const into = arena.takeScratch(most * table.recordBytes);
  arena.bytes.set(slots, slotsAt);
  const n = kernel.keysOfPage(page, slotsAt, table.placement, keysAt);
  kernel.copyRecords(table.index, keysAt, n, into, found);
  return {
    keys: arena.u64.slice(keysAt / 8, keysAt / 8 + n),
    records: arena.bytes.slice(into, into + n * table.recordBytes),
  };
}

/** Adds rows that another shard has; those that are here already are left as they are. Returns how many were added. */
export async function adoptCopies(
  shard: Shard,
  table: ArenaTable,
  { keys, records }: RowCopies,
): Promise<number> {
  const there = new Uint8Array(keys.length);
  guarded(shard.state, () => containsRows(shard.state.arenas, table, keys, there));
  const { recordBytes } = table;
  const places = [...keys.keys()].filter((i) => there[i] === 0);
  if (places.length === 0) return 0;
  const wanted = new Uint8Array(places.length * recordBytes);
  for (const [to, from] of places.entries())
    wanted.set(records.subarray(from * recordBytes, (from + 1) * recordBytes), to * recordBytes);
  const write = {
    table,
    kind: "adopt",
    keys: BigUint64Array.from(places, (i) => keys[i]),
    records: wanted,
    learningRate: 0,
  } as const;
  return shard.write([write], { ack: "memory", step: 0 });
}
