/**
 * Rows of one table that were found at places where another state has other keys: gone, or at another place there. A
 * hash table over columns that grow; it can give up the rows with the greatest hashes, to be looked for in another pass.
 */
export class LeftoverRows {
  /** Words of a record. */
  readonly #words: number;
  #n = 0;
  #low = new Uint32Array(64);
  #high = new Uint32Array(64);
  #matched = new Uint8Array(64);
  #records: Uint32Array;
  #slots = new Int32Array(128).fill(-1);

  constructor(words: number) {
    this.#words = words;
    this.#records = new Uint32Array(64 * words);
  }

  get bytes(): number {
    return this.#n * (4 * this.#words + 17);
  }

  /** Takes a record, which begins with its key. */
  add(records: Uint32Array, at: number): void {
    if (this.#n === this.#low.length) this.#grow();
    const i = this.#n++;
    this.#low[i] = records[at];
    this.#high[i] = records[at + 1];
    this.#matched[i] = 0;
    this.#records.set(records.subarray(at, at + this.#words), i * this.#words);
    this.#slots[this.#slotOf(records[at], records[at + 1])] = i;
  }

  /** Finds the row of a key and marks it as found; undefined where there is none. The view is valid until `add`. */
  match(low: number, high: number): Uint32Array | undefined {
    const i = this.#slots[this.#slotOf(low, high)];
    if (i < 0) return undefined;
    this.#matched[i] = 1;
    return this.#records.subarray(i * this.#words, (i + 1) * this.#words);
  }

  /** The keys that nobody matched, as pairs of words. */
  unmatched(): Uint32Array {
    const keys: number[] = [];
    for (let i = 0; i < this.#n; i++) if (this.#matched[i] === 0) keys.push(this.#low[i], this.#high[i]);
    return Uint32Array.from(keys);
  }

  /** Gives up all rows whose hash is `bound` or more. */
  keepBelow(bound: number): void {
    let kept = 0;
    for (let i = 0; i < this.#n; i++) {
      if (hashOfKey(this.#low[i], this.#high[i]) >= bound) continue;
      this.#low[kept] = this.#low[i];
      this.#high[kept] = this.#high[i];
      this.#records.copyWithin(kept * this.#words, i * this.#words, (i + 1) * this.#words);
      kept++;
    }
    this.#n = kept;
    this.#rehash();
  }

  #grow(): void {
    const longer = <T extends Uint32Array | Uint8Array>(array: T, into: T): T => {
      into.set(array);
      return into;
    };
    this.#low = longer(this.#low, new Uint32Array(2 * this.#low.length));
    this.#high = longer(this.#high, new Uint32Array(2 * this.#high.length));
    this.#matched = longer(this.#matched, new Uint8Array(2 * this.#matched.length));
    this.#records = longer(this.#records, new Uint32Array(2 * this.#records.length));
    this.#slots = new Int32Array(2 * this.#slots.length);
    this.#rehash();
  }

  #rehash(): void {
    this.#slots.fill(-1);
    for (let i = 0; i < this.#n; i++) this.#slots[this.#slotOf(this.#low[i], this.#high[i])] = i;
  }

  /** Where a key is, or would be. */
  #slotOf(low: number, high: number): number {
    const mask = this.#slots.length - 1;
    let slot = hashOfKey(low, high) & mask;
    for (;;) {
      const i = this.#slots[slot];
      if (i < 0 || (this.#low[i] === low && this.#high[i] === high)) return slot;
      slot = (slot + 1) & mask;
    }
  }
}

/** A hash of a key given as two words: 32 bits. */
export function hashOfKey(low: number, high: number): number {
  let hash = Math.imul(low ^ Math.imul(high, 0x85eb_ca6b), 0x9e37_79b1);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x2c1b_3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}
