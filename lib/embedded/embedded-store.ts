import { CheckedStore } from "../api/checked-store.js";
import type { Shard, StoreHold } from "../shard/shard.js";
import type { ArenaTable } from "../table/arena-table.js";
import { EmbeddedBackend } from "./embedded-backend.js";

/** A store in this process: one shard over one directory. Made by `openStore`. */
export class EmbeddedStore extends CheckedStore<ArenaTable> {
  readonly #shard: Shard;

  constructor(directory: string, shard: Shard, onClose: () => Promise<void>) {
    super(new EmbeddedBackend(directory, shard, onClose));
    this.#shard = shard;
  }

  /**
   * Keeps the files of the log until `release`, so that they can be read beside the store. Pushes go on.
   *
   * @throws CLOSED
   */
  hold(): StoreHold {
    return this.#shard.hold();
  }

  /**
   * @internal The same, and where a table is larger than its memory an instant, whose pages and cold rows stay, too.
   *
   * @throws ABORTED, IO, READ_ONLY, CLOSED
   */
  holdInstant(signal?: AbortSignal): Promise<StoreHold> {
    return this.#shard.holdInstant(signal);
  }
}
