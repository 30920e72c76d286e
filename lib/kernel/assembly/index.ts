// The index: extendible hashing (Fagin et al., 1979) with probing inside segments, a cache line at a time.
//
// A directory of 2^depth addresses leads to segments of one page, 16,384 entries of 8 bytes. A full segment splits in
// two by itself, so growth never stops the table for longer than one segment takes. Entry, 0 = empty:
//
//   bits 63..29  tag: the low 35 bits of the key's hash. Its top bits choose the segment, bits 16..3 the home entry
//   bits 28..0   address of the record >>> 3
//
// The tag alone places an entry, so splits and deletes (by moving back, no tombstones) never touch a record.
//
// A search goes through the eight entries of the home's cache line, from the home on and around, then through those of the next
// line, from the same place in it, and ends at an empty one. So few leave the line that has been touched: one in fifteen where a
// segment is as full as it becomes, one in a hundred where it is half full, instead of one in seven and one in sixteen if each
// went straight on.
import { hashKey } from "./hash";
import {
  KIND_DIRECTORY,
  KIND_INDEX,
  KIND_SCRATCH,
  M_FREE,
  M_LIVE,
  M_NEXT,
  PAGE_BYTES,
  PAGE_SHIFT,
  T_DEPTH,
  T_DIRECTORY,
  T_OVERFLOWS,
  T_PLACEMENT,
  T_ROWS,
  T_SEGMENTS,
} from "./layout";
import { metaOf, takePage } from "./pages";

const TAG_BITS: u64 = 35;
const TAG_MASK: u64 = (1 << 35) - 1;
const ADDRESS_BITS: u64 = 29;
const ADDRESS_MASK: u32 = (1 << 29) - 1;
const ENTRY_MASK: u32 = 16383;
/** Entries are found in groups of a cache line. */
const LINE_MASK: usize = 63;
/** A segment splits when it holds more entries. */
const SPLIT_ABOVE: u32 = 12800;
/** Entries for each segment of an index that is made for a known number of rows: some more than growth arrives at. */
const SIZED_FOR: u32 = 10000;
/** The directory fits one page. Keys chosen to share 15 bits of hash fill a segment that cannot split: it overflows. */
const MAX_DEPTH: u32 = 15;

/** A page to copy a segment into while it splits. */
let spare: usize = 0;

export function forgetIndexes(): void {
  spare = 0;
}

/** Makes the index of an empty table, with as many segments as `rows` rows will want. */
export function createIndex(t: usize, table: u32, rows: u32): void {
  if (spare == 0) spare = (<usize>takePage(KIND_SCRATCH, 0)) << PAGE_SHIFT;
  let depth: u32 = 0;
  while (depth < MAX_DEPTH && rows >> depth > SIZED_FOR) depth++;
  const directory = (<usize>takePage(KIND_DIRECTORY, table)) << PAGE_SHIFT;
  store<u32>(t, <u32>directory, T_DIRECTORY);
  addSegments(t, table, 0, depth);
}

/**
 * Gives the index of a table that has no rows and never had many 2^depth segments, each of which would have come from a split.
 * The caller has made sure of as many pages.
 */
export function deepenIndex(t: usize, table: u32, depth: u32): void {
  if (load<u32>(t, T_ROWS) != 0 || load<u32>(t, T_SEGMENTS) != 1 || depth > MAX_DEPTH) return;
  const first = load<u32>(<usize>load<u32>(t, T_DIRECTORY));
  store<u16>(metaOf(first >> PAGE_SHIFT), <u16>depth, M_FREE);
  addSegments(t, table, 1, depth);
}

/** Makes the segments from number `first` on of an index that has 2^depth of them then, all of that depth. */
function addSegments(t: usize, table: u32, first: u32, depth: u32): void {
  const directory = <usize>load<u32>(t, T_DIRECTORY);
  for (let i = first; i < 1 << depth; i++) {
    const page = takePage(KIND_INDEX, table);
    store<u16>(metaOf(page), <u16>depth, M_FREE);
    store<u32>(directory + ((<usize>i) << 2), page << PAGE_SHIFT);
  }
  store<u32>(t, depth, T_DEPTH);
  store<u32>(t, 1 << depth, T_SEGMENTS);
}

