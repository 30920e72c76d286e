import { assert } from "../base/assert.js";
import { EmbershardError } from "../base/errors.js";
import { LIMITS } from "../base/limits.js";
import { COLUMN_NAMES, type ColumnName, REMOVED_NAME } from "./column-layout.js";
import {
  COUNT_TYPES,
  countsOf,
  ELEMENT_BYTES,
  type ElementType,
  FLOAT_TYPES,
  floatsOf,
  KEY_TYPES,
  keysOfBytes,
} from "./element-types.js";
import type { SourceFile } from "./local-file.js";
import type { RowColumns, RowReader, WantedColumns } from "./row-file.js";
import type { TableDescription } from "./table-description.js";

/** A column as it lies in a file: row behind row. */
export interface StoredColumn {
  readonly file: SourceFile;
  readonly offset: number;
  /** As the file says it; may be one that no column can have. */
  readonly type: string;
  readonly shape: readonly number[];
}

/**
 * Bytes of a piece that is read at once, of all columns together, about: what a read costs beside its bytes, a thread that
 * has to wake up, is little then, and the piece is still in a cache when it is taken.
 */
const PIECE_BYTES = 2 << 20;
/** Bytes of a row of a column that is read for many rows at once, and those rows, about. */
const NARROW_BYTES = 16;
const NARROW_ROWS = 65_536;
/** Counters that a table can have. */
const MOST_COUNTERS = 2;
const KEYS_OF_A_PIECE = 1 << 19;

/** Reads rows from columns that lie in files as arrays: safetensors and .npy. */
export class ColumnReader implements RowReader {
  readonly rows: number;
  readonly dim: number;
  readonly stateFloats: number;
  readonly history: boolean;
  readonly counterFloats: number;
  readonly description: TableDescription | undefined;
  readonly changesOnly: boolean;
  readonly removedRows: number;
  readonly #removed: StoredColumn | undefined;
  readonly #columns: ReadonlyMap<ColumnName, StoredColumn>;

  /** @throws CORRUPT, UNSUPPORTED where columns are missing, or are not of the types and shapes of columns. */
  constructor(
    what: string,
    columns: ReadonlyMap<string, StoredColumn>,
    description: TableDescription | undefined,
  ) {
    this.#columns = new Map(
      COLUMN_NAMES.flatMap((name) => (columns.has(name) ? [[name, columns.get(name)!]] : [])),
    );
    for (const name of ["keys", "weights"] as const) {
      if (!this.#columns.has(name))
        throw new EmbershardError(
          "CORRUPT",
          `${what}: found ${[...columns.keys()].join(", ") || "nothing"}, expected keys and weights`,
        );
    }
    this.rows = this.#columns.get("keys")!.shape[0] ?? 0;
    this.dim = this.#width(what, "weights", FLOAT_TYPES, LIMITS.dim);
    this.#width(what, "keys", KEY_TYPES, undefined);
    this.stateFloats = this.#columns.has("state")
      ? this.#width(what, "state", FLOAT_TYPES, 4 * LIMITS.dim)
      : 0;
    this.history = this.#columns.has("frequency") && this.#columns.has("last_step");
    if (this.history)
      for (const name of ["frequency", "last_step"] as const) this.#width(what, name, COUNT_TYPES, undefined);
    this.counterFloats = this.#columns.has("counters")
      ? this.#width(what, "counters", FLOAT_TYPES, MOST_COUNTERS)
      : 0;
    this.#removed = columns.get(REMOVED_NAME);
    this.changesOnly = this.#removed !== undefined;
    if (this.#removed) demandKeys(what, this.#removed);
    this.removedRows = this.#removed?.shape[0] ?? 0;
    this.description = description;
  }

  /** Checks a column's type and shape; gives the elements of a row. */
  #width(what: string, name: ColumnName, types: readonly ElementType[], most: number | undefined): number {
    const { type, shape } = this.#columns.get(name)!;
    if (!types.includes(type as ElementType))
      throw new EmbershardError(
        "UNSUPPORTED",
        `${what}: ${name} has elements ${type}, expected ${types.join(", ")}`,
      );
    const axes = most === undefined ? 1 : 2;
    const [rows, width = 1] = shape;
    if (shape.length !== axes || rows !== this.rows || width < 1 || width > (most ?? 1))
      throw new EmbershardError(
        "CORRUPT",
        `${what}: ${name} has shape [${shape.join(", ")}], expected [${this.rows}${axes === 2 ? `, 1 to ${most}` : ""}]`,
      );
    return width;
  }

