import { resolveAck } from "../api/arguments.js";
import { splitCounters } from "../api/counter-columns.js";
import type { AssignOptions } from "../api/store-types.js";
import type { Ack, TableDefinition } from "../api/table-definition.js";
import { EmbershardError } from "../base/errors.js";
import {
  demandAbsent,
  demandDistinct,
  demandFinite,
  demandFiniteRows,
  keysOfPart,
  partsOf,
} from "./file-survey.js";
import { FORMATS, formatOf } from "./formats.js";
import { partOf, wordsOf } from "./key-set.js";
import type { RowColumns, RowReader, WantedColumns } from "./row-file.js";
import { slicesOf } from "./row-slices.js";
import { isS3 } from "./s3-address.js";
import { describeTable, optionsOf, sameState } from "./table-description.js";
import { checkOptions, checkPath, demandGoing } from "./transfer-options.js";
import type {
  ImportOptions,
  ImportReport,
  TransferFormat,
  TransferStore,
  TransferTable,
} from "./transfer-types.js";

/** Keys of a deletion. */
const DELETED_AT_ONCE = 65_536;

/**
 * Brings the rows of a file into a table, which is made if it is not there: with `options.table`, or as the file
 * describes it. All of the file is read and checked before the first row of a table changes that was there. One that is
 * made is filled while its file is checked, and dropped where that does not add up. Rows change in
 * batches, each whole or not at all: where the import is cut short, importing again with "merge" completes it. Of a file
 * of changes the removed rows are deleted then.
 *
 * @throws CORRUPT, UNSUPPORTED, TOO_LARGE, NON_FINITE and TABLE_MISMATCH for what the file holds, INVALID_ARGUMENT for keys
 *   that are there under "fail", TABLE_NOT_FOUND where nothing says how to make the table, INVALID_OPTIONS, IO, and as
 *   Table.assign: nothing has changed then. ABORTED, READ_ONLY, CLOSED: some batches may have been taken.
 */
export async function importTable(
  store: TransferStore,
  name: string,
  source: string,
  options: ImportOptions = {},
): Promise<ImportReport> {
  checkOptions("importTable", options);
  checkPath("importTable", source);
  const format = formatOf(source, options.format);
  const read = (path: string) => importFromPath(store, name, path, format, options);
  if (!isS3(source)) return read(source);
  return (await import("./s3-transfer.js")).importFromS3(source, format, options, read);
}

async function importFromPath(
  store: TransferStore,
  name: string,
  path: string,
  format: TransferFormat,
  options: ImportOptions,
): Promise<ImportReport> {
  const reader = await FORMATS[format].open(path);
  try {
    if (reader.changesOnly && options.existing === "replace")
      throw new EmbershardError(
        "INVALID_ARGUMENT",
        `${path}: it holds changes and not a table, which cannot take the place of one; nothing was changed. Import with existing: "merge"`,
      );
    const known = (await store.tables()).some((table) => table.name === name);
    if (known) demandDim(path, reader, name, (await store.table(name)).dim);
    demandGoing(`the import of ${path}`, options.signal);
    // The keys of rows that a table is made for are told by how many rows it ends with.
    if (known || reader.removedRows > 0) await checkKeys(path, reader, options);
    if (known) await checkNumbers(path, reader, options);
    else options.onProgress?.({ phase: "check", done: reader.rows, total: reader.rows });
    const wanted =
      options.table ?? (known || !reader.description ? undefined : optionsOf(reader.description));
    const table = await store.table(name, wanted);
    let restored: ImportReport["state"];
    try {
      demandDim(path, reader, name, table.dim);
      resolveAck("importTable", options.ack, [table.options]);
      restored = stateOutcome(path, reader, table, options);
      if ((options.existing ?? "fail") === "fail") await demandAbsent(path, reader, table);
      // What is not put into the new table is not checked on its way there.
      if (
        !known &&
        (restored === "does not fit" || (reader.counterFloats > 0 && !countersFit(reader, table)))
      )
        await checkNumbers(path, reader, options);
      await reader.demandUnchanged();
    } catch (error) {
      if (!known) await dropOwn(store, table, 0);
      throw error;
    }
    const columns = { state: restored === "restored", counters: countersFit(reader, table) };
    if (known) await new Filling(path, table, reader, options).take(reader.batches(columns));
    else await fillNewTable(path, store, table, reader, columns, options);
    const deleted =
      options.existing === "replace"
        ? await deleteOthers(table, reader, options)
        : await deleteRemoved(table, reader, options);
    return {
      format,
      rows: reader.rows,
      deleted,
      created: !known,
      state: restored,
      history: reader.history,
      counters: columns.counters,
    };
  } finally {
    await reader.close();
  }
}