export function tagOf(t: usize, key: u64): u64 {
  return tagUnder(load<u64>(t, T_PLACEMENT), key);
}

export function tagUnder(placement: u64, key: u64): u64 {
  return hashKey(key, placement) & TAG_MASK;
}

/** By how much a tag is shifted to give the number of its directory entry. */
export function directoryShift(t: usize): u64 {
  return TAG_BITS - <u64>load<u32>(t, T_DEPTH);
}

function segmentOf(t: usize, tag: u64): usize {
  return load<u32>(<usize>load<u32>(t, T_DIRECTORY) + ((<usize>(tag >> directoryShift(t))) << 2));
}

/** Address of the entry where the search for a tag begins. */
export function homeUnder(directory: usize, shift: u64, tag: u64): usize {
  return load<u32>(directory + ((<usize>(tag >> shift)) << 2)) + homeOffset(tag);
}

function homeOf(t: usize, tag: u64): usize {
  return homeUnder(<usize>load<u32>(t, T_DIRECTORY), directoryShift(t), tag);
}

/** Where a search goes on that began at `home`. */
function following(entry: usize, home: usize): usize {
  const next = (entry & ~LINE_MASK) | ((entry + 8) & LINE_MASK);
  return ((next ^ home) & LINE_MASK) != 0 ? next : inNextLine(next);
}

/** The same place of the next cache line; the first follows the last. */
function inNextLine(entry: usize): usize {
  const mask = <usize>PAGE_BYTES - 1;
  return (entry & ~mask) | ((entry + LINE_MASK + 1) & mask);
}

/** The record of the first entry with this tag, 0 when there is none. Its key may still be another. */
export function candidate(home: usize, tag: u64): usize {
  let entry = home;
  let word = load<u64>(entry);
  while (word != 0) {
    if (word >> ADDRESS_BITS == tag) return recordOf(word);
    entry = following(entry, home);
    word = load<u64>(entry);
  }
  return 0;
}

/** The address of the key's record, 0 when it has none. */
export function find(t: usize, key: u64, tag: u64): usize {
  const entry = findEntry(t, key, tag);
  return entry == 0 ? 0 : recordOf(load<u64>(entry));
}

function findEntry(t: usize, key: u64, tag: u64): usize {
  for (let segment = segmentOf(t, tag); segment != 0; segment = overflowOf(segment)) {
    const home = segment + homeOffset(tag);
    let entry = home;
    let word = load<u64>(entry);
    while (word != 0) {
      if (word >> ADDRESS_BITS == tag && load<u64>(recordOf(word)) == key) return entry;
      entry = following(entry, home);
      word = load<u64>(entry);
    }
  }
  return 0;
}

function homeOffset(tag: u64): usize {
  return (<usize>(<u32>(tag >> 3) & ENTRY_MASK)) << 3;
}

/** The page where a segment that is full and cannot split goes on, 0 when there is none. */
function overflowOf(segment: usize): usize {
  return (<usize>load<u32>(metaOf(<u32>(segment >> PAGE_SHIFT)), M_NEXT)) << PAGE_SHIFT;
}

/** Whether a key that `candidate` does not find may still be there, for `find` to tell. */
export function overflows(t: usize): bool {
  return load<u32>(t, T_OVERFLOWS) != 0;
}

function place(segment: usize, word: u64): void {
  const home = segment + homeOffset(word >> ADDRESS_BITS);
  let entry = home;
  while (load<u64>(entry) != 0) entry = following(entry, home);
  store<u64>(entry, word);
}

/**
 * The segment for a tag, split until it has room for one more entry, or a page where it goes on. The caller has made sure
 * of pages for that.
 */
function roomySegment(t: usize, table: u32, tag: u64): usize {
  let segment = segmentOf(t, tag);
  while (load<u32>(metaOf(<u32>(segment >> PAGE_SHIFT)), M_LIVE) >= SPLIT_ABOVE) {
    if (!split(t, table, segment, tag)) return roomyOverflow(t, table, segment);
    segment = segmentOf(t, tag);
  }
  return segment;
}

