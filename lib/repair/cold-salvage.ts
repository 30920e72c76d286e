// The cold rows of a store that has been made of what was whole: which are put there, and what has to say that others are missing.
import { join } from "node:path";
import type { TableDefinition } from "../api/table-definition.js";
import { EmbershardError } from "../base/errors.js";
import { createHashBlock } from "../kernel/hash-block.js";
import { countColdRows } from "../shard/cold-replay.js";
import { decodeKeptKey, encodeColdKey, encodeKeptKey } from "../shard/cold-values.js";
import { buildIndexes } from "../shard/index-building.js";
import { replayLog } from "../shard/log-replay.js";
import { encodeManifest, type Manifest, manifestKey } from "../shard/manifest.js";
import { loadPages, readManifest } from "../shard/page-loading.js";
import { containsRows } from "../shard/reading.js";
import type { Recovered } from "../shard/recovered.js";
import { writeVersionRoll } from "../shard/version-roll.js";
import { openLevelPageStore } from "../store/level-page-store.js";
import { readLog } from "../store/log-reader.js";
import { nodeFiles } from "../store/node-files.js";
import type { PageStore } from "../store/page-store.js";
import { readValue } from "./backup-store.js";
import { type ColdAccount, type ColdAccounts, newArenas } from "./cold-accounts.js";
import { keysInRemains, type StoredCold, storedCold } from "./cold-candidates.js";
import { type ColdCandidates, type ColdChoice, chooseCold } from "./cold-choice.js";
import { settleVersions } from "./cold-versions.js";
import type { Examination } from "./examination.js";
import { hiddenKeys } from "./hidden-keys.js";
import { isCold, type StoredEntry } from "./page-inventory.js";
import type { Loss } from "./report.js";
import type { SalvagePlan } from "./salvage-plan.js";
import { logFolder, pagesFolder } from "./shard-files.js";

/** Keys of lost rows that a report names, of one table. */
const mostKeys = 1000;
const batchBytes = 4 << 20;

const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What a shard is made of, as far as cold rows depend on it. */
export interface ColdSalvage {
  readonly found: Examination;
  readonly plan: SalvagePlan;
  readonly accounts: ColdAccounts;
  /** Keys of rows that are gone with pages, as far as records name them. */
  readonly lostKeys: ReadonlySet<bigint>;
}

/** A rollback whose cold rows are still to be put back needs all values: opening does it, or says what is missing. */
export function isRollingBack({ manifest }: SalvagePlan): boolean {
  return manifest?.coldRestore !== undefined;
}

/** Whole values of cold rows, kept ones too, as LevelDB has them. */
export function wholeColdValues({ pages }: Examination): StoredEntry[] {
  return [...pages.entries.values()]
    .map(([entry]) => entry)
    .filter(
      ({ key, proof, deletion, file }) => isCold(key) && !deletion && file.current && proof.kind === "cold",
    );
}

/**
 * Puts cold rows into a store that was made without them, has it do without those that are gone, and without versions that
 * needed them. Returns what is lost.
 *
 * @throws CORRUPT where what there is contradicts what the log says; OUT_OF_MEMORY, IO
 */
export async function settleColdRows(directory: string, salvage: ColdSalvage): Promise<Loss[]> {
  const { logIdentity } = salvage.found;
  const pages = await openLevelPageStore(join(directory, pagesFolder(logIdentity.shard)), { create: false });
  const files = nodeFiles(join(directory, logFolder(logIdentity.shard)));
  try {
    const manifest = await readManifest(pages);
    const identity = logIdentity;
    const from = (manifest?.replayLsn ?? 0) + 1;
    const reading = await readLog(files, { identity, createBlock: createHashBlock, from });
    const recovered = await loadPages(newArenas(), pages, manifest, {
      others: [],
      strays: false,
      final: false,
    });
    await replayLog(recovered, reading, pause);
    await buildIndexes(recovered, pause);
    const isCut = mayGoOn(salvage);
    const stored = await storedCold(salvage.found, lastLsn(salvage), !isCut);
    const losses: Loss[] = [];
    const chosen = new Map<number, ColdChoice>();
    for (const [number, account] of salvage.accounts) {
      const choice = await choose(salvage, recovered, stored, isCut, account);
      chosen.set(number, choice);
      if (choice.lostRows > 0) losses.push(lossOf(account.definition.name, choice));
    }
    await putValues(pages, salvage, recovered, stored, chosen);
    await noteColdRows(pages, recovered, manifest, salvage, chosen);
    const versions = await settleVersions(pages, lastLsn(salvage));
    if (versions.losses.length > 0) await writeVersionRoll(files, logIdentity, versions.left);
    return [...losses, ...versions.losses];
  } finally {
    await pages.close();
  }
}

