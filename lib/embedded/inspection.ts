import type { Store } from "../api/store-types.js";
import { EmbershardError } from "../base/errors.js";
import type { TransferStore } from "../transfer/transfer-types.js";
import type { ControlHandlers } from "./control-socket.js";
import { evictRows } from "./evict-request.js";
import { histogram, topRows } from "./table-survey.js";
import { transferHandlers } from "./transfer-requests.js";

/** One row as JSON: numbers beyond 2^53 do not survive there, so a key is its decimal text. */
export interface InspectedRow {
  readonly key: string;
  /** False: the table does not have it, and `weights` are what it would begin with. */
  readonly found: boolean;
  readonly weights: readonly number[];
  /** Empty for a tensor, whose state is not shown. */
  readonly state: readonly number[];
}

export interface InspectedRows {
  readonly table: string;
  /** Floats of weights in a row; of a tensor, in a block, where the last one may have fewer. */
  readonly dim: number;
  readonly rows: readonly InspectedRow[];
}

/** Rows of one question at most. */
export const MOST_ROWS = 1000;

/** What inspecting takes of a store. Nothing of it writes. */
export type InspectedStore = Pick<Store, "stats" | "tables" | "table" | "tensor">;

/** What the owner of a store does for the command line. */
export type ControlledStore = InspectedStore & TransferStore;

/** What an open store answers to the command line. */
export function controlHandlers(store: ControlledStore): ControlHandlers {
  return {
    inspect: () => store.stats(),
    rows: (params) => inspectRows(store, params),
    top: (params, { signal, progress }) => topRows(store, params, { signal, onProgress: progress }),
    histogram: (params, { signal, progress }) => histogram(store, params, { signal, onProgress: progress }),
    evict: (params) => evictRows(store, params),
    ...transferHandlers(store),
  };
}

/**
 * Reads rows of a table, or blocks of a tensor. `params` is `{ table: string, keys: string[] }`, keys in decimal or
 * hexadecimal; a tensor's keys are the numbers of its blocks.
 *
 * @throws INVALID_ARGUMENT, TABLE_NOT_FOUND, TOO_LARGE, CLOSED
 */
export async function inspectRows(store: InspectedStore, params: unknown): Promise<InspectedRows> {
  const { name, keys } = checked(params);
  const isTensor = (await store.tables()).find((table) => table.name === name)?.shape !== undefined;
  return isTensor ? inspectBlocks(store, name, keys) : inspectTable(store, name, keys);
}

async function inspectTable(
  store: InspectedStore,
  name: string,
  keys: BigUint64Array,
): Promise<InspectedRows> {
  const table = await store.table(name);
  const { dim, stateFloats } = table;
  const state = new Float32Array(keys.length * stateFloats);
  const found = new Uint8Array(keys.length);
  const rows = await table.pull(keys, { found, state });
  return {
    table: name,
    dim,
    rows: Array.from(keys, (key, i) => ({
      key: String(key),
      found: found[i] === 1,
      weights: [...rows.subarray(i * dim, (i + 1) * dim)],
      state: [...state.subarray(i * stateFloats, (i + 1) * stateFloats)],
    })),
  };
}

async function inspectBlocks(
  store: InspectedStore,
  name: string,
  keys: BigUint64Array,
): Promise<InspectedRows> {
  const tensor = await store.tensor(name);
  const { block, length } = tensor;
  const rows: InspectedRow[] = [];
  for (const key of keys) {
    const found = key * BigInt(block) < BigInt(length);
    const from = found ? Number(key) * block : 0;
    const weights = found ? await tensor.pull({ from, to: Math.min(from + block, length) }) : [];
    rows.push({ key: String(key), found, weights: [...weights], state: [] });
  }
  return { table: name, dim: block, rows };
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

function parseKey(text: unknown): bigint {
  if (typeof text === "string" && /^(\d{1,20}|0x[\da-f]{1,16})$/i.test(text)) {
    const key = BigInt(text);
    if (key < 1n << 64n) return key;
  }
  const found = JSON.stringify(text);
  throw new EmbershardError("INVALID_ARGUMENT", `found key ${found}, expected an integer from 0 to 2^64 - 1`);
}
