// What a store has to hold: oracle tables that operations are applied to, and the comparison with a real one.

import { encodeInitializer } from "../../lib/api/initializers.js";
import { encodeOptimizer } from "../../lib/api/optimizers.js";
import { rowStorageOf } from "../../lib/api/row-storage.js";
import type { Store, Table } from "../../lib/api/store-types.js";
import { defineTable, type TableOptions } from "../../lib/api/table-definition.js";
import type { OracleCandidate } from "../../lib/kernel/oracle/candidates.js";
import { firstDifference, type OracleRow, OracleTable } from "../../lib/kernel/oracle/oracle-table.js";
import { allCandidates, oracleAdmission } from "../laws/oracle-of.js";
import {
  keyOf,
  type Operation,
  tensor,
  tensorBlocks,
  tensorName,
  touchesUnlogged,
  unloggedTable,
} from "./operations.js";

interface Member {
  readonly oracle: OracleTable;
  readonly learningRate: number;
}

/** Keys whose occurrences are compared. */
const probes = 600;

export type Rows = Map<bigint, OracleRow>;

export interface TableContents {
  readonly rows: Rows;
  readonly learningRate: number;
  /** Where the table admits by exact counters. */
  readonly candidates: ReadonlyMap<bigint, OracleCandidate> | undefined;
  /** Where it admits at all: how often some keys were pushed. */
  readonly occurrences: ReadonlyMap<bigint, number> | undefined;
}

/** A store's contents, read once. */
export interface Contents {
  readonly tables: ReadonlyMap<string, TableContents>;
  readonly tensor: Float32Array | undefined;
}

/** The oracle of a whole store. */
export class World {
  readonly #members = new Map<string, Member>();
  /** The operations that have touched the unlogged table since `rebase`, as states of it. */
  #unlogged: { i: number; state: OracleTable }[] = [];

