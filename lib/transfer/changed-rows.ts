// What an incremental export takes: rows that changed since a version, and keys of those that are gone.
import { EmbershardError } from "../base/errors.js";
import type { ExportOptions, RowBatch, TransferStore } from "./transfer-types.js";

/** Keys of rows that are gone, collected: 8 bytes each. */
export class RemovedKeys {
  readonly #pieces: BigUint64Array[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Takes keys over. */
  take(keys: BigUint64Array): void {
    if (keys.length > 0) this.#pieces.push(keys);
    this.#length += keys.length;
  }

  /** Takes those of `all` that were not kept; `kept` are some of them in the same order. */
  takeOthers(all: BigUint64Array, kept: BigUint64Array): void {
    let next = 0;
    this.take(
      all.filter((key) => {
        if (key !== kept[next]) return true;
        next++;
        return false;
      }),
    );
  }

  all(): BigUint64Array {
    const all = new BigUint64Array(this.#length);
    let at = 0;
    for (const piece of this.#pieces) {
      all.set(piece, at);
      at += piece.length;
    }
    return all;
  }
}

/** The rows of a table that were added or changed since a version. Keys of rows that are gone go to `removed`. */
export async function* changedRows(
  store: Pick<TransferStore, "changes">,
  table: string,
  { since = "", signal }: ExportOptions,
  removed: RemovedKeys,
): AsyncGenerator<RowBatch> {
  for await (const batch of store.changes({ since, tables: [table], ...(signal && { signal }) })) {
    if (batch.reset)
      throw new EmbershardError(
        "INVALID_ARGUMENT",
        `the export of "${table}" since ${since}: the table was made anew since then, nothing of it is older. Export all of it, without since`,
      );
    removed.take(batch.removed);
    yield batch;
  }
}
