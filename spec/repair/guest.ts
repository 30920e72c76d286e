// A table that the oracle of whole stores does not know, because what goes is the store's choice: rows are admitted, counted,
// decayed and evicted. It is compared with what the living store said of it. Some have rows so long that they fill arenas.
import { createHash } from "node:crypto";
import type { Store, Table } from "../../lib/api/store-types.js";
import type { TableOptions } from "../../lib/api/table-definition.js";
import type { Prng } from "../../lib/base/prng.js";
import { adagrad, rowWiseAdagrad, sgd, uniform } from "../../lib/index.js";

export const guestTable = "guest";

/** Keys with digests of all that is known of them. */
export type GuestRows = ReadonlyMap<bigint, string>;

/** What the table held from a record of the log on; undefined before it was made. */
export interface GuestState {
  readonly lsn: number;
  readonly rows: GuestRows | undefined;
}

/** Whether the guest of this store fills more than one arena. */
export function isWide(seed: number): boolean {
  return seed % 25 === 7;
}

function optionsOf(seed: number): TableOptions & { readonly dim: number } {
  const eviction = { maxRows: 1 << 20, policy: seed % 2 === 0 ? "lru" : "lfu" } as const;
  const initializer = uniform(-1, 1);
  if (isWide(seed)) return { dim: 4000, optimizer: sgd({ learningRate: 0.1 }), initializer, eviction };
  const counters = { names: ["show", "click"], decay: 0.9 };
  const bounded = isBounded(seed);
  const memory = bounded ? { memory: 1 << 20 } : {};
  switch (seed % 3) {
    case 0:
      return {
        dim: bounded ? 450 : 4,
        optimizer: adagrad({ learningRate: 0.1 }),
        initializer,
        eviction,
        counters,
        ...memory,
      };
    case 1:
      return {
        dim: bounded ? 1800 : 6,
        ...memory,
        optimizer: rowWiseAdagrad({ learningRate: 0.1 }),
        initializer,
        eviction,
        admission: { after: 2 },
        storage: "f16",
      };
    default:
      return {
        dim: bounded ? 3000 : 3,
        ...memory,
        optimizer: sgd({ learningRate: 0.1 }),
        initializer,
        counters,
        storage: "int8",
        eviction,
      };
  }
}

/** Whether the guest of this store has a limit of memory, and most of its rows are cold. */
export function isBounded(seed: number): boolean {
  return seed % 5 === 3;
}

/**
 * The operation from which on something is done to the guest. Long rows come when all tables are there: pages that rows have
 * left stay with their table, so that an arena which was halved may have none for one that is made then.
 */
export function firstAct(seed: number): number {
  return isWide(seed) ? 21 : 4;
}

/** Does something to the table, which is there once `make` was called. */
export class Guest {
  readonly #seed: number;
  #table: Table | undefined;

  constructor(seed: number) {
    this.#seed = seed;
  }

  async make(store: Store): Promise<void> {
    this.#table = await store.table(guestTable, optionsOf(this.#seed));
  }

  async act(random: Prng, step: number): Promise<void> {
    const table = this.#table!;
    const { dim, options } = table;
    const what = random.below(8);
    if (what === 0) await table.evict({ rows: 1 + random.below(8) });
    else if (what === 1) await table.evict({ belowFrequency: 2 });
    else if (what === 2 && options.counters) await table.decay();
    else {
      const [length, universe] = isWide(this.#seed)
        ? [200, 4000]
        : isBounded(this.#seed)
          ? [100, 600]
          : [12, 60];
      const keys = BigUint64Array.from({ length }, () => BigInt(random.below(universe)));
      const column = () => Float32Array.from(keys, () => random.below(3));
      await table.push(
        keys,
        Float32Array.from({ length: keys.length * dim }, () => random.unit() - 0.5),
        { step, ...(options.counters && { counters: { show: column(), click: column() } }) },
      );
    }
  }
}

/** Reads the table of a store, or of a version; undefined where there is none. */
export async function guestRows(store: Store): Promise<GuestRows | undefined> {
  if (!(await store.tables()).some(({ name }) => name === guestTable)) return undefined;
  const table = await store.table(guestTable);
  const { dim, stateFloats } = table;
  const rows = new Map<bigint, string>();
  for await (const batch of table.scan()) {
    const { show, click } = batch.counters ?? {};
    batch.keys.forEach((key, i) => {
      const numbers = [batch.frequency[i], batch.lastStep[i], show?.[i], click?.[i], batch.writtenAt?.[i]];
      const hash = createHash("sha1")
        .update(new Uint8Array(batch.rows.slice(i * dim, (i + 1) * dim).buffer))
        .update(new Uint8Array(batch.state.slice(i * stateFloats, (i + 1) * stateFloats).buffer))
        .update(JSON.stringify(numbers));
      rows.set(key, hash.digest("base64"));
    });
  }
  return rows;
}

/** Rows that were announced as lost. */
export interface LostRows {
  readonly keys: ReadonlySet<bigint>;
  /** How many there are besides, whose keys were not said. */
  readonly others: number;
}

/** How rows differ from those expected, but for rows that were lost: those are gone, and not something else. */
export function guestDifference(
  expected: GuestRows | undefined,
  found: GuestRows | undefined,
  { keys: lost, others }: LostRows = { keys: new Set(), others: 0 },
): string | undefined {
  let unknown = others;
  if (!expected || !found) return expected === found ? undefined : `it is ${found ? "there" : "missing"}`;
  for (const [key, row] of expected) {
    if (!found.has(key) && (lost.has(key) || unknown-- > 0)) continue;
    if (!found.has(key)) return `key ${key} is gone`;
    if (found.get(key) !== row) return `key ${key} differs`;
  }
  for (const key of found.keys()) if (!expected.has(key)) return `key ${key} should not be`;
  return undefined;
}
