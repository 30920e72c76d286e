// Batches: equal keys summed, non-finite gradients found, rows put in the order of their arenas.
import { copyFloats } from "./floats";
import { MAX_FREQUENCY } from "./layout";

/** Longer rows are copied by memory.copy, a call each. */
const COPIED_BYTES: u32 = 1024;

/** In a table of places: the key that stands there came before. */
const REPEATED: u32 = 0x80000000;

/**
 * Finds which of u64[n] keys came before. `slots` is scratch of u32[slotCount], slotCount a power of two of at least 4 n. Returns how
 * many, and leaves their places there in ascending order, each with that of the key's first occurrence behind it, u32[2] each.
 *
 * Half of the scratch is a table by hash, of the last key of each slot; each key is linked to the one before it in its slot, without a
 * look at either, so that nothing has to be foretold. The few that have one before them are then compared.
 */
function findRepeats(keys: usize, n: i32, slots: usize, slotCount: u32): i32 {
  const half = slotCount >> 1;
  const mask = half - 1;
  const before = slots + ((<usize>half) << 2);
  const suspects = before + ((<usize>n) << 2);
  memory.fill(slots, 0, (<usize>half) << 2);
  let suspected: i32 = 0;
  for (let i = 0; i < n; i++) {
    const h = load<u64>(keys + ((<usize>i) << 3)) * 0x9e3779b97f4a7c15;
    const slot = slots + ((<usize>(<u32>((h ^ (h >> 29)) >> 32) & mask)) << 2);
    const last = load<u32>(slot);
    store<u32>(slot, i + 1);
    store<u32>(before + ((<usize>i) << 2), last);
    store<u32>(suspects + ((<usize>suspected) << 2), i);
    suspected += last != 0 ? 1 : 0;
  }
  let repeats = 0;
  for (let j = 0; j < suspected; j++) {
    const i = load<u32>(suspects + ((<usize>j) << 2));
    const key = load<u64>(keys + ((<usize>i) << 3));
    const link = before + ((<usize>i) << 2);
    // The links of those that are known to repeat lead past them: however often a key comes, it is met once.
    let other = load<u32>(link);
    const next = load<u32>(before + ((<usize>(other - 1)) << 2));
    if (next & REPEATED) other = next ^ REPEATED;
    store<u32>(link, other);
    for (let at = other; at != 0; at = load<u32>(before + ((<usize>(at - 1)) << 2))) {
      if (load<u64>(keys + ((<usize>(at - 1)) << 3)) != key) continue;
      store<u32>(link, other | REPEATED);
      const pair = slots + ((<usize>repeats) << 3);
      store<u32>(pair, i);
      store<u32>(pair, at - 1, 4);
      repeats++;
      break;
    }
  }
  return repeats;
}

/**
 * Sums the rows of equal keys, in place and in order of occurrence: of u64[n] keys and f32[n * dim] rows the distinct ones
 * are left at the front, with their occurrences in `counts` (u32[n]): where `counted` is set, what stands there for each
 * row is how often it occurred, 1 to MAX_FREQUENCY, which is also the most that a sum becomes. The last ones move to where repeats stood, so that
 * as few rows as possible do. `slots` is scratch as for findRepeats. Returns how many distinct keys there are.
 */
export function sumEqualKeys(
  keys: usize,
  counts: usize,
  rows: usize,
  n: i32,
  dim: u32,
  slots: usize,
  slotCount: u32,
  counted: i32,
): i32 {
  const bytes = (<usize>dim) << 2;
  if (!counted) fillOnes(counts, n);
  const repeats = findRepeats(keys, n, slots, slotCount);
  for (let i = 0; i < repeats; i++) {
    const pair = slots + ((<usize>i) << 3);
    const repeat = <usize>load<u32>(pair);
    const first = <usize>load<u32>(pair, 4);
    const count = counts + (repeat << 2);
    const sum = counts + (first << 2);
    store<u32>(sum, min(load<u32>(sum) + load<u32>(count), MAX_FREQUENCY));
    store<u32>(count, 0);
    addRow(rows + first * bytes, rows + repeat * bytes, bytes);
  }
  if (repeats != 0) fillGaps(keys, counts, rows, n, n - repeats, bytes);
  return n - repeats;
}

function fillOnes(counts: usize, n: i32): void {
  const ones = i32x4.splat(1);
  let at = counts;
  const end = counts + ((<usize>n) << 2);
  for (; at + 16 <= end; at += 16) v128.store(at, ones);
  for (; at < end; at += 4) store<u32>(at, 1);
}

/**
 * Numbers the distinct keys of u64[n] in the order of their first occurrences: `unique` gets them, `counts` (u32[n]) how often
 * each occurs, MAX_FREQUENCY at most, `numbers` (u32[n]) the number of each key. `slots` is as for `sumEqualKeys`. Returns how
 * many there are.
 */
