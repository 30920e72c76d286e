// Copies of stores, and what changes make of them.
import * as assert from "uvu/assert";
import type { ChangeBatch, Store } from "../../lib/index.js";
import type { OracleRow } from "../../lib/kernel/oracle/oracle-table.js";
import { scanAll } from "./oracle-of.js";

/** Rows by name of the table and key. */
export type Rows = Map<string, Map<bigint, OracleRow>>;

/** All rows of a store, but for those of tensors. */
export async function contents(store: Store): Promise<Rows> {
  const all: Rows = new Map();
  for (const { name, shape } of await store.tables())
    if (shape === undefined) all.set(name, await scanAll(await store.table(name)));
  return all;
}

/** All rows of a version. */
export async function versionContents(store: Store, name: string): Promise<Rows> {
  const version = await store.openVersion(name);
  const rows = await contents(version);
  await version.close();
  return rows;
}

/** Applies changes to a copy, demanding that they change something, and that each row comes once. */
export async function applied(before: Rows, changes: AsyncIterable<ChangeBatch>): Promise<Rows> {
  const copy: Rows = new Map([...before].map(([name, rows]) => [name, new Map(rows)]));
  const seen = new Set<string>();
  for await (const batch of changes) {
    const { table, reset, keys, removed } = batch;
    if (reset) {
      assert.ok(copy.delete(table), `${table} is reset and was not there`);
      continue;
    }
    const rows = copy.get(table) ?? new Map<bigint, OracleRow>();
    copy.set(table, rows);
    const dim = keys.length === 0 ? 0 : batch.rows.length / keys.length;
    const floats = keys.length === 0 ? 0 : batch.state.length / keys.length;
    for (const [i, key] of keys.entries()) {
      assert.not(seen.has(`${table} ${key}`), `key ${key} of ${table} came twice`);
      seen.add(`${table} ${key}`);
      assert.is(batch.added[i] === 1, !rows.has(key), `key ${key} of ${table} is new`);
      const row: OracleRow = {
        weights: batch.rows.slice(i * dim, (i + 1) * dim),
        state: batch.state.slice(i * floats, (i + 1) * floats),
        frequency: batch.frequency[i],
        lastStep: batch.lastStep[i],
      };
      assert.not.equal(rows.get(key), row, `key ${key} of ${table} has not changed`);
      const was = rows.get(key);
      if (was) {
        const far = Math.sqrt(was.weights.reduce((sum, x, d) => sum + (x - row.weights[d]) ** 2, 0));
        assert.ok(Math.abs(far - batch.distance[i]) < 1e-9, `distance ${batch.distance[i]}, expected ${far}`);
      }
      rows.set(key, row);
    }
    for (const key of removed)
      assert.ok(rows.delete(key), `key ${key} of ${table} is removed and was not there`);
  }
  return copy;
}

export function demandSame(found: Rows, expected: Rows): void {
  // A table that was made and has no rows is in no batch.
  for (const [name, rows] of expected) {
    const there = found.get(name) ?? new Map();
    assert.is(there.size, rows.size, name);
    for (const [key, row] of rows) assert.equal(plain(there.get(key)!), plain(row), `${name}, key ${key}`);
  }
  for (const name of found.keys()) assert.ok(expected.has(name), `${name} is gone`);
}

/** A row, to be compared. */
export function plain({ weights, state, ...rest }: OracleRow): object {
  return { ...rest, weights: [...weights], state: [...state] };
}
