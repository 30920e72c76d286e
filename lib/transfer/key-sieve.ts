import { hashOf } from "./key-set.js";

/** Cells for each key at least, while there is room: of keys that differ an eighth at most shares a cell with another. */
const CELLS_PER_KEY = 8;
/** 128 MiB of memory. */
const MOST_CELLS = 2 ** 29;
/** Of 2 bits each in a word. */
const CELLS_OF_A_WORD = 16;

/**
 * Tells which of many keys may come twice: each falls into one of many cells by its hash, and equal ones into the same. 2
 * to 4 bytes a key. Take all keys first, then ask for each.
 */
export class KeySieve {
  /** Of each cell two bits: one key or more fell into it; two or more did. */
  readonly #words: Uint32Array;
  readonly #mask: number;
  #collisions = 0;

  /** For so many keys. */
  constructor(keys: number) {
    const cells = 2 ** Math.ceil(Math.log2(Math.max(CELLS_OF_A_WORD, CELLS_PER_KEY * keys)));
    this.#mask = Math.min(cells, MOST_CELLS) - 1;
    this.#words = new Uint32Array((this.#mask + 1) / CELLS_OF_A_WORD);
  }

  /** The most keys that `shares` is true of: a collision takes two at least. */
  get most(): number {
    return 2 * this.#collisions;
  }

  /** Takes keys as words, low before high. */
  take(keys: Uint32Array): void {
    const words = this.#words;
    const mask = this.#mask;
    let collisions = 0;
    for (let i = 0; i < keys.length; i += 2) {
      const cell = hashOf(keys[i], keys[i + 1]) & mask;
      const word = cell >>> 4;
      const shift = (cell & 15) << 1;
      const had = (words[word] >>> shift) & 1;
      words[word] |= (1 + had) << shift;
      collisions += had;
    }
    this.#collisions += collisions;
  }

  /** Whether another key, perhaps an equal one, fell into the cell of this one. */
  shares(low: number, high: number): boolean {
    const cell = hashOf(low, high) & this.#mask;
    return ((this.#words[cell >>> 4] >>> ((cell & 15) << 1)) & 2) !== 0;
  }
}
