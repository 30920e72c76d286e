// Cold rows: whole records that have left the arena, each sealed into a value of the page store. The format of a value
// is in docs/formats/cold-rows.md: a header of 24 bytes, then the record as it was in the arena, its bit CLEAN cleared.
import { xxh64 } from "./hash";
import { find, remove, tagOf } from "./index";
import { CLEAN, LIVE, R_FREQUENCY, T_RECORD } from "./layout";
import { tableAt, vacate } from "./places";

/** "ECR1" */
const MAGIC: u32 = 0x31524345;
const HEADER: usize = 24;
/** What ties the LSN that a value was written at to the value. */
const MIX: u64 = 0x9e3779b97f4a7c15;
const LSN_BITS: u64 = 48;
/** CLEAN, in the word that frequency and last step make. */
const CLEAN_WORD: u64 = <u64>CLEAN;

function setClean(record: usize, clean: u32): void {
  store<u32>(record, (load<u32>(record, R_FREQUENCY) & ~CLEAN) | clean, R_FREQUENCY);
}

/** An LSN with 16 bits above it that only it and this checksum give. */
function tied(lsn: u64, checksum: u64): u64 {
  return lsn | ((((lsn ^ checksum) * MIX) >> LSN_BITS) << LSN_BITS);
}

/** Seals `n` records that lie one behind the other, at an LSN; `values` gets as many values of 24 + bytes. */
export function sealRecords(records: usize, n: i32, bytes: u32, seed: u64, lsn: u64, values: usize): void {
  for (let i = 0; i < n; i++) {
    const value = values + <usize>i * (HEADER + bytes);
    memory.copy(value + HEADER, records + <usize>i * bytes, bytes);
    setClean(value + HEADER, 0);
    store<u32>(value, MAGIC);
    store<u32>(value, bytes, 4);
    const checksum = xxh64(value + HEADER, bytes, seed);
    store<u64>(value, checksum, 8);
    store<u64>(value, tied(lsn, checksum), 16);
  }
}

/** Seals `n` values that checkValues has found right, of records of so many bytes, at another LSN. */
export function sealAgain(values: usize, n: i32, bytes: u32, lsn: u64): void {
  for (let i = 0; i < n; i++) {
    const value = values + <usize>i * (HEADER + bytes);
    store<u64>(value, tied(lsn, load<u64>(value, 8)), 16);
  }
}

/** Takes the records out of `n` values that checkValues has found right, and marks them as clean. */
export function openValues(values: usize, n: i32, bytes: u32, records: usize): void {
  for (let i = 0; i < n; i++) {
    const record = records + <usize>i * bytes;
    memory.copy(record, values + <usize>i * (HEADER + bytes) + HEADER, bytes);
    setClean(record, CLEAN);
  }
}

/** Checks `n` values of 24 + bytes each: that they are sealed, and of keys u64[n]. Returns the first wrong one, or -1. */
export function checkValues(values: usize, n: i32, bytes: u32, seed: u64, keys: usize): i32 {
  for (let i = 0; i < n; i++) {
    const value = values + <usize>i * (HEADER + bytes);
    const record = value + HEADER;
    if (load<u32>(value) != MAGIC || load<u32>(value, 4) != bytes) return i;
    if (load<u64>(record) != load<u64>(keys + ((<usize>i) << 3))) return i;
    if ((load<u32>(record, R_FREQUENCY) & (LIVE | CLEAN)) != LIVE) return i;
    const checksum = load<u64>(value, 8);
    if (checksum != xxh64(record, bytes, seed)) return i;
    const sealed = load<u64>(value, 16);
    if (sealed != tied(sealed & ((1 << LSN_BITS) - 1), checksum)) return i;
  }
  return -1;
}

/** The sum, modulo 2^64, of the checksums that records have as values. Leaves them unchanged. */
export function digestRecords(records: usize, n: i32, bytes: u32, seed: u64): u64 {
  let sum: u64 = 0;
  for (let i = 0; i < n; i++) {
    const record = records + <usize>i * bytes;
    const clean = load<u32>(record, R_FREQUENCY) & CLEAN;
    setClean(record, 0);
    sum += xxh64(record, bytes, seed);
    setClean(record, clean);
  }
  return sum;
}

/**
 * Copies the records at `positions` (u32[n], addresses >>> 3), those that have changed since they were cold to `changed`,
 * the others to `clean`. Returns how many have changed.
 */
export function copyVictims(positions: usize, n: i32, bytes: u32, changed: usize, clean: usize): i32 {
  let count = 0;
  for (let i = 0; i < n; i++) {
    const record = (<usize>load<u32>(positions + ((<usize>i) << 2))) << 3;
    if ((load<u32>(record, R_FREQUENCY) & CLEAN) != 0) {
      memory.copy(clean, record, bytes);
      clean += bytes;
    } else {
      memory.copy(changed, record, bytes);
      changed += bytes;
      count++;
    }
  }
  return count;
}

/**
 * Removes the rows that still are what their copies are, records one behind the other at `copies`. Writes where they
 * were to `positions`, their keys to `removed`, and moves their copies to the front; returns how many.
 */
