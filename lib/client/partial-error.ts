import { EmbershardError } from "../base/errors.js";

/** A part of a call that failed. */
export interface FailedPart {
  /** "node a, shard 3 (10.0.0.1:7404)" */
  readonly owner: string;
  readonly keys: number;
  /** Whose `retry` says whether the part may succeed later. */
  readonly error: EmbershardError;
}

/** Some owners did their part, others did not. */
export class PartialError extends EmbershardError {
  readonly parts: readonly FailedPart[];

  constructor(what: string, parts: readonly FailedPart[], keys: number) {
    const byOwner = new Map<string, { keys: number; error: EmbershardError }>();
    for (const { owner, keys, error } of parts)
      byOwner.set(owner, { keys: keys + (byOwner.get(owner)?.keys ?? 0), error });
    const list = [...byOwner].map(
      ([
        owner,
        {
          keys,
          error: { message },
        },
      ]) =>
        // Most say themselves whom they are about.
        message.startsWith(owner) ? `${keys} keys: ${message}` : `${keys} keys of ${owner}: ${message}`,
    );
    super("PARTIAL", `${what} of ${keys} keys was done but for ${list.join("; ")}`, {
      cause: parts[0].error,
    });
    this.name = "PartialError";
    this.parts = parts;
  }
}
