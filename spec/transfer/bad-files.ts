// Files of rows that do not add up: good ones and what is done to them.
import type { ErrorCode } from "../../lib/index.js";

/** A safetensors file of a header and what is behind it; `claimed` instead of the header's own length. */
export function safetensorsFile(
  header: object | string | Uint8Array,
  data: Uint8Array,
  claimed?: bigint,
): Buffer {
  const json =
    header instanceof Uint8Array
      ? header
      : Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(claimed ?? BigInt(json.length));
  return Buffer.concat([length, json, data]);
}

const floats = (...values: number[]) => Buffer.from(Float32Array.from(values).buffer);
const keys = (...values: bigint[]) => Buffer.from(BigUint64Array.from(values).buffer);
const words = (...values: number[]) => Buffer.from(Uint32Array.from(values).buffer);
const tensor = (dtype: string, shape: number[], begin: number, end: number) => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

/** Two rows of dimension 2: keys 7 and 8. */
export const goodHeader = { keys: tensor("U64", [2], 0, 16), weights: tensor("F32", [2, 2], 16, 32) };
export const goodData = Buffer.concat([keys(7n, 8n), floats(1, 2, 3, 4)]);

export type BadFile = readonly [what: string, file: Uint8Array, code: ErrorCode, message: RegExp];

const bad = (
  what: string,
  header: Parameters<typeof safetensorsFile>[0],
  code: ErrorCode,
  message: RegExp,
  data: Uint8Array = goodData,
): BadFile => [what, safetensorsFile(header, data), code, message];

const { keys: goodKeys, weights: goodWeights } = goodHeader;
const good = safetensorsFile(goodHeader, goodData);

