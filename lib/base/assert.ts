import { EmbershardError } from "./errors.js";

/** Checks an invariant of our own. A failure is a bug, never a caller's mistake. */
export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new EmbershardError("INTERNAL", `broken invariant: ${invariant}`);
}
