// XXH64 (Yann Collet, https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md).

const P1: u64 = 0x9e3779b185ebca87;
const P2: u64 = 0xc2b2ae3d27d4eb4f;
const P3: u64 = 0x165667b19e3779f9;
const P4: u64 = 0x85ebca77c2b2ae63;
const P5: u64 = 0x27d4eb2f165667c5;

function avalanche(h: u64): u64 {
  h = (h ^ (h >> 33)) * P2;
  h = (h ^ (h >> 29)) * P3;
  return h ^ (h >> 32);
}

function round(lane: u64, word: u64): u64 {
  return rotl<u64>(lane + word * P2, 31) * P1;
}

/** XXH64 of a key's 8 little-endian bytes. */
export function hashKey(key: u64, seed: u64): u64 {
  const h = (seed + P5 + 8) ^ (rotl<u64>(key * P2, 31) * P1);
  return avalanche(rotl<u64>(h, 27) * P1 + P4);
}

/** XXH64 of `length` bytes at `ptr`. */
export function xxh64(ptr: usize, length: i32, seed: u64): u64 {
  const end = ptr + <usize>length;
  let h: u64;
  if (length >= 32) {
    let a = seed + P1 + P2;
    let b = seed + P2;
    let c = seed;
    let d = seed - P1;
    const last = end - 32;
    do {
      a = round(a, load<u64>(ptr));
      b = round(b, load<u64>(ptr, 8));
      c = round(c, load<u64>(ptr, 16));
      d = round(d, load<u64>(ptr, 24));
      ptr += 32;
    } while (ptr <= last);
    h = rotl<u64>(a, 1) + rotl<u64>(b, 7) + rotl<u64>(c, 12) + rotl<u64>(d, 18);
    h = (h ^ round(0, a)) * P1 + P4;
    h = (h ^ round(0, b)) * P1 + P4;
    h = (h ^ round(0, c)) * P1 + P4;
    h = (h ^ round(0, d)) * P1 + P4;
  } else {
    h = seed + P5;
  }
  h += <u64>length;
  while (ptr + 8 <= end) {
    h = rotl<u64>(h ^ round(0, load<u64>(ptr)), 27) * P1 + P4;
    ptr += 8;
  }
  if (ptr + 4 <= end) {
    h = rotl<u64>(h ^ (<u64>load<u32>(ptr) * P1), 23) * P2 + P3;
    ptr += 4;
  }
  while (ptr < end) {
    h = rotl<u64>(h ^ (<u64>load<u8>(ptr) * P5), 11) * P1;
    ptr += 1;
  }
  return avalanche(h);
}

/**
 * Hashes `n` byte strings that lie one behind the other at `bytes`; `ends` is u32[n], where each ends. Writes u64[n].
 */
export function hashStrings(bytes: usize, ends: usize, n: i32, seed: u64, into: usize): void {
  let from: u32 = 0;
  for (let i = 0; i < n; i++) {
    const to = load<u32>(ends + ((<usize>i) << 2));
    store<u64>(into + ((<usize>i) << 3), xxh64(bytes + from, to - from, seed));
    from = to;
  }
}

/** Writes the slot of each key, the top 14 bits of its hash, as u16[n]. */
export function slotsOf(keys: usize, n: i32, placement: u64, into: usize): void {
  for (let i = 0; i < n; i++) {
    store<u16>(
      into + ((<usize>i) << 1),
      <u16>(hashKey(load<u64>(keys + ((<usize>i) << 3)), placement) >> 50),
    );
  }
}

/** Keys of one slot, one behind the other, that a key is compared with to see whether it is distinct. */
const COMPARED: i32 = 8;

/**
 * The place of the first key whose slot lies outside `first` to `last`, inclusive, or has no bit in `owned` (2,048 bytes,
 * the bit of slot i being bit i & 7 of byte i >> 3). When there is none: -2 where keys come in the order of their slots and
 * are seen to be distinct, -1 where they may not be.
 */
export function checkSlots(keys: usize, n: i32, placement: u64, owned: usize, first: u32, last: u32): i32 {
  const span = last - first;
  // Without branches that depend on where slots change, which nobody can foretell.
  let ordered: u32 = 1;
  let equal = i64x2.splat(0);
  let previous: u32 = 0;
  let run = 0;
  let longest = 0;
  for (let i = 0; i < n; i++) {
    const at = keys + ((<usize>i) << 3);
    const key = load<u64>(at);
    const slot = <u32>(hashKey(key, placement) >> 50);
    const bit = (<u32>load<u8>(owned + (slot >> 3)) >> (slot & 7)) & 1;
    if (bit == 0 || slot - first > span) return i;
    ordered &= <u32>(slot >= previous);
    run = select<i32>(run + 1, 0, slot == previous);
    longest = max(longest, run);
    previous = slot;
    const both = i64x2.splat(key);
    if (i >= COMPARED) {
      const a = v128.or(i64x2.eq(both, v128.load(at - 64)), i64x2.eq(both, v128.load(at - 48)));
      const b = v128.or(i64x2.eq(both, v128.load(at - 32)), i64x2.eq(both, v128.load(at - 16)));
      equal = v128.or(equal, v128.or(a, b));
    } else {
      for (let other = keys; other < at; other += 8)
        equal = v128.or(equal, i64x2.eq(both, v128.load64_splat(other)));
    }
  }
  return ordered != 0 && longest <= COMPARED && !v128.any_true(equal) ? -2 : -1;
}
