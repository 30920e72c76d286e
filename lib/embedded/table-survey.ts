import { describe } from "../api/option-reader.js";
import type { ScanBatch, Store, Table } from "../api/store-types.js";
import { EmbershardError } from "../base/errors.js";
import { greatestFirst, ranksBelow } from "../base/non-finite.js";

/** What rows are surveyed by. An age is how many steps a row's last push lies behind the latest of the table. */
export type Measure = "frequency" | "norm" | "age";

/** One row of a survey. Numbers beyond 2^53 do not survive in JSON, so a key is its decimal text. */
export interface SurveyedRow {
  readonly key: string;
  readonly frequency: number;
  readonly lastStep: number;
  /** Euclidean norm of the weights. */
  readonly norm: number;
}

export interface TopRows {
  readonly table: string;
  readonly by: Measure;
  /** Rows of the table that were looked at. */
  readonly surveyed: number;
  /** The greatest first, and NaN before all; of ages the youngest. */
  readonly rows: readonly SurveyedRow[];
}

/** A bucket holds what is >= `from` and < `to`. */
export interface Bucket {
  readonly from: number;
  readonly to: number;
  readonly rows: number;
}

export interface Histogram {
  readonly table: string;
  readonly of: Measure;
  readonly surveyed: number;
  /** Rows whose norm is NaN or infinite: nothing below counts them. */
  readonly nonFinite: number;
  /** Null where there is nothing to count, as `mean` and `greatest` are. */
  readonly least: number | null;
  readonly mean: number | null;
  readonly greatest: number | null;
  /** Ascending and without gaps; those at the ends are not empty. */
  readonly buckets: readonly Bucket[];
}

export interface SurveyProgress {
  readonly rows: number;
  readonly total: number;
}

/** What a survey may be given besides its question. */
export interface SurveyOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: SurveyProgress) => void) | undefined;
}

/** Rows of one answer at most. */
export const MOST_TOP_ROWS = 1000;

const measures: readonly Measure[] = ["frequency", "norm", "age"];

/**
 * The hottest rows of a table: `params` is `{ table, by?, count? }`. Reads every row once, while writes go on.
 *
 * @throws INVALID_ARGUMENT, TABLE_NOT_FOUND, ABORTED, CLOSED
 */
export async function topRows(
  store: Pick<Store, "table">,
  params: unknown,
  options: SurveyOptions = {},
): Promise<TopRows> {
  const { table: name, by = "frequency", count = 20 } = (params ?? {}) as Record<string, unknown>;
  const measure = measureOf(by);
  if (typeof count !== "number" || !Number.isInteger(count) || count < 1 || count > MOST_TOP_ROWS)
    throw new EmbershardError(
      "INVALID_ARGUMENT",
      `found count ${describe(count)}, expected an integer from 1 to ${MOST_TOP_ROWS}`,
    );
  const table = await tableNamed(store, name);
  let rows: SurveyedRow[] = [];
  // Only what can still be among the greatest becomes an object.
  let least = Number.NEGATIVE_INFINITY;
  const cut = () => {
    rows.sort(
      (a, b) =>
        greatestFirst(rankOf(a, measure), rankOf(b, measure)) || (BigInt(a.key) < BigInt(b.key) ? -1 : 1),
    );
    rows = rows.slice(0, count);
    if (rows.length === count) least = rankOf(rows[count - 1], measure);
  };
  const surveyed = await survey(table, options, ({ keys, frequency, lastStep, norms }) => {
    const ranks = measure === "frequency" ? frequency : measure === "norm" ? norms : lastStep;
    for (let i = 0; i < keys.length; i++) {
      if (ranksBelow(ranks[i], least)) continue;
      rows.push({ key: String(keys[i]), frequency: frequency[i], lastStep: lastStep[i], norm: norms[i] });
      if (rows.length >= 8 * MOST_TOP_ROWS) cut();
    }
  });
  cut();
  return { table: table.name, by: measure, surveyed, rows };
}

/** What is great is hot: of ages the latest step. */
function rankOf({ frequency, lastStep, norm }: SurveyedRow, by: Measure): number {
  return by === "frequency" ? frequency : by === "norm" ? norm : lastStep;
}

/**
 * How a table's rows are spread: `params` is `{ table, of? }`. Frequencies and ages are counted between powers of two,
 * norms between 1, 2, 5, 10 and so on, those that are not finite apart. Reads every row once, while writes go on.
 *
 * @throws INVALID_ARGUMENT, TABLE_NOT_FOUND, ABORTED, CLOSED
 */
