// Admission: a key without a row is counted, and its gradient not kept, until it has been seen often enough.
//
// Who has been seen how often stands in a second table, the candidates, of the same placement, so that it has the same
// tags and its rows lie in the arena of their keys: one row for each key (exact counters: key, frequency, last step), or
// one for each slot of keys (a sketch, see ./sketch).
import { copyFloats } from "./floats";
import { hashKey } from "./hash";
import { candidate, directoryShift, find, homeUnder, insert, overflows, remove } from "./index";
import {
  ADMIT_EXACT,
  ADMIT_NONE,
  ADMIT_SKETCH_U8,
  LIVE,
  MAX_FREQUENCY,
  R_FREQUENCY,
  R_STEP,
  T_ADMISSION,
  T_ADMIT_AFTER,
  T_ADMIT_MISS,
  T_CANDIDATES,
  T_COUNTER_COUNT,
  T_DIM,
  T_DIRECTORY,
  T_RECORD,
  T_SEED_LO,
} from "./layout";
import { BLOCK, lookUp, RECORDS, TAGS, touchAll } from "./look-up";
import { allocate, release, stamp, tableAt } from "./places";
import { CREATED } from "./record";
import { pushBlock } from "./rows";
import { estimates, MOST_COUNTED, raise } from "./sketch";

/** Keeps what decides on a key's admission apart from its initial values. */
const ADMISSION_SALT: u64 = 0x6a09e667f3bcc908;
/** In RECORDS: this key's gradient is not kept. No record lies there. */
const WITHHELD: u32 = 1;

/** Of the keys of a block that have no row: their places in the block, where their candidates may lie, how often they were seen. */
const UNKNOWN = memory.data(256 * 4, 16);
const HOMES = memory.data(256 * 4, 16);
const SEEN = memory.data(256 * 4, 16);
const CANDIDATES = memory.data(256 * 4, 16);

// What pushAdmitted leaves at `counted`: u32[16], then columns of n.
const C_FIRST: usize = 0; // rows begin at this place of the batch
const C_ROWS: usize = 4; // and are so many
const C_REMOVED: usize = 8; // candidates that got rows
const C_COUNTED: usize = 12; // keys that were counted only
const C_ADMITTED: usize = 16; // rows created
const C_OCCURRENCES: usize = 20; // of keys that were counted only
const C_COLUMNS: usize = 64;

/**
 * As pushRows, for a table that admits: rows are created for keys that have been seen often enough, this push included;
 * the others are counted. The rows that were pushed to end up side by side, `counts` with what is to be added to the
 * frequency. Leaves at `counted`: u32 first row, rows, removed, counted, admitted, occurrences; at 64 u64[n] keys of
 * removed candidates, u64[n] keys counted, u32[n] where the removed ones were, u32[n] where the counted ones are and
 * u32[n] their counts (of exact counters what was added, of a sketch what it is raised to), with CREATED.
 * Cannot fail after commitPages for n rows here and n of the candidates.
 */
