// What the end of a Parquet file says, and whether the file can be so. https://parquet.apache.org/docs/file-format/
import type { FileMetaData } from "hyparquet";
import { EmbershardError } from "../base/errors.js";
import { LIMITS } from "../base/limits.js";
import { COLUMN_NAMES, type ColumnName } from "./column-layout.js";
import { COUNT_TYPES, type ElementType, FLOAT_TYPES, KEY_TYPES } from "./element-types.js";
import type { SourceFile } from "./local-file.js";

/** A stretch of one column: the pages of a row group. */
export interface ColumnChunk {
  readonly offset: number;
  readonly bytes: number;
  /** Values in it, those of lists counted each. */
  readonly values: number;
  readonly codec: string;
}

export interface ParquetColumn {
  readonly name: ColumnName;
  /** Elements as they lie in pages that are not encoded. */
  readonly type: ElementType;
  /** Values of a row: the length of its lists, all of which are equally long. */
  readonly width: number;
  readonly maxRepetition: number;
  readonly maxDefinition: number;
  readonly chunks: readonly ColumnChunk[];
}

export interface ParquetFooter {
  readonly rows: number;
  readonly columns: ReadonlyMap<ColumnName, ParquetColumn>;
  readonly metadata: ReadonlyMap<string, string>;
}

/** Longer footers are refused. */
const LONGEST_FOOTER_BYTES = 64 << 20;
/** Columns of lists of numbers. */
const LISTS: ReadonlySet<ColumnName> = new Set<ColumnName>(["weights", "state", "counters"]);
const MAGIC = 0x3152_4150;

/** Reads the footer and checks it against the file's length. @throws CORRUPT, TOO_LARGE, UNSUPPORTED, IO */
export async function readFooter(file: SourceFile): Promise<ParquetFooter> {
  const wrong = (why: string, cause?: unknown) =>
    new EmbershardError("CORRUPT", `${file.path}: ${why}; expected a Parquet file`, { cause });
  if (file.bytes < 12) throw wrong(`it has ${file.bytes} bytes, too few for a footer`);
  const head = Buffer.from(await file.read(new Uint8Array(4), 0));
  const tail = Buffer.from(await file.read(new Uint8Array(8), file.bytes - 8));
  if (head.readUInt32LE(0) !== MAGIC || tail.readUInt32LE(4) !== MAGIC)
    throw wrong("it does not begin and end with PAR1");
  const length = tail.readUInt32LE(0);
  if (length > file.bytes - 12) throw wrong(`its footer claims ${length} bytes of ${file.bytes}`);
  if (length > LONGEST_FOOTER_BYTES)
    throw new EmbershardError(
      "TOO_LARGE",
      `${file.path}: its footer has ${length} bytes, at most ${LONGEST_FOOTER_BYTES} are read`,
    );
  const bytes = await file.read(new Uint8Array(length + 8), file.bytes - 8 - length);
  try {
    const { parquetMetadata } = await import("hyparquet");
    return footerOf(file, parquetMetadata(bytes, { geoparquet: false }), wrong);
  } catch (cause) {
    if (cause instanceof EmbershardError) throw cause;
    throw wrong(`its footer does not add up: ${(cause as Error).message}`, cause);
  }
}

function footerOf(
  file: SourceFile,
  metadata: FileMetaData,
  wrong: (why: string) => EmbershardError,
): ParquetFooter {
  const groups = metadata.row_groups.map(({ num_rows }) => countOf(num_rows, wrong));
  const rows = countOf(metadata.num_rows, wrong);
  if (groups.reduce((sum, n) => sum + n, 0) !== rows)
    throw wrong(`its row groups do not have its ${rows} rows`);
  const columns = new Map<ColumnName, ParquetColumn>();
  for (const leaf of leavesOf(metadata, wrong)) {
    const name = COLUMN_NAMES.find((known) => known === leaf.path[0]);
    if (name === undefined) continue;
    if (columns.has(name))
      throw new EmbershardError(
        "UNSUPPORTED",
        `${file.path}: column ${name} is a structure, expected numbers or lists of numbers`,
      );
    columns.set(name, columnOf(file, metadata, groups, name, leaf, wrong));
  }
  const texts = (metadata.key_value_metadata ?? []).map(({ key, value }) => [key, value ?? ""] as const);
  return { rows, columns, metadata: new Map(texts) };
}

function countOf(count: bigint, wrong: (why: string) => EmbershardError): number {
  const number = Number(count);
  if (!Number.isSafeInteger(number) || number < 0) throw wrong(`it counts ${count}`);
  return number;
}

