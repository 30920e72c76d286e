// The cold rows of a store that has been made of what was whole: which are missing there, and what has to say that they are.
import { join } from "node:path";
import { EmbershardError } from "../base/errors.js";
import { createHashBlock } from "../kernel/hash-block.js";
import { MAX_PAGES, PAGE_BYTES } from "../kernel/layout.js";
import { ArenaSet } from "../shard/arena-set.js";
import { countColdRows } from "../shard/cold-replay.js";
import { decodeColdKey, valueHeaderBytes } from "../shard/cold-values.js";
import { buildIndexes } from "../shard/index-building.js";
import { replayLog } from "../shard/log-replay.js";
import { encodeManifest, manifestKey } from "../shard/manifest.js";
import { loadPages, readManifest } from "../shard/page-loading.js";
import { containsRows } from "../shard/reading.js";
import type { Recovered } from "../shard/recovered.js";
import { encodeVersionKey, readVersions } from "../shard/version.js";
import { recoverVersion } from "../shard/version-recovery.js";
import { writeVersionRoll } from "../shard/version-roll.js";
import { openLevelPageStore } from "../store/level-page-store.js";
import { readLog } from "../store/log-reader.js";
import { nodeFiles } from "../store/node-files.js";
import type { PageStore } from "../store/page-store.js";
import { readValue } from "./backup-store.js";
import type { Examination } from "./examination.js";
import { isCold, type StoredEntry } from "./page-inventory.js";
import type { Loss } from "./report.js";
import type { SalvagePlan } from "./salvage-plan.js";
import { logFolder, pagesFolder } from "./shard-files.js";

/** Keys of lost rows that a report names, of one table. */
const mostKeys = 1000;

const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A row whose value is damaged, and the checksum that stands in it. */
export interface DamagedRow {
  readonly table: number;
  readonly key: bigint;
  readonly checksum: bigint;
}

/** Values of cold rows that are whole, kept ones too, and the rows whose values are not. @throws IO */
export async function coldValuesOf({ pages }: Examination): Promise<{
  whole: StoredEntry[];
  damaged: DamagedRow[];
}> {
  const whole: StoredEntry[] = [];
  const damaged: DamagedRow[] = [];
  for (const [entry] of pages.entries.values()) {
    const { key, proof, deletion, file, bytes } = entry;
    if (!isCold(key) || deletion || !file.current) continue;
    const row = decodeColdKey(key);
    if (proof.kind === "cold") whole.push(entry);
    else if (row && bytes >= valueHeaderBytes) {
      const value = await readValue(entry);
      const view = new DataView(value.buffer, value.byteOffset, value.length);
      damaged.push({ ...row, checksum: view.getBigUint64(8, true) });
    }
  }
  return { whole, damaged };
}

/**
 * With cold rows pages and log must be whole: where rows of a page are lost, or the end of the log, nobody knows which values
 * are those that count.
 *
 * @throws UNSUPPORTED
 */
export function demandOnlyCold(
  { directory }: Examination,
  { manifest, mended, lost }: SalvagePlan,
  losses: readonly Loss[],
): void {
  const whole =
    manifest !== undefined &&
    manifest.coldRestore === undefined &&
    mended.length === 0 &&
    lost.length === 0 &&
    !losses.some(({ kind }) => kind === "records" || kind === "checkpoint");
  if (whole) return;
  throw new EmbershardError(
    "UNSUPPORTED",
    `${directory} cannot be repaired: it has tables larger than their memory, and more is damaged than values of their cold rows and versions. Nothing was changed; restore a backup`,
  );
}

/**
 * Has a store that was made without damaged values of cold rows do without their rows, and without versions that needed
 * them. Returns what is lost.
 *
 * @throws UNSUPPORTED where values are missing that no damage explains; CORRUPT, OUT_OF_MEMORY, IO
 */