function lastLsn({ plan }: ColdSalvage): number {
  return plan.goodLsn - 1;
}

/** Whether the files may have what was written behind the last record. */
function mayGoOn({ plan, found }: ColdSalvage): boolean {
  const written = [...found.pages.entries.values()].some(
    ([{ proof }]) => proof.kind === "cold" && proof.written >= plan.goodLsn,
  );
  return written || plan.goodLsn <= plan.lastLsn;
}

async function choose(
  salvage: ColdSalvage,
  recovered: Recovered,
  stored: StoredCold,
  isCut: boolean,
  account: ColdAccount,
): Promise<ColdChoice> {
  const { found, plan, lostKeys } = salvage;
  const { number } = account.definition;
  const [values, damaged] = [stored.values.get(number) ?? [], stored.damaged.get(number) ?? []];
  const { hides, hidesLater } = await hiddenKeys(found, plan);
  const remains = await keysInRemains(found, plan.lost, account.cold.table.recordBytes);
  const candidates: ColdCandidates = {
    values: notResident(recovered, account, values),
    damaged: notResident(recovered, account, damaged),
    onLostPages: plan.lost.length === 0 ? [] : remains.map((keys) => new Set([...keys, ...lostKeys])),
    pagesLost: plan.lost.length > 0,
    isHiding: hidesLater || found.pages.defects.length > 0,
    mayHide: (key) => (hidesLater && account.demoted.has(key)) || hides(encodeColdKey(number, key)),
    isCut,
    replayLsn: plan.manifest?.replayLsn ?? 0,
  };
  const choice = chooseCold(account, candidates);
  if (choice) return choice;
  throw contradiction(found.directory, account.definition);
}

/** Those whose keys have no row in the arenas, and are not among the deleted ones. */
function notResident<T extends { readonly key: bigint }>(
  { arenas, tables }: Recovered,
  { cold, definition }: ColdAccount,
  values: readonly T[],
  deleted: ReadonlyMap<bigint, number> = cold.deleted,
): T[] {
  const there = values.filter(({ key }) => !deleted.has(key));
  const keys = BigUint64Array.from(there, ({ key }) => key);
  const resident = new Uint8Array(keys.length);
  const table = tables.get(definition.name);
  if (table) containsRows(arenas, table, keys, resident);
  return there.filter((_, i) => resident[i] === 0);
}

/**
 * Puts the values that count, those that mean nothing there, since their rows are resident or deleted, but which versions may need, and
 * those that were kept. What would count, and does not, is kept until the last record; of later values there is nothing.
 */
async function putValues(
  pages: PageStore,
  salvage: ColdSalvage,
  recovered: Recovered,
  { values, kept }: StoredCold,
  chosen: ReadonlyMap<number, ColdChoice>,
): Promise<void> {
  const lsn = salvage.plan.goodLsn - 1;
  const put = batchesOf(pages);
  const today = new Set<StoredEntry>();
  for (const [number, some] of values) {
    const account = salvage.accounts.get(number);
    const counting = new Set(chosen.get(number)?.values);
    const gone = recovered.cold.get(number)?.deleted ?? new Map<bigint, number>();
    const open = new Set(account ? notResident(recovered, account, some, gone) : []);
    for (const value of some) {
      const { key, entry, from, written } = value;
      if (counting.has(value) || (from === "newest" && !open.has(value))) {
        today.add(entry);
        await put(encodeColdKey(number, key), await readValue(entry));
      } else if (from === "newest") {
        const at = account?.cold.deleted.get(key) ?? lsn;
        if (written < at) await put(encodeKeptKey({ table: number, key, at }), await readValue(entry));
      }
    }
  }
  for (const entry of kept) {
    const place = decodeKeptKey(entry.key)!;
    const at = Math.min(place.at, lsn);
    const written = entry.proof.kind === "cold" ? entry.proof.written : 0;
    if (!today.has(entry) && written < at) await put(encodeKeptKey({ ...place, at }), await readValue(entry));
  }
  await put();
}

