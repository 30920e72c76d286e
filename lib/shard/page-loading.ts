// Recovery, first part: the manifest and the pages that it names. Whatever does not add up is reported.
import { EmbershardError } from "../base/errors.js";
import { KIND_ROWS } from "../kernel/layout.js";
import type { PageStore, ValuePlace } from "../store/page-store.js";
import type { ArenaSet } from "./arena-set.js";
import { beginColdRows } from "./cold-replay.js";
import { beginHandOver } from "./hand-over.js";
import { beginIndexes } from "./index-building.js";
import { decodeManifest, type Manifest, manifestKey } from "./manifest.js";
import { claimAndLoad, wantedKey } from "./page-claiming.js";
import { decodePageKey, pageHeaderBytes } from "./page-image.js";
import { PageLedger } from "./page-ledger.js";
import { rangesToRead } from "./page-ranges.js";
import { takePlaced } from "./placed-pages.js";
import { beginRecovered, type Recovered, tableOf } from "./recovered.js";
import { Sequences } from "./sequences.js";

/** The manifest, or undefined in a store that never had a checkpoint. @throws CORRUPT, NEWER_FORMAT, IO */
export async function readManifest(pages: PageStore): Promise<Manifest | undefined> {
  const value = await pages.get(manifestKey);
  return value && decodeManifest(value);
}

/** Which images are there besides those that are wanted. */
export interface OtherImages {
  readonly others: readonly PageLedger[];
  /** Whether to look for images that nothing refers to. */
  readonly strays: boolean;
  /** Whether images are rows as they will be: no log changes them. Then they are indexed as they come. */
  readonly final: boolean;
}

/**
 * Brings pages into the arenas. Each value must be the page that its key says, and every page of the manifest must be
 * there.
 *
 * @throws CORRUPT naming the page.
 */
export async function loadPages(
  arenas: ArenaSet,
  pages: PageStore,
  manifest: Manifest | undefined,
  { others, strays, final }: OtherImages,
): Promise<Recovered> {
  for (let i = 0; i < Math.max(1, manifest?.pages.length ?? 1); i++) arenas.add();
  if (manifest?.arenaOf) arenas.arenaOf.set(Buffer.from(manifest.arenaOf, "base64"));
  const recovered = beginRecovered(arenas, manifest, {
    ledger: new PageLedger(manifest?.pages),
    mark: manifest?.mark === undefined ? undefined : new Uint8Array(Buffer.from(manifest.mark, "base64")),
    sequences: Sequences.of(manifest?.workers, manifest?.lsn ?? 0),
  });
  for (const { number, step, epoch } of manifest?.progress ?? []) {
    const table = tableOf(recovered, number)!;
    [table.highestStep, table.epoch] = [step, epoch];
  }
  beginColdRows(recovered);
  // The index over the rows takes an eighth more where rows are small, less elsewhere; numbers without an image are free for it.
  for (const [number, generations] of (manifest?.pages ?? []).entries()) {
    const images = generations.reduce((sum, generation) => sum + (generation ? 1 : 0), 0);
    const arena = arenas.all[number];
    arena.expectPages(Math.max(generations.length, arena.firstPage + Math.ceil(1.125 * images)));
  }
  let loaded = 0;
  const ranges = rangesToRead(recovered.ledger, others, { strays });
  const placed = await pages.place?.(ranges);
  if (final) beginIndexes(recovered, placed && imageBytesOf(recovered, placed.places));
  if (placed) loaded += await takePlaced(recovered, pages, placed);
  // Where several threads read into the arenas they fetch the memory, too: another one only took processors from them.
  else for (const arena of arenas.all) arena.fetchExpected();
  for (const range of placed ? [] : ranges) {
    for await (const entries of pages.entries(range))
      for (const { key, value } of entries) loaded += takePage(recovered, key, value);
  }
  const expected = recovered.ledger.count();
  if (loaded !== expected)
    throw new EmbershardError(
      "CORRUPT",
      `${expected - loaded} of ${expected} pages of checkpoint ${manifest?.generation} are missing: ${missing(recovered)}`,
    );
  if (manifest?.handOver) beginHandOver(arenas, manifest.handOver);
  return recovered;
}

/** Bytes of the current images of each arena. */
function imageBytesOf({ arenas, ledger }: Recovered, places: readonly ValuePlace[]): number[] {
  const bytes = arenas.all.map(() => 0);
  for (const { key, length } of places) {
    const page = decodePageKey(key);
    if (page && ledger.has(page)) bytes[page.arena] += length - pageHeaderBytes;
  }
  return bytes;
}

/** Returns 1 when the value is a current page, 0 when nothing refers to it. */
function takePage(recovered: Recovered, keyBytes: Uint8Array, value: Uint8Array): number {
  const key = wantedKey(recovered, keyBytes);
  if (!key) return 0;
  claimAndLoad(recovered, recovered.arenas.all[key.arena], key, value);
  return 1;
}

function missing(recovered: Recovered): string {
  const gone = [...recovered.ledger.entries()].filter(
    ({ arena, page }) => recovered.arenas.all[arena].pageKind(page) !== KIND_ROWS,
  );
  const named = gone.slice(0, 4).map(({ arena, page }) => `page ${page} of arena ${arena}`);
  return named.join(", ") + (gone.length > named.length ? ", ..." : "");
}
