// A push whose rows go straight to where they are sent from: the usual case, in which nothing has to be left out.
import { copyChecked } from "../kernel/checked-copy.js";
import { distinctSlots } from "../kernel/equal-keys.js";
import type { Cluster } from "./cluster.js";
import type { PlanMemory } from "./plan-memory.js";
import { type Route, routeBySlot, routeBytes } from "./routing.js";
import type { RemoteWrite } from "./write-plan.js";

/** Bytes of rows that are brought into plan memory at once, to stay in the cache until they are in their places. */
const chunkBytes = 131_072;

/** Gradients in the order of the route, those of equal keys summed. Addresses are those of plan memory. */
export interface PlacedPush {
  readonly route: Route;
  /** f32[route.n * dim] */
  readonly values: number;
  /** u32[route.n], how often each key occurred; 0 where each did once. */
  readonly counts: number;
}

/** Bytes of plan memory that placing a push takes. */
export function placingBytes({ keys, table }: RemoteWrite): number {
  const n = keys.length;
  const rowBytes = 4 * table.dim;
  return (
    n * (8 + 8 + 3 * 4 + rowBytes) + 4 * distinctSlots(n) + routeBytes(n) + chunkBytes + rowBytes + 16 * 64
  );
}

/**
 * Puts a push in the order of owners and slots. `undefined` where a gradient, or a sum of some, is not finite, which says
 * nothing about what is to become of it.
 */
export function placePush(memory: PlanMemory, cluster: Cluster, write: RemoteWrite): PlacedPush | undefined {
  const { kernel } = memory;
  const { keys, table } = write;
  const { dim } = table;
  const values = write.values as Float32Array;
  const given = keys.length;
  const keysAt = memory.take(8 * given);
  memory.u64.set(keys, keysAt / 8);
  const unique = memory.take(8 * given);
  const counts = memory.take(4 * given);
  const numbers = memory.take(4 * given);
  const slotCount = distinctSlots(given);
  const slots = memory.take(4 * slotCount);
  const n = kernel.numberKeys(keysAt, given, unique, counts, numbers, slots, slotCount);
  const route = routeBySlot(memory, cluster, table.placement, unique, n);
  const into = memory.take(4 * n * dim);
  const chunkRows = Math.max(1, Math.floor(chunkBytes / (4 * dim)));
  const chunk = memory.take(4 * chunkRows * dim);
  let seen = 0;
  for (let from = 0; from < given; from += chunkRows) {
    const rows = Math.min(chunkRows, given - from);
    const some = values.subarray(from * dim, (from + rows) * dim);
    if (copyChecked(memory.f32, kernel, some, chunk) >= 0) return undefined;
    seen = kernel.sumRowsInto(chunk, numbers + 4 * from, rows, dim, route.places, seen, into);
  }
  if (n === given) return { route, values: into, counts: 0 };
  const ordered = memory.take(4 * n);
  kernel.scatterRows(counts, route.places, n, 4, ordered);
  if (kernel.firstNonFiniteSum(into, ordered, n, dim) >= 0) return undefined;
  return { route, values: into, counts: ordered };
}
