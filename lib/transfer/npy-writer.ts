import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ColumnLayout, columnsFor, REMOVED_NAME, shapeOf } from "./column-layout.js";
import { ioError, makingError, TargetFile } from "./local-file.js";
import { encodeNpyHeader, NPY_HEADER_BYTES } from "./npy-header.js";
import type { RowWriter } from "./row-file.js";
import type { WriterOptions } from "./safetensors-writer.js";
import type { RowBatch } from "./transfer-types.js";
import { WriteBehind } from "./write-behind.js";

/** The file beside the arrays that says what table they come from. */
export const NPY_DESCRIPTION = "table.json";

/** Writes each column as an array of its own into a new directory, and what the table is as JSON beside them. */
export class NpyWriter implements RowWriter {
  readonly #options: WriterOptions;
  readonly #files: { readonly column: ColumnLayout; readonly file: TargetFile }[] = [];
  readonly #behind = new WriteBehind();
  #rows = 0;

  static async create(options: WriterOptions): Promise<NpyWriter> {
    try {
      await mkdir(options.path);
    } catch (cause) {
      throw makingError(options.path, cause);
    }
    const writer = new NpyWriter(options);
    for (const column of columnsFor(options)) {
      const file = await TargetFile.create(join(options.path, `${column.name}.npy`));
      writer.#files.push({ column, file });
    }
    return writer;
  }

  private constructor(options: WriterOptions) {
    this.#options = options;
  }

  async write(batch: RowBatch): Promise<void> {
    const at = this.#rows;
    this.#rows += batch.keys.length;
    await this.#behind.put(() =>
      Promise.all(
        this.#files.map(({ column, file }) =>
          file.write(column.of(batch), NPY_HEADER_BYTES + at * column.rowBytes),
        ),
      ),
    );
  }

  async finish(removed?: BigUint64Array): Promise<{ name: string; bytes: number }[]> {
    await this.#behind.settled();
    const { path, description, sync } = this.#options;
    const done: { name: string; bytes: number }[] = [];
    for (const { column, file } of this.#files) {
      await file.write(encodeNpyHeader(column.type, shapeOf(column, this.#rows)), 0);
      const bytes = NPY_HEADER_BYTES + this.#rows * column.rowBytes;
      await file.finish(bytes, sync);
      done.push({ name: `${column.name}.npy`, bytes });
    }
    if (removed) {
      const file = await TargetFile.create(join(path, `${REMOVED_NAME}.npy`));
      const bytes = NPY_HEADER_BYTES + removed.byteLength;
      try {
        await file.write(encodeNpyHeader("U64", [removed.length]), 0);
        await file.write(removed, NPY_HEADER_BYTES);
        await file.finish(bytes, sync);
      } catch (error) {
        await file.abandon();
        throw error;
      }
      done.push({ name: `${REMOVED_NAME}.npy`, bytes });
    }
    const text = `${JSON.stringify(description)}\n`;
    try {
      await writeFile(join(path, NPY_DESCRIPTION), text, { flush: sync });
    } catch (cause) {
      throw ioError(path, cause);
    }
    return [...done, { name: NPY_DESCRIPTION, bytes: Buffer.byteLength(text) }];
  }

  async abandon(): Promise<void> {
    await this.#behind.ended();
    for (const { file } of this.#files) await file.abandon();
  }
}
