// Which rows a table lets go by itself, and the counters that can decide it.
import { EmbershardError } from "../base/errors.js";
import { anyNumber, describe, notNegative, OptionReader, type Range } from "./option-reader.js";

export type EvictionPolicy = "lru" | "lfu" | "score";

/** What makes a table let rows go. All of it can change when the table is opened again; `{}` lets nothing go by itself. */
export interface EvictionOptions {
  /** Rows that the table may have. */
  readonly maxRows?: number;
  /** Bytes that its rows, in pages, and its index may take. */
  readonly maxBytes?: number;
  /** Who goes first: the row written longest ago, pushed least often, or with the least score. "lru" unless given. */
  readonly policy?: EvictionPolicy;
  /** Coefficients of the counters in a row's score, by name; 1 for the first counter unless given. */
  readonly score?: Readonly<Record<string, number>>;
  /** A row goes when its last push lies more steps behind the highest step that the table has seen. */
  readonly maxAgeSteps?: number;
  /** A row goes when it has not been written for longer, milliseconds. */
  readonly maxAgeMs?: number;
  /** A row goes when the Euclidean norm of its weights is less. */
  readonly minNorm?: number;
}

/** Eviction as it is stored: complete. */
export type EvictionDefinition = EvictionOptions & { readonly policy: EvictionPolicy };

export interface CountersOptions {
  /** One or two names. */
  readonly names: readonly string[];
  /** What a decay multiplies counters by, above 0, at most 1; 0.98 unless given. */
  readonly decay?: number;
}

export type CountersDefinition = Required<CountersOptions>;

const decayRange: Range = { holds: (x) => x > 0 && x <= 1, says: "a number above 0, at most 1" };
const usualDecay = 0.98;

/** @throws INVALID_OPTIONS */
export function parseCounters(given: unknown): CountersDefinition | undefined {
  if (given === undefined) return undefined;
  const read = new OptionReader("counters", given);
  const names = read.any("names");
  const right =
    Array.isArray(names) &&
    (names.length === 1 || names.length === 2) &&
    names.every((name) => typeof name === "string" && /^[A-Za-z]\w{0,31}$/.test(name)) &&
    names[0] !== names[1];
  if (!right) {
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `counters: found names ${describe(names)}, expected one or two different names of letters, digits and _`,
    );
  }
  const decay = read.number("decay", decayRange, usualDecay);
  read.end();
  return { names: [...(names as string[])], decay };
}

/** @throws INVALID_OPTIONS */
export function parseEviction(
  given: unknown,
  counters: CountersDefinition | undefined,
): EvictionDefinition | undefined {
  if (given === undefined) return undefined;
  const read = new OptionReader("eviction", given);
  const policy = read.choice("policy", ["lru", "lfu", "score"], "lru");
  const maxRows = countOf(read, "maxRows", 1, 2 ** 40);
  const maxBytes = countOf(read, "maxBytes", 1 << 20, 2 ** 53 - 1);
  const maxAgeSteps = countOf(read, "maxAgeSteps", 1, 2 ** 32 - 1);
  const maxAgeMs = countOf(read, "maxAgeMs", 1, 2 ** 40);
  const minNorm = read.any("minNorm") === undefined ? undefined : read.number("minNorm", notNegative);
  const score = parseScore(read.any("score"), counters);
  read.end();
  if (policy === "score" && !counters) {
    throw new EmbershardError(
      "INVALID_OPTIONS",
      'eviction: found policy "score" of a table without counters: give counters when the table is made, or choose "lru" or "lfu"',
    );
  }
  return {
    policy,
    ...(maxRows !== undefined && { maxRows }),
    ...(maxBytes !== undefined && { maxBytes }),
    ...(maxAgeSteps !== undefined && { maxAgeSteps }),
    ...(maxAgeMs !== undefined && { maxAgeMs }),
    ...(minNorm !== undefined && { minNorm }),
    ...(score && { score }),
  };
}

function parseScore(
  given: unknown,
  counters: CountersDefinition | undefined,
): Record<string, number> | undefined {
  if (given === undefined) return undefined;
  const read = new OptionReader("eviction: score", given);
  const score: Record<string, number> = {};
  for (const name of counters?.names ?? []) {
    if (read.any(name) !== undefined) score[name] = read.number(name, anyNumber);
  }
  read.end();
  return score;
}

function countOf(read: OptionReader, name: string, least: number, most: number): number | undefined {
  const value = read.any(name);
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new EmbershardError(
    "INVALID_OPTIONS",
    `eviction: found ${name} ${describe(value)}, expected an integer from ${least} to ${most}`,
  );
}

/** The coefficients of a row's score, in the order of the counters. */
export function scoreCoefficients(
  eviction: EvictionOptions | undefined,
  { names }: CountersDefinition,
): number[] {
  return names.map((name, i) => (eviction?.score ? (eviction.score[name] ?? 0) : i === 0 ? 1 : 0));
}

/** What records have behind weights and state: places from the beginning of the extras, and bytes in all. */
export interface Extras {
  /** u32: when the row was last written, in tenths of a second since the table was made. */
  readonly touched: number | undefined;
  /** u32: the decays that the counters have seen; the counters, f32 each, behind it. */
  readonly counters: number | undefined;
  readonly bytes: number;
}

/** Tables that were made with `eviction` have times, tables with counters have counters. */
export function extrasOf(definition: {
  readonly eviction?: EvictionDefinition | undefined;
  readonly counters?: CountersDefinition | undefined;
}): Extras {
  const touched = definition.eviction ? 0 : undefined;
  const behind = touched === undefined ? 0 : 4;
  const { counters } = definition;
  return {
    touched,
    counters: counters ? behind : undefined,
    bytes: behind + (counters ? 4 + 4 * counters.names.length : 0),
  };
}
