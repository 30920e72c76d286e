import type { Clock } from "../base/clock.js";
import { EmbershardError } from "../base/errors.js";
import { createHashBlock } from "../kernel/hash-block.js";
import { readMarkFile } from "../store/durable-mark.js";
import type { Files } from "../store/files.js";
import type { LogIdentity } from "../store/log-format.js";
import { readLog } from "../store/log-reader.js";
import type { PageStore } from "../store/page-store.js";
import { openSegmentLog } from "../store/segment-log.js";
import { ArenaSet } from "./arena-set.js";
import { clearGarbage } from "./checkpoint.js";
import type { CheckpointPolicy } from "./checkpointing.js";
import { buildIndexes } from "./index-building.js";
import { Interruption } from "./interruption.js";
import { replayLog } from "./log-replay.js";
import type { Manifest } from "./manifest.js";
import { loadPages, readManifest } from "./page-loading.js";
import type { ShardState } from "./shard-state.js";

export interface ShardOptions {
  readonly files: Files;
  readonly pages: PageStore;
  readonly identity: LogIdentity;
  readonly clock: Clock;
  /** 64 random bits, different at each call. */
  readonly nonce: () => bigint;
  /** Lets others run: resolves in a later turn of the event loop. */
  readonly pause: () => Promise<void>;
  readonly arenaBytes: number;
  readonly hugePages: "auto" | "off";
  readonly logBufferBytes?: number | undefined;
  readonly segmentBytes?: number | undefined;
  readonly checkpoint: CheckpointPolicy | undefined;
  /** The directory may have no log yet: it has just been made. */
  readonly mayBeNew: boolean;
}

/** A shard as its directory has it. */
export interface OpenedShard {
  readonly state: ShardState;
  /** Records that were replayed. */
  readonly replayed: number;
}

/**
 * Recovers what the directory holds and opens the log for more; `onFailure` is told when the log fails later.
 *
 * @throws CORRUPT, NEWER_FORMAT, OUT_OF_MEMORY, IO
 */
export async function recoverShard(
  options: ShardOptions,
  onFailure: (error: EmbershardError) => void,
): Promise<OpenedShard> {
  const { files, pages, identity, clock, nonce, pause } = options;
  const arenas = new ArenaSet({ limitBytes: options.arenaBytes, hugePages: options.hugePages });
  const manifest = await readManifest(pages);
  const from = (manifest?.replayLsn ?? 0) + 1;
  // First: without its manifest a page store looks as if the log had lost its beginning.
  const { mark } = await readMarkFile(files, createHashBlock, identity);
  if (mark) demandCheckpoint(mark.generation, manifest);
  const reading = await readLog(files, {
    identity,
    createBlock: createHashBlock,
    from,
    mayBeNew: options.mayBeNew,
  });
  demandCheckpoint(reading.mark.generation, manifest);
  const recovered = await loadPages(arenas, pages, manifest);
  await replayLog(recovered, reading, pause);
  const { end } = reading;
  if (manifest && end.nextLsn <= manifest.lsn) {
    throw new EmbershardError(
      "CORRUPT",
      `the log ends at LSN ${end.nextLsn - 1}, before the instant ${manifest.lsn} of checkpoint ${manifest.generation}`,
    );
  }
  await buildIndexes(recovered, pause);
  const log = await openSegmentLog({
    files,
    identity,
    createBlock: createHashBlock,
    nonce,
    end,
    onFailure,
    ...(options.logBufferBytes && { logBufferBytes: options.logBufferBytes }),
    ...(options.segmentBytes && { segmentBytes: options.segmentBytes }),
  });
  const state: ShardState = {
    arenas,
    tables: recovered.tables,
    log,
    logWaits: new Interruption(),
    pages,
    clock,
    pause,
    ledger: recovered.ledger,
    committed: manifest && { ...manifest, pages: recovered.ledger.count() },
    mark: recovered.mark,
    nextTable: recovered.nextTable,
    retired: recovered.retired,
    draining: false,
    broken: undefined,
    garbage: recovered.garbage,
  };
  await clearGarbage(state);
  return { state, replayed: recovered.records };
}

/** @throws CORRUPT when a checkpoint that was durable is not the page store's */
function demandCheckpoint(durable: number, manifest: Manifest | undefined): void {
  const found = manifest?.generation ?? 0;
  if (durable <= found) return;
  throw new EmbershardError(
    "CORRUPT",
    `the log knows of checkpoint ${durable}, the page store of ${found || "none"}: its manifest is lost or older; \`embershard verify\` says what is damaged, \`embershard repair\` what can be had`,
  );
}
