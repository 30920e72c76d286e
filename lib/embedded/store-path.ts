import { resolve } from "node:path";
import { describe } from "../api/option-reader.js";
import { isAddress } from "../base/address.js";
import { EmbershardError } from "../base/errors.js";

/** The full path of a directory that a caller names: it stays the same wherever the process goes. @throws INVALID_ARGUMENT */
export function storePath(directory: unknown): string {
  const expected = "expected the path of a directory";
  if (typeof directory !== "string" || directory === "" || directory.includes("\0"))
    throw new EmbershardError("INVALID_ARGUMENT", `found directory ${describe(directory)}, ${expected}`);
  if (isAddress(directory))
    throw new EmbershardError(
      "INVALID_ARGUMENT",
      `found ${directory}, an address of nodes, ${expected}: connect() opens what nodes serve`,
    );
  return resolve(directory);
}