function demandDim(path: string, reader: RowReader, name: string, dim: number): void {
  if (dim === reader.dim) return;
  throw new EmbershardError(
    "TABLE_MISMATCH",
    `${path}: its weights have ${reader.dim} elements, table "${name}" has dim ${dim}; nothing was changed. Import it into another table`,
  );
}

/** Reads the keys, of which none may come twice. */
async function checkKeys(path: string, reader: RowReader, { signal }: ImportOptions): Promise<void> {
  await demandDistinct(path, reader, () => demandGoing(`the import of ${path}`, signal));
}

/** Reads everything: numbers must be finite, of state, too, unless it is left out. */
async function checkNumbers(
  path: string,
  reader: RowReader,
  { onProgress, signal, state }: ImportOptions,
): Promise<void> {
  await demandFinite(path, reader, { state: state !== false, counters: true }, (done) => {
    demandGoing(`the import of ${path}`, signal);
    onProgress?.({ phase: "check", done, total: reader.rows });
  });
}

/** @throws TABLE_MISMATCH where state was asked for and cannot be had. */
function stateOutcome(
  path: string,
  reader: RowReader,
  table: TransferTable,
  { state }: ImportOptions,
): ImportReport["state"] {
  if (state === false) return "left out";
  const fits =
    reader.stateFloats === table.stateFloats && sameState(reader.description, describeTable(table.options));
  if (fits) return table.stateFloats > 0 ? "restored" : "none";
  if (state === true)
    throw new EmbershardError(
      "TABLE_MISMATCH",
      `${path}: found ${reader.stateFloats} floats of state of ${reader.description?.optimizer.kind ?? "an unknown optimizer"}, table "${table.name}" has ${table.stateFloats} of ${table.options.optimizer.kind}; nothing was changed. Import without state: true`,
    );
  return reader.stateFloats === 0 ? "none" : "does not fit";
}

/** Whether a file's counters are those of the table: as many, and of the same names where the file names them. */
function countersFit({ counterFloats, description }: RowReader, { options }: TransferTable): boolean {
  const names = options.counters?.names ?? [];
  if (counterFloats === 0 || counterFloats !== names.length) return false;
  if (description === undefined) return true;
  const { counters } = description as { readonly counters?: { readonly names?: unknown } | null };
  return JSON.stringify(counters?.names) === JSON.stringify(names);
}

/** Puts a file's rows into a table that was made for them, which is dropped where the file does not add up. */
async function fillNewTable(
  path: string,
  store: TransferStore,
  table: TransferTable,
  reader: RowReader,
  wanted: WantedColumns,
  options: ImportOptions,
): Promise<void> {
  const filling = new Filling(path, table, reader, options);
  table.expectRows?.(reader.rows);
  try {
    await filling.take(filling.read(wanted));
    // With as many rows as the file has none of its keys came twice. Else one did, or rows were evicted, or others write.
    if ((await table.stats()).rows !== reader.rows) {
      filling.unsound = true;
      await checkKeys(path, reader, options);
    }
  } catch (error) {
    if (filling.unsound || (error instanceof EmbershardError && error.code === "NON_FINITE"))
      await dropOwn(store, table, filling.done);
    throw error;
  }
}

/** Drops a table that was made for an import of which so many rows are in it. One that somebody else has put rows into stays. */
async function dropOwn(store: TransferStore, table: TransferTable, rows: number): Promise<void> {
  if ((await table.stats()).rows <= rows) await store.dropTable(table.name);
}

