// Errors as frames.
import { codeOfNumber, EmbershardError, ERRORS } from "../base/errors.js";
import type { Failure, FailureInput, SlotMapInput } from "./generated/frame-types.js";

/** What is known of a failure beyond its error. */
export interface FailureDetails {
  readonly part?: number | undefined;
  readonly key?: bigint | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly slotMap?: SlotMapInput | undefined;
}

/** Characters of a message that are sent. */
const messageLength = 2000;

/** The answer that says an error. What is no EmbershardError is a bug: INTERNAL. */
export function failureOf(error: unknown, details: FailureDetails = {}): FailureInput {
  const code = error instanceof EmbershardError ? error.code : "INTERNAL";
  const text = error instanceof Error ? error.message : String(error);
  const { wire, retry } = ERRORS[code];
  return {
    kind: "Failure",
    code: wire,
    message: text.slice(0, messageLength),
    retry,
    ...details,
  };
}

/** The error that an answer says; `from` is who answered. */
export function errorOf({ code, message, retry }: Failure, from: string): EmbershardError {
  const known = codeOfNumber(code);
  if (known) return new EmbershardError(known, `${from}: ${message}`);
  return new EmbershardError(
    retry ? "UNAVAILABLE" : "UNSUPPORTED",
    `${from}: ${message} (error number ${code}, which this version does not know)`,
  );
}
