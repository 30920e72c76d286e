import { EmbershardError } from "../base/errors.js";
import { LIMITS } from "../base/limits.js";
import type { ColumnName } from "./column-layout.js";
import { countsOf, floatsOf, keysOfBytes } from "./element-types.js";
import { SourceFile } from "./local-file.js";
import { ParquetColumnStream } from "./parquet-column-stream.js";
import { type ParquetFooter, readFooter } from "./parquet-footer.js";
import { REMOVED_KEYS_NAME, removedOf } from "./parquet-removed.js";
import type { RowColumns, RowReader, WantedColumns } from "./row-file.js";
import { DESCRIPTION_NAME, parseDescription, type TableDescription } from "./table-description.js";

/** Numbers of a batch, about. */
const BATCH_NUMBERS = 1 << 20;

/** @throws IO, CORRUPT, TOO_LARGE, UNSUPPORTED */
export async function openParquet(path: string): Promise<RowReader> {
  const file = await SourceFile.open(path);
  try {
    return new ParquetReader(file, await readFooter(file));
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Reads rows from a Parquet file page by page: a page of each column is in memory, whatever its row groups are. */
class ParquetReader implements RowReader {
  readonly rows: number;
  readonly dim: number;
  readonly stateFloats: number;
  readonly history: boolean;
  readonly counterFloats: number;
  readonly description: TableDescription | undefined;
  readonly changesOnly: boolean;
  readonly removedRows: number;
  readonly #removed: BigUint64Array;
  readonly #file: SourceFile;
  readonly #footer: ParquetFooter;

  constructor(file: SourceFile, footer: ParquetFooter) {
    const { columns, rows, metadata } = footer;
    for (const name of ["keys", "weights"] as const) {
      if (!columns.has(name))
        throw new EmbershardError(
          "CORRUPT",
          `${file.path}: found columns ${[...columns.keys()].join(", ") || "of other names"}, expected keys and weights`,
        );
    }
    const text = metadata.get(DESCRIPTION_NAME);
    this.description = text === undefined ? undefined : parseDescription(file.path, text);
    this.rows = rows;
    // Without a row nothing tells how long lists are, except what the file says of its table.
    this.dim = rows === 0 ? (this.description?.dim ?? 1) : columns.get("weights")!.width;
    this.stateFloats = rows === 0 ? 0 : (columns.get("state")?.width ?? 0);
    if (this.dim > LIMITS.dim)
      throw new EmbershardError(
        "UNSUPPORTED",
        `${file.path}: weights have ${this.dim} elements, at most ${LIMITS.dim} make a row`,
      );
    this.history = columns.has("frequency") && columns.has("last_step");
    this.counterFloats = rows === 0 ? 0 : (columns.get("counters")?.width ?? 0);
    const removed = metadata.get(REMOVED_KEYS_NAME);
    this.changesOnly = removed !== undefined;
    this.#removed = removedOf(file.path, removed ?? "");
    this.removedRows = this.#removed.length;
    this.#file = file;
    this.#footer = footer;
  }

  async *keys(): AsyncGenerator<BigUint64Array> {
    const stream = this.#stream("keys");
    for (let from = 0; from < this.rows; ) {
      const n = Math.min(65_536, this.rows - from);
      yield keysOfBytes(await stream.take(n));
      from += n;
    }
  }

  async *removed(): AsyncGenerator<BigUint64Array> {
    for (let at = 0; at < this.#removed.length; at += 65_536) yield this.#removed.slice(at, at + 65_536);
  }

  async *batches({ state, counters }: WantedColumns): AsyncGenerator<RowColumns> {
    const withState = state && this.stateFloats > 0;
    const numbers = this.dim + (withState ? this.stateFloats : 0);
    const rowsAtOnce = Math.max(1, Math.min(65_536, Math.floor(BATCH_NUMBERS / numbers)));
    const keys = this.#stream("keys");
    const weights = this.#stream("weights");
    const states = withState ? this.#stream("state") : undefined;
    const frequency = this.history ? this.#stream("frequency") : undefined;
    const lastStep = this.history ? this.#stream("last_step") : undefined;
    const counted = counters && this.counterFloats > 0 ? this.#stream("counters") : undefined;
    for (let from = 0; from < this.rows; ) {
      const n = Math.min(rowsAtOnce, this.rows - from);
      yield {
        keys: keysOfBytes(await keys.take(n)),
        rows: floatsOf(weights.type, await weights.take(n)),
        ...(states && { state: floatsOf(states.type, await states.take(n)) }),
        ...(frequency && { frequency: await this.#counts(frequency, from, n) }),
        ...(lastStep && { lastStep: await this.#counts(lastStep, from, n) }),
        ...(counted && { counters: floatsOf(counted.type, await counted.take(n)) }),
      };
      from += n;
    }
  }

  async #counts(stream: ParquetColumnStream, from: number, n: number): Promise<Uint32Array> {
    const counts = countsOf(stream.type, await stream.take(n));
    if (typeof counts !== "number") return counts;
    throw new EmbershardError(
      "CORRUPT",
      `${this.#file.path}: ${stream.name} of row ${from + counts} is not in [0, 2^32), as frequencies and steps are`,
    );
  }

  #stream(name: ColumnName): ParquetColumnStream {
    return new ParquetColumnStream(this.#file, this.#footer.columns.get(name)!);
  }

  demandUnchanged(): Promise<void> {
    return this.#file.demandUnchanged();
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
