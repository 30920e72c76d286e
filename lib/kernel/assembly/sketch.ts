// A counting sketch (Cormode and Muthukrishnan, 2005) of keys that have no row, with conservative update (Estan and
// Varghese, 2002): it never says less than how often a key was counted, and may say more.
//
// It is kept as rows of a table, one for each slot of keys, whose key is the slot. A row is lines of 64 bytes: the first
// has the row's header, the others are blocks of counters, u8 or u16. A key has one block, and one counter in each
// quarter of it, so one cache line; its count is the least of the four.
//
// All keys of a push are estimated from what was there before it, then all are raised: so their order does not matter.
import { hashKey } from "./hash";
import { find, insert, tagOf } from "./index";
import { ADMIT_SKETCH_U8, T_ADMISSION, T_PLACEMENT, T_SEED_LO, T_SKETCH_BLOCKS } from "./layout";
import { touchAll } from "./look-up";
import { allocate, stamp, tableAt } from "./places";
import { beginRecord, CREATED } from "./record";

/** Keeps a key's counters apart from its slot, its initial values and its admission. */
const SKETCH_SALT: u64 = 0xbb67ae8584caa73b;
const LINE: usize = 64;
/** A counter stops there. */
export const MOST_COUNTED: u32 = 65535;

const LINES = memory.data(256 * 4, 16);
const HASHES = memory.data(256 * 8, 16);

function hashOf(c: usize, key: u64): u64 {
  return hashKey(key, load<u64>(c, T_SEED_LO) ^ SKETCH_SALT);
}

/** The row of a key's slot, 0 when no key of the slot has been counted. */
function rowOf(c: usize, key: u64): usize {
  const slot = hashKey(key, load<u64>(c, T_PLACEMENT)) >> 50;
  return find(c, slot, tagOf(c, slot));
}

/** The block of a key in its slot's row. */
function blockOf(c: usize, row: usize, hash: u64): usize {
  return row + LINE + <usize>((hash >> 32) % <u64>load<u32>(c, T_SKETCH_BLOCKS)) * LINE;
}

/** The address of a key's counter in quarter `q` of its block. */
function counter8(block: usize, hash: u64, q: u64): usize {
  return block + ((<usize>q) << 4) + <usize>((hash >> (q << 2)) & 15);
}

function counter16(block: usize, hash: u64, q: u64): usize {
  return block + ((<usize>q) << 4) + ((<usize>((hash >> (q << 2)) & 7)) << 1);
}

/** Writes to u32[n] at `into` how often the keys at the places u32[n] of `keys` were counted at most. n is 256 at most. */
export function estimates(c: usize, keys: usize, places: usize, n: i32, into: usize): void {
  for (let j = 0; j < n; j++) {
    const key = load<u64>(keys + ((<usize>load<u32>(places + ((<usize>j) << 2))) << 3));
    const row = rowOf(c, key);
    const hash = hashOf(c, key);
    const block = row == 0 ? 0 : blockOf(c, row, hash);
    store<u32>(LINES + ((<usize>j) << 2), <u32>block);
    store<u64>(HASHES + ((<usize>j) << 3), hash);
  }
  touchAll(LINES, n, 0);
  const narrow = load<u32>(c, T_ADMISSION) == ADMIT_SKETCH_U8;
  for (let j = 0; j < n; j++) {
    const block = <usize>load<u32>(LINES + ((<usize>j) << 2));
    const hash = load<u64>(HASHES + ((<usize>j) << 3));
    let least: u32 = block == 0 ? 0 : MOST_COUNTED;
    for (let q: u64 = 0; least != 0 && q < 4; q++) {
      const value = narrow
        ? <u32>load<u8>(counter8(block, hash, q))
        : <u32>load<u16>(counter16(block, hash, q));
      least = min(least, value);
    }
    store<u32>(into + ((<usize>j) << 2), least);
  }
}

/**
 * Raises the counters of keys u64[n] to `counts` u32[n] where they are less, making the rows of their slots. `positions`
 * u32[n] get where those lie, `counts` the bit CREATED for the key for which the row was made.
 */
export function raise(companion: u32, keys: usize, positions: usize, counts: usize, n: u32, lsn: u64): void {
  const c = tableAt(companion);
  const placement = load<u64>(c, T_PLACEMENT);
  for (let i: u32 = 0; i < n; i++) {
    const key = load<u64>(keys + ((<usize>i) << 3));
    const at = counts + ((<usize>i) << 2);
    const slot = hashKey(key, placement) >> 50;
    const tag = tagOf(c, slot);
    let row = find(c, slot, tag);
    const count = load<u32>(at);
    if (row == 0) {
      row = allocate(c, companion);
      beginRecord(c, slot, row);
      insert(c, companion, tag, row);
      store<u32>(at, count | CREATED);
    }
    raiseKey(c, row, key, count);
    stamp(row, lsn);
    store<u32>(positions + ((<usize>i) << 2), <u32>(row >> 3));
  }
}

/** Raises a key's counters in its slot's row to `count` where they are less. */
export function raiseKey(c: usize, row: usize, key: u64, count: u32): void {
  const hash = hashOf(c, key);
  const block = blockOf(c, row, hash);
  const narrow = load<u32>(c, T_ADMISSION) == ADMIT_SKETCH_U8;
  for (let q: u64 = 0; q < 4; q++) {
    if (narrow) {
      const at = counter8(block, hash, q);
      store<u8>(at, <u8>max<u32>(load<u8>(at), min<u32>(count, 255)));
    } else {
      const at = counter16(block, hash, q);
      store<u16>(at, <u16>max<u32>(load<u16>(at), min<u32>(count, MOST_COUNTED)));
    }
  }
}
