import { type InitializerProgram, type OptimizerProgram, stateScalarsOf } from "../programs.js";
import type { RowStorage } from "../storage.js";
import { type OracleAdmission, type OracleCandidate, OracleCandidates } from "./candidates.js";
import { initialRow } from "./initializers.js";
import { applyGradient, initialState } from "./optimizers.js";
import { byChance, type Round, store } from "./storage.js";

export interface OracleDefinition {
  readonly dim: number;
  /** Of initial values, u64. */
  readonly seed: bigint;
  readonly optimizer: OptimizerProgram;
  readonly initializer: InitializerProgram;
  /** Where a push does not give one. */
  readonly learningRate: number;
  /** Every key that is pushed gets a row unless given. */
  readonly admission?: OracleAdmission | undefined;
  /** float32 unless given. Rows read as they were stored. */
  readonly storage?: RowStorage | undefined;
  /** Counters of a row, and what a decay multiplies them by. */
  readonly counters?: { readonly names: readonly string[]; readonly decay: number } | undefined;
}

export interface OracleRow {
  weights: Float32Array;
  state: Float32Array;
  frequency: number;
  lastStep: number;
  /** As of now, in the order of the definition's names; absent where it has none. */
  counters?: Float32Array;
}

/** What a row has been through, columns u32[n]. */
export interface OracleHistory {
  readonly frequency: Uint32Array;
  readonly lastStep: Uint32Array;
}

const none = new Float32Array(0);
const MAX_FREQUENCY = 0x3fff_ffff;

/**
 * What a table is meant to do, as plainly as it can be said: a map of rows. Tests compare stores with it, bit for bit.
 * Arguments are not checked. Arrays that come in are copied, arrays that go out are new.
 */
export class OracleTable {
  readonly definition: OracleDefinition;
  readonly #rows = new Map<bigint, OracleRow>();

  #candidates: OracleCandidates | undefined;

  constructor(definition: OracleDefinition) {
    this.definition = definition;
    const { admission, seed } = definition;
    this.#candidates = admission && new OracleCandidates(admission, seed);
  }

  /** Keys that were counted and have no row, where the table admits. */
  get candidates(): OracleCandidates | undefined {
    return this.#candidates;
  }

  /** The rows, by key; not to be changed. */
  get rows(): ReadonlyMap<bigint, Readonly<OracleRow>> {
    return this.#rows;
  }

  get size(): number {
    return this.#rows.size;
  }

  /** Weights f32[n * dim]; `found` u8[n] and `state` f32[n * stateFloats] are filled. Missing rows read as they would begin. */
  pull(
    keys: Iterable<bigint>,
    options: { found?: Uint8Array; state?: Float32Array; default?: number; create?: boolean } = {},
  ): Float32Array {
    const list = [...keys];
    const weights = new Float32Array(list.length * this.definition.dim);
    list.forEach((key, i) => {
      const found = this.#rows.get(key);
      const row = found ?? this.#newRow(key);
      if (!found && options.create) {
        this.#rows.set(key, row);
        this.#candidates?.forget(key);
      }
      const useDefault = !found && !options.create && options.default !== undefined;
      weights.set(useDefault ? row.weights.fill(options.default!) : row.weights, i * this.definition.dim);
      options.state?.set(row.state, i * row.state.length);
      if (options.found) options.found[i] = found ? 1 : 0;
    });
    return weights;
  }

