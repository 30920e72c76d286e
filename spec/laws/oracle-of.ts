import { encodeAdmission } from "../../lib/api/admission.js";
import { encodeInitializer } from "../../lib/api/initializers.js";
import { encodeOptimizer } from "../../lib/api/optimizers.js";
import { rowStorageOf } from "../../lib/api/row-storage.js";
import type { ScanBatch, Table } from "../../lib/api/store-types.js";
import type { TableDefinition } from "../../lib/api/table-definition.js";
import { ADMIT_EXACT } from "../../lib/kernel/layout.js";
import type { OracleAdmission, OracleCandidate } from "../../lib/kernel/oracle/candidates.js";
import { type OracleRow, OracleTable } from "../../lib/kernel/oracle/oracle-table.js";

/** The oracle of a table's definition, without rows. */
export function oracleOf(definition: TableDefinition): OracleTable {
  return new OracleTable({
    dim: definition.dim,
    seed: BigInt(definition.seed),
    optimizer: encodeOptimizer(definition.optimizer, definition),
    initializer: encodeInitializer(definition.initializer),
    learningRate: definition.optimizer.learningRate,
    admission: oracleAdmission(definition),
    storage: rowStorageOf(definition),
    counters: definition.counters,
  });
}

/** How the oracle of a table admits. */
export function oracleAdmission({ admission, placement }: TableDefinition): OracleAdmission | undefined {
  return admission && { ...encodeAdmission(admission), placement: BigInt(placement) };
}

/** All candidates of a table that admits by exact counters. */
export async function allCandidates(table: Table): Promise<Map<bigint, OracleCandidate>> {
  const found = new Map<bigint, OracleCandidate>();
  for await (const { keys, occurrences, lastStep } of table.candidates()) {
    for (const [i, key] of keys.entries()) {
      if (found.has(key)) throw new Error(`candidates of "${table.name}" gave key ${key} twice`);
      found.set(key, { occurrences: occurrences[i], lastStep: lastStep[i] });
    }
  }
  return found;
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
        ...(batch.counters && {
          counters: Float32Array.from(Object.values(batch.counters), (column) => column[i]),
        }),
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
  const difference = oracle.difference(await scanAll(table)) ?? (await candidatesDifference(oracle, table));
  return difference && `table "${table.name}": ${difference}`;
}

/** Of a sketch, what it says of some keys is compared. */
async function candidatesDifference(oracle: OracleTable, table: Table): Promise<string | undefined> {
  const { admission } = oracle.definition;
  if (!admission) return undefined;
  if (admission.counter === ADMIT_EXACT) return oracle.candidatesDifference(await allCandidates(table));
  const keys = BigUint64Array.from({ length: 500 }, (_, i) => BigInt.asUintN(64, BigInt(i - 1)));
  const found = await table.occurrences(keys);
  const i = keys.findIndex((key, at) => found[at] !== oracle.occurrences(key));
  return i < 0
    ? undefined
    : `key ${keys[i]}: ${found[i]} occurrences, expected ${oracle.occurrences(keys[i])}`;
}
