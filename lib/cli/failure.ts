import { CommanderError } from "commander";
import { EmbershardError } from "../base/errors.js";

/** What the process ends with. */
export const EXIT = { ok: 0, failed: 1, usage: 2, damaged: 3, interrupted: 130 } as const;

/** The sentence about exit codes that every command's help ends with. */
export const EXIT_CODES = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 damage found, 130 interrupted";

export interface Failure {
  /** What stderr is told; empty where commander has said it already. */
  readonly text: string;
  readonly exitCode: number;
}

/** One line `error CODE: message` for whatever was thrown, and no stack trace: that is for bugs, on request. */
export function failureOf(error: unknown, environment: NodeJS.ProcessEnv): Failure {
  if (error instanceof CommanderError) {
    return { text: "", exitCode: error.exitCode === 0 ? EXIT.ok : EXIT.usage };
  }
  if (error instanceof EmbershardError) {
    const exitCode =
      error.code === "INVALID_OPTIONS"
        ? EXIT.usage
        : error.code === "ABORTED"
          ? EXIT.interrupted
          : EXIT.failed;
    return { text: `error ${error.code}: ${error.message}\n`, exitCode };
  }
  if (isSuppressed(error)) return failureOf(error.suppressed, environment);
  if (isSystemError(error)) return { text: `error IO: ${error.message}\n`, exitCode: EXIT.failed };
  const trace = environment.EMBERSHARD_TRACE ? `\n${error instanceof Error ? error.stack : ""}` : "";
  const message = error instanceof Error ? error.message : String(error);
  const advice = "this is a bug; EMBERSHARD_TRACE=1 shows where";
  return { text: `error INTERNAL: ${message} (${advice})${trace}\n`, exitCode: EXIT.failed };
}

/** What failed first, and then closing what it was done with: that is told which is the reason. */
function isSuppressed(error: unknown): error is Error & { readonly suppressed: unknown } {
  return error instanceof Error && error.name === "SuppressedError" && "suppressed" in error;
}

/** What Node throws for the operating system's errors: their messages name operation and path. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error;
}
