import * as assert from "uvu/assert";
import type { AssignOptions, PushOptions } from "../../lib/api/store-types.js";
import type { Prng } from "../../lib/base/prng.js";
import {
  EmbershardError,
  type ErrorCode,
  type Store,
  type Table,
  type TableOptions,
} from "../../lib/index.js";
import type { OracleTable } from "../../lib/kernel/oracle/oracle-table.js";
import { differenceFrom, oracleOf } from "./oracle-of.js";

/** A store under law. */
export interface Opened {
  readonly store: Store;
  /** Closes the store and opens it again. */
  reopen(): Promise<Store>;
  /** Lets everything go. */
  end(): Promise<void>;
  /** False where work that is aborted from afar may have been done. */
  readonly abortsForSure?: boolean;
}

export type Open = () => Promise<Opened>;

/** A table and its oracle, to which the same is done. */
export class Twin {
  table: Table;
  readonly oracle: OracleTable;

  constructor(table: Table, oracle = oracleOf(table.options)) {
    this.table = table;
    this.oracle = oracle;
  }

  static async open(store: Store, name: string, options: TableOptions): Promise<Twin> {
    return new Twin(await store.table(name, options));
  }

  async push(keys: BigUint64Array, gradients: Float32Array, options: PushOptions = {}): Promise<void> {
    this.oracle.push(keys, gradients, options);
    await this.table.push(keys, gradients, options);
  }

  async assign(keys: BigUint64Array, rows: Float32Array, options: AssignOptions = {}): Promise<void> {
    const { frequency, lastStep, counters } = options;
    const history = frequency && lastStep && { frequency, lastStep };
    this.oracle.assign(keys, rows, options.state, history, counters);
    await this.table.assign(keys, rows, options);
  }

  /** Creates rows. */
  async pull(keys: BigUint64Array): Promise<void> {
    this.oracle.pull(keys, { create: true });
    await this.table.pull(keys, { create: true });
  }

  async delete(keys: BigUint64Array): Promise<void> {
    assert.is(await this.table.delete(keys), this.oracle.delete(keys), "rows that existed");
  }

  async decay(): Promise<void> {
    this.oracle.decay();
    await this.table.decay();
  }

  /** Pulls all there is to pull of some keys, and compares. */
  async compare(keys: BigUint64Array, fallback?: number): Promise<void> {
    const there = this.#columns(keys.length);
    const here = this.#columns(keys.length);
    const options = fallback === undefined ? {} : { default: fallback };
    const expected = this.oracle.pull(keys, { ...here, ...options });
    same(await this.table.pull(keys, { ...there, ...options }), expected, "weights");
    same(there.state, here.state, "state");
    same(there.found, here.found, "found");
    same(await this.table.contains(keys), this.oracle.contains(keys), "contains");
    const occurrences = Uint32Array.from(keys, (key) => this.oracle.occurrences(key));
    same(await this.table.occurrences(keys), occurrences, "occurrences");
  }

  /** Compares all rows, with frequencies and steps. */
  async compareAll(): Promise<void> {
    assert.is(await differenceFrom(this.oracle, this.table), undefined);
    assert.is((await this.table.stats()).rows, this.oracle.size);
  }

  #columns(n: number): { found: Uint8Array; state: Float32Array } {
    return { found: new Uint8Array(n).fill(7), state: new Float32Array(n * this.table.stateFloats).fill(7) };
  }
}

type Column = Float32Array | Uint8Array | Uint32Array;

/** Compares bits, except that one NaN is as good as another. */
export function same(found: Column, expected: Column, what: string): void {
  assert.is(found.length, expected.length, `${what}: length`);
  for (let i = 0; i < found.length; i++) {
    if (!Object.is(found[i], expected[i])) assert.is(found[i], expected[i], `${what}: element ${i}`);
  }
}

export function keysOfNumbers(...numbers: (number | bigint)[]): BigUint64Array {
  return BigUint64Array.from(numbers, BigInt);
}

/** n keys below a limit, the greatest key among them for 1. */
export function randomKeys(random: Prng, n: number, below: number): BigUint64Array {
  const keys = new BigUint64Array(n);
  for (let i = 0; i < n; i++) {
    const key = random.below(below);
    keys[i] = key === 1 ? 2n ** 64n - 1n : BigInt(key);
  }
  return keys;
}

export function randomFloats(random: Prng, n: number): Float32Array {
  const values = new Float32Array(n);
  for (let i = 0; i < n; i++) values[i] = 2 * random.unit() - 1;
  return values;
}

/** The code with which something fails; undefined when it does not. Any other error than ours is thrown on. */
export async function codeOf(work: () => unknown): Promise<ErrorCode | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (error instanceof EmbershardError) return error.code;
    throw error;
  }
}
