import { type ColumnLayout, columnsFor, REMOVED_NAME, shapeOf } from "./column-layout.js";
import { TargetFile } from "./local-file.js";
import type { RowShape, RowWriter } from "./row-file.js";
import { encodeHeader } from "./safetensors-header.js";
import { DESCRIPTION_NAME, type TableDescription } from "./table-description.js";
import type { RowBatch } from "./transfer-types.js";
import { WriteBehind } from "./write-behind.js";

export interface WriterOptions extends RowShape {
  readonly path: string;
  readonly description: TableDescription;
  /** Names of the counters that are written. */
  readonly counters: readonly string[];
  /** Rows that are expected; more take longer, fewer cost a copy at the end. */
  readonly expectedRows: number;
  /** Whether it is finished with keys that were removed. */
  readonly changesOnly: boolean;
  /** Make the files durable. */
  readonly sync: boolean;
}

/** How many digits a count of rows or bytes may take in the header. */
const LARGEST = Number.MAX_SAFE_INTEGER;

/**
 * Writes the columns of all batches into one file at once, each from its own place on: where more rows come than were
 * expected the columns move apart, where fewer come they are moved together in the end.
 */
export class SafetensorsWriter implements RowWriter {
  readonly #file: TargetFile;
  readonly #options: WriterOptions;
  readonly #columns: readonly ColumnLayout[];
  readonly #headerBytes: number;
  readonly #behind = new WriteBehind();
  #capacity: number;
  #rows = 0;

  static async create(options: WriterOptions): Promise<SafetensorsWriter> {
    return new SafetensorsWriter(await TargetFile.create(options.path), options);
  }

  private constructor(file: TargetFile, options: WriterOptions) {
    this.#file = file;
    this.#options = options;
    this.#columns = columnsFor(options);
    this.#capacity = options.expectedRows;
    // The header's length is fixed before its numbers are known: the longest that they can be. Tensors begin at a multiple of 8.
    this.#headerBytes =
      (8 +
        Buffer.byteLength(
          JSON.stringify(this.#header(LARGEST, () => LARGEST, options.changesOnly ? LARGEST : undefined)),
        ) +
        7) &
      ~7;
  }

  async write(batch: RowBatch): Promise<void> {
    const n = batch.keys.length;
    if (this.#rows + n > this.#capacity) await this.#makeRoom(this.#rows + n);
    const at = this.#rows;
    this.#rows += n;
    await this.#behind.put(() =>
      Promise.all(
        this.#columns.map((column, c) =>
          this.#file.write(column.of(batch), this.#place(c, this.#capacity) + at * column.rowBytes),
        ),
      ),
    );
  }

  async #makeRoom(least: number): Promise<void> {
    await this.#behind.settled();
    const capacity = Math.max(least, 2 * this.#capacity);
    for (let c = this.#columns.length - 1; c > 0; c--)
      await this.#file.move(this.#place(c, this.#capacity), this.#place(c, capacity), this.#bytes(c));
    this.#capacity = capacity;
  }

  async finish(removed?: BigUint64Array): Promise<{ name: string; bytes: number }[]> {
    await this.#behind.settled();
    for (let c = 1; c < this.#columns.length; c++)
      await this.#file.move(this.#place(c, this.#capacity), this.#place(c, this.#rows), this.#bytes(c));
    const header = this.#header(
      this.#rows,
      (c) => this.#place(c, this.#rows) - this.#headerBytes,
      removed?.length,
    );
    await this.#file.write(encodeHeader(header, this.#headerBytes), 0);
    const end = this.#place(this.#columns.length, this.#rows);
    if (removed) await this.#file.write(removed, end);
    const bytes = end + (removed?.byteLength ?? 0);
    await this.#file.finish(bytes, this.#options.sync);
    return [{ name: "", bytes }];
  }

  async abandon(): Promise<void> {
    await this.#behind.ended();
    await this.#file.abandon();
  }

  /** Where column `c` begins in a file of `rows` rows; the end of the file behind the last one. */
  #place(c: number, rows: number): number {
    const before = this.#columns.slice(0, c).reduce((bytes, { rowBytes }) => bytes + rowBytes, 0);
    return this.#headerBytes + rows * before;
  }

  #bytes(c: number): number {
    return this.#rows * this.#columns[c].rowBytes;
  }

  #header(rows: number, begin: (c: number) => number, removed: number | undefined): object {
    const entries: [string, object][] = this.#columns.map((column, c) => [
      column.name,
      { dtype: column.type, shape: shapeOf(column, rows), data_offsets: [begin(c), begin(c + 1)] },
    ]);
    if (removed !== undefined) {
      const from = begin(this.#columns.length);
      entries.push([
        REMOVED_NAME,
        { dtype: "U64", shape: [removed], data_offsets: [from, from + 8 * removed] },
      ]);
    }
    const text = JSON.stringify(this.#options.description);
    return { __metadata__: { [DESCRIPTION_NAME]: text }, ...Object.fromEntries(entries) };
  }
}