  async *keys(): AsyncGenerator<BigUint64Array> {
    const reading = new ReadAhead(KEYS_OF_A_PIECE, this.rows, [this.#columns.get("keys")!]);
    for await (const { bytes } of reading.pieces()) yield keysOfBytes(bytes[0]);
  }

  async *removed(): AsyncGenerator<BigUint64Array> {
    if (!this.#removed) return;
    const reading = new ReadAhead(KEYS_OF_A_PIECE, this.#removed.shape[0], [this.#removed]);
    for await (const { bytes } of reading.pieces()) yield keysOfBytes(bytes[0]);
  }

  async *batches({ state, counters }: WantedColumns): AsyncGenerator<RowColumns> {
    const names: ColumnName[] = ["keys", "weights"];
    if (state && this.stateFloats > 0) names.push("state");
    if (this.history) names.push("frequency", "last_step");
    if (counters && this.counterFloats > 0) names.push("counters");
    const columns = names.map((name) => this.#columns.get(name)!);
    const rowBytes = columns.reduce((bytes, column) => bytes + rowBytesOf(column), 0);
    // Even, so that a part of any column begins at a multiple of 8 bytes.
    const pieceRows = 2 * Math.max(1, Math.floor(PIECE_BYTES / rowBytes / 2));
    for await (const { from, bytes } of piecesOf(columns, pieceRows, this.rows)) {
      const rows: { -readonly [Name in keyof RowColumns]: RowColumns[Name] } = {
        keys: keysOfBytes(bytes[0]),
        rows: this.#floats("weights", bytes[1]),
      };
      for (let i = 2; i < names.length; i++) {
        const name = names[i];
        if (name === "state" || name === "counters") rows[name] = this.#floats(name, bytes[i]);
        else rows[name === "frequency" ? name : "lastStep"] = this.#counts(name, from, bytes[i]);
      }
      yield rows;
    }
  }

  #floats(name: ColumnName, bytes: Uint8Array): Float32Array {
    return floatsOf(this.#columns.get(name)!.type as ElementType, bytes);
  }

  #counts(name: ColumnName, from: number, bytes: Uint8Array): Uint32Array {
    const { type, file } = this.#columns.get(name)!;
    const counts = countsOf(type as ElementType, bytes);
    if (typeof counts !== "number") return counts;
    throw new EmbershardError(
      "CORRUPT",
      `${file.path}: ${name} of row ${from + counts} is not in [0, 2^32), as frequencies and steps are`,
    );
  }

  async demandUnchanged(): Promise<void> {
    for (const file of this.#files()) await file.demandUnchanged();
  }

  async close(): Promise<void> {
    for (const file of this.#files()) await file.close();
  }

  #files(): Set<SourceFile> {
    const columns = [...this.#columns.values(), ...(this.#removed ? [this.#removed] : [])];
    return new Set(columns.map(({ file }) => file));
  }
}

function demandKeys(what: string, { type, shape }: StoredColumn): void {
  if (shape.length === 1 && KEY_TYPES.includes(type as ElementType)) return;
  throw new EmbershardError(
    "CORRUPT",
    `${what}: ${REMOVED_NAME} is ${type} of shape [${shape.join(", ")}], expected keys of one axis`,
  );
}

function isNarrow(column: StoredColumn): boolean {
  return rowBytesOf(column) <= NARROW_BYTES;
}

function rowBytesOf({ type, shape }: StoredColumn): number {
  return ELEMENT_BYTES[type as ElementType] * (shape[1] ?? 1);
}

interface Piece {
  /** The first row. */
  readonly from: number;
  /** One view a column, at a multiple of 8. */
  readonly bytes: readonly Uint8Array[];
}

/**
 * Reads columns in pieces of so many rows, an even number. Of narrow columns as many bytes are read at once as of wide ones,
 * for several pieces: a read costs as much as 100 KiB of what it reads.
 */
async function* piecesOf(
  columns: readonly StoredColumn[],
  rows: number,
  total: number,
): AsyncGenerator<Piece> {
  const narrow = columns.filter(isNarrow);
  const wide = columns.filter((column) => !isNarrow(column));
  if (narrow.length === 0 || wide.length === 0) return yield* new ReadAhead(rows, total, columns).pieces();
  const runs = new ReadAhead(rows * Math.max(1, Math.floor(NARROW_ROWS / rows)), total, narrow).pieces();
  try {
    let run: Piece | undefined;
    let end = 0;
    for await (const { from, bytes } of new ReadAhead(rows, total, wide).pieces()) {
      if (from === end) {
        const next = await runs.next();
        assert(!next.done, "narrow columns have as many rows as wide ones");
        run = next.value;
        end = from + run.bytes[0].length / rowBytesOf(narrow[0]);
      }
      const n = bytes[0].length / rowBytesOf(wide[0]);
      const part = (column: StoredColumn) => {
        const rowBytes = rowBytesOf(column);
        const at = (from - run!.from) * rowBytes;
        return run!.bytes[narrow.indexOf(column)].subarray(at, at + n * rowBytes);
      };
      yield {
        from,
        bytes: columns.map((column) => (isNarrow(column) ? part(column) : bytes[wide.indexOf(column)])),
      };
    }
  } finally {
    await runs.return(undefined);
  }
}

/** Reads columns in pieces of so many rows, the next piece while the caller has one: two sets of buffers in all. */
class ReadAhead {
  readonly #pieceRows: number;
  readonly #rows: number;
  readonly #columns: readonly StoredColumn[];

  constructor(pieceRows: number, rows: number, columns: readonly StoredColumn[]) {
    this.#pieceRows = Math.max(1, Math.min(pieceRows, rows));
    this.#rows = rows;
    this.#columns = columns;
  }

  async *pieces(): AsyncGenerator<Piece> {
    const buffers = [0, 1].map(() =>
      this.#columns.map((column) => new Uint8Array(new ArrayBuffer(this.#pieceRows * rowBytesOf(column)))),
    );
    let next = this.#read(0, buffers[0]);
    try {
      for (let i = 1; ; i++) {
        const piece = await next;
        if (piece === undefined) return;
        next = this.#read(i * this.#pieceRows, buffers[i % 2]);
        next.catch(() => {});
        yield piece;
      }
    } finally {
      // Who stops early closes the file: not while it is read. What that read met is nobody's concern.
      await next.catch(() => {});
    }
  }

  async #read(from: number, buffers: readonly Uint8Array[]): Promise<Piece | undefined> {
    const n = Math.min(this.#pieceRows, this.#rows - from);
    if (n <= 0) return undefined;
    const bytes = await Promise.all(
      this.#columns.map((column, c) => {
        const rowBytes = rowBytesOf(column);
        return column.file.read(buffers[c].subarray(0, n * rowBytes), column.offset + from * rowBytes);
      }),
    );
    return { from, bytes };
  }
}