function roomyOverflow(t: usize, table: u32, segment: usize): usize {
  while (load<u32>(metaOf(<u32>(segment >> PAGE_SHIFT)), M_LIVE) >= SPLIT_ABOVE) {
    let next = overflowOf(segment);
    if (next == 0) {
      const page = takePage(KIND_INDEX, table);
      store<u32>(metaOf(<u32>(segment >> PAGE_SHIFT)), page, M_NEXT);
      store<u32>(t, load<u32>(t, T_SEGMENTS) + 1, T_SEGMENTS);
      store<u32>(t, load<u32>(t, T_OVERFLOWS) + 1, T_OVERFLOWS);
      next = (<usize>page) << PAGE_SHIFT;
    }
    segment = next;
  }
  return segment;
}

function countEntry(segment: usize): void {
  const meta = metaOf(<u32>(segment >> PAGE_SHIFT));
  store<u32>(meta, load<u32>(meta, M_LIVE) + 1, M_LIVE);
}

/** Adds a key that the index does not hold. */
export function insert(t: usize, table: u32, tag: u64, record: usize): void {
  const segment = roomySegment(t, table, tag);
  countEntry(segment);
  place(segment, entryOf(tag, record));
}

/**
 * The entry of a key, or, where that has none, the empty one that `fillEntry` is to make it: one walk instead of `find`
 * and `insert`, which needs room for one more entry whether or not the key is there.
 */
export function entryFor(t: usize, table: u32, key: u64, tag: u64): usize {
  if (overflows(t)) {
    const entry = findEntry(t, key, tag);
    if (entry != 0) return entry;
  }
  const home = roomySegment(t, table, tag) + homeOffset(tag);
  let entry = home;
  let word = load<u64>(entry);
  while (word != 0 && (word >> ADDRESS_BITS != tag || load<u64>(recordOf(word)) != key)) {
    entry = following(entry, home);
    word = load<u64>(entry);
  }
  return entry;
}

/** The record of an entry, 0 where it is empty. */
export function recordAt(entry: usize): usize {
  return recordOf(load<u64>(entry));
}

/** Makes an empty entry that of a record. */
export function fillEntry(entry: usize, tag: u64, record: usize): void {
  store<u64>(entry, entryOf(tag, record));
  countEntry(entry & ~(<usize>PAGE_BYTES - 1));
}

/** What the index holds of a record. */
export function entryOf(tag: u64, record: usize): u64 {
  return (tag << ADDRESS_BITS) | <u64>(record >> 3);
}

function recordOf(word: u64): usize {
  return <usize>((<u32>word & ADDRESS_MASK) << 3);
}

/** Address of the entry where the search for an added entry begins. */
export function homeOfEntry(t: usize, added: u64): usize {
  return homeOf(t, added >> ADDRESS_BITS);
}

/** Adds an entry. Returns false when the index holds its record's key already. */
export function insertUnique(t: usize, table: u32, added: u64): bool {
  const tag = added >> ADDRESS_BITS;
  if (overflows(t) && findEntry(t, load<u64>(recordOf(added)), tag) != 0) return false;
  const segment = roomySegment(t, table, tag);
  const home = segment + homeOffset(tag);
  let entry = home;
  let word = load<u64>(entry);
  while (word != 0) {
    if (word >> ADDRESS_BITS == tag && load<u64>(recordOf(word)) == load<u64>(recordOf(added))) return false;
    entry = following(entry, home);
    word = load<u64>(entry);
  }
  store<u64>(entry, added);
  countEntry(segment);
  return true;
}

