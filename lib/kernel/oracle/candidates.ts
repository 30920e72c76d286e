import { ADMIT_EXACT, ADMIT_SKETCH_U8 } from "../layout.js";
import { hashKey } from "./hash.js";

/** How an oracle admits: numbers as kernels are told them. */
export interface OracleAdmission {
  /** ADMIT_* */
  readonly counter: number;
  /** Occurrences; 0 where chance decides. */
  readonly after: number;
  /** The chance that an occurrence does not admit. */
  readonly miss: number;
  /** Blocks of counters of a sketch for each slot. */
  readonly blocks: number;
  /** Seed of the hash whose top bits are a key's slot. */
  readonly placement: bigint;
}

export interface OracleCandidate {
  readonly occurrences: number;
  readonly lastStep: number;
}

const admissionSalt = 0x6a09e667f3bcc908n;
const sketchSalt = 0xbb67ae8584caa73bn;
const mostCounted = 65_535;

/** Keys that were counted and have no row. */
export class OracleCandidates {
  readonly #admission: OracleAdmission;
  readonly #seed: bigint;
  /** Of exact counters. */
  #counted = new Map<bigint, OracleCandidate>();
  /** Counters of a sketch by slot and place, "slot/place". Absent = 0. */
  #cells = new Map<string, number>();

  /** `seed` is that of the table's initial values. */
  constructor(admission: OracleAdmission, seed: bigint) {
    this.#admission = admission;
    this.#seed = seed;
  }

  /** How often a key was counted, at most. */
  seen(key: bigint): number {
    if (this.#isExact) return this.#counted.get(key)?.occurrences ?? 0;
    return Math.min(...this.#cellsOf(key).map((cell) => this.#cells.get(cell) ?? 0));
  }

  /** Whether a key that has been seen so often gets a row. */
  admits(key: bigint, seen: number): boolean {
    const { after, miss } = this.#admission;
    if (after > 0) return seen >= after;
    if (!this.#isExact && seen >= mostCounted) return true;
    return Number(hashKey(key, this.#seed ^ admissionSalt) >> 11n) / 2 ** 53 >= power(miss, seen);
  }

  /** Notes that keys have been seen so often: [key, occurrences in all]. */
  note(seen: Iterable<readonly [bigint, number]>, lastStep: number): void {
    for (const [key, occurrences] of seen) {
      if (this.#isExact) this.#counted.set(key, { occurrences, lastStep });
      else
        for (const cell of this.#cellsOf(key))
          this.#cells.set(cell, Math.max(this.#cells.get(cell) ?? 0, occurrences));
    }
  }

  /** A sketch cannot forget one key. */
  forget(key: bigint): void {
    this.#counted.delete(key);
  }

  forgetAll(): void {
    this.#counted.clear();
    this.#cells.clear();
  }

  /** Of exact counters. */
  entries(): IterableIterator<[bigint, OracleCandidate]> {
    return this.#counted.entries();
  }

  get size(): number {
    return this.#counted.size;
  }

  /** Counters of a sketch that are not 0, by "slot/place": places count through the blocks of a slot. */
  get cells(): ReadonlyMap<string, number> {
    return this.#cells;
  }

  clone(): OracleCandidates {
    const copy = new OracleCandidates(this.#admission, this.#seed);
    copy.#counted = new Map(this.#counted);
    copy.#cells = new Map(this.#cells);
    return copy;
  }

  get #isExact(): boolean {
    return this.#admission.counter === ADMIT_EXACT;
  }

  #cellsOf(key: bigint): string[] {
    const { blocks, placement, counter } = this.#admission;
    const slot = hashKey(key, placement) >> 50n;
    const hash = hashKey(key, this.#seed ^ sketchSalt);
    const block = (hash >> 32n) % BigInt(blocks);
    const perQuarter = counter === ADMIT_SKETCH_U8 ? 16n : 8n;
    return [0n, 1n, 2n, 3n].map((quarter) => {
      const inQuarter = (hash >> (4n * quarter)) & (perQuarter - 1n);
      return `${slot}/${block * 4n * perQuarter + quarter * perQuarter + inQuarter}`;
    });
  }
}

/** By squaring, from the lowest bit on, as kernels do. */
function power(base: number, exponent: number): number {
  let result = 1;
  for (let square = base, bits = exponent; bits > 0; bits = Math.floor(bits / 2)) {
    if (bits % 2 === 1) result *= square;
    square *= square;
  }
  return result;
}
