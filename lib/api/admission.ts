// Which keys get rows: a table's admission, and how often keys without a row have been seen.
import { EmbershardError } from "../base/errors.js";
import { ADMIT_EXACT, ADMIT_NONE, ADMIT_SKETCH_U8, ADMIT_SKETCH_U16 } from "../kernel/layout.js";
import { describe, OptionReader, type Range } from "./option-reader.js";

/** How keys without a row are counted: each by itself, or all together in `sketchBytes` of counters. */
export type CounterOptions = "exact" | { readonly sketchBytes: number };

/**
 * When a key that is pushed gets a row. `after` n: with the push that brings it to n occurrences. `probability` p: each
 * occurrence admits with probability p, as a function of the table's seed, the key, and how often it was seen.
 */
export type AdmissionOptions = ({ readonly after: number } | { readonly probability: number }) & {
  /** "exact" unless given. */
  readonly counter?: CounterOptions;
};

/** Admission as it is stored: complete. */
export interface AdmissionDefinition {
  readonly after?: number;
  readonly probability?: number;
  readonly counter: CounterOptions;
}

/** Bytes of a row of a sketch with one block of counters, times the slots: the least that a sketch can take. */
const leastSketchBytes = 2 << 20;
const mostSketchBytes = 256 << 20;
const slots = 16_384;
const lineBytes = 64;
/** What counters of one and of two bytes reach. */
const mostNarrow = 255;
const mostWide = 65_535;
const mostExact = 2 ** 30 - 1;

const chance: Range = { holds: (x) => x > 0 && x < 1, says: "a number above 0 and below 1" };

/** Checks a table's `admission`. @throws INVALID_OPTIONS */
export function parseAdmission(admission: unknown): AdmissionDefinition | undefined {
  if (admission === undefined) return undefined;
  const read = new OptionReader("admission", admission);
  const counter = parseCounter(read.any("counter"));
  const byChance = Object.hasOwn(admission as object, "probability");
  const limit = byChance
    ? { probability: read.number("probability", chance) }
    : { after: parseAfter(read.any("after"), counter) };
  read.end();
  return Object.freeze({ ...limit, counter });
}

function parseAfter(after: unknown, counter: CounterOptions): number {
  const most = counter === "exact" ? mostExact : mostWide;
  if (typeof after === "number" && Number.isInteger(after) && after >= 2 && after <= most) return after;
  throw new EmbershardError(
    "INVALID_OPTIONS",
    `admission: found after ${describe(after)}, expected an integer from 2 to ${most}, or probability instead`,
  );
}

function parseCounter(counter: unknown): CounterOptions {
  if (counter === undefined || counter === "exact") return "exact";
  const read = new OptionReader("admission: counter", counter);
  const bytes = read.any("sketchBytes");
  read.end();
  if (
    typeof bytes === "number" &&
    Number.isInteger(bytes) &&
    bytes >= leastSketchBytes &&
    bytes <= mostSketchBytes
  )
    return Object.freeze({ sketchBytes: bytes });
  throw new EmbershardError(
    "INVALID_OPTIONS",
    `admission: counter: found sketchBytes ${describe(bytes)}, expected an integer from ${leastSketchBytes} to ${mostSketchBytes}`,
  );
}

/** Admission as kernels are told of it. */
export interface AdmissionProgram {
  /** What T_ADMISSION holds. */
  readonly counter: number;
  /** Occurrences; 0 where chance decides. */
  readonly after: number;
  /** The chance that an occurrence does not admit. */
  readonly miss: number;
  /** Blocks of 64 bytes of counters that a sketch has for each slot; 0 without a sketch. */
  readonly blocks: number;
}

/** The numbers of a checked definition. */
export function encodeAdmission(admission: AdmissionDefinition | undefined): AdmissionProgram {
  if (!admission) return { counter: ADMIT_NONE, after: 0, miss: 0, blocks: 0 };
  const { after = 0, probability = 1, counter } = admission;
  const limit = { after, miss: 1 - probability };
  if (counter === "exact") return { ...limit, counter: ADMIT_EXACT, blocks: 0 };
  return {
    ...limit,
    counter: after !== 0 && after <= mostNarrow ? ADMIT_SKETCH_U8 : ADMIT_SKETCH_U16,
    blocks: Math.floor(counter.sketchBytes / (slots * lineBytes)) - 1,
  };
}
