// XXH64 (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md) on BigInt: for names and points of the ring, which
// are few and short. Keys are hashed by the kernel.

const P1 = 0x9e3779b185ebca87n;
const P2 = 0xc2b2ae3d27d4eb4fn;
const P3 = 0x165667b19e3779f9n;
const P4 = 0x85ebca77c2b2ae63n;
const P5 = 0x27d4eb2f165667c5n;
const MASK = 0xffff_ffff_ffff_ffffn;

const rotateLeft = (x: bigint, bits: bigint) => ((x << bits) | (x >> (64n - bits))) & MASK;
const round = (lane: bigint, word: bigint) => (rotateLeft((lane + word * P2) & MASK, 31n) * P1) & MASK;

/** XXH64 of `bytes` with `seed`, as an unsigned 64-bit integer. */
export function xxh64(bytes: Uint8Array, seed = 0n): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = bytes.length;
  let at = 0;
  let hash = (seed + P5) & MASK;
  if (end >= 32) {
    const lanes = [seed + P1 + P2, seed + P2, seed, seed - P1].map((lane) => lane & MASK);
    for (; at + 32 <= end; at += 32)
      for (let i = 0; i < 4; i++) lanes[i] = round(lanes[i], view.getBigUint64(at + 8 * i, true));
    hash = lanes.reduce((sum, lane, i) => sum + rotateLeft(lane, [1n, 7n, 12n, 18n][i]), 0n) & MASK;
    for (const lane of lanes) hash = ((hash ^ round(0n, lane)) * P1 + P4) & MASK;
  }
  hash = (hash + BigInt(end)) & MASK;
  for (; at + 8 <= end; at += 8) hash = foldWord(hash, view.getBigUint64(at, true));
  if (at + 4 <= end) {
    hash ^= (BigInt(view.getUint32(at, true)) * P1) & MASK;
    hash = (rotateLeft(hash, 23n) * P2 + P3) & MASK;
    at += 4;
  }
  for (; at < end; at++) hash = (rotateLeft(hash ^ ((BigInt(bytes[at]) * P5) & MASK), 11n) * P1) & MASK;
  return avalanche(hash);
}

/** XXH64 of the 8 little-endian bytes of `word`: the same function that takes keys to slots. */
export function xxh64OfWord(word: bigint, seed: bigint): bigint {
  return avalanche(foldWord((seed + P5 + 8n) & MASK, word));
}

function foldWord(hash: bigint, word: bigint): bigint {
  return (rotateLeft(hash ^ round(0n, word), 27n) * P1 + P4) & MASK;
}

function avalanche(hash: bigint): bigint {
  let mixed = ((hash ^ (hash >> 33n)) * P2) & MASK;
  mixed = ((mixed ^ (mixed >> 29n)) * P3) & MASK;
  return mixed ^ (mixed >> 32n);
}
