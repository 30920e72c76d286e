import { EmbershardError } from "../base/errors.js";
import { LIMITS } from "../base/limits.js";
import { describe } from "./option-reader.js";

/**
 * Reads the bytes of memory that a table is kept to; undefined where none are given.
 *
 * @throws INVALID_OPTIONS, NOT_LOGGED: only the log tells, after a crash, which rows were in memory.
 */
export function parseMemory(
  name: string,
  memory: unknown,
  { logged, isTensor }: { logged: boolean; isTensor: boolean },
): number | undefined {
  if (memory === undefined) return undefined;
  if (isTensor)
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `tensor "${name}": found memory ${describe(memory)}: a tensor is in memory as a whole. Leave memory out, or use a table`,
    );
  if (typeof memory !== "number" || !Number.isSafeInteger(memory) || memory < LIMITS.tableMemory)
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `table "${name}": found memory ${describe(memory)}, expected an integer of at least ${LIMITS.tableMemory} bytes`,
    );
  if (!logged)
    throw new EmbershardError(
      "NOT_LOGGED",
      `table "${name}": found memory ${memory} with logged false: only a logged table can be larger than its memory`,
    );
  return memory;
}
