import { describe } from "../api/option-reader.js";
import type { Store } from "../api/store-types.js";
import { EmbershardError } from "../base/errors.js";
import { LIMITS } from "../base/limits.js";
import { type StoreOptions as EmbeddedOptions, openStore as openEmbedded } from "../embedded/open-store.js";

/** How a store is opened. */
export interface StoreOptions extends EmbeddedOptions {
  /**
   * Threads: each has a shard of the rows, with memory and a directory of its own. 1 unless given, which is this one. What a
   * store was made with it keeps: another number is refused with SHARD_COUNT. With `version` the directory stays open until that is closed.
   */
  readonly threads?: number | undefined;
}

/**
 * Opens the store in a directory, making it if need be, and recovers what was pushed. One process at a time has it.
 *
 * @throws INVALID_OPTIONS, NOT_A_STORE, LOCKED naming the owner's pid, NEWER_FORMAT, CORRUPT naming what is damaged, SHARD_COUNT,
 *   UNSUPPORTED of a cluster's node, OUT_OF_MEMORY, IO
 */
export async function openStore(directory: string, options: StoreOptions = {}): Promise<Store> {
  if (typeof options !== "object" || options === null || Array.isArray(options))
    return openEmbedded(directory, options);
  const { threads = 1, ...rest } = options;
  if (!Number.isInteger(threads) || threads < 1 || threads > LIMITS.threads)
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `openStore: found threads ${describe(threads)}, expected an integer from 1 to ${LIMITS.threads}`,
    );
  if (threads === 1) return openEmbedded(directory, rest);
  // Only now: a store on one thread loads nothing of nodes and clients.
  const { openThreadedStore } = await import("./threaded-store.js");
  return openThreadedStore(directory, threads, rest);
}
