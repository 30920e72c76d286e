import type { ScanBatch, Table } from "../../lib/embedded/store-types.js";
import { type OracleRow, OracleTable } from "../../lib/kernel/oracle/oracle-table.js";
import { encodeInitializer } from "../../lib/table/initializers.js";
import { encodeOptimizer } from "../../lib/table/optimizers.js";
import type { TableDefinition } from "../../lib/table/table-definition.js";

/** The oracle of a table's definition, without rows. */
export function oracleOf(definition: TableDefinition): OracleTable {
  return new OracleTable({
    dim: definition.dim,
    seed: BigInt(definition.seed),
    optimizer: encodeOptimizer(definition.optimizer, definition),
    initializer: encodeInitializer(definition.initializer),
    learningRate: definition.optimizer.learningRate,
  });
}

/** The rows of a batch, as the oracle has them. */
export function* rowsOf(batch: ScanBatch, { dim, stateFloats }: Table): Generator<[bigint, OracleRow]> {
  for (let i = 0; i < batch.keys.length; i++) {
    yield [
      batch.keys[i],
      {
        weights: batch.rows.subarray(i * dim, (i + 1) * dim),
        state: batch.state.subarray(i * stateFloats, (i + 1) * stateFloats),
        frequency: batch.frequency[i],
        lastStep: batch.lastStep[i],
      },
    ];
  }
}

/** All rows of a table. Throws when a key comes twice. */
export async function scanAll(table: Table, batch?: number): Promise<Map<bigint, OracleRow>> {
  const rows = new Map<bigint, OracleRow>();
  for await (const part of table.scan(batch === undefined ? {} : { batch })) {
    for (const [key, row] of rowsOf(part, table)) {
      if (rows.has(key)) throw new Error(`scan of "${table.name}" gave key ${key} twice`);
      rows.set(key, row);
    }
  }
  return rows;
}

/** The first way in which a table differs from its oracle, in words; undefined where every bit is equal. */
export async function differenceFrom(oracle: OracleTable, table: Table): Promise<string | undefined> {
  const difference = oracle.difference(await scanAll(table));
  return difference && `table "${table.name}": ${difference}`;
}