/** Rows of a file on their way into a table. */
class Filling {
  /** Rows that are in. */
  done = 0;
  /** The file does not add up. */
  unsound = false;
  readonly #path: string;
  readonly #table: TransferTable;
  readonly #reader: RowReader;
  readonly #options: ImportOptions;

  constructor(path: string, table: TransferTable, reader: RowReader, options: ImportOptions) {
    this.#path = path;
    this.#table = table;
    this.#reader = reader;
    this.#options = options;
  }

  /** All rows, of a file that nobody changed meanwhile. */
  async *read(wanted: WantedColumns): AsyncGenerator<RowColumns> {
    try {
      yield* this.#reader.batches(wanted);
      await this.#reader.demandUnchanged();
    } catch (error) {
      this.unsound = true;
      throw error;
    }
  }

  async take(batches: AsyncIterable<RowColumns>): Promise<void> {
    const { signal, onProgress, ack } = this.#options;
    const what = `the import into "${this.#table.name}"`;
    const total = this.#reader.rows;
    for await (const batch of batches) {
      for (const slice of slicesOf(batch)) {
        demandGoing(what, signal);
        const after = this.done + slice.keys.length;
        // The log keeps the order: once the last rows are as durable as they must be, all are.
        const options = assignOptions(slice, this.#table.options, after < total ? "memory" : ack);
        try {
          await this.#table.assign(slice.keys, slice.rows, options);
        } catch (error) {
          // A better message, which knows the row of the file.
          demandFiniteRows(this.#path, this.#reader, slice, this.done);
          throw error;
        }
        this.done = after;
        onProgress?.({ phase: "import", done: after, total });
      }
    }
  }
}

function assignOptions(
  { state, frequency, lastStep, counters }: RowColumns,
  definition: TableDefinition,
  ack: Ack | undefined,
): AssignOptions {
  const options: { -readonly [Name in keyof AssignOptions]: AssignOptions[Name] } = {};
  if (state) options.state = state;
  if (frequency && lastStep) {
    options.frequency = frequency;
    options.lastStep = lastStep;
  }
  if (counters) options.counters = splitCounters(definition.counters!.names, counters);
  if (ack) options.ack = ack;
  return options;
}

/** Deletes the rows that the file says are gone. */
async function deleteRemoved(
  table: TransferTable,
  reader: RowReader,
  { signal, onProgress, ack }: ImportOptions,
): Promise<number> {
  let [done, deleted] = [0, 0];
  for await (const keys of reader.removed()) {
    for (let at = 0; at < keys.length; at += DELETED_AT_ONCE) {
      demandGoing(`the import into "${table.name}"`, signal);
      const some = keys.subarray(at, at + DELETED_AT_ONCE);
      deleted += await table.delete(some, ack ? { ack } : {});
      done += some.length;
      onProgress?.({ phase: "delete", done, total: reader.removedRows });
    }
  }
  return deleted;
}

/** Deletes the rows whose keys the file does not have; in several passes where those are many. */
async function deleteOthers(
  table: TransferTable,
  reader: RowReader,
  { signal, onProgress, ack }: ImportOptions,
): Promise<number> {
  const parts = partsOf(reader);
  let deleted = 0;
  for (let part = 0; part < parts; part++) {
    const kept = await keysOfPart(reader, part, parts);
    let scanned = 0;
    for await (const { keys } of table.scan()) {
      demandGoing(`the import into "${table.name}"`, signal);
      const words = wordsOf(keys);
      const others = keys.filter((_, i) => {
        const [low, high] = [words[2 * i], words[2 * i + 1]];
        return (parts === 1 || partOf(low, high, parts) === part) && !kept.has(low, high);
      });
      if (others.length > 0) deleted += await table.delete(others, ack ? { ack } : {});
      scanned += keys.length;
      onProgress?.({ phase: "delete", done: scanned, total: Math.max(scanned, (await table.stats()).rows) });
    }
  }
  return deleted;
}
