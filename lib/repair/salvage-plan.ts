// What a damaged store can be made of again: a manifest, an image for each of its pages, and the log from where those need it.
import { type Manifest, manifestKey } from "../shard/manifest.js";
import { encodePageKey } from "../shard/page-image.js";
import { decodeJson, RECORD } from "../shard/records.js";
import type { ArenaTable } from "../table/arena-table.js";
import type { Examination } from "./examination.js";
import type { LogChain } from "./log-chain.js";
import { currentEntry, type StoredEntry } from "./page-inventory.js";
import { imageFault, tablesOf } from "./verification.js";

/** A page that is not as the manifest names it. */
export interface MendedPage {
  readonly arena: number;
  readonly page: number;
  /** The generation that the manifest names. */
  readonly generation: number;
  /** The table that it is known to be of. */
  readonly table: ArenaTable | undefined;
  /** An older image of it; undefined: none, the page begins empty. */
  readonly image: StoredEntry | undefined;
  /** Every record from here on that touches it is needed. */
  readonly from: number;
}

export interface SalvagePlan {
  /** Undefined: a store that never had a checkpoint, or whose log begins at the beginning. */
  readonly manifest: Manifest | undefined;
  /** Whole images of the manifest. */
  readonly images: readonly StoredEntry[];
  /** Pages whose older image and log make up for the current one. */
  readonly mended: readonly MendedPage[];
  /** Pages that nothing makes up for. */
  readonly lost: readonly MendedPage[];
  /** The first record that is needed, and the one after the last that can be had. */
  readonly from: number;
  readonly goodLsn: number;
  /** The last record that is known to have been durable or to have been there. */
  readonly lastLsn: number;
}

/** Manifests that are whole: of checkpoints, newest first, then those of versions. */
function manifestsOf({ pages }: Examination): Manifest[] {
  const found = new Map<number, Manifest>();
  for (const { proof } of pages.entries.get(Buffer.from(manifestKey).toString("hex")) ?? [])
    if (proof.kind === "manifest" && !found.has(proof.manifest.generation))
      found.set(proof.manifest.generation, proof.manifest);
  const versions = [...pages.entries.values()]
    .map(([{ proof }]) => (proof.kind === "version" ? proof.manifest : undefined))
    .filter((manifest) => manifest !== undefined);
  return [
    ...[...found.values()].sort((a, b) => b.generation - a.generation),
    ...versions.sort((a, b) => b.lsn - a.lsn),
  ];
}

/** Which checkpoints the log knows of, and that they were no rollbacks: what led from one to the next is then in the log. */
export class CheckpointNotes {
  readonly #plain = new Set<number>();

  /** Reads all records that can be had. */
  static async read(chain: LogChain): Promise<CheckpointNotes> {
    const notes = new CheckpointNotes();
    for await (const { type, payload } of chain.all()) {
      if (type !== RECORD.checkpoint) continue;
      const { generation, version } = decodeJson(payload) as { generation: number; version?: string };
      if (version === undefined) notes.#plain.add(generation);
    }
    return notes;
  }

