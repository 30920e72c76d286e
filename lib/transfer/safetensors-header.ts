// The safetensors format: https://github.com/huggingface/safetensors
//
//     u64 n | n bytes of JSON, spaces behind it | tensors one behind the other, without gaps
//
// JSON: { "name": { "dtype", "shape", "data_offsets": [begin, end] }, ..., "__metadata__": { text: text } }
import { EmbershardError } from "../base/errors.js";
import { ELEMENT_BYTES, type ElementType } from "./element-types.js";
import type { SourceFile } from "./local-file.js";

export interface TensorEntry {
  readonly type: string;
  readonly shape: readonly number[];
  /** In bytes behind the header. */
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: ReadonlyMap<string, string>;
  /** Where the tensors begin in the file. */
  readonly dataOffset: number;
}

/** Longer headers are refused: ours has a thousand bytes or so. */
export const LONGEST_HEADER_BYTES = 16 << 20;

/** Element sizes that the format knows, besides those that can be read. */
const OTHER_BYTES: Readonly<Record<string, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  U16: 2,
  I16: 2,
};

/** Length and JSON, padded to `bytes` in all. */
export function encodeHeader(json: object, bytes: number): Uint8Array {
  const text = Buffer.from(JSON.stringify(json));
  const all = Buffer.alloc(bytes, 0x20);
  all.writeBigUInt64LE(BigInt(bytes - 8), 0);
  text.copy(all, 8);
  return all;
}

/** Reads and checks a header against the file's length. @throws CORRUPT, TOO_LARGE, IO */
export async function readHeader(file: SourceFile): Promise<SafetensorsHeader> {
  const wrong = (why: string, cause?: unknown) =>
    new EmbershardError("CORRUPT", `${file.path}: ${why}; expected a safetensors file`, { cause });
  if (file.bytes < 8) throw wrong(`it has ${file.bytes} bytes, too few for a header's length`);
  const length = Buffer.from(await file.read(new Uint8Array(8), 0)).readBigUInt64LE(0);
  if (length > BigInt(file.bytes - 8))
    throw wrong(`its header claims ${length} bytes, and ${file.bytes - 8} are there`);
  if (length > BigInt(LONGEST_HEADER_BYTES))
    throw new EmbershardError(
      "TOO_LARGE",
      `${file.path}: its header has ${length} bytes, at most ${LONGEST_HEADER_BYTES} are read`,
    );
  const bytes = await file.read(new Uint8Array(Number(length)), 8);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw wrong(`its header is not JSON in UTF-8: ${(cause as Error).message}`, cause);
  }
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw wrong("its header is no object");
  const tensors = new Map<string, TensorEntry>();
  const metadata = new Map<string, string>();
  for (const [name, entry] of Object.entries(json)) {
    if (name === "__metadata__") {
      for (const [key, text] of Object.entries((entry ?? {}) as object)) {
        if (typeof text !== "string") throw wrong(`its metadata ${JSON.stringify(key)} is no text`);
        metadata.set(key, text);
      }
    } else {
      const found = tensorEntry(entry);
      if (typeof found === "string") throw wrong(`tensor ${JSON.stringify(name)} ${found}`);
      tensors.set(name, found);
    }
  }
  const dataOffset = 8 + Number(length);
  demandWithoutGaps(tensors, file.bytes - dataOffset, wrong);
  return { tensors, metadata, dataOffset };
}

/** A tensor's entry, or what is wrong with it. */
function tensorEntry(entry: unknown): TensorEntry | string {
  const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>;
  if (typeof dtype !== "string" || !isCounts(shape) || !isCounts(offsets) || offsets.length !== 2)
    return "lacks dtype, shape or data_offsets";
  const [begin, end] = offsets;
  const bytes = Object.hasOwn(ELEMENT_BYTES, dtype)
    ? ELEMENT_BYTES[dtype as ElementType]
    : OTHER_BYTES[dtype];
  if (bytes === undefined) return `has dtype ${JSON.stringify(dtype)}, which is not known`;
  const length = shape.reduce((product, axis) => product * axis, bytes);
  if (!Number.isSafeInteger(length) || end - begin !== length)
    return `has shape [${shape}] of ${dtype} and the bytes ${begin} to ${end}, which do not agree`;
  return { type: dtype, shape, begin, end };
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.length <= 8 && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

function demandWithoutGaps(
  tensors: ReadonlyMap<string, TensorEntry>,
  dataBytes: number,
  wrong: (why: string) => EmbershardError,
): void {
  let end = 0;
  for (const [name, entry] of [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end)) {
    if (entry.begin !== end)
      throw wrong(
        `tensor ${JSON.stringify(name)} begins at ${entry.begin}, expected ${end}: tensors overlap or leave a gap`,
      );
    end = entry.end;
  }
  if (end !== dataBytes) throw wrong(`its tensors have ${end} bytes, and ${dataBytes} are there`);
}
