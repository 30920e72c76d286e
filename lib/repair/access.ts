// Who may read a store's files: anybody while it is closed; beside its owner, with the owner's consent.
import { CheckedStore } from "../api/checked-store.js";
import type { Store } from "../api/store-types.js";
import { isAddress } from "../base/address.js";
import { EmbershardError } from "../base/errors.js";
import { livingOwner, lockedError } from "../directory/owner.js";
import { EmbeddedStore } from "../embedded/embedded-store.js";
import type { HoldProgress } from "../embedded/hold-handlers.js";
import { storePath } from "../embedded/store-path.js";

/** What is known of a store that is open while its files are read. */
export interface LiveStore {
  /** Every record up to here is in the files. */
  readonly writtenLsn: number;
  /** With tables larger than their memory: the manifest of an instant whose pages and cold rows stay, too. */
  readonly instant?: Uint8Array | undefined;
}

export interface AccessOptions {
  readonly signal?: AbortSignal | undefined;
  /** Have the owner write a checkpoint first. */
  readonly checkpoint?: boolean;
}

/** The directory of a store, given or open. @throws INVALID_ARGUMENT, UNSUPPORTED of one that nodes serve */
export function directoryOf(store: string | Store): string {
  if (store instanceof CheckedStore) {
    if (!isAddress(store.directory)) return store.directory;
    throw new EmbershardError(
      "UNSUPPORTED",
      `${store.directory} is served by nodes: give the directory of each, where it is`,
    );
  }
  if (typeof store === "string" && store !== "" && !store.includes("\0")) return storePath(store);
  throw new EmbershardError(
    "INVALID_ARGUMENT",
    "found no store, expected the path of a directory or an open store",
  );
}

/**
 * Who has a directory open that keeps no files in place for others, in words: a node, or several threads. Pages and versions can be
 * read beside them, the log cannot.
 */
export async function atWork(directory: string): Promise<string | undefined> {
  const owner = await livingOwner(directory);
  if (!owner?.as) return undefined;
  return owner.as.kind === "node"
    ? `served by the node at ${owner.as.address}, pid ${owner.pid}`
    : `open on ${owner.as.threads} threads in the process with pid ${owner.pid}`;
}

/**
 * Lets `work` read the files of a store. Where a process has it open, that process keeps them in place meanwhile and
 * goes on working; `live` is undefined where none has.
 *
 * @throws LOCKED where a process has it open that does not answer; IO when the owner goes away meanwhile; ABORTED
 */
export async function withFiles<T>(
  store: string | Store,
  { signal, checkpoint = false }: AccessOptions,
  work: (live: LiveStore | undefined, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const directory = directoryOf(store);
  const never = new AbortController().signal;
  if (store instanceof EmbeddedStore) {
    if (checkpoint) await store.checkpoint({ ...(signal && { signal }) });
    const { writtenLsn, instant, release } = checkpoint ? await store.holdInstant(signal) : store.hold();
    try {
      return await work({ writtenLsn, instant }, signal ?? never);
    } finally {
      release();
    }
  }
  const { connectControl } = await import("../embedded/control-client.js");
  const client = await connectControl(directory);
  if (!client) {
    await demandClosed(directory);
    return work(undefined, signal ?? never);
  }
  const ended = new AbortController();
  try {
    let hold: Promise<unknown> | undefined;
    const live = await new Promise<LiveStore>((settle, reject) => {
      hold = client.ask(
        "hold",
        { checkpoint },
        {
          signal: signal ? AbortSignal.any([signal, ended.signal]) : ended.signal,
          aborted: "it was aborted; nothing was changed",
          onProgress: (progress) => {
            const { held } = (progress ?? {}) as HoldProgress;
            if (!held) return;
            const { writtenLsn, instant } = held;
            settle({
              writtenLsn,
              ...(instant && { instant: new Uint8Array(Buffer.from(instant, "base64")) }),
            });
          },
        },
      );
      hold.catch(reject);
    });
    const lost = new AbortController();
    // It ends only when the owner goes away, or when it is let go below.
    hold!.catch((cause) => lost.abort(cause));
    return await work(live, signal ? AbortSignal.any([signal, lost.signal]) : lost.signal);
  } finally {
    ended.abort();
    client.close();
  }
}

/** @throws LOCKED where `owner` names a process that is there */
export async function demandClosed(directory: string): Promise<void> {
  const owner = await livingOwner(directory);
  if (owner === undefined) return;
  if (owner.as) throw await lockedError(directory);
  throw new EmbershardError(
    "LOCKED",
    `${directory} is open in the process with pid ${owner.pid}, which does not answer: close it there. (If that process is another one, remove ${directory}/owner)`,
  );
}