export async function histogram(
  store: Pick<Store, "table">,
  params: unknown,
  options: SurveyOptions = {},
): Promise<Histogram> {
  const { table: name, of = "frequency" } = (params ?? {}) as Record<string, unknown>;
  const measure = measureOf(of);
  const table = await tableNamed(store, name);
  const latest = measure === "age" ? await latestStep(table, options) : 0;
  const spread = new Spread(measure === "norm" ? normEdge : countEdge);
  const surveyed = await survey(table, options, ({ frequency, lastStep, norms }) => {
    if (measure === "frequency") for (const value of frequency) spread.add(value);
    else if (measure === "norm") for (const value of norms) spread.add(value);
    // A push may have brought a later step since the latest was looked for.
    else for (const step of lastStep) spread.add(Math.max(0, latest - step));
  });
  return { table: table.name, of: measure, surveyed, ...spread.result() };
}

/** Counts values between edges that grow geometrically: bucket 0 holds what is below the first edge above zero. */
class Spread {
  #least = Number.POSITIVE_INFINITY;
  #greatest = Number.NEGATIVE_INFINITY;
  #sum = 0;
  #count = 0;
  #nonFinite = 0;
  readonly #edges: number[] = [];
  readonly #rows: number[] = [];

  /** `edge(i)` is the lower edge of bucket i >= 1, ascending. */
  constructor(edge: (i: number) => number) {
    for (let i = 1; edge(i) <= 2 ** 128; i++) this.#edges.push(edge(i));
    this.#rows = new Array(this.#edges.length + 1).fill(0);
  }

  add(value: number): void {
    if (!Number.isFinite(value)) {
      this.#nonFinite++;
      return;
    }
    if (value < this.#least) this.#least = value;
    if (value > this.#greatest) this.#greatest = value;
    this.#sum += value;
    this.#count++;
    let low = 0;
    let high = this.#edges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#edges[middle] <= value) low = middle + 1;
      else high = middle;
    }
    this.#rows[low]++;
  }

  result(): Pick<Histogram, "nonFinite" | "least" | "mean" | "greatest" | "buckets"> {
    const nonFinite = this.#nonFinite;
    if (this.#count === 0) return { nonFinite, least: null, mean: null, greatest: null, buckets: [] };
    const buckets = this.#rows.map((rows, i) => ({
      from: i === 0 ? 0 : this.#edges[i - 1],
      to: this.#edges[i] ?? Number.MAX_VALUE,
      rows,
    }));
    const first = buckets.findIndex(({ rows }) => rows > 0);
    const last = buckets.findLastIndex(({ rows }) => rows > 0);
    return {
      nonFinite,
      least: this.#least,
      mean: this.#sum / this.#count,
      greatest: this.#greatest,
      buckets: buckets.slice(first, last + 1),
    };
  }
}

/** 1, 2, 4, 8, ... */
function countEdge(i: number): number {
  return 2 ** (i - 1);
}

/** 1e-9, 2e-9, 5e-9, 1e-8, ... */
function normEdge(i: number): number {
  return Number(`${[1, 2, 5][(i - 1) % 3]}e${Math.floor((i - 1) / 3) - 9}`);
}

async function latestStep(table: Table, options: SurveyOptions): Promise<number> {
  let latest = 0;
  const { signal } = options;
  await survey(table, { signal }, ({ lastStep }) => {
    for (const step of lastStep) if (step > latest) latest = step;
  });
  return latest;
}

interface SurveyedBatch extends Pick<ScanBatch, "keys" | "frequency" | "lastStep"> {
  /** f64[n] */
  readonly norms: Float64Array;
}

/** Looks at every row once. Returns how many there were. */
async function survey(
  table: Table,
  { signal, onProgress }: SurveyOptions,
  look: (batch: SurveyedBatch) => void,
): Promise<number> {
  let rows = 0;
  for await (const { keys, rows: weights, frequency, lastStep } of table.scan()) {
    if (signal?.aborted)
      throw new EmbershardError("ABORTED", `the survey of table "${table.name}" was aborted`, {
        cause: signal.reason,
      });
    look({ keys, frequency, lastStep, norms: normsOf(weights, table.dim) });
    rows += keys.length;
    onProgress?.({ rows, total: Math.max(rows, (await table.stats()).rows) });
  }
  return rows;
}

function normsOf(weights: Float32Array, dim: number): Float64Array {
  const norms = new Float64Array(weights.length / dim);
  for (let i = 0, at = 0; i < norms.length; i++) {
    let sum = 0;
    for (const end = at + dim; at < end; at++) sum += weights[at] * weights[at];
    norms[i] = Math.sqrt(sum);
  }
  return norms;
}

function measureOf(given: unknown): Measure {
  const measure = measures.find((one) => one === given);
  if (measure) return measure;
  throw new EmbershardError(
    "INVALID_ARGUMENT",
    `found ${describe(given)}, expected one of ${measures.join(", ")}`,
  );
}

async function tableNamed(store: Pick<Store, "table">, name: unknown): Promise<Table> {
  if (typeof name === "string") return store.table(name);
  throw new EmbershardError("INVALID_ARGUMENT", `found table ${describe(name)}, expected a name`);
}
