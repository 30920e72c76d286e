// Scans: one request for each batch, one iteration of the shard behind them.
import type { ScanBatch } from "../api/row-batches.js";
import { EmbershardError } from "../base/errors.js";
import type { ArenaTable } from "../table/arena-table.js";
import {
  Column,
  type EndScan,
  type RowBatchInput,
  type Scan,
  ScanOf,
} from "../wire/generated/frame-types.js";
import { type Answer, done, type RequestContext } from "./request-context.js";
import { noRows, rowBytesOf, rowsFitting, rowsInColumns } from "./row-batches.js";
import type { ServedConnection } from "./served-connection.js";

/** Rows of a batch unless asked for, and at most. */
const usualRows = 4096;
const mostRows = 65_536;

export const answerScan: Answer<Scan> = (context, { id, version, body }, connection) => {
  const table = context.tables.demand(body.table, body.fingerprint);
  const { of } = body;
  // Not which of the tables that had the name: the scan itself says that its own was dropped.
  const over = `${of} ${version} ${body.table}`;
  const { iterations } = connection;
  const number = body.cursor
    ? iterations.demand(body.cursor, over)
    : iterations.begin(scanOf(context, body, table, connection), over);
  return next(id, number, connection, table, of);
};

export const answerEndScan: Answer<EndScan> = (context, { id, body }, connection) =>
  connection.iterations
    .endAt(body.cursor)
    .then(() => connection.reply(id, done(context, { touched: 0, lsn: 0, repeated: false })));

function scanOf(
  { shard }: RequestContext,
  { of, batch }: Scan,
  table: ArenaTable,
  connection: ServedConnection,
): AsyncIterator<ScanBatch> {
  const scanned = of === ScanOf.Rows ? table : candidatesOf(table);
  const fitting = rowsFitting(rowBytesOf(scanned), connection.frameBytes);
  const rows = Math.min(mostRows, fitting, batch === 0 ? usualRows : batch);
  return shard.scan(scanned, rows)[Symbol.asyncIterator]();
}

function candidatesOf({ candidates, definition }: ArenaTable): ArenaTable {
  if (candidates && !candidates.bySlot) return candidates;
  throw new EmbershardError(
    "UNSUPPORTED",
    candidates
      ? `a sketch counts the candidates of "${definition.name}", which does not know its keys`
      : `table "${definition.name}" admits every key at once`,
  );
}

async function next(
  id: number,
  number: number,
  connection: ServedConnection,
  table: ArenaTable,
  of: number,
): Promise<void> {
  const step = await connection.iterations.step<ScanBatch>(number, () => connection.isOver(id));
  if (!step) connection.reply(id, { kind: "ScanRows", rows: noRows });
  else {
    const rows = of === ScanOf.Candidates ? candidates(table, step.value) : rowsInColumns(table, step.value);
    connection.reply(id, { kind: "ScanRows", cursor: step.cursor, rows });
  }
}

function candidates({ dim }: ArenaTable, { keys, frequency, lastStep }: ScanBatch): RowBatchInput {
  return {
    count: keys.length,
    dim,
    columns: Column.Counts | Column.LastStep,
    keys,
    data: [frequency, lastStep],
  };
}