  /**
   * Applies gradients f32[n * dim]: those of equal keys summed in float32 in order of occurrence, then once to the row.
   * `counts` u32[n] says how often each key occurred, 1 unless given.
   */
  push(
    keys: Iterable<bigint>,
    gradients: Float32Array,
    options: {
      step?: number;
      learningRate?: number;
      counts?: Uint32Array | undefined;
      counters?: Readonly<Record<string, Float32Array>>;
    } = {},
  ): void {
    const { dim, optimizer, learningRate } = this.definition;
    const step = options.step ?? 0;
    const sums = new Map<bigint, { gradient: Float32Array; occurrences: number; added: Float32Array }>();
    let at = 0;
    let place = 0;
    for (const key of keys) {
      const count = options.counts?.[place] ?? 1;
      const added = this.#added(options.counters, place++, count);
      const gradient = gradients.slice(at, at + dim);
      at += dim;
      const sum = sums.get(key);
      if (sum) {
        for (let i = 0; i < dim; i++) sum.gradient[i] += gradient[i];
        for (let i = 0; i < added.length; i++) sum.added[i] += added[i];
        sum.occurrences += count;
      } else sums.set(key, { gradient, occurrences: count, added });
    }
    const withheld: [bigint, number][] = [];
    for (const [key, { gradient, occurrences: pushed, added }] of sums) {
      const candidates = this.#rows.has(key) ? undefined : this.#candidates;
      const occurrences = Math.min(pushed + (candidates?.seen(key) ?? 0), MAX_FREQUENCY);
      if (candidates && !candidates.admits(key, occurrences)) {
        withheld.push([key, occurrences]);
        continue;
      }
      const row = this.#rowOf(key);
      // What was counted before the row counts too, where nobody says what counters are.
      if (options.counters === undefined && added.length > 0) added[0] = occurrences;
      if (row.counters) for (let i = 0; i < added.length; i++) row.counters[i] += added[i];
      applyGradient(optimizer, row.weights, row.state, gradient, options.learningRate ?? learningRate, step);
      row.frequency = Math.min(row.frequency + occurrences, MAX_FREQUENCY);
      row.lastStep = step;
      const stochastic = this.definition.storage?.rounding === "stochastic";
      this.#store(row, stochastic ? byChance(this.definition.seed, key, row) : undefined);
    }
    this.#candidates?.note(withheld, step);
  }

  /** How often a key was pushed: its row's frequency, or what was counted without a row. */
  occurrences(key: bigint): number {
    return this.#rows.get(key)?.frequency ?? this.#candidates?.seen(key) ?? 0;
  }

  /**
   * Writes weights f32[n * dim] and, if given, state f32[n * stateFloats], frequency and last step, and counters as of now.
   * The last value of a repeated key stays.
   */
  assign(
    keys: Iterable<bigint>,
    weights: Float32Array,
    state?: Float32Array,
    history?: OracleHistory,
    counters?: Readonly<Record<string, Float32Array>>,
  ): void {
    let i = 0;
    for (const key of keys) {
      const row = this.#rowOf(key);
      const floats = row.state.length;
      row.weights = weights.slice(i * this.definition.dim, (i + 1) * this.definition.dim);
      if (state) row.state = state.slice(i * floats, (i + 1) * floats);
      this.#store(row);
      if (history) {
        row.frequency = Math.min(history.frequency[i], MAX_FREQUENCY);
        row.lastStep = history.lastStep[i];
      }
      if (counters)
        row.counters = Float32Array.from(this.definition.counters!.names, (name) => counters[name][i]);
      i += 1;
    }
  }

