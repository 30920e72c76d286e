// Recovery: log records are applied to the pages they name, each page taking only what is newer than itself; then the
// index is built from the keys in the rows.
import { find, insert, tagOf } from "./index";
import { initialRow } from "./initialize";
import {
  DIRTY, KIND_FREE, KIND_ROWS, LIVE, MAX_FREQUENCY, M_BUMP, M_FREE, M_KIND, M_LIVE, M_NEXT, M_TABLE, PAGE_BYTES, PAGE_LSNS, PAGE_SHIFT,
  R_FREQUENCY, R_STEP, R_WEIGHTS, T_DIM, T_PAGES, T_RECORD, T_ROWS, T_ROWS_PER_PAGE, T_SPACE, T_STATE,
} from "./layout";
import { applyRows, initialState } from "./optimize";
import { claimPage, metaOf } from "./pages";
import { CREATED, tableAt } from "./rows";

/** What a replay function returns besides a row count: the position does not add up with its page. */
const MISPLACED: i32 = -1;

function lsnOf(record: usize): u64 {
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

/** Creates the row if the log says so, checks that it is the key's otherwise. */
function settle(t: usize, record: usize, key: u64, created: bool): bool {
  if (!created) return isLive(record) && load<u64>(record) == key;
  if (isLive(record)) return false;
  occupy(t, record);
  store<u64>(record, key);
  store<u32>(record, LIVE, R_FREQUENCY);
  store<u32>(record, 0, R_STEP);
  initialRow(t, key, record + R_WEIGHTS);
  initialState(t, record + R_WEIGHTS + (<usize>load<u32>(t, T_DIM) << 2));
  return true;
}

/** Applies a logged push (see pushRows). Returns rows applied, or MISPLACED. Pages are not stamped yet. */
export function replayPush(table: u32, positions: usize, keys: usize, counts: usize, gradients: usize, n: i32, learningRate: f32, step: u32, lsn: u64): i32 {
  const t = tableAt(table);
  const bytes = <usize>load<u32>(t, T_DIM) << 2;
  let applied = 0;
  for (let i = 0; i < n; i++) {
    const four = <usize>i << 2;
    const record = <usize>load<u32>(positions + four) << 3;
    if (lsnOf(record) >= lsn) continue;
    if (!owns(t, table, record)) return MISPLACED;
    const count = load<u32>(counts + four);
    if (!settle(t, record, load<u64>(keys + (<usize>i << 3)), (count & CREATED) != 0)) return MISPLACED;
    const frequency = load<u32>(record, R_FREQUENCY) & MAX_FREQUENCY;
    store<u32>(record, LIVE | min(frequency + (count & MAX_FREQUENCY), MAX_FREQUENCY), R_FREQUENCY);
    store<u32>(record, step, R_STEP);
    applyRows(t, positions + four, gradients + <usize>i * bytes, 1, learningRate, step);
    applied++;
  }
  return applied;
}

/** Applies a logged creation (weights 0) or assignment. Returns rows applied, or MISPLACED. */
export function replayAssign(table: u32, positions: usize, keys: usize, counts: usize, weights: usize, states: usize, n: i32, lsn: u64): i32 {
  const t = tableAt(table);
  const bytes = <usize>load<u32>(t, T_DIM) << 2;
  const stateBytes = <usize>load<u32>(t, T_STATE) << 2;
  let applied = 0;
  for (let i = 0; i < n; i++) {
    const four = <usize>i << 2;
    const record = <usize>load<u32>(positions + four) << 3;
    if (lsnOf(record) >= lsn) continue;
    if (!owns(t, table, record)) return MISPLACED;
    if (!settle(t, record, load<u64>(keys + (<usize>i << 3)), (load<u32>(counts + four) & CREATED) != 0)) return MISPLACED;
    if (weights != 0) memory.copy(record + R_WEIGHTS, weights + <usize>i * bytes, bytes);
    if (states != 0) memory.copy(record + R_WEIGHTS + bytes, states + <usize>i * stateBytes, stateBytes);
    applied++;
  }
  return applied;
}

/** Applies a logged deletion. Returns rows applied, or MISPLACED. */
export function replayDelete(table: u32, positions: usize, keys: usize, n: i32, lsn: u64): i32 {
  const t = tableAt(table);
  let applied = 0;
  for (let i = 0; i < n; i++) {
    const record = <usize>load<u32>(positions + (<usize>i << 2)) << 3;
    if (lsnOf(record) >= lsn) continue;
    if (!owns(t, table, record)) return MISPLACED;
    if (!isLive(record) || load<u64>(record) != load<u64>(keys + (<usize>i << 3))) return MISPLACED;
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
    const record = <usize>load<u32>(positions + (<usize>i << 2)) << 3;
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
    const page = <usize>load<u32>(positions + (<usize>i << 2)) >> (PAGE_SHIFT - 3);
    const entry = PAGE_LSNS + (page << 3);
    if ((load<u64>(entry) & ~DIRTY) < lsn) store<u64>(entry, lsn | DIRTY);
  }
}

/** Adds the rows of a recovered page to the index and to the table's counts. Returns 0, or 1 when a key stands twice. */
export function indexPage(page: u32): i32 {
  const meta = metaOf(page);
  const table = <u32>load<u16>(meta, M_TABLE);
  const t = tableAt(table);
  const bytes = <usize>load<u32>(t, T_RECORD);
  const bump = <u32>load<u16>(meta, M_BUMP);
  let record = <usize>page << PAGE_SHIFT;
  let live: u32 = 0;
  let free: u16 = 0;
  for (let place: u32 = 0; place < bump; place++, record += bytes) {
    if (isLive(record)) {
      const key = load<u64>(record);
      const tag = tagOf(t, key);
      if (find(t, key, tag) != 0) return 1;
      insert(t, table, tag, record);
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
  if (free != 0 || bump < load<u32>(t, T_ROWS_PER_PAGE)) {
    store<u32>(meta, load<u32>(t, T_SPACE), M_NEXT);
    store<u32>(t, page, T_SPACE);
  }
  return 0;
}
