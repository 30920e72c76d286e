// Candidates and sketches as docs/formats/pages.md describes them, with no code of the store.
import xxhash from "xxhash-wasm";

const { h64Raw } = await xxhash();

export interface Admission {
  readonly after?: number;
  readonly probability?: number;
  readonly counter: "exact" | { readonly sketchBytes: number };
}

/** What of a definition candidates depend on. */
export interface Counting {
  readonly admission?: Admission;
  readonly seed: string;
  readonly placement: string;
  readonly blocks?: number;
}

/** Blocks of a row of a sketch; 0 for exact counters. */
export function blocksOf({ counter }: Admission): number {
  return counter === "exact" ? 0 : Math.floor(counter.sketchBytes / 2 ** 20) - 1;
}

export function slotOf(key: bigint, { placement }: Counting): bigint {
  return hash(key, BigInt(placement)) >> 50n;
}

function hash(key: bigint, seed: bigint): bigint {
  return h64Raw(new Uint8Array(BigUint64Array.of(key).buffer), seed);
}

/** Offsets of a key's counters in its slot's row, and their bytes. */
function countersOf(key: bigint, { admission, seed, blocks }: Counting): { at: number[]; bytes: number } {
  const { after = 0, probability } = admission!;
  const bytes = probability !== undefined || after > 255 ? 2 : 1;
  const h = hash(key, BigInt(seed) ^ 0xbb67ae8584caa73bn);
  const block = 64 + 64 * Number((h >> 32n) % BigInt(blocks!));
  const at = [0n, 1n, 2n, 3n].map(
    (q) => block + 16 * Number(q) + bytes * Number((h >> (4n * q)) % BigInt(16 / bytes)),
  );
  return { at, bytes };
}

/** Raises a key's counters in its slot's row. */
export function raiseSketch(row: Uint8Array, key: bigint, counting: Counting, count: number): void {
  const { at, bytes } = countersOf(key, counting);
  for (const offset of at) {
    if (read(row, offset, bytes) >= count) continue;
    row[offset] = count;
    if (bytes === 2) row[offset + 1] = count >> 8;
  }
}

function read(row: Uint8Array, offset: number, bytes: number): number {
  return bytes === 1 ? row[offset] : row[offset] + 256 * row[offset + 1];
}

/** A sketch that was found: rows by slot. */
export class FoundSketch {
  readonly rows = new Map<bigint, Uint8Array>();
  readonly #counting: Counting;

  constructor(counting: Counting) {
    this.#counting = counting;
  }

  occurrences(key: bigint): number {
    const row = this.rows.get(slotOf(key, this.#counting));
    if (row === undefined) return 0;
    const { at, bytes } = countersOf(key, this.#counting);
    return Math.min(...at.map((offset) => read(row, offset, bytes)));
  }
}
