import { EmbershardError } from "../base/errors.js";
import { FLAGS } from "../kernel/programs.js";
import { anyNumber, describe, OptionReader, positive } from "./option-reader.js";

/** Limits on a gradient's values or on its Euclidean norm over the row; a gradient beyond the norm is scaled down to it. */
export type Clip = { readonly value: number } | { readonly norm: number };

/** What a table does to a gradient before the optimizer and to weights after it. */
export interface GradientOptions {
  readonly clip?: Clip | undefined;
  /** Weights are kept in [lower, upper]. */
  readonly bounds?: readonly [lower: number, upper: number] | undefined;
}

/** Checks a table's `clip`. @throws INVALID_OPTIONS */
export function parseClip(clip: unknown): Clip | undefined {
  if (clip === undefined) return undefined;
  const read = new OptionReader("clip", clip);
  const perValue = typeof clip === "object" && clip !== null && Object.hasOwn(clip, "value");
  const limit = read.number(perValue ? "value" : "norm", positive);
  read.end();
  return Object.freeze(perValue ? { value: limit } : { norm: limit });
}

/** Checks a table's `bounds`. @throws INVALID_OPTIONS */
export function parseBounds(bounds: unknown): readonly [number, number] | undefined {
  if (bounds === undefined) return undefined;
  if (!Array.isArray(bounds) || bounds.length !== 2) {
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `bounds: found ${describe(bounds)}, expected [lower, upper]`,
    );
  }
  const read = new OptionReader("bounds", { lower: bounds[0], upper: bounds[1] });
  const [lower, upper] = [read.number("lower", anyNumber), read.number("upper", anyNumber)];
  if (lower > upper) {
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `bounds: found [${lower}, ${upper}], expected lower <= upper`,
    );
  }
  return Object.freeze([lower, upper] as const);
}

/** The flags and T_PREPARE (f64[4], decay left 0) of checked options. */
export function encodeGradientOptions({ clip, bounds }: GradientOptions): {
  flags: number;
  prepare: Float64Array;
} {
  const prepare = new Float64Array(4);
  let flags = 0;
  if (clip !== undefined) {
    prepare[0] = "value" in clip ? clip.value : clip.norm;
    flags |= "value" in clip ? FLAGS.clipValue : FLAGS.clipNorm;
  }
  if (bounds !== undefined) {
    prepare.set(bounds, 2);
    flags |= FLAGS.bounds;
  }
  return { flags, prepare };
}
