// The order in which keys are sent: by owner, and, of what is written, by slot.
import type { Cluster } from "./cluster.js";
import type { PlanMemory } from "./plan-memory.js";

/** Where keys lie in the order of their owners. Addresses are those of plan memory. */
export interface Route {
  readonly n: number;
  /** u64[n], in order. */
  readonly keys: number;
  /** u32[n]: for each place in the order, where the key was given; 0 where that is the same. */
  readonly order: number;
  /** u16[n]: slots of the keys as they were given; 0 where keys were not put in order. */
  readonly slots: number;
  /** By owner: the place after its last. */
  readonly ends: Uint32Array;
}

/** Bytes of plan memory that a route takes. */
export function routeBytes(n: number): number {
  return 14 * n + 3 * 64;
}

/** Leaves keys as they were given, for the only owner there is. */
export function routeToOne(owner: number, owners: number, keys: number, n: number): Route {
  return { n, keys, order: 0, slots: 0, ends: new Uint32Array(owners).fill(n, owner) };
}

/** Writes the order of keys to `order`, by their slots, and where each owner's end to `ends`. */
type Sort = (slots: Uint16Array, order: Uint32Array, ends: Uint32Array) => void;

/** Puts u64[n] at `keys` in the order of their owners and slots. */
export function routeBySlot(
  memory: PlanMemory,
  { map, routes }: Cluster,
  placement: bigint,
  keys: number,
  n: number,
): Route {
  const sort: Sort = (slots, order, ends) => routes.sort(slots, n, order, ends);
  return routeSorted(memory, map.owners.length, placement, keys, n, sort);
}

/** Puts u64[n] at `keys` in the order of their owners, those of one as they were given. */
export function routeByOwner(
  memory: PlanMemory,
  { map: { owners, ownerOf } }: Cluster,
  placement: bigint,
  keys: number,
  n: number,
): Route {
  const sort: Sort = (slots, order, ends) => {
    const next = new Uint32Array(owners.length);
    for (let i = 0; i < n; i++) ends[ownerOf[slots[i]]]++;
    for (let owner = 1; owner < owners.length; owner++) {
      next[owner] = ends[owner - 1];
      ends[owner] += ends[owner - 1];
    }
    for (let i = 0; i < n; i++) order[next[ownerOf[slots[i]]]++] = i;
  };
  return routeSorted(memory, owners.length, placement, keys, n, sort);
}

function routeSorted(
  memory: PlanMemory,
  owners: number,
  placement: bigint,
  keys: number,
  n: number,
  sort: Sort,
): Route {
  const slots = memory.take(2 * n);
  const order = memory.take(4 * n);
  const sorted = memory.take(8 * n);
  const ends = new Uint32Array(owners);
  memory.kernel.slotsOf(keys, n, placement, slots);
  sort(memory.u16.subarray(slots / 2, slots / 2 + n), memory.u32.subarray(order / 4, order / 4 + n), ends);
  memory.kernel.gatherRows(keys, order, n, 8, sorted);
  return { n, keys: sorted, order, slots, ends };
}

/** Where an owner's keys begin. */
export function beginOf({ ends }: Route, owner: number): number {
  return owner === 0 ? 0 : ends[owner - 1];
}
