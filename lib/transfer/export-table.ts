import { join } from "node:path";
import { changedRows, RemovedKeys } from "./changed-rows.js";
import { FORMATS, formatOf } from "./formats.js";
import type { RowWriter } from "./row-file.js";
import { rowFilter } from "./row-filter.js";
import { isS3 } from "./s3-address.js";
import { StagedTarget } from "./staged-target.js";
import { describeTable } from "./table-description.js";
import { checkOptions, checkPath, checkSince, demandGoing } from "./transfer-options.js";
import type {
  ExportOptions,
  ExportReport,
  RowBatch,
  TransferFormat,
  TransferStore,
  TransferTable,
} from "./transfer-types.js";

/** Bytes of a batch that is read from the table, about: two of them stay in the cache of the thread that writes them. */
const BATCH_BYTES = 1 << 20;

/**
 * Writes a table's rows into a file or files that other tools read, while writes go on: a row that is there throughout is
 * written exactly once. The target appears, or is replaced, when it is whole; an export that fails or is aborted leaves
 * nothing. With `since` only what changed is written. Holds a few batches of rows in memory, never the table; of `since` also 8 bytes for each removed key.
 *
 * @throws TABLE_NOT_FOUND, VERSION_NOT_FOUND, TABLE_MISMATCH for a tensor, INVALID_OPTIONS, INVALID_ARGUMENT, ABORTED, IO, CLOSED
 */
export async function exportTable(
  store: Pick<TransferStore, "table" | "changes">,
  name: string,
  target: string,
  options: ExportOptions = {},
): Promise<ExportReport> {
  checkOptions("exportTable", options);
  checkSince(options);
  checkPath("exportTable", target);
  const format = formatOf(target, options.format);
  const table = await store.table(name);
  const write = (path: string) => exportToPath(store, table, path, format, options);
  if (!isS3(target)) return write(target);
  return (await import("./s3-transfer.js")).exportToS3(target, options, write);
}

async function exportToPath(
  store: Pick<TransferStore, "changes">,
  table: TransferTable,
  path: string,
  format: TransferFormat,
  options: ExportOptions,
): Promise<ExportReport> {
  const { directory, create } = FORMATS[format];
  const removed = options.since === undefined ? undefined : new RemovedKeys();
  const sync = options.sync ?? true;
  const target = await StagedTarget.at(path, directory);
  let writer: RowWriter | undefined;
  try {
    writer = await create({
      path: target.staging,
      dim: table.dim,
      stateFloats: options.state ? table.stateFloats : 0,
      description: describeTable(table.options),
      counters: table.options.counters?.names ?? [],
      changesOnly: removed !== undefined,
      expectedRows: (options.rows ?? removed) ? 0 : (await table.stats()).rows,
      sync,
    });
    const rows = await writeRows(store, table, writer, options, removed);
    const files = await writer.finish(removed?.all());
    demandGoing(`the export of "${table.name}"`, options.signal);
    await target.commit(sync);
    return {
      format,
      rows,
      removed: removed?.length ?? 0,
      bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
      files: files.map((file) => (file.name === "" ? path : join(path, file.name))),
    };
  } catch (error) {
    await writer?.abandon();
    await target.abandon();
    throw error;
  }
}

/** Returns how many. */
async function writeRows(
  store: Pick<TransferStore, "changes">,
  table: TransferTable,
  writer: RowWriter,
  options: ExportOptions,
  removed: RemovedKeys | undefined,
): Promise<number> {
  const { signal, onProgress } = options;
  const { dim, stateFloats } = table;
  const filter = rowFilter(options, { dim, stateFloats });
  const batch = Math.max(1, Math.min(65_536, Math.floor(BATCH_BYTES / (24 + 4 * (dim + stateFloats)))));
  const source: AsyncIterable<RowBatch> = removed
    ? changedRows(store, table.name, options, removed)
    : (options.rows ?? table.scan({ batch, lent: true }));
  let [read, written] = [0, 0];
  for await (const part of source) {
    demandGoing(`the export of "${table.name}"`, signal);
    const kept = filter ? filter(part) : part;
    if (kept !== part) removed?.takeOthers(part.keys, kept.keys);
    if (kept.keys.length > 0) await writer.write(kept);
    read += part.keys.length;
    written += kept.keys.length;
    onProgress?.({
      phase: "export",
      done: read,
      total: Math.max(read, (options.rows ?? removed) ? read : (await table.stats()).rows),
    });
  }
  demandGoing(`the export of "${table.name}"`, signal);
  return written;
}
