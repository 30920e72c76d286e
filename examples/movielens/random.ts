/** A seeded stream of numbers: integer arithmetic only, so that every machine draws the same. */
export class Random {
  #state: number;

  /** Streams of different `parts` (a seed and an epoch, say) have nothing to do with each other. */
  constructor(...parts: readonly number[]) {
    this.#state = 0x6d2b79f5;
    for (const part of parts) this.#state = mixed((this.#state ^ part) >>> 0);
  }

  /** A uniform number in [0, 1): 32 bits. */
  unit(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    return mixed(this.#state) / 0x1_0000_0000;
  }

  /** A uniform integer in [0, bound). */
  below(bound: number): number {
    return Math.floor(this.unit() * bound);
  }

  /** Mean 0, deviation 1, within +-6: the sum of twelve uniform numbers, near enough to normal, and exact. */
  bell(): number {
    let sum = -6;
    for (let i = 0; i < 12; i++) sum += this.unit();
    return sum;
  }

  /** The integers of [0, count) in random order (Fisher and Yates). */
  permutation(count: number): Int32Array {
    const order = Int32Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const moved = order[i]!;
      order[i] = order[j]!;
      order[j] = moved;
    }
    return order;
  }
}

/** The finalizer of splitmix32. */
function mixed(word: number): number {
  let z = word;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return (z ^ (z >>> 15)) >>> 0;
}
