// The order in which keys are sent: by owner, and, of what is written, by slot.
import { mostOwners } from "../ring/members.js";
import type { Cluster } from "./cluster.js";
import type { PlanMemory } from "./plan-memory.js";

/** Who owns which slots. */
export type Placed = Pick<Cluster, "map" | "owners" | "routes">;

/** Where keys lie in the order of their owners. Addresses are those of plan memory. */
export interface Route {
  readonly n: number;
  /** u64[n], in order. */
  readonly keys: number;
  /** u32[n]: for each key as it was given, its place in the order; 0 where that is the same. */
  readonly places: number;
  /** u32[16384], by a slot's place in the order of slots: the place after its last key; 0 where keys are not in that order. */
  readonly slotEnds: number;
  /** By owner: the place after its last. */
  readonly ends: Uint32Array;
}

/** A route, and how far it is at some of its keys. */
export interface Milestones {
  readonly route: Route;
  /** u32[stops * owners]: where each owner's keys end of those before each stop. */
  readonly reached: Uint32Array;
}

/** Bytes of plan memory that a route takes at most. */
export function routeBytes(n: number): number {
  return 14 * n + 2 * slotCount + 4 * (mostOwners + 1) + 5 * 64;
}

const slotCount = 16_384;

/** Leaves keys as they were given, for the only owner there is. */
export function routeToOne(owner: number, owners: number, keys: number, n: number): Route {
  return { n, keys, places: 0, slotEnds: 0, ends: new Uint32Array(owners).fill(n, owner) };
}

/** Puts u64[n] at `keys` in the order of their owners and slots. */
export function routeBySlot(
  memory: PlanMemory,
  { routes: { rankOf, endOf } }: Placed,
  placement: bigint,
  keys: number,
  n: number,
): Route {
  const groups = groupedBy(memory, rankOf, rankOf.length, placement, keys, n);
  const { sorted, places, next } = groups;
  memory.kernel.placeKeys(keys, groups.of, n, next, sorted, places);
  const { u32 } = memory;
  const ends = Uint32Array.from(endOf, (end) => (end === 0 ? 0 : u32[next / 4 + end - 1]));
  return { n, keys: sorted, places, slotEnds: next, ends };
}

/**
 * Puts u64[n] at `keys` in the order of their owners, those of one as they were given. `stops` are numbers of keys, ascending; the last
 * is `n`.
 */
export function routeByOwner(
  memory: PlanMemory,
  { map: { owners, ownerOf } }: Placed,
  placement: bigint,
  keys: number,
  n: number,
  stops: readonly number[],
): Milestones {
  const groups = groupedBy(memory, ownerOf, owners.length, placement, keys, n);
  const { sorted, places, next } = groups;
  const now = memory.u32.subarray(next / 4, next / 4 + owners.length);
  const reached = new Uint32Array(stops.length * owners.length);
  let from = 0;
  stops.forEach((to, stop) => {
    memory.kernel.placeKeys(
      keys + 8 * from,
      groups.of + 2 * from,
      to - from,
      next,
      sorted,
      places + 4 * from,
    );
    reached.set(now, stop * owners.length);
    from = to;
  });
  return { route: { n, keys: sorted, places, slotEnds: 0, ends: now.slice() }, reached };
}

/** What puts keys in the order of groups. Addresses are those of plan memory. */
interface Groups {
  /** u16[n], by key. */
  readonly of: number;
  /** u32[groups], where the next key of each goes. */
  readonly next: number;
  /** Room for u64[n] keys and u32[n] places. */
  readonly sorted: number;
  readonly places: number;
}

function groupedBy(
  memory: PlanMemory,
  groupOf: Uint16Array,
  groupCount: number,
  placement: bigint,
  keys: number,
  n: number,
): Groups {
  const table = memory.take(2 * slotCount);
  const of = memory.take(2 * n);
  const next = memory.take(4 * groupCount);
  memory.u16.set(groupOf, table / 2);
  memory.kernel.groupKeys(keys, n, placement, table, of, next, groupCount);
  return { of, next, sorted: memory.take(8 * n), places: memory.take(4 * n) };
}

/** Where an owner's keys begin. */
export function beginOf({ ends }: Route, owner: number): number {
  return owner === 0 ? 0 : ends[owner - 1];
}
