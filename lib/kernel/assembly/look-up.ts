// Looking up: the records of a block of keys.
//
// A block's cache lines are touched (loaded into a sink) before they are used, first the index entries, then the
// records, so that their misses overlap; WebAssembly has no prefetch instruction. What is to be touched is computed before, in
// loops of its own.
import { candidate, directoryShift, find, homeUnder, overflows, tagUnder } from "./index";
import { T_DIRECTORY, T_PLACEMENT, T_RECORD } from "./layout";

/** Keys that are worked on at once. */
export const BLOCK: i32 = 256;
/** Addresses that are touched together. */
const GROUP: i32 = 8;
/** Of the keys of a block: their tags, and, from lookUp on, their records, with room for as many zeros as are touched beyond. */
export const TAGS = memory.data(256 * 8, 16);
export const RECORDS = memory.data((256 + 16 + 8) * 4, 16);
const HOMES = memory.data(256 * 4, 16);
const SINK = memory.data(8, 16);

/** Writes the records of a block's keys, 0 where there is none, to RECORDS, and touches `span` bytes of each. */
export function lookUp(t: usize, keys: usize, n: i32, span: usize): void {
  const placement = load<u64>(t, T_PLACEMENT);
  const directory = <usize>load<u32>(t, T_DIRECTORY);
  const shift = directoryShift(t);
  const spilled = overflows(t);
  for (let i = 0; i < n; i++) {
    const tag = tagUnder(placement, load<u64>(keys + ((<usize>i) << 3)));
    const home = homeUnder(directory, shift, tag);
    store<u64>(TAGS + ((<usize>i) << 3), tag);
    store<u32>(HOMES + ((<usize>i) << 2), <u32>home);
  }
  touchAll(HOMES, n, 0);
  for (let i = 0; i < n; i++) {
    const record = candidate(
      <usize>load<u32>(HOMES + ((<usize>i) << 2)),
      load<u64>(TAGS + ((<usize>i) << 3)),
    );
    store<u32>(RECORDS + ((<usize>i) << 2), <u32>record);
  }
  // Records lie at multiples of the largest power of two in their length: bytes of one such piece share a cache line.
  const bytes = <usize>load<u32>(t, T_RECORD);
  touchRecords(n, (span - 1) & ~(min<usize>(64, bytes & (0 - bytes)) - 1));
  for (let i = 0; i < n; i++) {
    const record = <usize>load<u32>(RECORDS + ((<usize>i) << 2));
    const key = load<u64>(keys + ((<usize>i) << 3));
    if (record != 0 ? load<u64>(record) != key : spilled) {
      store<u32>(RECORDS + ((<usize>i) << 2), <u32>find(t, key, load<u64>(TAGS + ((<usize>i) << 3))));
    }
  }
}

/**
 * Loads a word of each of `n` addresses (u32[n]), `offset` bytes behind it. The loop does nothing else: the fewer instructions lie
 * between two loads that miss the cache, the more of them the processor has on their way.
 */
export function touchAll(addresses: usize, n: i32, offset: usize): void {
  let at = addresses;
  const end = addresses + ((<usize>n) << 2);
  for (; at + (GROUP << 2) <= end; at += GROUP << 2) touchGroup(at, offset);
  for (; at < end; at += 4) touch(<usize>load<u32>(at) + offset);
}

/** How many rows ahead the first line of a record is touched: it takes a walk through the page tables, the others do not. */
const AHEAD: i32 = 16;

/**
 * Loads a word of each cache line of `n` RECORDS, the last one `last` bytes behind their beginnings: of short records line by
 * line, of long ones line by line for a group of rows, but for the first line. Each is the faster way.
 */
function touchRecords(n: i32, last: usize): void {
  if (last < 256) {
    for (let line: usize = 0; line < last; line += 64) touchAll(RECORDS, n, line);
    touchAll(RECORDS, n, last);
    return;
  }
  touchAll(RECORDS, min(n, AHEAD), 0);
  memory.fill(RECORDS + ((<usize>n) << 2), 0, (AHEAD + GROUP) << 2);
  const end = RECORDS + ((<usize>n) << 2);
  for (let group = RECORDS; group < end; group += GROUP << 2) {
    touchGroup(group + (AHEAD << 2), 0);
    for (let line: usize = 64; line < last; line += 64) touchGroup(group, line);
    touchGroup(group, last);
  }
}

/** Loads a word of each of a GROUP of addresses (u32[]), `offset` bytes behind it, in their order. */
function touchGroup(addresses: usize, offset: usize): void {
  touch(<usize>load<u32>(addresses) + offset);
  touch(<usize>load<u32>(addresses, 4) + offset);
  touch(<usize>load<u32>(addresses, 8) + offset);
  touch(<usize>load<u32>(addresses, 12) + offset);
  touch(<usize>load<u32>(addresses, 16) + offset);
  touch(<usize>load<u32>(addresses, 20) + offset);
  touch(<usize>load<u32>(addresses, 24) + offset);
  touch(<usize>load<u32>(addresses, 28) + offset);
}

/** Loads a word. Each is stored, because the engine turns the order of loads around that only flow together. */
function touch(address: usize): void {
  store<u32>(SINK, load<u32>(address));
}
