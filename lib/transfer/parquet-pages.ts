// Pages of Parquet columns, made into the plain bytes of their values. Nothing is believed: neither lengths nor counts.

import * as zlib from "node:zlib";
import type { PageHeader } from "hyparquet";
import { EmbershardError } from "../base/errors.js";
import { ELEMENT_BYTES } from "./element-types.js";
import type { ColumnChunk, ParquetColumn } from "./parquet-footer.js";
import { readHybrid } from "./parquet-levels.js";

/** A page that claims to be longer is not unpacked. */
const LONGEST_PAGE_BYTES = 512 << 20;

/** What decoding a chunk's pages needs to know from page to page. */
export interface ChunkState {
  readonly column: ParquetColumn;
  readonly chunk: ColumnChunk;
  readonly snappy: (input: Uint8Array, output: Uint8Array) => void;
  /** Values that came before. */
  values: number;
  dictionary: Uint8Array | undefined;
}

/** A page does not add up; who reads the file says where. */
export class PageFault extends Error {}

/**
 * The values of a page in plain encoding, at a multiple of 8; undefined for a dictionary, which is kept, and for pages
 * without values. @throws PageFault, UNSUPPORTED
 */
export function decodePage(state: ChunkState, header: PageHeader, body: Uint8Array): Uint8Array | undefined {
  switch (header.type) {
    case "DICTIONARY_PAGE": {
      const count = header.dictionary_page_header?.num_values ?? -1;
      const plain = unpacked(state, body, header.uncompressed_page_size);
      if (plain.length !== count * ELEMENT_BYTES[state.column.type])
        throw new PageFault("has a dictionary of another length");
      state.dictionary = plain;
      return undefined;
    }
    case "DATA_PAGE":
      return decodeFirstVersion(state, header, body);
    case "DATA_PAGE_V2":
      return decodeSecondVersion(state, header, body);
    default:
      return undefined;
  }
}

function decodeFirstVersion(state: ChunkState, header: PageHeader, body: Uint8Array): Uint8Array {
  const { num_values: n, encoding } = header.data_page_header ?? {};
  const count = demandCount(state, n);
  let rest = unpacked(state, body, header.uncompressed_page_size);
  for (const kind of ["repetition", "definition"] as const) {
    if (levelBits(state, kind) === 0) continue;
    if (rest.length < 4) throw new PageFault("is too short for its levels");
    const length = new DataView(rest.buffer, rest.byteOffset).getUint32(0, true);
    if (length > rest.length - 4) throw new PageFault(`claims ${length} bytes of levels`);
    checkLevels(state, kind, rest.subarray(4, 4 + length), count);
    rest = rest.subarray(4 + length);
  }
  return valuesOf(state, encoding ?? "", rest, count);
}

function decodeSecondVersion(state: ChunkState, header: PageHeader, body: Uint8Array): Uint8Array {
  const v2 = header.data_page_header_v2;
  const count = demandCount(state, v2?.num_values);
  const lengths = [v2?.repetition_levels_byte_length ?? -1, v2?.definition_levels_byte_length ?? -1];
  if (
    !v2 ||
    lengths.some((length) => length < 0 || length > body.length) ||
    lengths[0] + lengths[1] > body.length
  )
    throw new PageFault("claims more levels than it has bytes");
  let rest = body;
  for (const [i, kind] of (["repetition", "definition"] as const).entries()) {
    if (levelBits(state, kind) > 0) checkLevels(state, kind, rest.subarray(0, lengths[i]), count);
    rest = rest.subarray(lengths[i]);
  }
  const bytes = header.uncompressed_page_size - lengths[0] - lengths[1];
  const plain = v2.is_compressed === false ? rest : unpacked(state, rest, bytes);
  return valuesOf(state, v2.encoding ?? "", plain, count);
}

function demandCount({ chunk, values }: ChunkState, n: number | undefined): number {
  if (n === undefined || n < 0 || n > chunk.values - values)
    throw new PageFault(`claims ${n} values, and ${chunk.values - values} are left of its column`);
  return n;
}

type LevelKind = "repetition" | "definition";

function levelBits({ column }: ChunkState, kind: LevelKind): number {
  return 32 - Math.clz32(kind === "repetition" ? column.maxRepetition : column.maxDefinition);
}