/** Puts into batches, which are written once they are large; without a key, what is left. */
function batchesOf(pages: PageStore): (key?: Uint8Array, value?: Uint8Array) => Promise<void> {
  let batch = pages.batch();
  let bytes = 0;
  return async (key, value) => {
    if (key && value) batch.put(key, value);
    bytes += value?.length ?? 0;
    if (bytes === 0 || (key && bytes < batchBytes)) return;
    await batch.write();
    batch = pages.batch();
    bytes = 0;
  };
}

/** Has the manifest say how many cold rows there are: with what the log adds it must be those that count. @throws CORRUPT */
async function noteColdRows(
  pages: PageStore,
  recovered: Recovered,
  manifest: Manifest | undefined,
  { found: { directory }, accounts }: ColdSalvage,
  chosen: ReadonlyMap<number, ColdChoice>,
): Promise<void> {
  const { found } = await countColdRows(recovered, pages, pause);
  const notes = new Map((manifest?.cold ?? []).map((note) => [note.table, note]));
  const missing: TableDefinition[] = [];
  for (const [number, { definition }] of accounts) {
    const { rows, digest } = found.get(number) ?? { rows: 0, digest: 0n };
    const wanted = chosen.get(number)!.values;
    const sum = BigInt.asUintN(
      64,
      wanted.reduce((all, { checksum }) => all + checksum, 0n),
    );
    if (rows !== wanted.length || digest !== sum) throw contradiction(directory, definition);
    const replayed = recovered.cold.get(number) ?? { rows: 0, digest: 0n };
    if (replayed.rows === rows && replayed.digest === digest) continue;
    const note = notes.get(number) ?? { table: number, rows: 0, digest: "0" };
    notes.set(number, {
      table: number,
      rows: note.rows + rows - replayed.rows,
      digest: BigInt.asUintN(64, BigInt(note.digest) + digest - replayed.digest).toString(),
    });
    if (!manifest?.tables.some((table) => table.number === number)) missing.push(definition);
  }
  const tables = [...(manifest?.tables ?? []), ...missing];
  // One that comes and goes in the log has the name of another one.
  for (const { name } of missing)
    if (tables.filter((table) => table.name === name).length > 1) throw contradiction(directory, { name });
  const cold = [...notes.values()];
  if (JSON.stringify(cold) === JSON.stringify(manifest?.cold ?? [])) return;
  const batch = pages.batch();
  batch.put(manifestKey, encodeManifest({ ...(manifest ?? firstManifest), tables, cold }));
  await batch.write();
}

/** Of a store whose log begins at the beginning. */
const firstManifest: Omit<Manifest, "tables" | "cold"> = {
  generation: 1,
  replayLsn: 0,
  lsn: 0,
  at: 0,
  nextTable: 1,
  pages: [],
};

function contradiction(directory: string, { name }: Pick<TableDefinition, "name">): EmbershardError {
  return new EmbershardError(
    "CORRUPT",
    `${directory} cannot be repaired: the values of cold rows of table "${name}" contradict what its log says of them. Nothing was changed; restore a backup`,
  );
}

function lossOf(table: string, { lostRows, lostKeys }: ColdChoice): Loss {
  const named = lostKeys.slice(0, 8).join(", ") + (lostKeys.length > 8 ? ", ..." : "");
  const rows = `${lostRows} cold ${lostRows === 1 ? "row" : "rows"} of table "${table}" ${lostRows === 1 ? "is" : "are"} gone`;
  const which =
    lostKeys.length === lostRows
      ? named
      : lostKeys.length > lostRows
        ? `of ${lostKeys.length} keys nobody knows which had one of them: ${named}`
        : `their keys are not all known${lostKeys.length > 0 ? `: ${named}` : ""}`;
  return {
    kind: "cold row",
    tables: [table],
    rows: lostRows,
    keys: lostKeys.slice(0, mostKeys).map(String),
    message: `${rows}${lostKeys.length > lostRows ? "; " : ": "}${which}`,
  };
}