interface Leaf {
  /** The number of its column chunk in each row group. */
  readonly index: number;
  readonly path: readonly string[];
  readonly type: string;
  readonly unsigned: boolean;
  readonly half: boolean;
  readonly maxRepetition: number;
  readonly maxDefinition: number;
}

/** The schema's leaves: its elements are a tree, written parents first. */
function leavesOf({ schema }: FileMetaData, wrong: (why: string) => EmbershardError): Leaf[] {
  const leaves: Leaf[] = [];
  let at = 1;
  const visit = (path: readonly string[], repetition: number, definition: number): void => {
    const element = schema[at++];
    if (element === undefined || path.length > 8) throw wrong("its schema does not add up");
    const { name, type, num_children: children, repetition_type: kind } = element;
    const here = [...path, name];
    const [rep, def] = [
      repetition + (kind === "REPEATED" ? 1 : 0),
      definition + (kind && kind !== "REQUIRED" ? 1 : 0),
    ];
    if (type !== undefined) {
      const unsigned = /^UINT_/.test(element.converted_type ?? "");
      const half =
        type === "FIXED_LEN_BYTE_ARRAY" &&
        element.type_length === 2 &&
        element.logical_type?.type === "FLOAT16";
      leaves.push({
        index: leaves.length,
        path: here,
        type,
        unsigned,
        half,
        maxRepetition: rep,
        maxDefinition: def,
      });
      return;
    }
    for (let child = 0; child < (children ?? 0); child++) visit(here, rep, def);
  };
  const [root] = schema;
  for (let child = 0; child < (root?.num_children ?? 0); child++) visit([], 0, 0);
  return leaves;
}

function columnOf(
  file: SourceFile,
  { row_groups }: FileMetaData,
  groups: readonly number[],
  name: ColumnName,
  leaf: Leaf,
  wrong: (why: string) => EmbershardError,
): ParquetColumn {
  const isList = LISTS.has(name);
  const type = elementType(leaf);
  const allowed = isList ? FLOAT_TYPES : name === "keys" ? KEY_TYPES : COUNT_TYPES;
  if (type === undefined || !allowed.includes(type) || leaf.maxRepetition !== (isList ? 1 : 0))
    throw new EmbershardError(
      "UNSUPPORTED",
      `${file.path}: column ${leaf.path.join(".")} is ${leaf.maxRepetition > 0 ? "lists of " : ""}${leaf.type}, expected ${isList ? "lists of " : ""}${allowed.join(", ")}`,
    );
  const chunks = row_groups.map((group) => {
    const chunk = group.columns[leaf.index];
    const data = chunk?.meta_data;
    if (!data || data.path_in_schema.join(".") !== leaf.path.join("."))
      throw wrong(`column ${name} lacks its data`);
    if (chunk.file_path)
      throw new EmbershardError("UNSUPPORTED", `${file.path}: column ${name} lies in another file`);
    const begins = [
      data.data_page_offset,
      ...(data.dictionary_page_offset ? [data.dictionary_page_offset] : []),
    ];
    const offset = Math.min(...begins.map((begin) => countOf(begin, wrong)));
    const bytes = countOf(data.total_compressed_size, wrong);
    if (offset < 4 || offset + bytes > file.bytes)
      throw wrong(`column ${name} claims the bytes ${offset} to ${offset + bytes} of ${file.bytes}`);
    return { offset, bytes, values: countOf(data.num_values, wrong), codec: data.codec };
  });
  const first = groups.findIndex((rows) => rows > 0);
  const width = isList && first >= 0 ? chunks[first].values / groups[first] : 1;
  if (
    !Number.isInteger(width) ||
    width < 1 ||
    width > 4 * LIMITS.dim ||
    chunks.some(({ values }, i) => values !== groups[i] * width)
  )
    throw wrong(
      `column ${name} does not have as many values as its rows: lists must be equally long, without nulls`,
    );
  const { maxRepetition, maxDefinition } = leaf;
  return { name, type, width, maxRepetition, maxDefinition, chunks };
}

function elementType({ type, unsigned, half }: Leaf): ElementType | undefined {
  switch (type) {
    case "INT64":
      return unsigned ? "U64" : "I64";
    case "INT32":
      return unsigned ? "U32" : "I32";
    case "FLOAT":
      return "F32";
    case "DOUBLE":
      return "F64";
    default:
      return half ? "F16" : undefined;
  }
}
