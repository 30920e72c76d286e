// Reading: pull and contains. No row is created and no page touched.
import type { RowRead as TableRead } from "../api/backend.js";
import type { Arena } from "../table/arena.js";
import type { ArenaTable } from "../table/arena-table.js";
import type { ArenaSet } from "./arena-set.js";
import { carry, orderingBytes, orderKeys } from "./runs.js";

/** What to read, and the caller's arrays to read it into. */
export interface RowRead extends TableRead<ArenaTable> {
  /**
   * Of a table of int8, f32[n] of negative numbers: gets the scales that rows are stored with, or would be if there were any; those of
   * keys that read as `fallback` stay.
   */
  readonly scales?: Float32Array | undefined;
}

/** Bytes of rows after which a chunk is handed to the caller, while it is in the cache. */
const chunkBytes = 131_072;

/** Reads rows, chunk by chunk. */
export function pullRows(set: ArenaSet, read: RowRead): void {
  const { table, keys } = read;
  const rowBytes = 4 * (table.dim + (read.state ? table.stateFloats : 0));
  const chunk = Math.max(64, Math.min(8192, Math.floor(chunkBytes / rowBytes)));
  for (let from = 0; from < keys.length; from += chunk) {
    const n = Math.min(chunk, keys.length - from);
    if (set.all.length === 1) pullChunk(set.front, read, from, n);
    else pullScattered(set, read, from, n, rowBytes);
  }
  if (read.counters) read.counters.set(readCounters(set, table, keys));
  if (read.scales) readScales(set, read, read.scales);
}

interface Columns {
  readonly rows: number;
  readonly states: number;
  readonly found: number;
}

function takeColumns(arena: Arena, read: RowRead, n: number): Columns {
  return {
    rows: arena.takeScratch(4 * n * read.table.dim),
    states: read.state && read.table.stateFloats > 0 ? arena.takeScratch(4 * n * read.table.stateFloats) : 0,
    found: arena.takeScratch(n),
  };
}

function columnBytes(read: RowRead, n: number): number {
  return n * (9 + 4 * (read.table.dim + read.table.stateFloats)) + 4 * 64;
}

function callPull(arena: Arena, read: RowRead, keys: number, n: number, into: Columns): void {
  const fallback = read.fallback;
  arena.kernel.pullRows(
    read.table.index,
    keys,
    n,
    into.rows,
    into.states,
    into.found,
    fallback === undefined ? 0 : 1,
    fallback ?? 0,
  );
}

function pullChunk(arena: Arena, read: RowRead, from: number, n: number): void {
  arena.beginScratch(columnBytes(read, n));
  const keys = arena.takeScratch(8 * n);
  arena.u64.set(n === read.keys.length ? read.keys : read.keys.subarray(from, from + n), keys / 8);
  const columns = takeColumns(arena, read, n);
  callPull(arena, read, keys, n, columns);
  deliver(arena, read, columns, from, n);
}

function deliver(
  arena: Arena,
  read: RowRead,
  { rows, states, found }: Columns,
  from: number,
  n: number,
): void {
  const { dim, stateFloats } = read.table;
  read.into.set(arena.f32.subarray(rows / 4, rows / 4 + n * dim), from * dim);
  if (states !== 0)
    read.state!.set(arena.f32.subarray(states / 4, states / 4 + n * stateFloats), from * stateFloats);
  read.found?.set(arena.bytes.subarray(found, found + n), from);
}

/** Several arenas: each answers its own run of keys, and the answers are put back in the order of the request. */
function pullScattered(set: ArenaSet, read: RowRead, from: number, n: number, rowBytes: number): void {
  const { front } = set;
  const { table } = read;
  for (const arena of set.all) arena.beginScratch(3 * columnBytes(read, n) + orderingBytes(set, n, rowBytes));
  const keys = front.takeScratch(8 * n);
  front.u64.set(read.keys.subarray(from, from + n), keys / 8);
  const { places, ends } = orderKeys(set, table, keys, n);
  const sortedKeys = front.takeScratch(8 * n);
  front.kernel.gatherRows(keys, places, n, 8, sortedKeys);
  const sorted = takeColumns(front, read, n);
  ends.forEach((end, number) => {
    const begin = number === 0 ? 0 : ends[number - 1];
    if (begin < end) pullRun(set, set.all[number], read, sortedKeys, sorted, begin, end - begin);
  });
  const columns = takeColumns(front, read, n);
  front.kernel.scatterRows(sorted.rows, places, n, 4 * table.dim, columns.rows);
  if (columns.states)
    front.kernel.scatterRows(sorted.states, places, n, 4 * table.stateFloats, columns.states);
  front.kernel.scatterRows(sorted.found, places, n, 1, columns.found);
  deliver(front, read, columns, from, n);
}

