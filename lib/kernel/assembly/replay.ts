// Recovery: log records are applied to the pages they name, each page taking only what is newer than itself; then the
// index is built from the keys in the rows.
import { countExtras, setCounters, touch } from "./extras";
import { entryOf, homeOfEntry, insertUnique, tagUnder } from "./index";
import {
  CLEAN,
  DIRTY,
  FIRST_PAGE,
  KIND_FREE,
  KIND_ROWS,
  LIVE,
  M_BUMP,
  M_FREE,
  M_KIND,
  M_LIVE,
  M_NEXT,
  M_TABLE,
  PAGE_BYTES,
  PAGE_LSNS,
  PAGE_SHIFT,
  R_FREQUENCY,
  T_COUNTER_COUNT,
  T_DIM,
  T_PAGES,
  T_PLACEMENT,
  T_RECORD,
  T_ROWS,
  T_ROWS_PER_PAGE,
  T_SPACE,
  T_STATE,
} from "./layout";
import { claimPage, metaOf, pagesEnd } from "./pages";
import { tableAt } from "./places";
import { addOccurrences, beginRecord, CREATED, setHistory, writeValues } from "./record";
import { updateRows } from "./storage/staged";

/** What a replay function returns besides a row count: the position does not add up with its page. */
export const MISPLACED: i32 = -1;

export function lsnOf(record: usize): u64 {
  return load<u64>(PAGE_LSNS + ((record >> PAGE_SHIFT) << 3)) & ~DIRTY;
}

/** Whether a record is one of this table's, its page claimed if nobody has it. */
function owns(t: usize, table: u32, record: usize): bool {
  const page = <u32>(record >> PAGE_SHIFT);
  const offset = <u32>(record & (PAGE_BYTES - 1));
  const bytes = load<u32>(t, T_RECORD);
  const meta = metaOf(page);
  if (load<u16>(meta, M_KIND) == KIND_FREE && !claimPage(page, KIND_ROWS, table)) return false;
  if (load<u16>(meta, M_KIND) != KIND_ROWS || load<u16>(meta, M_TABLE) != <u16>table) return false;
  return offset % bytes == 0 && offset / bytes < load<u32>(t, T_ROWS_PER_PAGE);
}

function isLive(record: usize): bool {
  return (load<u32>(record, R_FREQUENCY) & LIVE) != 0;
}

function occupy(t: usize, record: usize): void {
  const meta = metaOf(<u32>(record >> PAGE_SHIFT));
  const place = <u32>(record & (PAGE_BYTES - 1)) / load<u32>(t, T_RECORD);
  if (place >= <u32>load<u16>(meta, M_BUMP)) store<u16>(meta, <u16>(place + 1), M_BUMP);
}

/** Creates the row in its place if the log says so, checks that it is the key's otherwise. False: it is MISPLACED. */
export function settle(t: usize, table: u32, record: usize, key: u64, created: bool, given: u32 = 0): bool {
  if (!owns(t, table, record)) return false;
  if (!created) return isLive(record) && load<u64>(record) == key;
  if (isLive(record)) return false;
  occupy(t, record);
  beginRecord(t, key, record, given);
  return true;
}

/** Applies a logged push (see pushRows). Returns rows applied, or MISPLACED. Pages are not stamped yet. */
export function replayPush(
  table: u32,
  positions: usize,
  keys: usize,
  counts: usize,
  gradients: usize,
  n: i32,
  counters: usize,
  learningRate: f32,
  step: u32,
  lsn: u64,
): i32 {
  const t = tableAt(table);
  const counterBytes = counters == 0 ? 0 : (<usize>load<u32>(t, T_COUNTER_COUNT)) << 2;
  const bytes = (<usize>load<u32>(t, T_DIM)) << 2;
  let applied = 0;
  for (let i = 0; i < n; i++) {
    const four = (<usize>i) << 2;
    const record = (<usize>load<u32>(positions + four)) << 3;
    if (lsnOf(record) >= lsn) continue;
    const count = load<u32>(counts + four);
    const key = load<u64>(keys + ((<usize>i) << 3));
    if (!settle(t, table, record, key, (count & CREATED) != 0)) return MISPLACED;
    addOccurrences(record, count, step);
    touch(t, record);
    countExtras(t, positions + four, counts + four, 1, counters + <usize>i * counterBytes);
    updateRows(t, positions + four, gradients + <usize>i * bytes, 1, learningRate, step);
    applied++;
  }
  return applied;
}