  /** Whether every checkpoint after `from`, up to `to`, inclusive, is known to be no rollback. */
  isLinear(from: number, to: number): boolean {
    for (let generation = from + 1; generation <= to; generation++)
      if (!this.#plain.has(generation)) return false;
    return true;
  }
}

/**
 * The best that can be made of a store: without loss where that can be; else of the newest manifest whose records can be
 * had up to its instant. Undefined where there is nothing to begin with.
 */
export async function planSalvage(
  found: Examination,
  chain: LogChain,
  lastLsn: number,
): Promise<SalvagePlan | undefined> {
  const notes = await CheckpointNotes.read(chain);
  const manifests = manifestsOf(found);
  const newest = currentEntry(found.pages, manifestKey);
  const generations = manifests.map(({ generation }) => generation);
  // A manifest that cannot be read may be that of any checkpoint, a rollback too.
  const unknown = newest && newest.proof.kind !== "manifest" ? 1 : 0;
  const last = Math.max(found.promised, ...generations) + unknown;
  const plans = manifests.map((manifest) => {
    const plan = planOf(found, chain, manifest, manifests, notes, lastLsn);
    // Beyond its instant the log may be that of another history.
    return notes.isLinear(manifest.generation, last)
      ? plan
      : { ...plan, goodLsn: Math.min(plan.goodLsn, manifest.lsn + 1) };
  });
  const fromLog: SalvagePlan = {
    manifest: undefined,
    images: [],
    mended: [],
    lost: [],
    from: 1,
    goodLsn: chain.reach(1),
    lastLsn,
  };
  if (notes.isLinear(0, last)) plans.push(fromLog);
  const possible = plans.filter(isPossible);
  return possible.find((plan) => isWhole(plan, found.promised)) ?? possible[0];
}

/** A checkpoint's instant is at the end of the records that belong to it. */
function isPossible({ manifest, goodLsn }: SalvagePlan): boolean {
  return manifest === undefined || goodLsn > manifest.lsn || manifest.lsn === 0;
}

/** Nothing is lost by it. Unlogged tables are those of the last checkpoint. */
function isWhole({ lost, goodLsn, lastLsn, manifest }: SalvagePlan, promised: number): boolean {
  return lost.length === 0 && goodLsn > lastLsn && (manifest?.generation ?? 0) >= promised;
}

function planOf(
  found: Examination,
  chain: LogChain,
  manifest: Manifest,
  all: readonly Manifest[],
  notes: CheckpointNotes,
  lastLsn: number,
): SalvagePlan {
  const tables = tablesOf(manifest);
  const images: StoredEntry[] = [];
  const mended: MendedPage[] = [];
  const lost: MendedPage[] = [];
  const begin = manifest.replayLsn + 1;
  const reach = chain.reach(begin);
  const earliest = chain.beginning(begin);
  const before = all.filter(
    ({ generation }) => generation < manifest.generation && notes.isLinear(generation, manifest.generation),
  );
  const fromNothing = notes.isLinear(0, manifest.generation) && [...tables.values()].every(isReplayable);
  for (const [arena, generations] of manifest.pages.entries()) {
    for (const [page, generation] of generations.entries()) {
      if (generation === 0) continue;
      const image = bestCopy(found, { generation, arena, page });
      if (image && imageFault(image, tables) === undefined) {
        images.push(image);
        continue;
      }
      const older = olderImage(found, before, { generation, arena, page }, tables);
      const mend: MendedPage = older ?? {
        arena,
        page,
        generation,
        table: undefined,
        image: undefined,
        from: 1,
      };
      if (mend.from >= earliest && (mend.image !== undefined || fromNothing)) mended.push(mend);
      else lost.push(mend);
    }
  }
  const from = mended.reduce((least, one) => Math.min(least, one.from), begin);
  return { manifest, images, mended, lost, from, goodLsn: reach, lastLsn };
}

/** What an unlogged table was between checkpoints no log knows. */
function isReplayable({ definition }: ArenaTable): boolean {
  return definition.logged;
}

/** The entry of an image with the greatest sequence, deletions aside; undefined where copies of it differ and none counts more. */
function bestCopy(
  { pages }: Examination,
  key: { generation: number; arena: number; page: number },
): StoredEntry | undefined {
  const copies = (pages.entries.get(Buffer.from(encodePageKey(key)).toString("hex")) ?? []).filter(
    ({ deletion }) => !deletion,
  );
  const newest = copies.reduce((most, { sequence }) => Math.max(most, sequence), -1);
  return copies.find(({ sequence, proof }) => sequence === newest && proof.kind === "page");
}

/** The newest older image of a page that a whole manifest names, and from where on the log makes up for the rest. */
function olderImage(
  found: Examination,
  manifests: readonly Manifest[],
  { generation, arena, page }: { generation: number; arena: number; page: number },
  tables: ReadonlyMap<number, ArenaTable>,
): MendedPage | undefined {
  let best: MendedPage | undefined;
  for (const manifest of manifests) {
    const older = manifest.pages[arena]?.[page] ?? 0;
    if (older === 0 || older >= generation) continue;
    const image = bestCopy(found, { generation: older, arena, page });
    if (image?.proof.kind !== "page" || imageFault(image, tables) !== undefined) continue;
    const table = tables.get(image.proof.header.table)!;
    if (!isReplayable(table)) continue;
    const from = Math.max(image.proof.header.lsn, manifest.replayLsn) + 1;
    if (!best || from > best.from) best = { arena, page, generation, table, image, from };
  }
  return best;
}
