import { EmbershardError } from "../base/errors.js";

/** A range of numbers that an option may take, and how it is said. */
export interface Range {
  readonly holds: (value: number) => boolean;
  readonly says: string;
}

export const positive: Range = { holds: (x) => x > 0, says: "a finite number > 0" };
export const notNegative: Range = { holds: (x) => x >= 0, says: "a finite number >= 0" };
export const fraction: Range = { holds: (x) => x >= 0 && x < 1, says: "a number in [0, 1)" };
export const anyNumber: Range = { holds: () => true, says: "a finite number" };

/**
 * Takes the fields of an options object one by one and at the end refuses those that nobody took.
 * Every refusal is INVALID_OPTIONS and names the option, what was found and what is expected.
 */
export class OptionReader {
  readonly #what: string;
  readonly #given: Record<string, unknown>;
  readonly #known = new Set<string>();

  constructor(what: string, given: unknown) {
    if (typeof given !== "object" || given === null || Array.isArray(given)) {
      throw new EmbershardError(
        "INVALID_OPTIONS",
        `${what}: found ${describe(given)}, expected an object of options`,
      );
    }
    this.#what = what;
    this.#given = given as Record<string, unknown>;
  }

  /** A number within `range` that stays finite, and positive if it is, as a float32; `fallback` where it is not given. */
  number(name: string, range: Range, fallback?: number): number {
    const value = this.#take(name) ?? fallback;
    if (value === undefined) this.#refuse(name, value, `${range.says}; it has no default`);
    if (typeof value !== "number" || !Number.isFinite(value) || !range.holds(value))
      this.#refuse(name, value, range.says);
    if (!Number.isFinite(Math.fround(value)))
      this.#refuse(name, value, `${range.says} that a float32 can hold`);
    // A decay rate such as 0.99999999 would be 1 as a float32, and a tiny positive number 0.
    if (!range.holds(Math.fround(value))) {
      this.#refuse(
        name,
        value,
        `${range.says} also after rounding to float32, where it is ${Math.fround(value)}`,
      );
    }
    return value;
  }

  /** A whole number, which is counted and never becomes a float32. */
  integer(name: string, least: number, most: number, fallback: number): number {
    const value = this.#take(name) ?? fallback;
    if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
    this.#refuse(name, value, `an integer from ${least} to ${most}`);
  }

  boolean(name: string, fallback: boolean): boolean {
    const value = this.#take(name) ?? fallback;
    if (typeof value !== "boolean") this.#refuse(name, value, "true or false");
    return value;
  }

  choice<T extends string>(name: string, choices: readonly T[], fallback: T): T {
    const value = this.#take(name) ?? fallback;
    const chosen = choices.find((choice) => choice === value);
    if (chosen === undefined) this.#refuse(name, value, choices.map((choice) => `"${choice}"`).join(" or "));
    return chosen;
  }

  /** Takes a field as it is. */
  any(name: string): unknown {
    return this.#take(name);
  }

  /** Refuses the fields that were not taken. */
  end(): void {
    const unknown = Object.keys(this.#given).filter((name) => !this.#known.has(name));
    if (unknown.length === 0) return;
    const known = [...this.#known].filter((name) => name !== "kind").join(", ");
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `${this.#what}: found unknown option ${unknown.map((name) => JSON.stringify(name)).join(", ")}, expected ${known || "none"}`,
    );
  }

  #take(name: string): unknown {
    this.#known.add(name);
    return Object.hasOwn(this.#given, name) ? this.#given[name] : undefined;
  }

  #refuse(name: string, found: unknown, expected: string): never {
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `${this.#what}: found ${name} ${describe(found)}, expected ${expected}`,
    );
  }
}

export function describe(value: unknown): string {
  if (typeof value === "string")
    return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value);
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : "an object";
  return typeof value === "function" ? "a function" : String(value);
}

/** The names of the fields, other than those of `except`, in which two plain definitions differ. */
export function differingFields(a: object, b: object, except: readonly string[] = []): string[] {
  const [first, second] = [a as Record<string, unknown>, b as Record<string, unknown>];
  return [...new Set([...Object.keys(a), ...Object.keys(b)])]
    .filter((name) => !except.includes(name) && !Object.is(first[name], second[name]))
    .sort();
}
