/**
 * A set of 64-bit keys, given as low and high words: open addressing, at most half full, 16 bytes a key at least. Keys are
 * spread by a hash, so that it can hold a part of many keys: those of one `partOf`.
 */
export class KeySet {
  readonly #words: Uint32Array;
  readonly #mask: number;
  #hasZero = false;

  /** Room for `capacity` keys. */
  constructor(capacity: number) {
    const slots = 2 ** Math.ceil(Math.log2(Math.max(16, 2 * capacity)));
    this.#words = new Uint32Array(2 * slots);
    this.#mask = slots - 1;
  }

  /** A set of all of `keys`. */
  static of(keys: BigUint64Array): KeySet {
    const set = new KeySet(keys.length);
    const words = wordsOf(keys);
    for (let i = 0; i < words.length; i += 2) set.add(words[i], words[i + 1]);
    return set;
  }

  /** Adds a key. False where it is there already. */
  add(low: number, high: number): boolean {
    if ((low | high) === 0) {
      const fresh = !this.#hasZero;
      this.#hasZero = true;
      return fresh;
    }
    const words = this.#words;
    for (let slot = hashOf(low, high) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const at = 2 * slot;
      if ((words[at] | words[at + 1]) === 0) {
        words[at] = low;
        words[at + 1] = high;
        return true;
      }
      if (words[at] === low && words[at + 1] === high) return false;
    }
  }

  has(low: number, high: number): boolean {
    if ((low | high) === 0) return this.#hasZero;
    const words = this.#words;
    for (let slot = hashOf(low, high) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const at = 2 * slot;
      if ((words[at] | words[at + 1]) === 0) return false;
      if (words[at] === low && words[at + 1] === high) return true;
    }
  }
}

/** Keys as words, low before high. */
export function wordsOf(keys: BigUint64Array): Uint32Array {
  return new Uint32Array(keys.buffer, keys.byteOffset, 2 * keys.length);
}

/** The part that a key is in, of `parts`. */
export function partOf(low: number, high: number, parts: number): number {
  return parts === 1 ? 0 : Math.floor((mix(high ^ 0x5bd1_e995, low) / 0x1_0000_0000) * parts);
}

/** 32 bits that a key is spread by. */
export function hashOf(low: number, high: number): number {
  return mix(low, high);
}

function mix(low: number, high: number): number {
  let h = Math.imul(low ^ Math.imul(high, 0x85eb_ca6b), 0x9e37_79b1);
  h = Math.imul(h ^ (h >>> 15) ^ high, 0x735a_2d97);
  return (h ^ (h >>> 16)) >>> 0;
}