export function numberKeys(
  keys: usize,
  n: i32,
  unique: usize,
  counts: usize,
  numbers: usize,
  slots: usize,
  slotCount: u32,
): i32 {
  const repeats = findRepeats(keys, n, slots, slotCount);
  fillOnes(counts, n - repeats);
  let i = 0;
  for (let pair = slots, end = slots + ((<usize>repeats) << 3); pair <= end; pair += 8) {
    const passed = <i32>((pair - slots) >> 3);
    const repeat = pair == end ? n : <i32>load<u32>(pair);
    for (; i < repeat; i++) {
      store<u64>(unique + ((<usize>(i - passed)) << 3), load<u64>(keys + ((<usize>i) << 3)));
      store<u32>(numbers + ((<usize>i) << 2), i - passed);
    }
    if (pair == end) break;
    const number = load<u32>(numbers + ((<usize>load<u32>(pair, 4)) << 2));
    const count = counts + ((<usize>number) << 2);
    store<u32>(count, min(load<u32>(count) + 1, MAX_FREQUENCY));
    store<u32>(numbers + ((<usize>i) << 2), number);
    i++;
  }
  return n - repeats;
}

/**
 * Puts f32[n * dim] rows, whose keys have `numbers` (u32[n]), where `places` (u32[], by number) says, in `into`: the row of a
 * number's first occurrence is copied, those of later ones are added, in order. `seen` numbers have occurred before. Returns
 * how many have afterwards.
 */
export function sumRowsInto(
  rows: usize,
  numbers: usize,
  n: i32,
  dim: u32,
  places: usize,
  seen: u32,
  into: usize,
): u32 {
  const bytes = (<usize>dim) << 2;
  for (let i = 0; i < n; i++) {
    const number = load<u32>(numbers + ((<usize>i) << 2));
    const to = into + <usize>load<u32>(places + ((<usize>number) << 2)) * bytes;
    if (number == seen) {
      copyFloats(rows, to, bytes);
      seen++;
    } else addRow(to, rows, bytes);
    rows += bytes;
  }
  return seen;
}

/** Moves rows with a count from beyond `distinct` to the places before it that have none. */
function fillGaps(keys: usize, counts: usize, rows: usize, n: i32, distinct: i32, bytes: usize): void {
  let last = <usize>(n - 1);
  for (let gap: usize = 0; gap < <usize>distinct; gap++) {
    if (load<u32>(counts + (gap << 2)) != 0) continue;
    while (load<u32>(counts + (last << 2)) == 0) last--;
    store<u64>(keys + (gap << 3), load<u64>(keys + (last << 3)));
    store<u32>(counts + (gap << 2), load<u32>(counts + (last << 2)));
    memory.copy(rows + gap * bytes, rows + last * bytes, bytes);
    last--;
  }
}

function addRow(into: usize, from: usize, bytes: usize): void {
  const end = from + bytes;
  while (from + 16 <= end) {
    v128.store(into, f32x4.add(v128.load(into), v128.load(from)));
    from += 16;
    into += 16;
  }
  while (from < end) {
    store<f32>(into, load<f32>(into) + load<f32>(from));
    from += 4;
    into += 4;
  }
}

/** Makes what is above `most` in u32[n] `most`. */
export function limitTo(most: u32, values: usize, n: u32): void {
  const end = values + ((<usize>n) << 2);
  const limit = i32x4.splat(<i32>most);
  let at = values;
  for (; at + 16 <= end; at += 16) v128.store(at, v128.min<u32>(v128.load(at), limit));
  for (; at < end; at += 4) store<u32>(at, min(load<u32>(at), most));
}

/** The largest of u32[n]; 0 of none. */
export function largestOf(values: usize, n: u32): u32 {
  const end = values + ((<usize>n) << 2);
  let most = i32x4.splat(0);
  let at = values;
  for (; at + 16 <= end; at += 16) most = v128.max<u32>(most, v128.load(at));
  let largest = max(
    max(<u32>v128.extract_lane<u32>(most, 0), <u32>v128.extract_lane<u32>(most, 1)),
    max(<u32>v128.extract_lane<u32>(most, 2), <u32>v128.extract_lane<u32>(most, 3)),
  );
  for (; at < end; at += 4) largest = max(largest, load<u32>(at));
  return largest;
}

/** Magnitudes of four numbers at `at`, as integers: they are in the order of the numbers, and NaN is above infinity. */
function magnitudes(at: usize): v128 {
  return v128.and(v128.load(at), i32x4.splat(0x7fffffff));
}

function reachesInfinity(magnitudes: v128): bool {
  return v128.any_true(i32x4.ge_s(magnitudes, i32x4.splat(0x7f800000)));
}