/** Applies a logged creation (weights 0) or assignment. Returns rows applied, or MISPLACED. */
export function replayAssign(
  table: u32,
  positions: usize,
  keys: usize,
  counts: usize,
  weights: usize,
  states: usize,
  n: i32,
  lsn: u64,
): i32 {
  const t = tableAt(table);
  const bytes = (<usize>load<u32>(t, T_DIM)) << 2;
  const stateBytes = (<usize>load<u32>(t, T_STATE)) << 2;
  const given: u32 = (weights != 0 ? 1 : 0) | (states != 0 ? 2 : 0);
  let applied = 0;
  for (let i = 0; i < n; i++) {
    const four = (<usize>i) << 2;
    const record = (<usize>load<u32>(positions + four)) << 3;
    if (lsnOf(record) >= lsn) continue;
    const created = (load<u32>(counts + four) & CREATED) != 0;
    const key = load<u64>(keys + ((<usize>i) << 3));
    if (!settle(t, table, record, key, created, given)) return MISPLACED;
    touch(t, record);
    const state = states != 0 ? states + <usize>i * stateBytes : 0;
    if (weights != 0) writeValues(t, record, weights + <usize>i * bytes, state);
    applied++;
  }
  return applied;
}

/** Applies the frequencies and last steps of a logged assignment to rows that replayAssign has settled. */
export function replayHistory(positions: usize, counts: usize, steps: usize, n: i32, lsn: u64): void {
  for (let i = 0; i < n; i++) {
    const four = (<usize>i) << 2;
    const record = (<usize>load<u32>(positions + four)) << 3;
    if (lsnOf(record) < lsn) setHistory(record, load<u32>(counts + four), load<u32>(steps + four));
  }
}

/** Applies the counters of a logged assignment to rows that replayAssign has settled: see writeCounters. */
export function replayCounters(table: u32, positions: usize, n: i32, given: usize, lsn: u64): void {
  const t = tableAt(table);
  for (let i = 0; i < n; i++) {
    const record = (<usize>load<u32>(positions + ((<usize>i) << 2))) << 3;
    if (lsnOf(record) < lsn) setCounters(t, record, given, <usize>i);
  }
}

/** Applies a logged deletion. Returns rows applied, or MISPLACED. */
export function replayDelete(table: u32, positions: usize, keys: usize, n: i32, lsn: u64): i32 {
  const t = tableAt(table);
  let applied = 0;
  for (let i = 0; i < n; i++) {
    const record = (<usize>load<u32>(positions + ((<usize>i) << 2))) << 3;
    if (lsnOf(record) >= lsn) continue;
    if (!owns(t, table, record)) return MISPLACED;
    if (!isLive(record) || load<u64>(record) != load<u64>(keys + ((<usize>i) << 3))) return MISPLACED;
    store<u32>(record, 0, R_FREQUENCY);
    applied++;
  }
  return applied;
}

/** Applies the logged arrival of whole records from another arena. Returns rows applied, or MISPLACED. */
export function replayAdopt(table: u32, positions: usize, records: usize, n: i32, lsn: u64): i32 {
  const t = tableAt(table);
  const bytes = <usize>load<u32>(t, T_RECORD);
  let applied = 0;
  for (let i = 0; i < n; i++) {
    const record = (<usize>load<u32>(positions + ((<usize>i) << 2))) << 3;
    if (lsnOf(record) >= lsn) continue;
    if (!owns(t, table, record)) return MISPLACED;
    if (isLive(record)) return MISPLACED;
    occupy(t, record);
    memory.copy(record, records + <usize>i * bytes, bytes);
    applied++;
  }
  return applied;
}

/** Marks the pages of a record's rows as holding it. Called once all of the record has been applied. */
export function stampRows(positions: usize, n: i32, lsn: u64): void {
  for (let i = 0; i < n; i++) {
    const page = <usize>load<u32>(positions + ((<usize>i) << 2)) >> (PAGE_SHIFT - 3);
    const entry = PAGE_LSNS + (page << 3);
    if ((load<u64>(entry) & ~DIRTY) < lsn) store<u64>(entry, lsn | DIRTY);
  }
}