export async function settleColdRows(
  directory: string,
  { logIdentity }: Examination,
  damaged: readonly DamagedRow[],
): Promise<Loss[]> {
  const pages = await openLevelPageStore(join(directory, pagesFolder(logIdentity.shard)), { create: false });
  try {
    const manifest = await readManifest(pages);
    const reading = await readLog(nodeFiles(join(directory, logFolder(logIdentity.shard))), {
      identity: logIdentity,
      createBlock: createHashBlock,
      from: (manifest?.replayLsn ?? 0) + 1,
    });
    const recovered = await loadPages(arenas(), pages, manifest, { others: [], strays: false, final: false });
    await replayLog(recovered, reading, pause);
    await buildIndexes(recovered, pause);
    const { found } = await countColdRows(recovered, pages, pause);
    const notes = new Map((manifest?.cold ?? []).map((note) => [note.table, note]));
    const losses: Loss[] = [];
    for (const [number, cold] of recovered.cold) {
      const { rows, digest } = found.get(number) ?? { rows: 0, digest: 0n };
      const lost = lostOf(recovered, number, damaged);
      const less = lost.reduce((sum, { checksum }) => sum + checksum, 0n);
      const addsUp = BigInt.asUintN(64, digest + less) === cold.digest;
      if (rows + lost.length !== cold.rows || !addsUp)
        throw new EmbershardError(
          "UNSUPPORTED",
          `${directory} cannot be made: ${cold.rows - rows} cold rows of table "${cold.table.definition.name}" are missing, ${lost.length} damaged values are known, and with them they do not add up. Nothing was changed; restore a backup`,
        );
      if (lost.length === 0) continue;
      const note = notes.get(number) ?? { table: number, rows: 0, digest: "0" };
      notes.set(number, {
        table: number,
        rows: note.rows - lost.length,
        digest: BigInt.asUintN(64, BigInt(note.digest) - less).toString(),
      });
      losses.push(
        lossOf(
          cold.table.definition.name,
          lost.map(({ key }) => key),
        ),
      );
    }
    if (losses.length > 0) {
      const batch = pages.batch();
      batch.put(manifestKey, encodeManifest({ ...manifest!, cold: [...notes.values()] }));
      await batch.write();
    }
    const versions = await settleVersions(pages);
    if (versions.losses.length > 0)
      await writeVersionRoll(
        nodeFiles(join(directory, logFolder(logIdentity.shard))),
        logIdentity,
        versions.left,
      );
    return [...losses, ...versions.losses];
  } finally {
    await pages.close();
  }
}

function arenas(): ArenaSet {
  return new ArenaSet({ limitBytes: MAX_PAGES * PAGE_BYTES, hugePages: "off" });
}

/** Damaged values that count. */
function lostOf(
  { arenas: set, cold }: Recovered,
  number: number,
  damaged: readonly DamagedRow[],
): DamagedRow[] {
  const rows = cold.get(number)!;
  const some = damaged.filter(({ table, key }) => table === number && !rows.deleted.has(key));
  const resident = new Uint8Array(some.length);
  const keys = BigUint64Array.from(some, ({ key }) => key);
  containsRows(set, rows.table, keys, resident);
  return some.filter((_, i) => resident[i] === 0);
}

function lossOf(table: string, keys: readonly bigint[]): Loss {
  const named = keys.slice(0, 8).join(", ") + (keys.length > 8 ? ", ..." : "");
  return {
    kind: "cold row",
    tables: [table],
    keys: keys.slice(0, mostKeys).map(String),
    message: `${keys.length} cold ${keys.length === 1 ? "row" : "rows"} of table "${table}" ${keys.length === 1 ? "is" : "are"} gone: ${named}`,
  };
}

/** Takes out versions whose cold rows are not whole, and names those that are left. */
async function settleVersions(pages: PageStore): Promise<{ losses: Loss[]; left: string[] }> {
  const losses: Loss[] = [];
  const left: string[] = [];
  const clock = { now: () => 0, elapsed: () => 0, after: () => () => {} };
  for (const version of (await readVersions(pages, [])).values()) {
    left.push(version.name);
    if ("damage" in version || !version.manifest.cold) continue;
    try {
      await recoverVersion({ pages, arenas: arenas(), clock, pause, others: [] }, version);
    } catch (error) {
      if (!(error instanceof EmbershardError) || error.code !== "CORRUPT") throw error;
      const batch = pages.batch();
      batch.del(encodeVersionKey(version.name));
      await batch.write();
      left.pop();
      losses.push({
        kind: "version",
        version: version.name,
        message: `version "${version.name}" is gone: a cold row of it is damaged`,
      });
    }
  }
  return { losses, left };
}