/** The place of the first NaN or infinity in f32[n], -1 when all are finite. */
export function firstNonFinite(values: usize, n: u32): i32 {
  const end = values + ((<usize>n) << 2);
  let at = values;
  for (; at + 128 <= end; at += 128) {
    const a = i32x4.max_s(magnitudes(at), magnitudes(at + 16));
    const b = i32x4.max_s(magnitudes(at + 32), magnitudes(at + 48));
    const c = i32x4.max_s(magnitudes(at + 64), magnitudes(at + 80));
    const d = i32x4.max_s(magnitudes(at + 96), magnitudes(at + 112));
    const most = i32x4.max_s(i32x4.max_s(a, b), i32x4.max_s(c, d));
    if (reachesInfinity(most)) break;
  }
  for (; at + 16 <= end; at += 16) if (reachesInfinity(magnitudes(at))) break;
  for (; at < end; at += 4) {
    if ((load<u32>(at) & 0x7f800000) == 0x7f800000) return <i32>((at - values) >> 2);
  }
  return -1;
}

/** The place in f32[n * dim] of the first NaN or infinity in a row that is a sum (its count is above 1), -1 when there is none. */
export function firstNonFiniteSum(rows: usize, counts: usize, n: i32, dim: u32): i32 {
  for (let i = 0; i < n; i++) {
    if (load<u32>(counts + ((<usize>i) << 2)) < 2) continue;
    const at = firstNonFinite(rows + ((<usize>i * <usize>dim) << 2), dim);
    if (at >= 0) return i * <i32>dim + at;
  }
  return -1;
}

/**
 * Removes rows with a non-finite value from f32[n * dim], with their keys (u64[n]), counts (u32[n], or 0) and counters
 * (f32[n * counterCount], or 0), keeping the order. Returns how many are left.
 */
export function dropNonFinite(
  rows: usize,
  keys: usize,
  counts: usize,
  n: i32,
  dim: u32,
  counters: usize,
  counterCount: u32,
): i32 {
  const bytes = (<usize>dim) << 2;
  const counterBytes = (<usize>counterCount) << 2;
  let kept = 0;
  for (let i = 0; i < n; i++) {
    const from = rows + <usize>i * bytes;
    if (firstNonFinite(from, dim) >= 0) continue;
    if (kept != i) {
      memory.copy(rows + <usize>kept * bytes, from, bytes);
      store<u64>(keys + ((<usize>kept) << 3), load<u64>(keys + ((<usize>i) << 3)));
      if (counts != 0) store<u32>(counts + ((<usize>kept) << 2), load<u32>(counts + ((<usize>i) << 2)));
      if (counters != 0)
        memory.copy(counters + <usize>kept * counterBytes, counters + <usize>i * counterBytes, counterBytes);
    }
    kept++;
  }
  return kept;
}

/**
 * Orders n keys by the arena of their slot: `order` (u32[n]) lists their places arena by arena, `ends` (u32[arenas]) says
 * where each arena's run ends. `arenaOf` is u8[16384]; `slots` the u16[n] of slotsOf.
 */
export function orderByArena(
  slots: usize,
  arenaOf: usize,
  n: i32,
  arenas: u32,
  order: usize,
  ends: usize,
): void {
  memory.fill(ends, 0, (<usize>arenas) << 2);
  for (let i = 0; i < n; i++) {
    const end = ends + ((<usize>load<u8>(arenaOf + <usize>load<u16>(slots + ((<usize>i) << 1)))) << 2);
    store<u32>(end, load<u32>(end) + 1);
  }
  let sum: u32 = 0;
  for (let arena: u32 = 0; arena < arenas; arena++) {
    const end = ends + ((<usize>arena) << 2);
    const count = load<u32>(end);
    store<u32>(end, sum);
    sum += count;
  }
  for (let i = 0; i < n; i++) {
    const end = ends + ((<usize>load<u8>(arenaOf + <usize>load<u16>(slots + ((<usize>i) << 1)))) << 2);
    const at = load<u32>(end);
    store<u32>(order + ((<usize>at) << 2), i);
    store<u32>(end, at + 1);
  }
}

/** into[i] = from[order[i]] for rows of `bytes` bytes. */
export function gatherRows(from: usize, order: usize, n: i32, bytes: u32, into: usize): void {
  const whole = (bytes & 3) == 0 && bytes <= COPIED_BYTES;
  for (let i = 0; i < n; i++) {
    const row = from + <usize>load<u32>(order + ((<usize>i) << 2)) * <usize>bytes;
    if (whole) copyFloats(row, into, bytes);
    else memory.copy(into, row, bytes);
    into += bytes;
  }
}

/** into[order[i]] = from[i] for rows of `bytes` bytes. */
export function scatterRows(from: usize, order: usize, n: i32, bytes: u32, into: usize): void {
  const whole = (bytes & 3) == 0 && bytes <= COPIED_BYTES;
  for (let i = 0; i < n; i++) {
    const row = into + <usize>load<u32>(order + ((<usize>i) << 2)) * <usize>bytes;
    if (whole) copyFloats(from, row, bytes);
    else memory.copy(row, from, bytes);
    from += bytes;
  }
}