  /** What a key of a push adds to counters: what is given, else to the first how often it occurred. */
  #added(
    given: Readonly<Record<string, Float32Array>> | undefined,
    place: number,
    count: number,
  ): Float32Array {
    const names = this.definition.counters?.names ?? [];
    return Float32Array.from(names, (name, i) => given?.[name]?.[place] ?? (i === 0 ? count : 0));
  }

  /** Multiplies all counters by their rate, in float32. */
  decay(): void {
    const rate = Math.fround(this.definition.counters?.decay ?? 1);
    for (const { counters } of this.#rows.values())
      if (counters) for (let i = 0; i < counters.length; i++) counters[i] = Math.fround(counters[i] * rate);
  }

  /** The counters of keys in the order of names, row by row; 0 where there is no row. */
  countersOf(keys: Iterable<bigint>): Float32Array {
    const width = this.definition.counters?.names.length ?? 0;
    return Float32Array.from(
      [...keys].flatMap((key) => [...(this.#rows.get(key)?.counters ?? Array(width).fill(0))]),
    );
  }

  /** Returns how many rows existed. */
  delete(keys: Iterable<bigint>): number {
    let deleted = 0;
    for (const key of keys) {
      if (this.#rows.delete(key)) deleted += 1;
      this.#candidates?.forget(key);
    }
    return deleted;
  }

  /** One byte per key, 0 or 1. */
  contains(keys: Iterable<bigint>): Uint8Array {
    return Uint8Array.from([...keys], (key) => (this.#rows.has(key) ? 1 : 0));
  }

  /** In the order in which the rows were created. */
  entries(): IterableIterator<[bigint, OracleRow]> {
    return this.#rows.entries();
  }

  clone(): OracleTable {
    const copy = new OracleTable(this.definition);
    copy.#candidates = this.#candidates?.clone();
    for (const [key, row] of this.#rows) {
      const counters = row.counters && { counters: row.counters.slice() };
      copy.#rows.set(key, { ...row, weights: row.weights.slice(), state: row.state.slice(), ...counters });
    }
    return copy;
  }

  /** The first difference from `rows`, in words, or undefined where every row has the same bits. */
  difference(rows: Iterable<readonly [bigint, OracleRow]>): string | undefined {
    let count = 0;
    for (const [key, row] of rows) {
      const mine = this.#rows.get(key);
      if (!mine) return `key ${key} should not exist`;
      count += 1;
      for (const field of ["frequency", "lastStep"] as const) {
        if (row[field] !== mine[field]) return `key ${key}: ${field} ${row[field]}, expected ${mine[field]}`;
      }
      for (const field of ["weights", "state", "counters"] as const) {
        const [found, expected] = [row[field] ?? none, mine[field] ?? none];
        const i = firstDifference(found, expected);
        if (i >= 0) return `key ${key}: ${field}[${i}] is ${found[i]}, expected ${expected[i]}`;
      }
    }
    return count === this.size ? undefined : `${count} rows, expected ${this.size}`;
  }

  /** The first difference of exact candidates from `found`, in words, or undefined. */
  candidatesDifference(found: Iterable<readonly [bigint, OracleCandidate]>): string | undefined {
    const mine = new Map(this.#candidates?.entries());
    let count = 0;
    for (const [key, { occurrences, lastStep }] of found) {
      const one = mine.get(key);
      if (!one) return `key ${key} should be no candidate`;
      count += 1;
      if (occurrences !== one.occurrences || lastStep !== one.lastStep)
        return `candidate ${key}: ${occurrences} at step ${lastStep}, expected ${one.occurrences} at ${one.lastStep}`;
    }
    return count === mine.size ? undefined : `${count} candidates, expected ${mine.size}`;
  }

  /** Whether `rows` are these rows, bit for bit, in any order. */
  equals(rows: Iterable<readonly [bigint, OracleRow]>): boolean {
    return this.difference(rows) === undefined;
  }

  #rowOf(key: bigint): OracleRow {
    const row = this.#rows.get(key) ?? this.#newRow(key);
    this.#rows.set(key, row);
    this.#candidates?.forget(key);
    return row;
  }

  #newRow(key: bigint): OracleRow {
    const { dim, seed, optimizer, initializer, counters } = this.definition;
    const row = {
      weights: initialRow(initializer, seed, key, dim),
      state: initialState(optimizer, dim),
      frequency: 0,
      lastStep: 0,
      ...(counters && { counters: new Float32Array(counters.names.length) }),
    };
    this.#store(row);
    return row;
  }

  /** From here on a row reads as what was stored. */
  #store({ weights, state }: OracleRow, round?: Round): void {
    const { storage, optimizer } = this.definition;
    if (storage) store(storage, weights, state, stateScalarsOf(optimizer), round);
  }
}

/** Compares bits, except that every NaN is equal to every other: which NaN arises is the processor's choice. */
export function firstDifference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Math.min(a.length, b.length);
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return i;
  return -1;
}
