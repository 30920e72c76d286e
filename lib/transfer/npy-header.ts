// The .npy format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
//
//     "\x93NUMPY" | major u8 | minor u8 | length u16 (u32 from version 2 on) | a Python dictionary | elements
import { EmbershardError } from "../base/errors.js";
import { ELEMENT_BYTES, type ElementType } from "./element-types.js";
import type { SourceFile } from "./local-file.js";

export interface NpyHeader {
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly dataOffset: number;
}

/** Bytes of every header that is written: room for any shape, and elements begin at a multiple of 64. */
export const NPY_HEADER_BYTES = 128;
/** Longer headers are refused. */
const LONGEST_HEADER_BYTES = 65_536;

const MAGIC = Buffer.from("\x93NUMPY", "latin1");
const DESCRIPTIONS: Readonly<Partial<Record<ElementType, string>>> = {
  U64: "<u8",
  I64: "<i8",
  F64: "<f8",
  F32: "<f4",
  F16: "<f2",
  U32: "<u4",
  I32: "<i4",
};

export function encodeNpyHeader(type: ElementType, shape: readonly number[]): Uint8Array {
  const axes = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${DESCRIPTIONS[type]}', 'fortran_order': False, 'shape': (${axes}), }`;
  const bytes = Buffer.alloc(NPY_HEADER_BYTES, 0x20);
  MAGIC.copy(bytes);
  bytes.set([1, 0], 6);
  bytes.writeUInt16LE(NPY_HEADER_BYTES - 10, 8);
  bytes.write(text, 10, "latin1");
  bytes[NPY_HEADER_BYTES - 1] = 0x0a;
  return bytes;
}

/** Reads and checks a header against the file's length. @throws CORRUPT, TOO_LARGE, UNSUPPORTED, IO */
export async function readNpyHeader(file: SourceFile): Promise<NpyHeader> {
  const wrong = (why: string) => new EmbershardError("CORRUPT", `${file.path}: ${why}; expected a .npy file`);
  if (file.bytes < 12) throw wrong(`it has ${file.bytes} bytes, too few for a header`);
  const fixed = Buffer.from(await file.read(new Uint8Array(12), 0));
  if (!fixed.subarray(0, 6).equals(MAGIC)) throw wrong("it does not begin with \\x93NUMPY");
  const [major] = fixed.subarray(6);
  if (major < 1 || major > 3) throw wrong(`it has version ${major}`);
  const begin = major === 1 ? 10 : 12;
  const length = major === 1 ? fixed.readUInt16LE(8) : fixed.readUInt32LE(8);
  if (length > file.bytes - begin)
    throw wrong(`its header claims ${length} bytes, and ${file.bytes - begin} are there`);
  if (length > LONGEST_HEADER_BYTES)
    throw new EmbershardError(
      "TOO_LARGE",
      `${file.path}: its header has ${length} bytes, at most ${LONGEST_HEADER_BYTES} are read`,
    );
  const text = Buffer.from(await file.read(new Uint8Array(length), begin)).toString("latin1");
  const { type, shape } = parseDictionary(file.path, text, wrong);
  const dataOffset = begin + length;
  const bytes = shape.reduce((product, axis) => product * axis, ELEMENT_BYTES[type]);
  if (bytes !== file.bytes - dataOffset)
    throw wrong(
      `its shape (${shape}) of ${type} takes ${bytes} bytes, and ${file.bytes - dataOffset} are there`,
    );
  return { type, shape, dataOffset };
}

function parseDictionary(
  path: string,
  text: string,
  wrong: (why: string) => EmbershardError,
): { type: ElementType; shape: number[] } {
  const pairs = /^\{\s*((?:'\w+':\s*(?:'[^']*'|True|False|\([\d,\sL]*\))\s*,?\s*)*)\}\s*$/.exec(text);
  if (!pairs) throw wrong("its header is no dictionary of descr, fortran_order and shape");
  const field = (name: string, value: string) =>
    new RegExp(`'${name}':\\s*${value}`).exec(pairs[1])?.[1] ?? "";
  const described = field("descr", "'([^']*)'");
  const found = Object.entries(DESCRIPTIONS).find(([, description]) => description === described);
  if (!found)
    throw new EmbershardError(
      "UNSUPPORTED",
      `${path}: found elements ${JSON.stringify(described)}, expected one of ${Object.values(DESCRIPTIONS).join(", ")}`,
    );
  const order = field("fortran_order", "(True|False)");
  const axes = field("shape", "\\(([^)]*)\\)").split(",");
  const shape = axes.map((axis) => axis.trim().replace(/L$/, "")).filter((axis) => axis !== "");
  if (order === "" || shape.some((axis) => !/^\d{1,15}$/.test(axis)))
    throw wrong("its header lacks fortran_order or shape");
  if (order === "True" && shape.length > 1)
    throw new EmbershardError(
      "UNSUPPORTED",
      `${path}: its elements are in Fortran order: write np.ascontiguousarray of it`,
    );
  return { type: found[0] as ElementType, shape: shape.map(Number) };
}
