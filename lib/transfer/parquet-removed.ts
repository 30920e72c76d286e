// Keys that an incremental export says are gone, in a Parquet file: rows have no place for them, its metadata does.
import { EmbershardError } from "../base/errors.js";

/** The name of the text in the file's metadata: base64 of u64 numbers, little-endian. */
export const REMOVED_KEYS_NAME = "embershard.removed";

/** Keys at most: a footer of more than 64 MiB would not be read. */
export const MOST_REMOVED = 4_000_000;

export function removedText(keys: BigUint64Array): string {
  return Buffer.from(keys.buffer, keys.byteOffset, keys.byteLength).toString("base64");
}

/** @throws CORRUPT when the text is none of ours. */
export function removedOf(path: string, text: string): BigUint64Array {
  const bytes = Buffer.from(text, "base64");
  if (bytes.length % 8 !== 0 || bytes.toString("base64") !== text)
    throw new EmbershardError("CORRUPT", `${path}: ${REMOVED_KEYS_NAME} is not base64 of keys of 8 bytes`);
  const keys = new BigUint64Array(bytes.length / 8);
  new Uint8Array(keys.buffer).set(bytes);
  return keys;
}
