// Places: where the records of a table lie in its pages, taken and given back.
import { createIndex, deepenIndex, forgetIndexes } from "./index";
import {
  DIRTY,
  KIND_ROWS,
  M_BUMP,
  M_FREE,
  M_LIVE,
  M_NEXT,
  PAGE_BYTES,
  PAGE_LSNS,
  PAGE_SHIFT,
  R_FREQUENCY,
  T_PAGES,
  T_RECORD,
  T_ROWS,
  T_ROWS_PER_PAGE,
  T_SEGMENTS,
  T_SPACE,
  TABLE_BYTES,
  TABLES,
} from "./layout";
import { beginPages, metaOf, takePage } from "./pages";

export function tableAt(table: u32): usize {
  return TABLES + <usize>table * TABLE_BYTES;
}

/**
 * Begins with memory that has no tables and is zero above the module's own data: it may have been another arena's. At most
 * `pages` are handed out.
 */
export function begin(pages: u32): void {
  beginPages(pages);
  forgetIndexes();
}

/** Prepares an empty table, whose descriptor has been written, for `rows` rows. */
export function openTable(table: u32, rows: u32): void {
  createIndex(tableAt(table), table, rows);
}

/** Gives an empty table an index of 2^depth segments at once, whose pages have been made sure of. */
export function sizeIndex(table: u32, depth: u32): void {
  deepenIndex(tableAt(table), table, depth);
}

/** A bound of the pages that creating `rows` rows takes, those that the index then needs included. */
export function pagesFor(table: u32, rows: u32): u32 {
  const t = tableAt(table);
  const perPage = load<u32>(t, T_ROWS_PER_PAGE);
  const unused = load<u32>(t, T_PAGES) * perPage - load<u32>(t, T_ROWS);
  const rowPages = rows > unused ? (rows - unused + perPage - 1) / perPage : 0;
  return rowPages + indexPagesFor(table, rows);
}

/** A bound of the pages that the index of a table takes for `rows` more rows. */
export function indexPagesFor(table: u32, rows: u32): u32 {
  return load<u32>(tableAt(table), T_SEGMENTS) + (rows >> 12) + 16;
}

export function allocate(t: usize, table: u32): usize {
  let page = load<u32>(t, T_SPACE);
  if (page == 0) {
    page = takePage(KIND_ROWS, table);
    store<u32>(t, page, T_SPACE);
    store<u32>(t, load<u32>(t, T_PAGES) + 1, T_PAGES);
  }
  const meta = metaOf(page);
  const base = (<usize>page) << PAGE_SHIFT;
  const free = <u32>load<u16>(meta, M_FREE);
  let record: usize;
  if (free != 0) {
    record = base + <usize>((free - 1) * load<u32>(t, T_RECORD));
    store<u16>(meta, load<u16>(record), M_FREE);
  } else {
    const bump = <u32>load<u16>(meta, M_BUMP);
    record = base + <usize>(bump * load<u32>(t, T_RECORD));
    store<u16>(meta, <u16>(bump + 1), M_BUMP);
  }
  store<u32>(meta, load<u32>(meta, M_LIVE) + 1, M_LIVE);
  store<u32>(t, load<u32>(t, T_ROWS) + 1, T_ROWS);
  if (!hasSpace(t, meta)) store<u32>(t, load<u32>(meta, M_NEXT), T_SPACE);
  return record;
}

function hasSpace(t: usize, meta: usize): bool {
  return load<u16>(meta, M_FREE) != 0 || <u32>load<u16>(meta, M_BUMP) < load<u32>(t, T_ROWS_PER_PAGE);
}

/** Gives a record's place back to its page. Its key is out of the index. */
export function release(t: usize, record: usize): void {
  const page = <u32>(record >> PAGE_SHIFT);
  const meta = metaOf(page);
  const place = <u32>(record & (PAGE_BYTES - 1)) / load<u32>(t, T_RECORD);
  const listed = hasSpace(t, meta);
  store<u16>(record, load<u16>(meta, M_FREE));
  store<u32>(record, 0, R_FREQUENCY);
  store<u16>(meta, <u16>(place + 1), M_FREE);
  store<u32>(meta, load<u32>(meta, M_LIVE) - 1, M_LIVE);
  store<u32>(t, load<u32>(t, T_ROWS) - 1, T_ROWS);
  if (!listed) {
    store<u32>(meta, load<u32>(t, T_SPACE), M_NEXT);
    store<u32>(t, page, T_SPACE);
  }
}

/** Marks a record's page as changed by the log record `lsn`. */
export function stamp(record: usize, lsn: u64): void {
  store<u64>(PAGE_LSNS + ((record >> PAGE_SHIFT) << 3), lsn | DIRTY);
}

/**
 * Gives back the place of a record whose key is out of the index, by the log record `lsn`, and writes where it was,
 * as address >>> 3, to `position`.
 */
export function vacate(t: usize, record: usize, lsn: u64, position: usize): void {
  release(t, record);
  stamp(record, lsn);
  store<u32>(position, <u32>(record >> 3));
}
