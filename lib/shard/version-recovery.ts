// A version in memory: its images in arenas of their own, as at recovery, but without a log.
import type { Clock } from "../base/clock.js";
import { EmbershardError } from "../base/errors.js";
import type { LogRecord } from "../store/log-reader.js";
import type { PageStore } from "../store/page-store.js";
import type { ArenaSet } from "./arena-set.js";
import { adoptColdRows } from "./cold-adopting.js";
import { ColdKeeping, holdColdAt } from "./cold-keeping.js";
import { type PastRows, readPastRows } from "./cold-past.js";
import { coldRowsOf } from "./cold-rows.js";
import { usualFoldPages } from "./folding.js";
import { holdImages } from "./image-use.js";
import { buildIndexes } from "./index-building.js";
import { Interruption } from "./interruption.js";
import { endedLog, noPages } from "./no-log.js";
import type { PageLedger } from "./page-ledger.js";
import { loadPages } from "./page-loading.js";
import type { Recovered } from "./recovered.js";
import type { ShardState } from "./shard-state.js";
import type { Version } from "./version.js";

/** Where a version comes from and what it is brought to. */
export interface VersionSource {
  readonly pages: PageStore;
  /** Empty. */
  readonly arenas: ArenaSet;
  readonly clock: Clock;
  readonly pause: () => Promise<void>;
  /** Ledgers of other images that are there. */
  readonly others: readonly PageLedger[];
}

/** Brings the pages of a version into memory, and reads its cold rows, for `use`. @throws CORRUPT naming the version and the page, OUT_OF_MEMORY, IO */
export async function recoverVersion(
  { pages, arenas, pause, others }: VersionSource,
  { name, manifest }: Version,
  use?: (recovered: Recovered, rows: PastRows) => Promise<void>,
): Promise<Recovered> {
  try {
    const recovered = await loadPages(arenas, pages, manifest, { others, strays: false, final: true });
    await buildIndexes(recovered, pause);
    for (const table of recovered.tables.values()) coldRowsOf(recovered.cold, table);
    if (recovered.cold.size > 0) {
      const instant = { lsn: manifest.lsn, notes: manifest.cold ?? [] };
      await readPastRows(recovered, pages, instant, pause, use && ((rows) => use(recovered, rows)));
    }
    return recovered;
  } catch (error) {
    if (!(error instanceof EmbershardError)) throw error;
    throw new EmbershardError(error.code, `version "${name}": ${error.message}`, { cause: error });
  }
}

/** A shard's state that is a version, for reading. It needs neither page store nor log once it is there. */
export async function readVersion(source: VersionSource, version: Version): Promise<ShardState> {
  const { clock, pause } = source;
  const { manifest } = version;
  const recovered = await recoverVersion(source, version, ({ arenas }, rows) =>
    adoptColdRows(arenas, rows, pause),
  );
  return {
    arenas: recovered.arenas,
    tables: recovered.tables,
    log: endedLog(manifest.lsn, manifest.generation),
    records: noRecords,
    logWaits: new Interruption(),
    pages: noPages,
    clock,
    pause,
    ledger: recovered.ledger,
    committed: { ...manifest, pages: recovered.ledger.count() },
    mark: recovered.mark,
    sequences: recovered.sequences,
    time: recovered.time,
    nextTable: recovered.nextTable,
    retired: [],
    draining: false,
    held: false,
    broken: undefined,
    garbage: [],
    // All rows are in memory.
    cold: new Map(),
    coldRemains: [],
    versions: new Map(),
    version: version.name,
    readers: new Set(),
    keeping: new ColdKeeping(),
    foldPages: usualFoldPages,
    leftoverBytes: undefined,
    expectedVersions: [],
    noteVersions: async () => {},
    lastGeneration: manifest.generation,
  };
}

async function* noRecords(): AsyncGenerator<readonly LogRecord[]> {}

/** A version of a live shard in memory of its own. The shard may go on, and even delete it. @throws as recoverVersion */
export async function readVersionBeside(state: ShardState, version: Version): Promise<ShardState> {
  const release = holdVersion(state, version);
  try {
    const { pages, clock, pause } = state;
    return await readVersion(
      { pages, arenas: state.arenas.sibling(), clock, pause, others: othersOf(state) },
      version,
    );
  } finally {
    release();
  }
}

/** All ledgers that a shard knows. */
export function othersOf({ ledger, versions }: ShardState): PageLedger[] {
  return [ledger, ...[...versions.values()].flatMap((one) => ("ledger" in one ? [one.ledger] : []))];
}

/** Keeps what a version consists of while it is read; call what it gives when that is over. */
export function holdVersion(state: ShardState, { ledger, manifest }: Version): () => void {
  const releases = [holdImages(state, ledger)];
  if (manifest.cold) releases.push(holdColdAt(state, manifest.lsn));
  return () => {
    for (const release of releases) release();
  };
}
