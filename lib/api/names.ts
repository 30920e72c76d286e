import { EmbershardError } from "../base/errors.js";
import { LIMITS } from "../base/limits.js";

const allowed = /^[A-Za-z0-9][A-Za-z0-9_.:-]*$/;

/** Checks a table's, tensor's or feature's name. @throws INVALID_NAME */
export function checkName(what: string, name: unknown): asserts name is string {
  const rule = `a ${what} name is 1 to ${LIMITS.nameLength} letters, digits and _ . : - beginning with a letter or digit`;
  if (typeof name !== "string") throw new EmbershardError("INVALID_NAME", `found ${typeof name}: ${rule}`);
  if (name.length > LIMITS.nameLength) {
    throw new EmbershardError("INVALID_NAME", `found ${name.length} characters: ${rule}`);
  }
  if (!allowed.test(name))
    throw new EmbershardError("INVALID_NAME", `found ${JSON.stringify(name)}: ${rule}`);
}