export function pushAdmitted(
  table: u32,
  keys: usize,
  counts: usize,
  gradients: usize,
  n: i32,
  positions: usize,
  counters: usize,
  learningRate: f32,
  step: u32,
  lsn: u64,
  counted: usize,
): void {
  const t = tableAt(table);
  const bytes = (<usize>load<u32>(t, T_DIM)) << 2;
  const counterBytes = counters == 0 ? 0 : (<usize>load<u32>(t, T_COUNTER_COUNT)) << 2;
  const span = <usize>load<u32>(t, T_RECORD);
  memory.fill(counted, 0, C_COLUMNS);
  let first = 0;
  let from = 0;
  let end = n;
  while (from < end) {
    const block = min(BLOCK, end - from);
    const blockKeys = keys + ((<usize>from) << 3);
    const blockCounts = counts + ((<usize>from) << 2);
    const blockPositions = positions + ((<usize>from) << 2);
    const blockGradients = gradients + <usize>from * bytes;
    const blockCounters = counters + <usize>from * counterBytes;
    lookUp(t, blockKeys, block, span);
    const unknown = listUnknown(block);
    let kept = block;
    if (unknown != 0) {
      kept -= screen(t, blockKeys, blockCounts, unknown, step, lsn, counted, n);
      if (kept != block)
        closeGaps(
          blockKeys,
          blockCounts,
          blockGradients,
          bytes,
          blockCounters,
          counterBytes,
          unknown,
          block,
          kept,
        );
    }
    pushBlock(
      t,
      table,
      blockKeys,
      blockCounts,
      blockGradients,
      kept,
      blockPositions,
      blockCounters,
      learningRate,
      step,
      lsn,
    );
    if (kept == 0 && from == first) {
      // Nothing to be side by side with yet.
      first += block;
      from += block;
      continue;
    }
    from += kept;
    const gaps = block - kept;
    if (gaps != 0) refill(keys, counts, gradients, bytes, counters, counterBytes, from, end, gaps);
    end -= gaps;
  }
  store<u32>(counted, first, C_FIRST);
  store<u32>(counted, end - first, C_ROWS);
  if (load<u32>(t, T_ADMISSION) >= ADMIT_SKETCH_U8) {
    const sketched = load<u32>(counted, C_COUNTED);
    raise(
      load<u32>(t, T_CANDIDATES),
      countedKeys(counted, n),
      countedPositions(counted, n),
      countedCounts(counted, n),
      sketched,
      lsn,
    );
  }
}

function removedKeys(counted: usize): usize {
  return counted + C_COLUMNS;
}

function countedKeys(counted: usize, n: i32): usize {
  return counted + C_COLUMNS + ((<usize>n) << 3);
}

function removedPositions(counted: usize, n: i32): usize {
  return counted + C_COLUMNS + ((<usize>n) << 4);
}

function countedPositions(counted: usize, n: i32): usize {
  return removedPositions(counted, n) + ((<usize>n) << 2);
}

function countedCounts(counted: usize, n: i32): usize {
  return removedPositions(counted, n) + ((<usize>n) << 3);
}

/** Adds one to a number of the outcome and returns what it was. */
function next(counted: usize, field: usize): usize {
  const number = load<u32>(counted + field);
  store<u32>(counted + field, number + 1);
  return <usize>number;
}

function listUnknown(n: i32): i32 {
  let count = 0;
  for (let i = 0; i < n; i++) {
    if (load<u32>(RECORDS + ((<usize>i) << 2)) != 0) continue;
    store<u32>(UNKNOWN + ((<usize>count) << 2), i);
    count++;
  }
  return count;
}

/** Decides on the keys of a block that have no row. Marks those that get none in RECORDS, counts them, and returns how many. */
function screen(
  t: usize,
  keys: usize,
  counts: usize,
  unknown: i32,
  step: u32,
  lsn: u64,
  counted: usize,
  n: i32,
): i32 {
  const companion = load<u32>(t, T_CANDIDATES);
  const c = tableAt(companion);
  const exact = load<u32>(t, T_ADMISSION) == ADMIT_EXACT;
  if (exact) findCandidates(c, keys, unknown);
  else estimates(c, keys, UNKNOWN, unknown, SEEN);
  let withheld = 0;
  for (let j = 0; j < unknown; j++) {
    const i = <usize>load<u32>(UNKNOWN + ((<usize>j) << 2));
    const key = load<u64>(keys + (i << 3));
    const count = load<u32>(counts + (i << 2));
    const seen = min(load<u32>(SEEN + ((<usize>j) << 2)) + count, MAX_FREQUENCY);
    const record = exact ? <usize>load<u32>(CANDIDATES + ((<usize>j) << 2)) : 0;
    if (admits(t, key, seen)) {
      if (record != 0) {
        remove(c, key, load<u64>(TAGS + (i << 3)));
        release(c, record);
        stamp(record, lsn);
        const at = next(counted, C_REMOVED);
        store<u64>(removedKeys(counted) + (at << 3), key);
        store<u32>(removedPositions(counted, n) + (at << 2), <u32>(record >> 3));
      }
      next(counted, C_ADMITTED);
      store<u32>(counts + (i << 2), seen);
      continue;
    }
    const at = next(counted, C_COUNTED);
    store<u64>(countedKeys(counted, n) + (at << 3), key);
    if (exact) {
      const created = record == 0;
      const place = created ? addCandidate(c, companion, key, load<u64>(TAGS + (i << 3))) : record;
      store<u32>(place, LIVE | seen, R_FREQUENCY);
      store<u32>(place, step, R_STEP);
      stamp(place, lsn);
      store<u32>(countedPositions(counted, n) + (at << 2), <u32>(place >> 3));
      store<u32>(countedCounts(counted, n) + (at << 2), created ? count | CREATED : count);
    } else {
      store<u32>(countedCounts(counted, n) + (at << 2), seen);
    }
    store<u32>(counted, load<u32>(counted, C_OCCURRENCES) + count, C_OCCURRENCES);
    store<u32>(RECORDS + (i << 2), WITHHELD);
    withheld++;
  }
  return withheld;
}

