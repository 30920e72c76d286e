// The order in which a client sends keys: by the group of their slots (owner, or place among the slots of all), then as they were given.
import { hashKey } from "./hash";

/**
 * Finds the group of each of u64[n] keys, `groupOf` (u16[16384]) of its slot, and writes it to `groups` (u16[n]); to `next`
 * (u32[groupCount]) where in the order of groups each begins.
 */
export function groupKeys(
  keys: usize,
  n: i32,
  placement: u64,
  groupOf: usize,
  groups: usize,
  next: usize,
  groupCount: u32,
): void {
  memory.fill(next, 0, (<usize>groupCount) << 2);
  for (let i = 0; i < n; i++) {
    const slot = <usize>(hashKey(load<u64>(keys + ((<usize>i) << 3)), placement) >> 50);
    const group = load<u16>(groupOf + (slot << 1));
    store<u16>(groups + ((<usize>i) << 1), group);
    const count = next + ((<usize>group) << 2);
    store<u32>(count, load<u32>(count) + 1);
  }
  let sum: u32 = 0;
  for (const end = next + ((<usize>groupCount) << 2); next < end; next += 4) {
    const count = load<u32>(next);
    store<u32>(next, sum);
    sum += count;
  }
}

/**
 * Puts keys u64[n] in the order of their `groups` (u16[n]): each goes to the next place of its group in `sorted`, and `places` (u32[n]) gets
 * that place. `next` is as `groupKeys` leaves it for the first of a batch, and is moved on; where all have been placed it says where each
 * group ends.
 */
export function placeKeys(
  keys: usize,
  groups: usize,
  n: i32,
  next: usize,
  sorted: usize,
  places: usize,
): void {
  for (let i = 0; i < n; i++) {
    const at = next + ((<usize>load<u16>(groups + ((<usize>i) << 1))) << 2);
    const place = load<u32>(at);
    store<u32>(at, place + 1);
    store<u64>(sorted + ((<usize>place) << 3), load<u64>(keys + ((<usize>i) << 3)));
    store<u32>(places + ((<usize>i) << 2), place);
  }
}
