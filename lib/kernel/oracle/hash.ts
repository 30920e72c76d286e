// XXH64 (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md) and splitmix64, on BigInt.

const P1 = 0x9e3779b185ebca87n;
const P2 = 0xc2b2ae3d27d4eb4fn;
const P3 = 0x165667b19e3779f9n;
const P4 = 0x85ebca77c2b2ae63n;
const P5 = 0x27d4eb2f165667c5n;

const u64 = (x: bigint) => BigInt.asUintN(64, x);
const rotateLeft = (x: bigint, bits: bigint) => u64((x << bits) | (x >> (64n - bits)));

/** XXH64 of the key's 8 little-endian bytes. */
export function hashKey(key: bigint, seed: bigint): bigint {
  let hash = u64(seed + P5 + 8n);
  hash ^= u64(rotateLeft(u64(key * P2), 31n) * P1);
  hash = u64(rotateLeft(hash, 27n) * P1 + P4);
  hash = u64((hash ^ (hash >> 33n)) * P2);
  hash = u64((hash ^ (hash >> 29n)) * P3);
  return hash ^ (hash >> 32n);
}

/** The i-th (from 1) number of splitmix64 started at `base` (Steele, Lea and Flood 2014; Vigna's constants). */
export function splitmix(base: bigint, i: number): bigint {
  let x = u64(base + BigInt(i) * 0x9e3779b97f4a7c15n);
  x = u64((x ^ (x >> 30n)) * 0xbf58476d1ce4e5b9n);
  x = u64((x ^ (x >> 27n)) * 0x94d049bb133111ebn);
  return x ^ (x >> 31n);
}