/** Every value must be there, and each row have as many as the others. */
function checkLevels(state: ChunkState, kind: LevelKind, bytes: Uint8Array, n: number): void {
  const levels = readHybrid(bytes, levelBits(state, kind), n);
  if (!levels) throw new PageFault(`has too few ${kind} levels`);
  const { width, maxDefinition } = state.column;
  for (let i = 0; i < n; i++) {
    if (kind === "definition" && levels[i] !== maxDefinition)
      throw new PageFault(`lacks value ${state.values + i}: it is null, or its list is empty`);
    if (kind === "repetition" && levels[i] !== ((state.values + i) % width === 0 ? 0 : 1))
      throw new PageFault(`has a list that is not ${width} long at value ${state.values + i}`);
  }
}

function valuesOf(state: ChunkState, encoding: string, bytes: Uint8Array, n: number): Uint8Array {
  const { column, dictionary } = state;
  const size = ELEMENT_BYTES[column.type];
  state.values += n;
  switch (encoding) {
    case "PLAIN":
      if (bytes.length < n * size) throw new PageFault(`has ${bytes.length} bytes for ${n} values`);
      return bytes.slice(0, n * size);
    case "PLAIN_DICTIONARY":
    case "RLE_DICTIONARY":
      if (n === 0) return new Uint8Array(0);
      if (!dictionary) throw new PageFault("needs a dictionary that is not there");
      if (bytes.length === 0 || bytes[0] > 32)
        throw new PageFault("has a wrong width of its places in the dictionary");
      return lookedUp(dictionary, readHybrid(bytes.subarray(1), bytes[0], n), size);
    case "BYTE_STREAM_SPLIT": {
      if (bytes.length < n * size) throw new PageFault(`has ${bytes.length} bytes for ${n} values`);
      const into = new Uint8Array(n * size);
      for (let b = 0; b < size; b++) for (let i = 0; i < n; i++) into[i * size + b] = bytes[b * n + i];
      return into;
    }
    default:
      throw new EmbershardError(
        "UNSUPPORTED",
        `column ${column.name} has encoding ${encoding}, expected PLAIN, RLE_DICTIONARY or BYTE_STREAM_SPLIT: write it with one of them`,
      );
  }
}

function lookedUp(dictionary: Uint8Array, places: Uint32Array | undefined, size: number): Uint8Array {
  if (!places) throw new PageFault("has too few places in its dictionary");
  const into = new Uint8Array(places.length * size);
  const entries = dictionary.length / size;
  for (let i = 0; i < places.length; i++) {
    if (places[i] >= entries) throw new PageFault(`names entry ${places[i]} of ${entries} in its dictionary`);
    const from = places[i] * size;
    for (let b = 0; b < size; b++) into[i * size + b] = dictionary[from + b];
  }
  return into;
}

/** What a compressed stretch unpacks to, which must be `bytes` long. */
function unpacked({ chunk, snappy }: ChunkState, packed: Uint8Array, bytes: number): Uint8Array {
  if (!(bytes >= 0 && bytes <= LONGEST_PAGE_BYTES)) throw new PageFault(`claims ${bytes} bytes`);
  const plain = unpackWith(chunk.codec, packed, bytes, snappy);
  if (plain.length !== bytes) throw new PageFault(`unpacks to ${plain.length} bytes, expected ${bytes}`);
  return plain;
}

function unpackWith(
  codec: string,
  packed: Uint8Array,
  bytes: number,
  snappy: ChunkState["snappy"],
): Uint8Array {
  if (codec === "UNCOMPRESSED") return packed;
  if (codec === "GZIP") return zlib.gunzipSync(packed, { maxOutputLength: Math.max(1, bytes) });
  if (codec === "SNAPPY") {
    // At most 64 bytes come of a byte.
    if (bytes > 64 * packed.length + 64) throw new PageFault(`claims ${bytes} bytes in ${packed.length}`);
    const plain = new Uint8Array(bytes);
    snappy(packed, plain);
    return plain;
  }
  const unzstd = (zlib as { zstdDecompressSync?: typeof zlib.gunzipSync }).zstdDecompressSync;
  if (codec === "ZSTD" && unzstd) return unzstd(packed, { maxOutputLength: Math.max(1, bytes) });
  throw new EmbershardError(
    "UNSUPPORTED",
    `found compression ${codec}, expected SNAPPY, GZIP, none, or ZSTD from Node 22.15 on: write it with one of them`,
  );
}
