import { EmbershardError } from "../base/errors.js";
import { INITIALIZERS, type InitializerProgram } from "../kernel/programs.js";
import {
  anyNumber,
  describe,
  differingFields,
  notNegative,
  OptionReader,
  type Range,
} from "./option-reader.js";

/**
 * How the weights of a key begin: a frozen plain object that JSON can carry. Each value is a function of (table seed, key,
 * element) alone, defined to the bit in docs/initializers.md.
 */
export type InitializerDefinition =
  | { readonly kind: "zeros" }
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "uniform"; readonly lower: number; readonly upper: number }
  | { readonly kind: "normal" | "truncatedNormal"; readonly mean: number; readonly std: number };

/** Every weight 0. */
export function zeros(): InitializerDefinition {
  return Object.freeze({ kind: "zeros" });
}

/** Every weight `value`. @throws INVALID_OPTIONS */
export function constant(value: number): InitializerDefinition {
  return parseInitializer({ kind: "constant", value });
}

/** Uniform in [lower, upper). @throws INVALID_OPTIONS */
export function uniform(lower: number, upper: number): InitializerDefinition {
  return parseInitializer({ kind: "uniform", lower, upper });
}

/** Normal. @throws INVALID_OPTIONS */
export function normal(mean: number, std: number): InitializerDefinition {
  return parseInitializer({ kind: "normal", mean, std });
}

/** Normal, cut off at two standard deviations on either side. @throws INVALID_OPTIONS */
export function truncatedNormal(mean: number, std: number): InitializerDefinition {
  return parseInitializer({ kind: "truncatedNormal", mean, std });
}

/** Reads a definition back from JSON, or checks one that a caller wrote by hand. @throws INVALID_OPTIONS */
export function parseInitializer(json: unknown): InitializerDefinition {
  const kind = typeof json === "object" && json !== null ? (json as { kind?: unknown }).kind : undefined;
  const fields = fieldsOf(kind);
  if (fields === undefined) {
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `initializer: found ${kind === undefined ? describe(json) : describe(kind)}, expected what zeros, constant, uniform, normal or truncatedNormal returns`,
    );
  }
  const read = new OptionReader(kind as string, json);
  read.any("kind");
  const values = Object.fromEntries(
    Object.entries(fields).map(([name, range]) => [name, read.number(name, range)]),
  );
  read.end();
  if (kind === "uniform") checkUniform(values.lower, values.upper);
  return Object.freeze({ kind, ...values } as InitializerDefinition);
}

/** The fields in which a definition differs from the stored one: empty where the table can be opened with it. */
export function unchangeableInitializer(
  stored: InitializerDefinition,
  wanted: InitializerDefinition,
): string[] {
  return differingFields(stored, wanted);
}

/** What the kernel is told. */
export function encodeInitializer(definition: InitializerDefinition): InitializerProgram {
  const params = new Float64Array(6);
  switch (definition.kind) {
    case "zeros":
      break;
    case "constant":
      params[0] = definition.value;
      break;
    case "uniform": {
      const [lower, upper] = [Math.fround(definition.lower), Math.fround(definition.upper)];
      params.set([lower, (upper - lower) / 2 ** 24, floatBelow(upper)]);
      break;
    }
    default:
      params.set([definition.mean, definition.std]);
  }
  return { id: INITIALIZERS[definition.kind], params };
}

function fieldsOf(kind: unknown): Record<string, Range> | undefined {
  switch (kind) {
    case "zeros":
      return {};
    case "constant":
      return { value: anyNumber };
    case "uniform":
      return { lower: anyNumber, upper: anyNumber };
    case "normal":
    case "truncatedNormal":
      return { mean: anyNumber, std: notNegative };
    default:
      return undefined;
  }
}

function checkUniform(lower: number, upper: number): void {
  if (Math.fround(lower) < Math.fround(upper)) return;
  throw new EmbershardError(
    "INVALID_OPTIONS",
    `uniform: found [${lower}, ${upper}), expected lower < upper, as float32 too; use constant for a single value`,
  );
}

/** The largest float32 below a finite float32. */
function floatBelow(value: number): number {
  const float = new Float32Array([value]);
  const bits = new Uint32Array(float.buffer);
  if (value === 0) bits[0] = 0x8000_0001;
  else bits[0] += value > 0 ? -1 : 1;
  return float[0];
}