function pullRun(
  set: ArenaSet,
  arena: Arena,
  read: RowRead,
  keys: number,
  sorted: Columns,
  begin: number,
  n: number,
): void {
  const { front } = set;
  const there: Columns = arena === front ? shift(sorted, read, begin) : takeColumns(arena, read, n);
  const keysThere = arena === front ? keys + 8 * begin : carry(front, keys + 8 * begin, arena, 8 * n);
  callPull(arena, read, keysThere, n, there);
  if (set.moving?.to === arena) pullBehind(set.moving.from, arena, read, keysThere, there, n);
  if (arena === front) return;
  const here = shift(sorted, read, begin);
  copyColumns(arena, there, front, here, read, n);
}

function shift({ rows, states, found }: Columns, { table }: RowRead, begin: number): Columns {
  return {
    rows: rows + 4 * begin * table.dim,
    states: states && states + 4 * begin * table.stateFloats,
    found: found + begin,
  };
}

function copyColumns(
  from: Arena,
  there: Columns,
  to: Arena,
  here: Columns,
  { table }: RowRead,
  n: number,
): void {
  to.bytes.set(from.bytes.subarray(there.rows, there.rows + 4 * n * table.dim), here.rows);
  if (there.states)
    to.bytes.set(from.bytes.subarray(there.states, there.states + 4 * n * table.stateFloats), here.states);
  to.bytes.set(from.bytes.subarray(there.found, there.found + n), here.found);
}

/** Rows that have not been handed over yet are read where they still are. */
function pullBehind(
  behind: Arena,
  arena: Arena,
  read: RowRead,
  keys: number,
  columns: Columns,
  n: number,
): void {
  const missing: number[] = [];
  for (let i = 0; i < n; i++) if (arena.bytes[columns.found + i] === 0) missing.push(i);
  if (missing.length === 0) return;
  const keysThere = behind.takeScratch(8 * missing.length);
  missing.forEach((i, j) => {
    behind.u32[keysThere / 4 + 2 * j] = arena.u32[keys / 4 + 2 * i];
    behind.u32[keysThere / 4 + 2 * j + 1] = arena.u32[keys / 4 + 2 * i + 1];
  });
  const there = takeColumns(behind, read, missing.length);
  callPull(behind, read, keysThere, missing.length, there);
  missing.forEach((i, j) => {
    if (behind.bytes[there.found + j] === 1)
      copyColumns(behind, shift(there, read, j), arena, shift(columns, read, i), read, 1);
  });
}

/** Reads counters as of now: f32[n * counters], row by row, 0 where a key has no row. The caller owns the array. */
export function readCounters(set: ArenaSet, table: ArenaTable, keys: BigUint64Array): Float32Array {
  const into = new Float32Array(keys.length * table.counters);
  fillFromArenas(set, keys, table.counters, into, ({ kernel }, at, n, found) =>
    kernel.pullCounters(table.index, at, n, found),
  );
  return into;
}

function readScales(set: ArenaSet, { table, keys, fallback }: RowRead, scales: Float32Array): void {
  fillFromArenas(set, keys, 1, scales, (arena, at, n, into) => {
    const initial = arena === set.all[0] && fallback === undefined ? 1 : 0;
    arena.kernel.pullScales(table.index, at, n, into, initial);
  });
}

/**
 * Has each arena write what it knows of keys to f32[n * width]. A row is in one arena: the others leave its place alone. The first one
 * comes last, and knows then which keys have none.
 */
function fillFromArenas(
  set: ArenaSet,
  keys: BigUint64Array,
  width: number,
  values: Float32Array,
  fill: (arena: Arena, keys: number, n: number, into: number) => void,
): void {
  const chunk = 8192;
  for (let from = 0; from < keys.length; from += chunk) {
    const n = Math.min(chunk, keys.length - from);
    const here = values.subarray(from * width, (from + n) * width);
    for (const arena of [...set.all].reverse()) {
      arena.beginScratch(n * (8 + 4 * width) + 2 * 64);
      const at = arena.takeScratch(8 * n);
      const into = arena.takeScratch(4 * n * width);
      arena.u64.set(keys.subarray(from, from + n), at / 8);
      arena.f32.set(here, into / 4);
      fill(arena, at, n, into);
      here.set(arena.f32.subarray(into / 4, into / 4 + n * width));
    }
  }
}

/** Writes 1 to u8[n] where the key has a row. */
export function containsRows(
  set: ArenaSet,
  table: ArenaTable,
  keys: BigUint64Array,
  found: Uint8Array,
): void {
  if (set.all.length > 1) {
    const into = new Float32Array(keys.length * table.dim);
    pullRows(set, { table, keys, into, found, fallback: 0 });
    return;
  }
  const arena = set.front;
  const chunk = 8192;
  for (let from = 0; from < keys.length; from += chunk) {
    const n = Math.min(chunk, keys.length - from);
    arena.beginScratch(9 * n + 2 * 64);
    const at = arena.takeScratch(8 * n);
    const flags = arena.takeScratch(n);
    arena.u64.set(keys.subarray(from, from + n), at / 8);
    arena.kernel.containsRows(table.index, at, n, flags);
    found.set(arena.bytes.subarray(flags, flags + n), from);
  }
}
