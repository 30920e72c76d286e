// Of a push that has been made in part, what is left: the keys of some slots.
import type { ShardState } from "./shard-state.js";
import type { SlotRange } from "./slot-sequences.js";
import type { RowWrite } from "./staging.js";

type Column = BigUint64Array | Float32Array | Uint32Array;

/** Writes with the keys only whose slots lie in `ranges`, in arrays of their own. */
export function ofSlots(
  state: ShardState,
  writes: readonly RowWrite[],
  ranges: readonly SlotRange[],
): RowWrite[] {
  return writes.map((write) => {
    const { table, keys, values, states, history, counts, counters } = write;
    const places = placesIn(state, write, ranges);
    return {
      ...write,
      keys: pick(keys, places, 1),
      values: values && pick(values, places, table.dim),
      states: states && pick(states, places, table.stateFloats),
      history: history && {
        frequency: pick(history.frequency, places, 1),
        lastStep: pick(history.lastStep, places, 1),
      },
      counts: counts && pick(counts, places, 1),
      counters: counters && pick(counters, places, table.counters),
    };
  });
}

/** Places of the keys whose slots lie in the ranges. */
function placesIn(
  { arenas: { front } }: ShardState,
  { table, keys }: RowWrite,
  ranges: readonly SlotRange[],
): number[] {
  const n = keys.length;
  front.beginScratch(10 * n + 128);
  const at = front.takeScratch(8 * n);
  const slots = front.takeScratch(2 * n);
  front.u64.set(keys, at / 8);
  front.kernel.slotsOf(at, n, table.placement, slots);
  const places: number[] = [];
  for (let i = 0; i < n; i++) {
    const slot = front.u16[slots / 2 + i];
    if (ranges.some(({ first, last }) => slot >= first && slot <= last)) places.push(i);
  }
  return places;
}

function pick<T extends Column>(column: T, places: readonly number[], width: number): T {
  const picked = new (column.constructor as new (length: number) => T)(places.length * width);
  for (const [to, from] of places.entries())
    picked.set(column.subarray(from * width, (from + 1) * width) as never, to * width);
  return picked;
}