/** Writes where the candidates of a block's unknown keys lie, 0 where there is none, and how often they were seen. */
function findCandidates(c: usize, keys: usize, unknown: i32): void {
  const directory = <usize>load<u32>(c, T_DIRECTORY);
  const shift = directoryShift(c);
  const spilled = overflows(c);
  for (let j = 0; j < unknown; j++) {
    const i = <usize>load<u32>(UNKNOWN + ((<usize>j) << 2));
    const home = homeUnder(directory, shift, load<u64>(TAGS + (i << 3)));
    store<u32>(HOMES + ((<usize>j) << 2), <u32>home);
  }
  touchAll(HOMES, unknown, 0);
  for (let j = 0; j < unknown; j++) {
    const i = <usize>load<u32>(UNKNOWN + ((<usize>j) << 2));
    const record = candidate(<usize>load<u32>(HOMES + ((<usize>j) << 2)), load<u64>(TAGS + (i << 3)));
    store<u32>(CANDIDATES + ((<usize>j) << 2), <u32>record);
  }
  touchAll(CANDIDATES, unknown, 0);
  for (let j = 0; j < unknown; j++) {
    const i = <usize>load<u32>(UNKNOWN + ((<usize>j) << 2));
    const key = load<u64>(keys + (i << 3));
    let record = <usize>load<u32>(CANDIDATES + ((<usize>j) << 2));
    if (record != 0 ? load<u64>(record) != key : spilled) {
      record = find(c, key, load<u64>(TAGS + (i << 3)));
      store<u32>(CANDIDATES + ((<usize>j) << 2), <u32>record);
    }
    const seen = record == 0 ? 0 : load<u32>(record, R_FREQUENCY) & MAX_FREQUENCY;
    store<u32>(SEEN + ((<usize>j) << 2), seen);
  }
}

function addCandidate(c: usize, companion: u32, key: u64, tag: u64): usize {
  const record = allocate(c, companion);
  store<u64>(record, key);
  insert(c, companion, tag, record);
  return record;
}

/** Whether a key that has been seen so often gets a row. */
function admits(t: usize, key: u64, seen: u32): bool {
  const after = load<u32>(t, T_ADMIT_AFTER);
  if (after != 0) return seen >= after;
  if (load<u32>(t, T_ADMISSION) != ADMIT_EXACT && seen >= MOST_COUNTED) return true;
  // The chance to be still refused after that many occurrences, each of which admits with 1 - T_ADMIT_MISS.
  const chance = <f64>(hashKey(key, load<u64>(t, T_SEED_LO) ^ ADMISSION_SALT) >> 11) * 1.1102230246251565e-16;
  return chance >= power(load<f64>(t, T_ADMIT_MISS), seen);
}

