import { EmbershardError } from "../base/errors.js";

/**
 * Runs work that Ctrl-C (and SIGTERM) ends: its signal is aborted, and what it then throws is what the command ends
 * with. A second one ends the process as usual.
 */
export async function cancellable<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const cancel = () => controller.abort(new EmbershardError("ABORTED", "interrupted: nothing more was done"));
  process.once("SIGINT", cancel);
  process.once("SIGTERM", cancel);
  try {
    return await work(controller.signal);
  } finally {
    process.removeListener("SIGINT", cancel);
    process.removeListener("SIGTERM", cancel);
  }
}