  apply(operation: Operation, i: number): void {
    switch (operation.kind) {
      case "push":
        for (const { table, keys, values } of operation.parts) {
          const { oracle, learningRate } = this.#member(table);
          oracle.push(keys, values, { step: operation.step, learningRate });
        }
        break;
      case "assign":
        this.#member(operation.part.table).oracle.assign(
          operation.part.keys,
          operation.part.values,
          operation.state,
          operation.history,
        );
        break;
      case "delete":
        this.#member(operation.table).oracle.delete(operation.keys);
        break;
      case "create":
        this.#member(operation.table).oracle.pull(operation.keys, { create: true });
        break;
      case "tensor":
        this.#pushTensor(operation.from, operation.values);
        break;
      case "open":
        this.#open(operation.table, operation.options);
        break;
      case "openTensor":
        this.#open(tensorName, { ...(tensor as TableOptions), dim: tensor.block! });
        break;
      case "drop":
        this.#members.delete(operation.table);
        break;
    }
    if (touchesUnlogged(operation))
      this.#unlogged.push({ i, state: this.#member(unloggedTable).oracle.clone() });
  }

  #pushTensor(from: number, values: Float32Array): void {
    const block = tensor.block!;
    const keys = Array.from({ length: values.length / block }, (_, b) => BigInt(from / block + b));
    const { oracle, learningRate } = this.#member(tensorName);
    oracle.push(keys, values, { learningRate });
  }

  #open(name: string, options: TableOptions): void {
    const { shape: _, block: __, ...plain } = options as TableOptions & { shape?: unknown; block?: unknown };
    const definition = defineTable(name, 1, plain);
    const { learningRate } = definition.optimizer;
    const known = this.#members.get(name);
    const oracle =
      known?.oracle ??
      new OracleTable({
        dim: definition.dim,
        seed: BigInt(definition.seed),
        optimizer: encodeOptimizer(definition.optimizer, definition),
        initializer: encodeInitializer(definition.initializer),
        learningRate,
        storage: rowStorageOf(definition),
        admission: oracleAdmission(definition),
      });
    this.#members.set(name, { oracle, learningRate });
  }

  /** The rows of every table, by name, the tensor's blocks among them. They change with the next operation. */
  rows(): Map<string, ReadonlyMap<bigint, Readonly<OracleRow>>> {
    return new Map([...this.#members].map(([name, { oracle }]) => [name, oracle.rows]));
  }

  #member(name: string): Member {
    return this.#members.get(name)!;
  }

  /** The first difference of logged tables, tensor and definitions from a store's contents, in words. */
  difference({ tables, tensor: found }: Contents): string | undefined {
    const names = [...this.#members.keys()].filter((name) => name !== tensorName);
    for (const name of tables.keys()) if (!names.includes(name)) return `table ${name} should not exist`;
    for (const name of names) {
      const table = tables.get(name);
      if (!table) return `table ${name} is missing`;
      const { oracle, learningRate } = this.#member(name);
      if (table.learningRate !== learningRate)
        return `table ${name}: learning rate ${table.learningRate}, expected ${learningRate}`;
      if (name === unloggedTable) continue;
      const difference = oracle.difference(table.rows) ?? countsDifference(oracle, table);
      if (difference) return `table ${name}: ${difference}`;
    }
    return this.#tensorDifference(found);
  }

  #tensorDifference(found: Float32Array | undefined): string | undefined {
    const member = this.#members.get(tensorName);
    if (!member || !found)
      return (member === undefined) === (found === undefined)
        ? undefined
        : `tensor: ${found ? "should not exist" : "missing"}`;
    const expected = member.oracle.pull(Array.from({ length: tensorBlocks }, (_, b) => BigInt(b)));
    const at = firstDifference(found, expected.subarray(0, found.length));
    return at < 0 ? undefined : `tensor: element ${at} is ${found[at]}, expected ${expected[at]}`;
  }

  /**
   * The number of the operation after which the unlogged table was as the store has it, of those from `least` on;
   * undefined where there is none. From then on that is its state.
   */
  settleUnlogged({ tables }: Contents, least: number): number | undefined {
    const table = tables.get(unloggedTable);
    if (!this.#members.has(unloggedTable) || !table) return least;
    const begin = this.#unlogged.findLastIndex(({ i }) => i <= least);
    const candidates =
      begin < 0
        ? [{ i: 0, state: this.#base ?? this.#blank() }, ...this.#unlogged]
        : this.#unlogged.slice(begin);
    const found = candidates.findLast(({ state }) => state.equals(table.rows));
    if (!found) return undefined;
    this.#members.set(unloggedTable, { ...this.#member(unloggedTable), oracle: found.state });
    this.#base = found.state.clone();
    this.#unlogged = [];
    return found.i;
  }

  #base: OracleTable | undefined;

  #blank(): OracleTable {
    return new OracleTable(this.#member(unloggedTable).oracle.definition);
  }
}

/** Reads all that a store holds. */
export async function readContents(store: Store): Promise<Contents> {
  const tables = new Map<string, TableContents>();
  let found: Float32Array | undefined;
  for (const { name, shape } of await store.tables()) {
    if (shape) {
      found = await (await store.tensor(name)).pull();
      continue;
    }
    const table = await store.table(name);
    const rows: Rows = new Map();
    const { dim, stateFloats } = table;
    for await (const batch of table.scan()) {
      batch.keys.forEach((key, i) => {
        if (rows.has(key)) throw new Error(`table ${name}: a scan gave key ${key} twice`);
        const weights = batch.rows.subarray(i * dim, (i + 1) * dim);
        const state = batch.state.subarray(i * stateFloats, (i + 1) * stateFloats);
        rows.set(key, { weights, state, frequency: batch.frequency[i], lastStep: batch.lastStep[i] });
      });
    }
    if (rows.size !== (await table.stats()).rows)
      throw new Error(`table ${name}: a scan gave ${rows.size} rows of ${(await table.stats()).rows}`);
    const { admission, optimizer } = table.options;
    const { learningRate } = optimizer;
    const candidates = admission?.counter === "exact" ? await allCandidates(table) : undefined;
    const occurrences = admission && (await occurrencesOf(table));
    tables.set(name, { rows, learningRate, candidates, occurrences });
  }
  return { tables, tensor: found };
}

async function occurrencesOf(table: Table): Promise<Map<bigint, number>> {
  const keys = BigUint64Array.from({ length: probes }, (_, i) => keyOf(i));
  const occurrences = await table.occurrences(keys);
  return new Map([...keys].map((key, i) => [key, occurrences[i]]));
}

/** The first difference in what is known of keys without a row, in words. */
function countsDifference(
  oracle: OracleTable,
  { candidates, occurrences }: TableContents,
): string | undefined {
  const difference = candidates && oracle.candidatesDifference(candidates);
  if (difference !== undefined) return difference;
  for (const [key, found] of occurrences ?? []) {
    const expected = oracle.occurrences(key);
    if (found !== expected) return `key ${key}: ${found} occurrences, expected ${expected}`;
  }
  return undefined;
}