export function demoteRows(
  table: u32,
  copies: usize,
  n: i32,
  positions: usize,
  removed: usize,
  lsn: u64,
): i32 {
  const t = tableAt(table);
  const bytes = <usize>load<u32>(t, T_RECORD);
  let count = 0;
  for (let i = 0; i < n; i++) {
    const copy = copies + <usize>i * bytes;
    const key = load<u64>(copy);
    const record = find(t, key, tagOf(t, key));
    if (record == 0 || !isCopy(record, copy, bytes)) continue;
    remove(t, key, tagOf(t, key));
    vacate(t, record, lsn, positions + ((<usize>count) << 2));
    store<u64>(removed + ((<usize>count) << 3), key);
    if (count != i) memory.copy(copies + <usize>count * bytes, copy, bytes);
    count++;
  }
  return count;
}

function isCopy(record: usize, copy: usize, bytes: usize): bool {
  if (((load<u64>(record, 8) ^ load<u64>(copy, 8)) & ~CLEAN_WORD) != 0) return false;
  for (let at: usize = 16; at < bytes; at += 8)
    if (load<u64>(record + at) != load<u64>(copy + at)) return false;
  return true;
}

/** Copies the records of those keys u64[n] that have rows to places of `into`, found (u8[n]) telling which. */
export function copyRecords(table: u32, keys: usize, n: i32, into: usize, found: usize): void {
  const t = tableAt(table);
  const bytes = <usize>load<u32>(t, T_RECORD);
  for (let i = 0; i < n; i++) {
    const key = load<u64>(keys + ((<usize>i) << 3));
    const record = find(t, key, tagOf(t, key));
    store<u8>(found + <usize>i, record == 0 ? 0 : 1);
    if (record != 0) memory.copy(into + <usize>i * bytes, record, bytes);
  }
}

const COUNTS = memory.data(8 * 256 * 4, 16);

/**
 * Sorts u64[n] and leaves out repeats: `unique` gets the distinct keys, ascending, `ranks` (u32[n]) the place of each key
 * among them. `work` is scratch of 28 n bytes. Returns how many are distinct. A radix sort, byte by byte.
 */
export function uniqueKeys(keys: usize, n: u32, work: usize, unique: usize, ranks: usize): u32 {
  memory.fill(COUNTS, 0, 8 * 256 * 4);
  let from = work;
  let to = work + ((<usize>n) << 3);
  let order = work + ((<usize>n) << 4);
  let other = order + ((<usize>n) << 2);
  for (let i: u32 = 0; i < n; i++) {
    const key = load<u64>(keys + ((<usize>i) << 3));
    store<u64>(from + ((<usize>i) << 3), key);
    store<u32>(order + ((<usize>i) << 2), i);
    for (let byte: u32 = 0; byte < 8; byte++) {
      const count = COUNTS + ((<usize>((byte << 8) | (<u32>(key >> (byte << 3)) & 255))) << 2);
      store<u32>(count, load<u32>(count) + 1);
    }
  }
  for (let byte: u32 = 0; byte < 8; byte++) {
    const counts = COUNTS + ((<usize>byte) << 10);
    const shift = <u64>(byte << 3);
    if (n > 0 && load<u32>(counts + ((<usize>((load<u64>(from) >> shift) & 255)) << 2)) == n) continue;
    let sum: u32 = 0;
    for (let digit: u32 = 0; digit < 256; digit++) {
      const at = counts + ((<usize>digit) << 2);
      const count = load<u32>(at);
      store<u32>(at, sum);
      sum += count;
    }
    for (let i: u32 = 0; i < n; i++) {
      const key = load<u64>(from + ((<usize>i) << 3));
      const at = counts + ((<usize>((key >> shift) & 255)) << 2);
      const place = <usize>load<u32>(at);
      store<u32>(at, <u32>place + 1);
      store<u64>(to + (place << 3), key);
      store<u32>(other + (place << 2), load<u32>(order + ((<usize>i) << 2)));
    }
    let swap = from;
    from = to;
    to = swap;
    swap = order;
    order = other;
    other = swap;
  }
  let distinct: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const key = load<u64>(from + ((<usize>i) << 3));
    if (i == 0 || key != load<u64>(from + ((<usize>(i - 1)) << 3))) {
      store<u64>(unique + ((<usize>distinct) << 3), key);
      distinct++;
    }
    store<u32>(ranks + ((<usize>load<u32>(order + ((<usize>i) << 2))) << 2), distinct - 1);
  }
  return distinct;
}

/** Writes the page store's keys of rows: `prefix`, the table's number and the key (u64[n]), big-endian, 13 bytes each. */
export function storeKeys(keys: usize, n: i32, prefix: u32, table: u32, into: usize): void {
  for (let i = 0; i < n; i++) {
    const at = into + <usize>i * 13;
    store<u8>(at, <u8>prefix);
    store<u32>(at, bswap<u32>(table), 1);
    store<u64>(at, bswap<u64>(load<u64>(keys + ((<usize>i) << 3))), 5);
  }
}