/**
 * Counts the live rows of a recovered page, links its free places, and writes what the index will hold of each row to
 * u64[] at `words`. Returns how many.
 */
export function collectPage(page: u32, words: usize): u32 {
  const meta = metaOf(page);
  const t = tableAt(<u32>load<u16>(meta, M_TABLE));
  const placement = load<u64>(t, T_PLACEMENT);
  const bytes = <usize>load<u32>(t, T_RECORD);
  const bump = <u32>load<u16>(meta, M_BUMP);
  let record = (<usize>page) << PAGE_SHIFT;
  let live: u32 = 0;
  let free: u16 = 0;
  for (let place: u32 = 0; place < bump; place++, record += bytes) {
    if (isLive(record)) {
      // What cold copies there are nobody knows before they have been read.
      store<u32>(record, load<u32>(record, R_FREQUENCY) & ~CLEAN, R_FREQUENCY);
      store<u64>(words + ((<usize>live) << 3), entryOf(tagUnder(placement, load<u64>(record)), record));
      live++;
    } else {
      store<u16>(record, free);
      free = <u16>(place + 1);
    }
  }
  store<u32>(meta, live, M_LIVE);
  store<u16>(meta, free, M_FREE);
  store<u32>(t, load<u32>(t, T_ROWS) + live, T_ROWS);
  store<u32>(t, load<u32>(t, T_PAGES) + 1, T_PAGES);
  return live;
}

/** Lets tables create rows in their pages that have places left, whatever the order in which pages were collected. */
export function linkSpace(): void {
  for (let page = FIRST_PAGE, end = pagesEnd(); page < end; page++) {
    const meta = metaOf(page);
    if (load<u16>(meta, M_KIND) != KIND_ROWS) continue;
    const t = tableAt(<u32>load<u16>(meta, M_TABLE));
    if (load<u16>(meta, M_FREE) == 0 && <u32>load<u16>(meta, M_BUMP) >= load<u32>(t, T_ROWS_PER_PAGE))
      continue;
    store<u32>(meta, load<u32>(t, T_SPACE), M_NEXT);
    store<u32>(t, page, T_SPACE);
  }
}

/** Entries are put into the index in the order of their top bits, so that a segment is filled while it is in the cache. */
const SORT_BITS: u64 = 9;
const ENDS = memory.data(512 * 4, 16);
const SINK = memory.data(8, 16);

/**
 * Adds the rows of u64[n] at `words` to the index; `sorted` is scratch of as many. Returns -1, or the number of a word
 * whose key the index holds already.
 */
export function indexWords(table: u32, words: usize, n: u32, sorted: usize): i32 {
  const t = tableAt(table);
  memory.fill(ENDS, 0, 512 * 4);
  for (let i: u32 = 0; i < n; i++) {
    const end = ENDS + ((<usize>(load<u64>(words + ((<usize>i) << 3)) >> (64 - SORT_BITS))) << 2);
    store<u32>(end, load<u32>(end) + 1);
  }
  let sum: u32 = 0;
  for (let bucket = 0; bucket < 512; bucket++) {
    const end = ENDS + ((<usize>bucket) << 2);
    const count = load<u32>(end);
    store<u32>(end, sum);
    sum += count;
  }
  for (let i: u32 = 0; i < n; i++) {
    const word = load<u64>(words + ((<usize>i) << 3));
    const end = ENDS + ((<usize>(word >> (64 - SORT_BITS))) << 2);
    const at = load<u32>(end);
    store<u64>(sorted + ((<usize>at) << 3), word);
    store<u32>(end, at + 1);
  }
  for (let from: u32 = 0; from < n; from += 64) {
    const to = min(n, from + 64);
    let sink: u64 = 0;
    for (let i = from; i < to; i++) sink ^= load<u64>(homeOfEntry(t, load<u64>(sorted + ((<usize>i) << 3))));
    store<u64>(SINK, sink);
    for (let i = from; i < to; i++) {
      if (!insertUnique(t, table, load<u64>(sorted + ((<usize>i) << 3)))) return <i32>i;
    }
  }
  return -1;
}
