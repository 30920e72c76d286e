/**
 * Values of cold rows that were read not long ago, in a ring of bounded memory: whoever reads the row again, or pushes
 * to it, need not wait for the page store. A row is here only while it is cold, so that what is here is right. Keys
 * are given as their two halves, since a BigInt a row costs more than finding it.
 */
export class ColdStage {
  readonly #valueBytes: number;
  /** Values that it holds at most. */
  readonly capacity: number;
  #values = new Uint8Array(0);
  #low = new Uint32Array(0);
  #high = new Uint32Array(0);
  /** Whether an entry holds a row. */
  #held = new Uint8Array(0);
  /** An open hash table of entries, each plus 1. */
  #slots = new Int32Array(0);
  #next = 0;
  size = 0;

  /** Holds `capacity` values of `valueBytes`; takes memory with its first value. */
  constructor(valueBytes: number, capacity: number) {
    this.#valueBytes = valueBytes;
    this.capacity = Math.max(1, capacity);
  }

  /** The number of the key's entry, -1 when there is none. */
  find(low: number, high: number): number {
    const slot = this.#slotOf(low, high);
    return slot < 0 ? -1 : this.#slots[slot] - 1;
  }

  /** The value of an entry, borrowed until the next change. */
  value(entry: number): Uint8Array {
    return this.#values.subarray(entry * this.#valueBytes, (entry + 1) * this.#valueBytes);
  }

  /** Copies a value in; the oldest goes when there is no room. */
  add(low: number, high: number, value: Uint8Array): void {
    if (this.#slots.length === 0) this.#begin();
    const known = this.find(low, high);
    if (known >= 0) {
      this.value(known).set(value);
      return;
    }
    const entry = this.#next;
    this.#next = (entry + 1) % this.capacity;
    if (this.#held[entry]) this.remove(this.#low[entry], this.#high[entry]);
    this.#low[entry] = low;
    this.#high[entry] = high;
    this.#held[entry] = 1;
    this.value(entry).set(value);
    let slot = this.#home(low, high);
    while (this.#slots[slot] !== 0) slot = (slot + 1) & (this.#slots.length - 1);
    this.#slots[slot] = entry + 1;
    this.size++;
  }

  /** Forgets a key, if it is here. */
  remove(low: number, high: number): void {
    let hole = this.#slotOf(low, high);
    if (hole < 0) return;
    this.#held[this.#slots[hole] - 1] = 0;
    this.size--;
    const mask = this.#slots.length - 1;
    for (let slot = (hole + 1) & mask; this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      const entry = this.#slots[slot] - 1;
      const home = this.#home(this.#low[entry], this.#high[entry]);
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      this.#slots[hole] = this.#slots[slot];
      hole = slot;
    }
    this.#slots[hole] = 0;
  }

  #begin(): void {
    this.#values = new Uint8Array(this.capacity * this.#valueBytes);
    this.#low = new Uint32Array(this.capacity);
    this.#high = new Uint32Array(this.capacity);
    this.#held = new Uint8Array(this.capacity);
    this.#slots = new Int32Array(2 ** Math.ceil(Math.log2(2 * this.capacity + 1)));
  }

  #home(low: number, high: number): number {
    const mixed = Math.imul(low ^ Math.imul(high, 0x9e37_79b1), 0x85eb_ca6b);
    return (mixed ^ (mixed >>> 15)) & (this.#slots.length - 1);
  }

  #slotOf(low: number, high: number): number {
    if (this.size === 0) return -1;
    const mask = this.#slots.length - 1;
    for (let slot = this.#home(low, high); this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      const entry = this.#slots[slot] - 1;
      if (this.#low[entry] === low && this.#high[entry] === high) return slot;
    }
    return -1;
  }
}