export const badSafetensors: readonly BadFile[] = [
  ["nothing", Buffer.alloc(0), "CORRUPT", /0 bytes, too few/],
  ["a piece of a length", Buffer.alloc(7), "CORRUPT", /7 bytes, too few/],
  ["cut off in the data", good.subarray(0, -1), "CORRUPT", /32 bytes, and 31 are there/],
  ["cut off in the header", good.subarray(0, 40), "CORRUPT", /claims \d+ bytes, and 32 are there/],
  ["longer than it says", Buffer.concat([good, Buffer.alloc(4)]), "CORRUPT", /32 bytes, and 36 are there/],
  [
    "a header that lies about its length",
    safetensorsFile(goodHeader, goodData, 1n << 62n),
    "CORRUPT",
    /claims 4611686018427387904/,
  ],
  [
    "a huge header",
    safetensorsFile(Buffer.alloc((16 << 20) + 1, 0x20), goodData),
    "TOO_LARGE",
    /at most 16777216/,
  ],
  bad("a header that is not JSON", "{nothing}", "CORRUPT", /not JSON in UTF-8/),
  bad(
    "a header that is not UTF-8",
    Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
    "CORRUPT",
    /not JSON in UTF-8/,
  ),
  bad("a header that is a list", "[]", "CORRUPT", /no object/),
  bad("a header that is null", "null", "CORRUPT", /no object/),
  bad(
    "metadata that is no text",
    { ...goodHeader, __metadata__: { a: 1 } },
    "CORRUPT",
    /metadata "a" is no text/,
  ),
  bad(
    "a description that is not JSON",
    { ...goodHeader, __metadata__: { "embershard.table": "{" } },
    "CORRUPT",
    /description of the table is not JSON/,
  ),
  bad(
    "a description of nothing",
    { ...goodHeader, __metadata__: { "embershard.table": "{}" } },
    "CORRUPT",
    /lacks name, dim or optimizer/,
  ),
  bad("an entry that is no tensor", { ...goodHeader, keys: 1 }, "CORRUPT", /"keys" lacks dtype/),
  bad(
    "a shape of a text",
    { ...goodHeader, keys: { ...goodKeys, shape: "2" } },
    "CORRUPT",
    /lacks dtype, shape/,
  ),
  bad(
    "a negative axis",
    { ...goodHeader, keys: tensor("U64", [-2], 0, 16) },
    "CORRUPT",
    /lacks dtype, shape/,
  ),
  bad(
    "a fractional axis",
    { ...goodHeader, keys: tensor("U64", [1.5], 0, 16) },
    "CORRUPT",
    /lacks dtype, shape/,
  ),
  bad(
    "a shape beyond all numbers",
    { ...goodHeader, weights: tensor("F32", [2 ** 30, 2 ** 30], 16, 32) },
    "CORRUPT",
    /do not agree/,
  ),
  bad(
    "a shape that its bytes do not have",
    { ...goodHeader, weights: tensor("F32", [2, 3], 16, 32) },
    "CORRUPT",
    /do not agree/,
  ),
  bad(
    "offsets that go back",
    { ...goodHeader, weights: tensor("F32", [2, 2], 32, 16) },
    "CORRUPT",
    /do not agree/,
  ),
  bad(
    "tensors that overlap",
    { ...goodHeader, weights: tensor("F32", [2, 2], 8, 24) },
    "CORRUPT",
    /overlap or leave a gap/,
  ),
  bad(
    "tensors with a gap between",
    { keys: goodKeys, weights: tensor("F32", [2, 2], 20, 36) },
    "CORRUPT",
    /overlap or leave a gap/,
    Buffer.concat([goodData, Buffer.alloc(4)]),
  ),
  bad(
    "offsets beyond the file",
    { ...goodHeader, weights: tensor("F32", [3, 2], 16, 40) },
    "CORRUPT",
    /40 bytes, and 32 are there/,
  ),
  bad("an unknown dtype", { ...goodHeader, weights: tensor("F7", [2, 2], 16, 32) }, "CORRUPT", /dtype "F7"/),
  bad(
    "keys that are floats",
    { ...goodHeader, keys: tensor("F64", [2], 0, 16) },
    "UNSUPPORTED",
    /keys has elements F64, expected U64, I64/,
  ),
  bad(
    "weights that are integers",
    { ...goodHeader, weights: tensor("I32", [2, 2], 16, 32) },
    "UNSUPPORTED",
    /weights has elements I32/,
  ),
  bad("no weights", { keys: goodKeys }, "CORRUPT", /expected keys and weights/, goodData.subarray(0, 16)),
  bad(
    "weights under another name",
    { keys: goodKeys, rows: goodWeights },
    "CORRUPT",
    /found keys, rows, expected keys and weights/,
  ),
  bad(
    "weights with one axis",
    { ...goodHeader, weights: tensor("F32", [4], 16, 32) },
    "CORRUPT",
    /weights has shape \[4\]/,
  ),
  bad(
    "keys with two axes",
    { ...goodHeader, keys: tensor("U64", [2, 1], 0, 16) },
    "CORRUPT",
    /keys has shape \[2, 1\]/,
  ),
  bad(
    "another number of weights than of keys",
    { ...goodHeader, weights: tensor("F32", [1, 4], 16, 32) },
    "CORRUPT",
    /weights has shape \[1, 4\]/,
  ),
  bad(
    "rows of nothing",
    { keys: goodKeys, weights: tensor("F32", [2, 0], 16, 16) },
    "CORRUPT",
    /weights has shape \[2, 0\]/,
    goodData.subarray(0, 16),
  ),
  bad(
    "another dimension than the table's",
    { keys: goodKeys, weights: tensor("F32", [2, 1], 16, 24) },
    "TABLE_MISMATCH",
    /1 elements, table "(t|new)" has dim 2/,
    goodData.subarray(0, 24),
  ),
  bad(
    "a key twice",
    goodHeader,
    "CORRUPT",
    /key 7 of row 1 came before/,
    Buffer.concat([keys(7n, 7n), floats(1, 2, 3, 4)]),
  ),
  bad(
    "key 0 twice",
    goodHeader,
    "CORRUPT",
    /key 0 of row 1 came before/,
    Buffer.concat([keys(0n, 0n), floats(1, 2, 3, 4)]),
  ),
  bad(
    "a weight that is no number",
    goodHeader,
    "NON_FINITE",
    /row 1, key 8, are NaN at element 0/,
    Buffer.concat([keys(7n, 8n), floats(1, 2, Number.NaN, 4)]),
  ),
  bad(
    "an infinite weight",
    goodHeader,
    "NON_FINITE",
    /row 0, key 7, are -Infinity at element 1/,
    Buffer.concat([keys(7n, 8n), floats(1, Number.NEGATIVE_INFINITY, 3, 4)]),
  ),
  bad(
    "a float64 beyond float32",
    { keys: goodKeys, weights: tensor("F64", [2, 2], 16, 48) },
    "NON_FINITE",
    /row 0, key 7, are Infinity at element 1/,
    Buffer.concat([keys(7n, 8n), Buffer.from(Float64Array.of(1, 1e39, 3, 4).buffer)]),
  ),
  bad(
    "state that is no number",
    { ...goodHeader, state: tensor("F32", [2, 2], 32, 48) },
    "NON_FINITE",
    /the state of row 1, key 8, are NaN/,
    Buffer.concat([goodData, floats(1, 2, 3, Number.NaN)]),
  ),
  bad(
    "a frequency below zero",
    { ...goodHeader, frequency: tensor("I32", [2], 32, 40), last_step: tensor("U32", [2], 40, 48) },
    "CORRUPT",
    /frequency of row 1 is not in \[0, 2\^32\)/,
    Buffer.concat([goodData, words(1, 0xffff_ffff, 1, 2)]),
  ),
  bad(
    "a step beyond 32 bits",
    { ...goodHeader, frequency: tensor("U32", [2], 32, 40), last_step: tensor("I64", [2], 40, 56) },
    "CORRUPT",
    /last_step of row 0 is not in/,
    Buffer.concat([goodData, words(1, 2), keys(1n << 32n, 2n)]),
  ),
];

