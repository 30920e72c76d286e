import { EmbershardError } from "../base/errors.js";
import { type OptimizerDefinition, stateFloats } from "../table/optimizers.js";
import type { ControlHandlers } from "./control-socket.js";

/** The part of a store that inspecting it takes. */
export interface InspectedStore {
  stats(): unknown;
  table(name: string): Promise<InspectedTable>;
}

export interface InspectedTable {
  readonly name: string;
  readonly dim: number;
  readonly options: { readonly optimizer: OptimizerDefinition };
  pull(
    keys: BigUint64Array,
    options: { into: Float32Array; found: Uint8Array; state: Float32Array },
  ): Promise<Float32Array>;
}

/** One row as JSON: numbers beyond 2^53 do not survive there, so a key is its decimal text. */
export interface InspectedRow {
  readonly key: string;
  /** False: the table does not have it, and `weights` are what it would begin with. */
  readonly found: boolean;
  readonly weights: readonly number[];
  readonly state: readonly number[];
}

export interface InspectedRows {
  readonly table: string;
  readonly dim: number;
  readonly rows: readonly InspectedRow[];
}

/** Rows of one question at most. */
export const MOST_ROWS = 1000;

/** What an open store answers to the command line. */
export function controlHandlers(
  store: InspectedStore,
): ControlHandlers {
  return {
    inspect: () => store.stats(),
    rows: (params) => inspectRows(store, params),
  };
}

/** Reads rows, creating none. `params` is `{ table: string, keys: string[] }`, keys in decimal. */
export async function inspectRows(
  store: InspectedStore,
  params: unknown,
): Promise<InspectedRows> {
  const { name, keys } = checked(params);
  const table = await store.table(name);
  const stateDim = stateFloats(table.options.optimizer, table.dim);
  const into = new Float32Array(keys.length * table.dim);
  const state = new Float32Array(keys.length * stateDim);
  const found = new Uint8Array(keys.length);
  await table.pull(keys, { into, found, state });
  return {
    table: name,
    dim: table.dim,
    rows: Array.from(keys, (key, i) => ({
      key: String(key),
      found: found[i] === 1,
      weights: [...into.subarray(i * table.dim, (i + 1) * table.dim)],
      state: [...state.subarray(i * stateDim, (i + 1) * stateDim)],
    })),
  };
}

function checked(params: unknown): { name: string; keys: BigUint64Array } {
  const { table, keys } = (params ?? {}) as { table?: unknown; keys?: unknown };
  if (typeof table !== "string" || !Array.isArray(keys)) {
    throw new EmbershardError(
      "INVALID_ARGUMENT",
      "rows are asked for with { table, keys }: a name and an array",
    );
  }
  if (keys.length > MOST_ROWS) {
    throw new EmbershardError(
      "TOO_LARGE",
      `found ${keys.length} keys, at most ${MOST_ROWS} are shown at once`,
    );
  }
  return { name: table, keys: BigUint64Array.from(keys, parseKey) };
}

/** A key as decimal or 0x hexadecimal text. INVALID_ARGUMENT for what is not an unsigned 64-bit integer. */
export function parseKey(text: unknown): bigint {
  if (typeof text === "string" && /^(\d{1,20}|0x[\da-f]{1,16})$/i.test(text)) {
    const key = BigInt(text);
    if (key < 1n << 64n) return key;
  }
  const found = JSON.stringify(text);
  throw new EmbershardError("INVALID_ARGUMENT", `found key ${found}, expected an integer from 0 to 2^64 - 1`);
}
