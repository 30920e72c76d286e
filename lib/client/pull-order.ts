// The order in which a pull's keys are asked for, and which of the keys that were given next to each other have their rows.
import { distinctSlots } from "../kernel/equal-keys.js";
import type { PlanMemory } from "./plan-memory.js";
import { repeatsOften } from "./repeats.js";
import { beginOf, type Placed, type Route, routeByOwner, routeBytes, routeToOne } from "./routing.js";

/** Bytes of plan memory that ordering `n` keys takes at most. */
export function pullOrderBytes(n: number): number {
  return n * (8 + 8 + 3 * 4) + 4 * distinctSlots(n) + routeBytes(n) + 6 * 64;
}

/** Some of the keys that were given: those from `from` to `to`. */
export interface Window {
  readonly from: number;
  readonly to: number;
}

/**
 * Keys as they are asked for: those of an owner in the order in which they were given, each once where many come more than once. So the
 * rows of keys that were given next to each other come at about the same time, whichever owner they are of, and can be handed
 * over together while they are in the cache.
 */
export class PullOrder {
  readonly route: Route;
  /** Address of u32[keys given]: the place of each in the route; 0 where they are the same. */
  readonly places: number;
  readonly #given: number;
  readonly #windowKeys: number;
  /** By window and owner: the places before which all rows must be there. */
  readonly #needed: Uint32Array;
  /** By owner: all places before this have their rows. */
  readonly #have: Uint32Array;
  /** Windows that have been handed over. */
  #over = 0;
  #held = false;

  /** `windowKeys` are handed over at a time. */
  constructor(
    memory: PlanMemory,
    cluster: Placed,
    placement: bigint,
    given: BigUint64Array,
    windowKeys: number,
  ) {
    const n = given.length;
    this.#given = n;
    this.#windowKeys = windowKeys;
    const at = memory.take(8 * n);
    memory.u64.set(given, at / 8);
    const stops = Array.from({ length: Math.ceil(n / windowKeys) }, (_, i) =>
      Math.min(n, (i + 1) * windowKeys),
    );
    const once = repeatsOften(given) ? numbered(memory, at, n, stops) : undefined;
    const { keys, distinct, ends } = once ?? { keys: at, distinct: n, ends: stops };
    const { owners, map } = cluster;
    if (owners.length === 1) {
      this.route = routeToOne(owners[0], map.owners.length, keys, distinct);
      this.places = once?.numbers ?? 0;
      this.#needed = neededOfOne(owners[0], map.owners.length, ends);
    } else {
      const { route, reached } = routeByOwner(memory, cluster, placement, keys, distinct, ends);
      this.route = route;
      this.#needed = reached;
      this.places = once ? memory.take(4 * n) : route.places;
      if (once) memory.kernel.gatherRows(route.places, once.numbers, n, 4, this.places);
    }
    this.#have = Uint32Array.from(this.route.ends, (_, owner) => beginOf(this.route, owner));
  }

  /** Rows of an owner's have come, those of places `from` to `to`. */
  arrived(owner: number, from: number, to: number): void {
    const have = this.#have[owner];
    if (from <= have && have < to) this.#have[owner] = to;
  }

  /** Some rows will come again: nothing is handed over until all are there. */
  hold(): void {
    this.#held = true;
  }

  /** All rows have come. */
  complete(): void {
    this.#held = false;
    this.#have.set(this.route.ends);
  }

  /** The next keys that have all of their rows, if there are any: each once. */
  next(): Window | undefined {
    const from = this.#over * this.#windowKeys;
    if (this.#held || from >= this.#given || !this.#isThere(this.#over)) return undefined;
    this.#over++;
    return { from, to: Math.min(this.#given, from + this.#windowKeys) };
  }

  #isThere(window: number): boolean {
    const owners = this.#have.length;
    const at = window * owners;
    for (let owner = 0; owner < owners; owner++)
      if (this.#have[owner] < this.#needed[at + owner]) return false;
    return true;
  }
}

/** What each window needs of the only owner. */
function neededOfOne(owner: number, owners: number, ends: readonly number[]): Uint32Array {
  const needed = new Uint32Array(ends.length * owners);
  ends.forEach((end, window) => {
    needed[window * owners + owner] = end;
  });
  return needed;
}

/** Distinct keys, u64[distinct], in the order in which they first came, the number of each of u64[n], and how many came before each stop. */
function numbered(
  memory: PlanMemory,
  keys: number,
  n: number,
  stops: readonly number[],
): { readonly keys: number; readonly distinct: number; readonly numbers: number; readonly ends: number[] } {
  const unique = memory.take(8 * n);
  const counts = memory.take(4 * n);
  const numbers = memory.take(4 * n);
  const slotCount = distinctSlots(n);
  const slots = memory.take(4 * slotCount);
  const distinct = memory.kernel.numberKeys(keys, n, unique, counts, numbers, slots, slotCount);
  const { u32 } = memory;
  let seen = 0;
  let from = 0;
  const ends = stops.map((to) => {
    for (let i = from; i < to; i++) seen = Math.max(seen, u32[numbers / 4 + i] + 1);
    from = to;
    return seen;
  });
  return { keys: unique, distinct, numbers, ends };
}
