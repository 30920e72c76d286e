// Looking up: the records of a block of keys.
//
// A block's cache lines are touched (loaded into a sink) before they are used, first the index entries, then the
// records, so that their misses overlap; WebAssembly has no prefetch instruction.
import { candidate, directoryShift, find, homeUnder, overflows, tagUnder } from "./index";
import { T_DIRECTORY, T_PLACEMENT } from "./layout";

/** Keys that are worked on at once. */
export const BLOCK: i32 = 256;
/** Of the keys of a block: their tags, and, from lookUp on, their records. */
export const TAGS = memory.data(256 * 8, 16);
export const RECORDS = memory.data(256 * 4, 16);
const HOMES = memory.data(256 * 4, 16);
const SINK = memory.data(8, 16);

/** Writes the records of a block's keys, 0 where there is none, to RECORDS, and touches `span` bytes of each. */
export function lookUp(t: usize, keys: usize, n: i32, span: usize): void {
  const placement = load<u64>(t, T_PLACEMENT);
  const directory = <usize>load<u32>(t, T_DIRECTORY);
  const shift = directoryShift(t);
  const spilled = overflows(t);
  let sink: u64 = 0;
  let other: u64 = 0;
  for (let i = 0; i < n; i++) {
    const tag = tagUnder(placement, load<u64>(keys + ((<usize>i) << 3)));
    const home = homeUnder(directory, shift, tag);
    store<u64>(TAGS + ((<usize>i) << 3), tag);
    store<u32>(HOMES + ((<usize>i) << 2), <u32>home);
    sink ^= load<u64>(home);
  }
  for (let i = 0; i < n; i++) {
    const record = candidate(
      <usize>load<u32>(HOMES + ((<usize>i) << 2)),
      load<u64>(TAGS + ((<usize>i) << 3)),
    );
    store<u32>(RECORDS + ((<usize>i) << 2), <u32>record);
  }
  for (let i = 0; i < n; i++) {
    const record = <usize>load<u32>(RECORDS + ((<usize>i) << 2));
    const last = record + span - 4;
    let line = record;
    for (; line + 256 <= last; line += 256) {
      sink ^= load<u64>(line) ^ load<u64>(line, 64);
      other ^= load<u64>(line, 128) ^ load<u64>(line, 192);
    }
    for (; line + 64 <= last; line += 64) sink ^= load<u64>(line);
    other ^= <u64>load<u32>(last);
  }
  store<u64>(SINK, sink ^ other);
  for (let i = 0; i < n; i++) {
    const record = <usize>load<u32>(RECORDS + ((<usize>i) << 2));
    const key = load<u64>(keys + ((<usize>i) << 3));
    if (record != 0 ? load<u64>(record) != key : spilled) {
      store<u32>(RECORDS + ((<usize>i) << 2), <u32>find(t, key, load<u64>(TAGS + ((<usize>i) << 3))));
    }
  }
}