/** A .npy file of a dictionary, whatever it says, and elements. */
export function npyFile(dictionary: string, data: Uint8Array, { version = 1, claimed = -1 } = {}): Buffer {
  const text = Buffer.from(`${dictionary}\n`, "latin1");
  const head = Buffer.alloc(version === 1 ? 10 : 12);
  head.write("\x93NUMPY", "latin1");
  head[6] = version;
  const length = claimed < 0 ? text.length : claimed;
  if (version === 1) head.writeUInt16LE(length, 8);
  else head.writeUInt32LE(length, 8);
  return Buffer.concat([head, text, data]);
}

const npy = (descr: string, shape: string, order = "False") =>
  `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${shape}), }`;

export const goodNpy = {
  keys: npyFile(npy("<u8", "2,"), keys(7n, 8n)),
  weights: npyFile(npy("<f4", "2, 2"), floats(1, 2, 3, 4)),
};

const weightsOf = (what: string, weights: Uint8Array, code: ErrorCode, message: RegExp): BadFile => [
  what,
  weights,
  code,
  message,
];

/** What may be wrong with weights.npy. */
export const badNpy: readonly BadFile[] = [
  weightsOf("nothing", Buffer.alloc(0), "CORRUPT", /0 bytes, too few/),
  weightsOf("no magic", Buffer.alloc(200), "CORRUPT", /does not begin with/),
  weightsOf(
    "a version to come",
    npyFile(npy("<f4", "2, 2"), floats(1, 2, 3, 4), { version: 9 }),
    "CORRUPT",
    /version 9/,
  ),
  weightsOf(
    "a header that lies",
    npyFile(npy("<f4", "2, 2"), floats(1, 2, 3, 4), { claimed: 60_000 }),
    "CORRUPT",
    /claims 60000 bytes/,
  ),
  weightsOf(
    "a huge header",
    npyFile(npy("<f4", "2, 2").padEnd(70_000), floats(1, 2, 3, 4), { version: 2 }),
    "TOO_LARGE",
    /at most 65536/,
  ),
  weightsOf("no dictionary", npyFile("os.system('x')", floats(1, 2, 3, 4)), "CORRUPT", /no dictionary/),
  weightsOf(
    "a dictionary without a shape",
    npyFile("{'descr': '<f4', 'fortran_order': False, }", floats(1, 2, 3, 4)),
    "CORRUPT",
    /no dictionary|16 bytes|weights has shape|4 bytes/,
  ),
  weightsOf("objects", npyFile(npy("|O", "2, 2"), floats(1, 2, 3, 4)), "UNSUPPORTED", /"\|O"/),
  weightsOf("integers", npyFile(npy("<i4", "2, 2"), floats(1, 2, 3, 4)), "UNSUPPORTED", /<i4|i32|I32/),
  weightsOf("big-endian floats", npyFile(npy(">f4", "2, 2"), floats(1, 2, 3, 4)), "UNSUPPORTED", /">f4"/),
  weightsOf(
    "columns first",
    npyFile(npy("<f4", "2, 2", "True"), floats(1, 2, 3, 4)),
    "UNSUPPORTED",
    /Fortran/,
  ),
  weightsOf("a negative axis", npyFile(npy("<f4", "-2, 2"), floats(1, 2, 3, 4)), "CORRUPT", /no dictionary/),
  weightsOf(
    "an axis beyond all files",
    npyFile(npy("<f4", "2, 999999999999"), floats(1, 2, 3, 4)),
    "CORRUPT",
    /and 16 are there/,
  ),
  weightsOf("cut off", goodNpy.weights.subarray(0, -3), "CORRUPT", /16 bytes, and 13 are there/),
  weightsOf(
    "longer than it says",
    Buffer.concat([goodNpy.weights, Buffer.alloc(1)]),
    "CORRUPT",
    /and 17 are there/,
  ),
  weightsOf(
    "another number of rows",
    npyFile(npy("<f4", "1, 2"), floats(1, 2)),
    "CORRUPT",
    /weights has shape \[1, 2\]/,
  ),
  weightsOf(
    "three axes",
    npyFile(npy("<f4", "2, 1, 2"), floats(1, 2, 3, 4)),
    "CORRUPT",
    /weights has shape \[2, 1, 2\]/,
  ),
  weightsOf(
    "another dimension than the table's",
    npyFile(npy("<f4", "2, 1"), floats(1, 2)),
    "TABLE_MISMATCH",
    /1 elements/,
  ),
  weightsOf("not a number", npyFile(npy("<f4", "2, 2"), floats(1, 2, 3, Number.NaN)), "NON_FINITE", /row 1/),
];
