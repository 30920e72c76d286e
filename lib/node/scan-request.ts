// Scans: one request for each batch, one iteration of the shard behind them.
import type { ScanBatch } from "../api/row-batches.js";
import { EmbershardError } from "../base/errors.js";
import type { ArenaTable } from "../table/arena-table.js";
import { Column, type RowBatchInput, type Scan, ScanOf } from "../wire/generated/frame-types.js";
import type { Answer, RequestContext } from "./request-context.js";
import type { ServedConnection } from "./served-connection.js";

/** Scans of a connection that have not come to their end. */
const mostScans = 64;
/** Rows of a batch unless asked for, and at most. */
const usualRows = 4096;
const mostRows = 65_536;
/** Bytes of a frame that are not rows. */
const restBytes = 512;

interface OpenScan {
  readonly rows: AsyncIterator<ScanBatch>;
  readonly table: ArenaTable;
  readonly of: number;
  /** Batches that were answered. */
  batches: number;
  busy: boolean;
}

/** The scans of one connection. */
export class Scans {
  readonly #open = new Map<number, OpenScan>();
  #last = 0;

  /** Begins a scan, and gives its number. @throws OVERLOADED */
  begin(scan: OpenScan): number {
    if (this.#open.size >= mostScans)
      throw new EmbershardError(
        "OVERLOADED",
        `the connection has ${mostScans} scans that have not come to their end: finish some, or use another connection`,
      );
    this.#open.set(++this.#last, scan);
    return this.#last;
  }

  /** The scan that a cursor goes on with. @throws INVALID_ARGUMENT */
  demand(cursor: Uint8Array, table: ArenaTable, of: number): { number: number; scan: OpenScan } {
    const view = new DataView(cursor.buffer, cursor.byteOffset, cursor.length);
    const number = cursor.length === 8 ? view.getUint32(0, true) : 0;
    const scan = this.#open.get(number);
    if (
      scan &&
      scan.of === of &&
      scan.table.definition.number === table.definition.number &&
      !scan.busy &&
      scan.batches === view.getUint32(4, true)
    )
      return { number, scan };
    throw new EmbershardError(
      "INVALID_ARGUMENT",
      "the cursor is not the last one that a scan of this connection and table was answered with: begin the scan anew",
    );
  }

  async end(number: number): Promise<void> {
    const scan = this.#open.get(number);
    this.#open.delete(number);
    await scan?.rows.return?.();
  }

  /** Ends all; whoever is in the middle of one ends it when it comes back. */
  async close(): Promise<void> {
    await Promise.all([...this.#open.keys()].map((number) => this.end(number)));
  }
}

export const answerScan: Answer<Scan> = (context, { id, body }, connection) => {
  const table = context.tables.demand(body.table, body.fingerprint);
  const { scans } = connection;
  const begun = body.cursor
    ? scans.demand(new Uint8Array(body.cursor), table, body.of)
    : begin(context, body, table, connection);
  return next(id, begun, connection);
};

function begin(
  { shard }: RequestContext,
  { of, batch }: Scan,
  table: ArenaTable,
  connection: ServedConnection,
): { number: number; scan: OpenScan } {
  const scanned = of === ScanOf.Rows ? table : candidatesOf(table);
  const rowBytes = 32 + 4 * (scanned.dim + scanned.stateFloats + scanned.counters);
  const fitting = Math.floor((connection.frameBytes - restBytes) / rowBytes);
  if (fitting < 1)
    throw new EmbershardError(
      "TOO_LARGE",
      `a row of ${rowBytes} bytes does not fit the client's frames of ${connection.frameBytes} bytes`,
    );
  const rows = Math.min(mostRows, fitting, batch === 0 ? usualRows : batch);
  const scan: OpenScan = {
    rows: shard.scan(scanned, rows)[Symbol.asyncIterator](),
    table,
    of,
    batches: 0,
    busy: false,
  };
  return { number: connection.scans.begin(scan), scan };
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
  { number, scan }: { number: number; scan: OpenScan },
  connection: ServedConnection,
): Promise<void> {
  scan.busy = true;
  let result: IteratorResult<ScanBatch>;
  try {
    result = await scan.rows.next();
  } catch (error) {
    await connection.scans.end(number);
    throw error;
  } finally {
    scan.busy = false;
  }
  if (connection.isOver(id) || result.done) await connection.scans.end(number);
  if (result.done) {
    connection.reply(id, { kind: "ScanRows", rows: noRows });
    return;
  }
  scan.batches++;
  const cursor = new Uint8Array(8);
  const view = new DataView(cursor.buffer);
  view.setUint32(0, number, true);
  view.setUint32(4, scan.batches, true);
  connection.reply(id, { kind: "ScanRows", cursor, rows: rowsOf(scan, result.value) });
}

const noRows: RowBatchInput = { count: 0, keys: new BigUint64Array(0), data: new Uint8Array(0) };

function rowsOf({ table, of }: OpenScan, batch: ScanBatch): RowBatchInput {
  const { keys, rows, state, frequency, lastStep, counters, writtenAt } = batch;
  const count = keys.length;
  if (of === ScanOf.Candidates)
    return {
      count,
      dim: table.dim,
      columns: Column.Counts | Column.LastStep,
      keys,
      data: [frequency, lastStep],
    };
  const names = table.definition.counters?.names ?? [];
  const counted = names.map((name) => counters?.[name]).filter((column) => column !== undefined);
  const withState = table.stateFloats > 0;
  return {
    count,
    dim: table.dim,
    stateFloats: table.stateFloats,
    columns:
      Column.Values |
      (withState ? Column.State : 0) |
      Column.Counts |
      Column.LastStep |
      (counted.length > 0 ? Column.FirstCounter : 0) |
      (counted.length > 1 ? Column.SecondCounter : 0) |
      (writtenAt ? Column.WrittenAt : 0),
    keys,
    data: [
      rows,
      ...(withState ? [state] : []),
      frequency,
      lastStep,
      ...counted,
      ...(writtenAt ? [writtenAt] : []),
    ],
  };
}
