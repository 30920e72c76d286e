import type { ByteWriter as Bytes, SchemaElement, ParquetWriter as Writer } from "hyparquet-writer";
import { EmbershardError } from "../base/errors.js";
import { type ColumnName, columnsFor, countersOf } from "./column-layout.js";
import { TargetFile } from "./local-file.js";
import { MOST_REMOVED, REMOVED_KEYS_NAME, removedText } from "./parquet-removed.js";
import type { RowWriter } from "./row-file.js";
import type { WriterOptions } from "./safetensors-writer.js";
import { DESCRIPTION_NAME } from "./table-description.js";
import type { RowBatch } from "./transfer-types.js";

/** Numbers of a row group, about: it is encoded as a whole, in memory. */
const GROUP_NUMBERS = 1 << 20;
const GROUP_ROWS = 1 << 17;

type Metadata = { readonly key: string; readonly value: string }[];

/** Writes rows as Parquet: keys and counts as unsigned columns, weights and state as lists of floats. */
export class ParquetFileWriter implements RowWriter {
  readonly #file: TargetFile;
  readonly #options: WriterOptions;
  readonly #bytes: Bytes;
  readonly #writer: Writer;
  readonly #metadata: Metadata;
  readonly #groupRows: number;
  /** Rows of the group to come, as the encoder takes them. */
  #columns = noRows();
  #written = 0;

  static async create(options: WriterOptions): Promise<ParquetFileWriter> {
    // Only now: who exports to other formats loads nothing of it.
    const { ByteWriter, ParquetWriter } = await import("hyparquet-writer");
    const bytes = new ByteWriter();
    const metadata = [{ key: DESCRIPTION_NAME, value: JSON.stringify(options.description) }];
    const writer = new ParquetWriter({
      writer: bytes,
      schema: schemaOf(options),
      statistics: false,
      // Written with the footer, which is when it may have more in it.
      kvMetadata: metadata,
      createdBy: "embershard",
    });
    return new ParquetFileWriter(await TargetFile.create(options.path), options, bytes, writer, metadata);
  }

  private constructor(
    file: TargetFile,
    options: WriterOptions,
    bytes: Bytes,
    writer: Writer,
    metadata: Metadata,
  ) {
    this.#file = file;
    this.#options = options;
    this.#bytes = bytes;
    this.#writer = writer;
    this.#metadata = metadata;
    const numbers = options.dim + options.stateFloats;
    this.#groupRows = Math.max(1, Math.min(GROUP_ROWS, Math.floor(GROUP_NUMBERS / numbers)));
  }

  async write(batch: RowBatch): Promise<void> {
    const { dim, stateFloats, counters } = this.#options;
    for (const key of batch.keys) this.#columns.keys.push(key);
    addLists(this.#columns.weights, batch.rows, dim);
    if (stateFloats > 0) addLists(this.#columns.state, batch.state, stateFloats);
    for (const count of batch.frequency) this.#columns.frequency.push(count);
    for (const step of batch.lastStep) this.#columns.last_step.push(step);
    if (counters.length > 0) addLists(this.#columns.counters, countersOf(batch, counters), counters.length);
    if (this.#columns.keys.length >= this.#groupRows) await this.#writeGroup();
  }

  async #writeGroup(): Promise<void> {
    const columns = this.#columns;
    this.#columns = noRows();
    await this.#writer.write({
      columnData: columnNames(this.#options).map((name) => ({
        name,
        data: columns[name],
        // Weights are as good as random: neither a dictionary nor a compressor makes them smaller.
        ...(name === "frequency" || name === "last_step"
          ? {}
          : { encoding: "PLAIN" as const, codec: "UNCOMPRESSED" as const }),
      })),
      rowGroupSize: this.#groupRows,
    });
    await this.#flush();
  }

  /** Writes what has been encoded, and lets the encoder begin its buffer anew. */
  async #flush(): Promise<void> {
    const bytes = this.#bytes.getBytes();
    await this.#file.write(bytes, this.#written);
    this.#written += bytes.length;
    this.#bytes.index = 0;
  }

  async finish(removed?: BigUint64Array): Promise<{ name: string; bytes: number }[]> {
    if (this.#columns.keys.length > 0) await this.#writeGroup();
    if (removed) this.#metadata.push({ key: REMOVED_KEYS_NAME, value: this.#textOf(removed) });
    await this.#writer.finish();
    await this.#flush();
    await this.#file.finish(this.#written, this.#options.sync);
    return [{ name: "", bytes: this.#written }];
  }

  #textOf(removed: BigUint64Array): string {
    if (removed.length <= MOST_REMOVED) return removedText(removed);
    throw new EmbershardError(
      "TOO_LARGE",
      `${this.#file.path}: ${removed.length} keys were removed, a Parquet file takes at most ${MOST_REMOVED}: export to safetensors or NumPy`,
    );
  }

  abandon(): Promise<void> {
    return this.#file.abandon();
  }
}

function noRows() {
  return {
    keys: [] as bigint[],
    weights: [] as number[][],
    state: [] as number[][],
    frequency: [] as number[],
    last_step: [] as number[],
    counters: [] as number[][],
  };
}

function columnNames(options: WriterOptions): ColumnName[] {
  return columnsFor(options).map(({ name }) => name);
}

function addLists(lists: number[][], floats: Float32Array, width: number): void {
  for (let at = 0; at < floats.length; at += width) lists.push(Array.from(floats.subarray(at, at + width)));
}

function schemaOf({ stateFloats, counters }: WriterOptions): SchemaElement[] {
  const required = { repetition_type: "REQUIRED" } as const;
  const list = (name: string): SchemaElement[] => [
    { name, ...required, num_children: 1, converted_type: "LIST" },
    { name: "list", repetition_type: "REPEATED", num_children: 1 },
    { name: "element", ...required, type: "FLOAT" },
  ];
  return [
    { name: "root", num_children: 4 + (stateFloats > 0 ? 1 : 0) + (counters.length > 0 ? 1 : 0) },
    { name: "keys", ...required, type: "INT64", converted_type: "UINT_64" },
    ...list("weights"),
    ...(stateFloats > 0 ? list("state") : []),
    { name: "frequency", ...required, type: "INT32", converted_type: "UINT_32" },
    { name: "last_step", ...required, type: "INT32", converted_type: "UINT_32" },
    ...(counters.length > 0 ? list("counters") : []),
  ];
}
