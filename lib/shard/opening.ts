import type { Clock } from "../base/clock.js";
import { EmbershardError } from "../base/errors.js";
import type { BlockFactory } from "../base/hash-block.js";
import { createHashBlock } from "../kernel/hash-block.js";
import { readMarkFile } from "../store/durable-mark.js";
import type { Files } from "../store/files.js";
import type { LogIdentity } from "../store/log-format.js";
import { readLogRange } from "../store/log-range.js";
import { readLog } from "../store/log-reader.js";
import type { PageStore } from "../store/page-store.js";
import { openSegmentLog } from "../store/segment-log.js";
import type { ArenaOptions } from "../table/arena.js";
import type { ArenaTable } from "../table/arena-table.js";
import { ArenaSet } from "./arena-set.js";
import type { CheckpointPolicy } from "./checkpointing.js";
import { ColdKeeping } from "./cold-keeping.js";
import { checkColdRows } from "./cold-replay.js";
import { restoreColdRows } from "./cold-restoring.js";
import { coldRowsOf } from "./cold-rows.js";
import { keptKeysOf } from "./cold-values.js";
import { usualFoldPages } from "./folding.js";
import { clearGarbage } from "./image-use.js";
import { buildIndexes } from "./index-building.js";
import { Interruption } from "./interruption.js";
import { LogReplay } from "./log-replay.js";
import { encodeManifest, type Manifest, manifestKey } from "./manifest.js";
import type { PageLedger } from "./page-ledger.js";
import { loadPages, readManifest } from "./page-loading.js";
import type { Recovered } from "./recovered.js";
import type { ShardState } from "./shard-state.js";
import { type KnownVersion, readVersions } from "./version.js";
import { readVersionRoll, writeVersionRoll } from "./version-roll.js";

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
  /** Make kernels, and blocks for the log; each over new memory unless given. */
  readonly kernel?: ArenaOptions["kernel"];
  readonly createBlock?: BlockFactory | undefined;
  readonly logBufferBytes?: number | undefined;
  readonly segmentBytes?: number | undefined;
  readonly checkpoint: CheckpointPolicy | undefined;
  /** Versions that there may be after making one, unless it says otherwise. */
  readonly keepVersions?: number | undefined;
  /** Pages that making a version has in memory at once; as many as fit 256 MiB unless given. */
  readonly foldPages?: number | undefined;
  /** Bytes of rows that comparing versions has in memory at once; 64 MiB unless given. */
  readonly leftoverBytes?: number | undefined;
  /** Rows that a table with a limit of memory may have in it; what fits the limit, unless given. */
  readonly hotRows?: ((table: ArenaTable) => number) | undefined;
  /** A worker that has not been seen for so long is forgotten; an hour unless given. */
  readonly workerExpiryMs?: number | undefined;
  /** Let no row go, whatever tables say: for who copies a shard. */
  readonly keepsAll?: boolean | undefined;
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
  const { files, pages, identity, clock, nonce, pause, kernel, createBlock = createHashBlock } = options;
  const arenas = new ArenaSet({ limitBytes: options.arenaBytes, hugePages: options.hugePages, kernel });
  const manifest = await readManifest(pages);
  const from = (manifest?.replayLsn ?? 0) + 1;
  // First: without its manifest a page store looks as if the log had lost its beginning.
  const { mark } = await readMarkFile(files, createBlock, identity);
  if (mark) demandCheckpoint(mark.generation, manifest);
  const reading = await readLog(files, {
    identity,
    createBlock,
    from,
    mayBeNew: options.mayBeNew,
  });
  demandCheckpoint(reading.mark.generation, manifest);
  const { names: expectedVersions } = await readVersionRoll(files, identity);
  const versions = await readVersions(pages, expectedVersions);
  const others = ledgersOf(versions.values());
  const replay = await LogReplay.begin(reading);
  const final = replay.isIdle;
  const recovered = await loadPages(arenas, pages, manifest, { others, strays: true, final }).catch(
    async (error: unknown) => {
      await replay.close();
      throw error;
    },
  );
  await replay.apply(recovered, pause);
  const { end } = reading;
  if (manifest && end.nextLsn <= manifest.lsn) {
    throw new EmbershardError(
      "CORRUPT",
      `the log ends at LSN ${end.nextLsn - 1}, before the instant ${manifest.lsn} of checkpoint ${manifest.generation}`,
    );
  }
  await buildIndexes(recovered, pause);
  if (manifest?.coldRestore) await endRestore(recovered, pages, manifest, versions, pause);
  const coldRemains = await checkColdRows(recovered, pages, pause);
  const keeping = new ColdKeeping();
  for await (const _ of pages.entries(keptKeysOf({ from: 0, to: Number.MAX_SAFE_INTEGER }))) {
    keeping.stale.push({ from: 0, to: Number.MAX_SAFE_INTEGER });
    break;
  }
  const log = await openSegmentLog({
    files,
    identity,
    createBlock: options.createBlock ?? ((bytes) => createHashBlock(bytes, options.hugePages)),
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
    records: (from, to) => readLogRange(files, { identity, createBlock, from, to }),
    pages,
    cold: recovered.cold,
    coldRemains,
    clock,
    pause,
    ledger: recovered.ledger,
    committed: manifest && { ...manifest, pages: recovered.ledger.count() },
    mark: recovered.mark,
    sequences: recovered.sequences,
    time: recovered.time,
    nextTable: recovered.nextTable,
    keepsAll: options.keepsAll,
    retired: recovered.retired,
    draining: false,
    held: false,
    broken: undefined,
    garbage: recovered.garbage,
    versions,
    version: undefined,
    readers: new Set(),
    keeping,
    leftoverBytes: options.leftoverBytes,
    expectedVersions,
    noteVersions: (names) => writeVersionRoll(files, identity, names),
    foldPages: options.foldPages ?? usualFoldPages,
    lastGeneration: Math.max(
      manifest?.generation ?? 0,
      ...[...versions.values()].map((version) => ("damage" in version ? 0 : version.manifest.generation)),
      recovered.garbage.reduce((most, { generation }) => Math.max(most, generation), 0),
    ),
  };
  await clearGarbage(state);
  return { state, replayed: recovered.records };
}

/** Does what a rollback that was cut short has left to do. */
async function endRestore(
  recovered: Recovered,
  pages: PageStore,
  manifest: Manifest,
  versions: Map<string, KnownVersion>,
  pause: () => Promise<void>,
): Promise<void> {
  for (const table of recovered.tables.values()) coldRowsOf(recovered.cold, table);
  const { arenas, cold } = recovered;
  await restoreColdRows({ arenas, cold, pages, pause, versions, readers: new Set() }, manifest.coldRestore!);
  const commit = pages.batch();
  commit.put(manifestKey, encodeManifest({ ...manifest, coldRestore: undefined }));
  await commit.write();
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

function ledgersOf(versions: Iterable<KnownVersion>): PageLedger[] {
  return [...versions].flatMap((version) => ("damage" in version ? [] : [version.ledger]));
}
