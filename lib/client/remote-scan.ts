// Scans: all rows of a table, shard after shard, batch by batch.
import type { ScanBatch } from "../api/row-batches.js";
import { EmbershardError } from "../base/errors.js";
import { columnPlaces, float32Column, float64Column, uint32Column } from "../wire/columns.js";
import { Column, type RowBatch, ScanOf, type ScanRows } from "../wire/generated/frame-types.js";
import type { RemoteTable } from "./remote-table.js";
import type { Requests } from "./requests.js";

/** Reads rows, or candidates, of a table in batches. A shard's scan ends with the connection that it began on: UNAVAILABLE. */
export async function* scanTable(
  requests: Requests,
  table: RemoteTable,
  of: keyof typeof ScanOf,
  batch: number,
): AsyncGenerator<ScanBatch> {
  for (const owner of requests.cluster.owners) {
    const { id, fingerprint } = table;
    let cursor: Uint8Array | undefined;
    let channel: number | undefined;
    do {
      if (table.dropped)
        throw new EmbershardError(
          "TABLE_NOT_FOUND",
          `table "${table.definition.name}" was dropped during the scan`,
        );
      const { body, connection } = await requests.ask(
        owner,
        { kind: "Scan", table: id, fingerprint, of: ScanOf[of], batch, cursor },
        "ScanRows",
        (rows: ScanRows) => ({ batch: scanBatchOf(table, rows.rows), cursor: rows.cursor?.slice() }),
        // A cursor means nothing on another connection.
        { connection: channel },
      );
      channel = connection;
      cursor = body.cursor;
      if (body.batch.keys.length > 0) yield body.batch;
    } while (cursor !== undefined);
  }
}

/** Rows of an answer in arrays of the caller's own. */
function scanBatchOf(table: RemoteTable, rows: RowBatch): ScanBatch {
  const { count: n, dim, stateFloats, columns, data } = rows;
  const places = columnPlaces(rows, 0);
  const floats = (at: number, length: number) =>
    at < 0 ? new Float32Array(length) : float32Column(data, at, length).slice();
  const numbers = (at: number) => (at < 0 ? new Uint32Array(n) : uint32Column(data, at, n).slice());
  const batch: ScanBatch = {
    keys: rows.keys.slice(),
    rows: floats(places.values, n * dim),
    state: floats(places.state, n * stateFloats),
    frequency: numbers(places.counts),
    lastStep: numbers(places.lastStep),
  };
  return {
    ...batch,
    ...((columns & Column.FirstCounter) !== 0 && {
      counters: Object.fromEntries(
        table.counters.map((name, c) => [
          name,
          floats(c === 0 ? places.firstCounter : places.secondCounter, n),
        ]),
      ),
    }),
    ...((columns & Column.WrittenAt) !== 0 && {
      writtenAt: float64Column(data, places.writtenAt, n).slice(),
    }),
  };
}
