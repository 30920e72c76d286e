// What the specs of exports and imports share: a directory, a store in it, and a table with rows of every kind.
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import type { Prng } from "../../lib/base/prng.js";
import { adagrad, openStore, type Store, type Table, type TableOptions, uniform } from "../../lib/index.js";
import { firstDifference, type OracleRow } from "../../lib/kernel/oracle/oracle-table.js";
import { scanAll } from "../laws/oracle-of.js";
import { randomFloats } from "../laws/twin.js";

export const options: TableOptions = {
  dim: 5,
  optimizer: adagrad({ learningRate: 0.05, initialAccumulator: 0.1 }),
  initializer: uniform(-1, 1),
};

export class Place {
  readonly directory = mkdtempSync(join(tmpdir(), "embershard-transfer-"));
  readonly #stores: Store[] = [];

  path(name: string): string {
    return join(this.directory, name);
  }

  async open(name: string): Promise<Store> {
    const store = await openStore(this.path(name), { control: false, checkpoint: false, hugePages: "off" });
    this.#stores.push(store);
    return store;
  }

  /** Names of what is here, without the stores. */
  names(): string[] {
    return readdirSync(this.directory).filter((name) => !existsSync(join(this.directory, name, "shards")));
  }

  async end(): Promise<void> {
    for (const store of this.#stores) await store.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Keys over all of u64, the least and the greatest among them. */
export function someKeys(random: Prng, n: number): BigUint64Array {
  const keys = new Set<bigint>([0n, 2n ** 64n - 1n]);
  while (keys.size < n) keys.add((BigInt(random.u32()) << 32n) | BigInt(random.u32()));
  return BigUint64Array.from([...keys].slice(0, n));
}

/** Pushes and deletes, so that rows differ in frequency and step and pages have holes. */
export async function fill(table: Table, random: Prng, n: number): Promise<BigUint64Array> {
  const keys = someKeys(random, n);
  for (let step = 1; step <= 4; step++) {
    const some = keys.filter(() => step === 1 || random.below(2) === 0);
    await table.push(some, randomFloats(random, some.length * table.dim), { step: step * 1000 });
  }
  const gone = keys.filter((_, i) => i > 1 && i % 7 === 0);
  await table.delete(gone);
  return keys.filter((_, i) => i <= 1 || i % 7 !== 0);
}

export type Rows = ReadonlyMap<bigint, OracleRow>;

export { scanAll };

/** Demands that two sets of rows are the same, bit for bit, in what is compared. */
export function sameRows(found: Rows, expected: Rows, compare: readonly (keyof OracleRow)[]): void {
  assert.is(found.size, expected.size, "rows");
  for (const [key, row] of expected) {
    const there = found.get(key);
    if (!there) throw new Error(`key ${key} is missing`);
    for (const field of compare) {
      const [a, b] = [there[field], row[field]];
      const same =
        typeof a === "number" ? a === b : firstDifference(a as Float32Array, b as Float32Array) < 0;
      if (!same) throw new Error(`key ${key}: ${field} is ${a}, expected ${b}`);
    }
  }
}

export const ALL: readonly (keyof OracleRow)[] = ["weights", "state", "frequency", "lastStep"];