function split(t: usize, table: u32, segment: usize, tag: u64): bool {
  const meta = metaOf(<u32>(segment >> PAGE_SHIFT));
  const local = <u32>load<u16>(meta, M_FREE);
  if (local == load<u32>(t, T_DEPTH) && !doubleDirectory(t)) return false;
  const page = takePage(KIND_INDEX, table);
  const upper = (<usize>page) << PAGE_SHIFT;
  const upperMeta = metaOf(page);
  store<u16>(meta, <u16>(local + 1), M_FREE);
  store<u16>(upperMeta, <u16>(local + 1), M_FREE);
  store<u32>(t, load<u32>(t, T_SEGMENTS) + 1, T_SEGMENTS);
  redirect(t, tag, local, upper);

  memory.copy(spare, segment, PAGE_BYTES);
  memory.fill(segment, 0, PAGE_BYTES);
  const bit = (<u64>1) << (ADDRESS_BITS + TAG_BITS - 1 - <u64>local);
  let moved: u32 = 0;
  for (let from = spare, end = spare + <usize>PAGE_BYTES; from < end; from += 8) {
    const word = load<u64>(from);
    if (word == 0) continue;
    if ((word & bit) != 0) {
      place(upper, word);
      moved++;
    } else {
      place(segment, word);
    }
  }
  store<u32>(upperMeta, moved, M_LIVE);
  store<u32>(meta, load<u32>(meta, M_LIVE) - moved, M_LIVE);
  return true;
}

/** Points the upper half of a segment's directory entries to `upper`. */
function redirect(t: usize, tag: u64, local: u32, upper: usize): void {
  const span = (<u32>1) << (load<u32>(t, T_DEPTH) - local);
  const first = <u32>(tag >> (TAG_BITS - <u64>local)) * span;
  const directory = <usize>load<u32>(t, T_DIRECTORY);
  for (let i = first + (span >> 1); i < first + span; i++)
    store<u32>(directory + ((<usize>i) << 2), <u32>upper);
}

function doubleDirectory(t: usize): bool {
  const depth = load<u32>(t, T_DEPTH);
  if (depth == MAX_DEPTH) return false;
  const directory = <usize>load<u32>(t, T_DIRECTORY);
  for (let i = (1 << depth) - 1; i >= 0; i--) {
    const segment = load<u32>(directory + ((<usize>i) << 2));
    store<u32>(directory + ((<usize>i) << 3), segment);
    store<u32>(directory + ((<usize>i) << 3), segment, 4);
  }
  store<u32>(t, depth + 1, T_DEPTH);
  return true;
}

/** Takes a key out of the index. Returns its record, 0 when it was not there. */
export function remove(t: usize, key: u64, tag: u64): usize {
  const hole = findEntry(t, key, tag);
  if (hole == 0) return 0;
  const record = recordOf(load<u64>(hole));
  const meta = metaOf(<u32>(hole >> PAGE_SHIFT));
  store<u32>(meta, load<u32>(meta, M_LIVE) - 1, M_LIVE);
  closeHole(hole);
  return record;
}

/**
 * Empties an entry, and moves what a search would not find behind it any more. No search goes beyond a line that has room, but
 * for the hole.
 */
function closeHole(hole: usize): void {
  store<u64>(hole, 0);
  let line = hole & ~LINE_MASK;
  while (true) {
    let room = false;
    for (let i: usize = 0; i < 8; i++) {
      const entry = line + (i << 3);
      const word = load<u64>(entry);
      if (word == 0) {
        if (entry != hole) room = true;
      } else if (passes(word, entry, hole)) {
        store<u64>(hole, word);
        store<u64>(entry, 0);
        hole = entry;
        // The line once more, from its beginning: what has been looked at may come behind this one.
        i = <usize>-1;
      }
    }
    if (room) return;
    line = inNextLine(line);
  }
}

/** Whether a search for what stands at `entry` comes to `hole` before. */
function passes(word: u64, entry: usize, hole: usize): bool {
  const home = <u32>(word >> (ADDRESS_BITS + 3)) & ENTRY_MASK;
  return stepsTo(home, hole) < stepsTo(home, entry);
}

/** Entries that a search from entry number `home` looks at before it comes to `entry`. */
function stepsTo(home: u32, entry: usize): u32 {
  const at = <u32>(entry >> 3) & ENTRY_MASK;
  return ((((at >> 3) - (home >> 3)) << 3) & ENTRY_MASK) | ((at - home) & 7);
}
