// Keys of features. A value's key is XXH64(bytes of the value, seed = XXH64(UTF-8 of the feature's name, 0)), so that
// the same word under two features has two keys. docs/keys.md has the exact bytes and golden values.
import { EmbershardError } from "../base/errors.js";
import { instantiateKernel, type KernelExports } from "../kernel/kernel.js";
import { SCRATCH } from "../kernel/layout.js";
import { checkName } from "./names.js";

const chunkValues = 16_384;
const textBytes = 4 << 20;
const endsAt = SCRATCH;
const keysAt = endsAt + 4 * chunkValues;
const textAt = keysAt + 8 * chunkValues;

interface Hasher {
  readonly kernel: KernelExports;
  readonly ends: Uint32Array;
  readonly keys: BigUint64Array;
  readonly text: Uint8Array;
  readonly data: DataView;
}

let hasher: Hasher | undefined;
const encoder = new TextEncoder();

function openHasher(): Hasher {
  if (hasher) return hasher;
  const { exports, memory } = instantiateKernel(0);
  hasher = {
    kernel: exports,
    ends: new Uint32Array(memory.buffer, endsAt, chunkValues),
    keys: new BigUint64Array(memory.buffer, keysAt, chunkValues),
    text: new Uint8Array(memory.buffer, textAt, textBytes),
    data: new DataView(memory.buffer, textAt, textBytes),
  };
  return hasher;
}

/** XXH64 of a name's UTF-8 bytes: a table's id (seed 0), its other seeds, a feature's namespace. */
export function hashName(name: string, seed: bigint): bigint {
  const { kernel, text } = openHasher();
  const { written } = encoder.encodeInto(name, text);
  return BigInt.asUintN(64, kernel.xxh64(textAt, written, seed));
}

/**
 * The keys of string values of one feature, in order. @returns a new BigUint64Array of values.length.
 *
 * @throws INVALID_NAME, INVALID_ARGUMENT for a value that is not a well-formed string, TOO_LARGE for one over 1 MiB.
 */
export function keysOf(feature: string, values: readonly string[]): BigUint64Array {
  if (!Array.isArray(values))
    throw new EmbershardError(
      "INVALID_ARGUMENT",
      `values of feature "${feature}": found ${typeof values}, expected an array of strings`,
    );
  return hashEach(feature, values.length, (i, at, h) => {
    const value = values[i];
    return at + encodeText(value, h.text.subarray(at), `value ${i} of feature "${feature}"`);
  });
}

/** One column of the parts of composite keys: strings, or unsigned 64-bit integers. */
export type KeyColumn = readonly string[] | BigUint64Array;

const partText = 1;
const partInteger = 2;

/**
 * The keys of combinations: key i is that of (columns[0][i], columns[1][i], ...). Each part is written as a type byte,
 * its length as u32, and its bytes, so that ("ab","c") and ("a","bc") differ, and "7" and 7n too.
 *
 * @throws as keysOf, and INVALID_ARGUMENT for columns of different lengths.
 */
export function crossKeysOf(feature: string, columns: readonly KeyColumn[]): BigUint64Array {
  if (!Array.isArray(columns) || columns.length === 0) {
    throw new EmbershardError(
      "INVALID_ARGUMENT",
      `columns of feature "${feature}": expected an array of at least one column`,
    );
  }
  const wrong = columns.findIndex((column) => !Array.isArray(column) && !(column instanceof BigUint64Array));
  if (wrong >= 0) {
    throw new EmbershardError(
      "INVALID_ARGUMENT",
      `column ${wrong} of feature "${feature}": expected an array of strings or a BigUint64Array`,
    );
  }
  const n = columns[0].length;
  if (columns.some((column) => column.length !== n)) {
    throw new EmbershardError(
      "INVALID_ARGUMENT",
      `columns of feature "${feature}" have lengths ${columns.map((c) => c.length).join(", ")}: give all of one length`,
    );
  }
  return hashEach(feature, n, (i, start, h) => {
    let at = start;
    for (const column of columns) {
      const part = column[i];
      if (at + 13 > textBytes)
        throw new EmbershardError(
          "TOO_LARGE",
          `value ${i} of feature "${feature}" does not fit ${textBytes} bytes`,
        );
      // An integer in an ordinary array may have more than 64 bits, which would be cut off: encodeText refuses it.
      if (typeof part === "bigint" && column instanceof BigUint64Array) {
        h.data.setUint8(at, partInteger);
        h.data.setUint32(at + 1, 8, true);
        h.data.setBigUint64(at + 5, part, true);
        at += 13;
      } else {
        const length = encodeText(
          part,
          h.text.subarray(at + 5),
          `part of value ${i} of feature "${feature}"`,
        );
        h.data.setUint8(at, partText);
        h.data.setUint32(at + 1, length, true);
        at += 5 + length;
      }
    }
    return at;
  });
}

const maxValueBytes = 1 << 20;

function encodeText(value: unknown, into: Uint8Array, what: string): number {
  if (typeof value !== "string")
    throw new EmbershardError("INVALID_ARGUMENT", `${what}: found ${typeof value}, expected a string`);
  if (value.length > maxValueBytes)
    throw new EmbershardError(
      "TOO_LARGE",
      `${what} has ${value.length} characters: the limit is ${maxValueBytes}`,
    );
  const { read, written } = encoder.encodeInto(value, into);
  if (read < value.length)
    throw new EmbershardError("TOO_LARGE", `${what} does not fit ${maxValueBytes} bytes of UTF-8`);
  // A lone surrogate has no UTF-8: it would be written as U+FFFD and merge with others.
  if (written >= 3 && !(value as string & { isWellFormed(): boolean }).isWellFormed()) {
    throw new EmbershardError("INVALID_ARGUMENT", `${what} is not well-formed Unicode (a lone surrogate)`);
  }
  return written;
}

/** Writes values with `encode`, which returns the new end of the text, and hashes them by the chunk. */
function hashEach(
  feature: string,
  n: number,
  encode: (i: number, at: number, hasher: Hasher) => number,
): BigUint64Array {
  checkName("feature", feature);
  const seed = hashName(feature, 0n);
  const h = openHasher();
  const keys = new BigUint64Array(n);
  let from = 0;
  while (from < n) {
    let count = 0;
    let end = 0;
    while (from + count < n && count < chunkValues && end <= textBytes - 3 * maxValueBytes) {
      end = encode(from + count, end, h);
      h.ends[count++] = end;
    }
    h.kernel.hashStrings(textAt, endsAt, count, seed, keysAt);
    keys.set(count === chunkValues ? h.keys : h.keys.subarray(0, count), from);
    from += count;
  }
  return keys;
}
