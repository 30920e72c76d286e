import type { TableDefinition, TableOptions } from "../api/table-definition.js";
import { EmbershardError } from "../base/errors.js";

/** A table's definition as it travels with its rows: the stored one without what belongs to its store. */
export interface TableDescription {
  readonly name: string;
  readonly dim: number;
  readonly optimizer: { readonly kind: string };
  readonly [field: string]: unknown;
}

/** Longer descriptions are no description. */
const LONGEST_TEXT = 1 << 20;

/** The name under which a description stands in a file's metadata. */
export const DESCRIPTION_NAME = "embershard.table";

export function describeTable(definition: TableDefinition): TableDescription {
  const { number: _, placement: __, tensor: ___, candidates: ____, made: _____, ...description } = definition;
  return description as unknown as TableDescription;
}

/** Reads a description. @throws CORRUPT when the text is none. */
export function parseDescription(what: string, text: string): TableDescription {
  const wrong = (why: string, cause?: unknown) =>
    new EmbershardError("CORRUPT", `${what}: its description of the table ${why}`, { cause });
  if (text.length > LONGEST_TEXT)
    throw wrong(`has ${text.length} characters, at most ${LONGEST_TEXT} are read`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw wrong(`is not JSON: ${(cause as Error).message}`, cause);
  }
  const { name, dim, optimizer } = (json ?? {}) as { name?: unknown; dim?: unknown; optimizer?: unknown };
  const kind = (optimizer as { kind?: unknown } | undefined | null)?.kind;
  if (typeof name !== "string" || typeof dim !== "number" || typeof kind !== "string")
    throw wrong("lacks name, dim or optimizer");
  return json as TableDescription;
}

/** The options that make a table as described. They are checked by who makes it. */
export function optionsOf({ name: _, seed, ...options }: TableDescription): TableOptions {
  const decimal = typeof seed === "string" && /^\d{1,20}$/.test(seed) ? { seed: BigInt(seed) } : {};
  return { ...options, ...decimal } as unknown as TableOptions;
}

/** Whether state of one table means the same in another. `undefined` knows nothing and has nothing against it. */
export function sameState(from: TableDescription | undefined, into: TableDescription): boolean {
  if (from === undefined) return true;
  const shape = ({ optimizer }: TableDescription) => {
    const { kind, momentum, step } = optimizer as { kind: string; momentum?: number; step?: string };
    return [kind === "adamW" ? "adam" : kind, kind === "sgd" && (momentum ?? 0) > 0, step];
  };
  return JSON.stringify(shape(from)) === JSON.stringify(shape(into));
}