/** base^exponent by squaring, from the lowest bit on: this order of multiplications is part of the contract. */
function power(base: f64, exponent: u32): f64 {
  let result: f64 = 1;
  for (; exponent != 0; exponent >>= 1) {
    if (exponent & 1) result *= base;
    base *= base;
  }
  return result;
}

/** Moves rows from the end of a block, which begins with `kept` rows then, to where withheld keys stand. */
function closeGaps(
  keys: usize,
  counts: usize,
  gradients: usize,
  bytes: usize,
  counters: usize,
  counterBytes: usize,
  unknown: i32,
  block: i32,
  kept: i32,
): void {
  let last = <usize>(block - 1);
  for (let j = 0; j < unknown; j++) {
    const gap = <usize>load<u32>(UNKNOWN + ((<usize>j) << 2));
    if (gap >= <usize>kept) return;
    if (load<u32>(RECORDS + (gap << 2)) != WITHHELD) continue;
    while (load<u32>(RECORDS + (last << 2)) == WITHHELD) last--;
    moveRow(keys, counts, gradients, bytes, counters, counterBytes, last, gap);
    store<u64>(TAGS + (gap << 3), load<u64>(TAGS + (last << 3)));
    store<u32>(RECORDS + (gap << 2), load<u32>(RECORDS + (last << 2)));
    last--;
  }
}

/** Moves rows from the end of the batch to the gaps at `at`, as far as there are any behind those. */
function refill(
  keys: usize,
  counts: usize,
  gradients: usize,
  bytes: usize,
  counters: usize,
  counterBytes: usize,
  at: i32,
  end: i32,
  gaps: i32,
): void {
  const rows = min(gaps, end - (at + gaps));
  for (let i = 0; i < rows; i++)
    moveRow(keys, counts, gradients, bytes, counters, counterBytes, <usize>(end - rows + i), <usize>(at + i));
}

function moveRow(
  keys: usize,
  counts: usize,
  gradients: usize,
  bytes: usize,
  counters: usize,
  counterBytes: usize,
  from: usize,
  to: usize,
): void {
  store<u64>(keys + (to << 3), load<u64>(keys + (from << 3)));
  store<u32>(counts + (to << 2), load<u32>(counts + (from << 2)));
  copyFloats(gradients + from * bytes, gradients + to * bytes, bytes);
  if (counters != 0) memory.copy(counters + to * counterBytes, counters + from * counterBytes, counterBytes);
}

/**
 * Writes how often each key has been pushed, u32[n]: its row's frequency, with LIVE, or what its candidate or the sketch
 * says.
 */
export function occurrencesOf(table: u32, keys: usize, n: i32, into: usize): void {
  const t = tableAt(table);
  const counter = load<u32>(t, T_ADMISSION);
  const c = tableAt(load<u32>(t, T_CANDIDATES));
  for (let from = 0; from < n; from += BLOCK) {
    const block = min(BLOCK, n - from);
    const blockKeys = keys + ((<usize>from) << 3);
    const blockInto = into + ((<usize>from) << 2);
    lookUp(t, blockKeys, block, 16);
    const unknown = counter == ADMIT_NONE ? 0 : listUnknown(block);
    if (counter == ADMIT_EXACT) findCandidates(c, blockKeys, unknown);
    else if (counter != ADMIT_NONE) estimates(c, blockKeys, UNKNOWN, unknown, SEEN);
    for (let i = 0; i < block; i++) {
      const record = <usize>load<u32>(RECORDS + ((<usize>i) << 2));
      store<u32>(
        blockInto + ((<usize>i) << 2),
        record == 0 ? 0 : LIVE | (load<u32>(record, R_FREQUENCY) & MAX_FREQUENCY),
      );
    }
    for (let j = 0; j < unknown; j++) {
      const i = <usize>load<u32>(UNKNOWN + ((<usize>j) << 2));
      store<u32>(blockInto + (i << 2), load<u32>(SEEN + ((<usize>j) << 2)));
    }
  }
}
