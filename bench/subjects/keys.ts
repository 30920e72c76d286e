export type Distribution = "uniform" | "zipf";

const EXPONENT = 1.05;
/** A prime: it scatters the frequent ranks over the table, as ids of real features are. */
const SCATTER = 1_000_003;

/** The key of row `row` as its low and high 32 bits: both are bijections, so rows have different keys. */
export function keyHalves(row: number): readonly [number, number] {
  return [mix(row), mix(~row)];
}

/** The keys of the rows [from, from + count), as bench/peers/table.c makes them. */
export function keysOfRows(from: number, count: number): BigUint64Array {
  const keys = new BigUint64Array(count);
  const halves = new Uint32Array(keys.buffer);
  for (let i = 0; i < count; i++) [halves[2 * i], halves[2 * i + 1]] = keyHalves(from + i);
  return keys;
}

/** A seeded stream of keys of a table of `rows` rows. */
export class Draws {
  readonly rows: number;
  #low = 0;
  #high = 0;
  readonly #zipf: Zipf;

  constructor(rows: number, seed: number) {
    this.rows = rows;
    this.#low = (seed ^ 0x9e3779b9) >>> 0 || 1;
    this.#high = (seed ^ 0x7f4a7c15) >>> 0 || 1;
    this.#zipf = new Zipf(rows);
  }

  /** `batches` arrays of `batch` keys each, equal ones possible. */
  batches(distribution: Distribution, batches: number, batch: number): BigUint64Array[] {
    return Array.from({ length: batches }, () => {
      const keys = new BigUint64Array(batch);
      const halves = new Uint32Array(keys.buffer);
      for (let i = 0; i < batch; i++) {
        [halves[2 * i], halves[2 * i + 1]] = keyHalves(this.row(distribution));
      }
      return keys;
    });
  }

  row(distribution: Distribution): number {
    if (distribution === "uniform") return Math.floor(this.#unit() * this.rows);
    return ((this.#zipf.rank(() => this.#unit()) - 1) * SCATTER) % this.rows;
  }

  /** Two xorshift32 streams (Marsaglia, 2003) of which 53 bits are used. */
  #unit(): number {
    this.#low = xorshift(this.#low);
    this.#high = xorshift(this.#high);
    return ((this.#high >>> 11) * 2 ** 32 + this.#low) / 2 ** 53;
  }
}

/** Ranks in [1, rows] with probability ~ rank^-1.05, by rejection-inversion (Hörmann and Derflinger, 1996). */
class Zipf {
  readonly #rows: number;
  readonly #low: number;
  readonly #high: number;

  constructor(rows: number) {
    this.#rows = rows;
    this.#low = integral(1.5) - 1;
    this.#high = integral(rows + 0.5);
  }

  rank(unit: () => number): number {
    for (;;) {
      const u = this.#high + unit() * (this.#low - this.#high);
      const rank = Math.min(this.#rows, Math.max(1, Math.floor(inverse(u) + 0.5)));
      if (u >= integral(rank + 0.5) - rank ** -EXPONENT) return rank;
    }
  }
}

function integral(x: number): number {
  return (x ** (1 - EXPONENT) - 1) / (1 - EXPONENT);
}

function inverse(x: number): number {
  return (1 + x * (1 - EXPONENT)) ** (1 / (1 - EXPONENT));
}

function xorshift(x: number): number {
  let y = x ^ (x << 13);
  y ^= y >>> 17;
  return (y ^ (y << 5)) >>> 0;
}

/** The finalizer of MurmurHash3 (Appleby). */
function mix(x: number): number {
  let y = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  y = Math.imul(y ^ (y >>> 13), 0xc2b2ae35);
  return (y ^ (y >>> 16)) >>> 0;
}
