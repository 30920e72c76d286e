// Images are read from the page store's files straight to where their pages belong: no copy, and no memory but the arena's.
import { PAGE_BYTES } from "../kernel/layout.js";
import type { PageStore, PlacedValues, ValuePlace } from "../store/page-store.js";
import type { Arena } from "../table/arena.js";
import { claimAndLoad, claimInPlace, wantedKey } from "./page-claiming.js";
import { type PageKey, pageHeaderBytes } from "./page-image.js";
import type { Recovered } from "./recovered.js";

/** Reads at once: as many as libuv has threads. While they copy, rows that are there are checked. */
const readsAtOnce = 4;

interface WantedImage {
  readonly place: ValuePlace;
  readonly key: PageKey;
}

/**
 * Brings current pages into the arenas and closes the files. Returns how many; others become garbage.
 *
 * @throws CORRUPT naming the page, OUT_OF_MEMORY, IO
 */
export async function takePlaced(
  recovered: Recovered,
  pages: Pick<PageStore, "get">,
  placed: PlacedValues,
): Promise<number> {
  try {
    const direct: WantedImage[] = [];
    const later: WantedImage[] = [];
    for (const place of placed.places) {
      const key = wantedKey(recovered, place.key);
      if (key)
        (fitsInPlace(recovered.arenas.all[key.arena], key, place) ? direct : later).push({ place, key });
    }
    const wanted = direct.length + later.length;
    later.push(...(await readInPlace(recovered, placed, direct)));
    // Only now: memory that is read into must not grow.
    for (const indexing of recovered.indexing ?? []) indexing.mayGrow();
    for (const { place, key } of later) {
      const value = new Uint8Array(place.length);
      const there = await placed.read(place, [value]);
      const known = there ? value : await pages.get(place.key);
      claimAndLoad(recovered, recovered.arenas.all[key.arena], key, known);
    }
    return wanted;
  } finally {
    await placed.close();
  }
}

/** Whether the image is a header and rows for which there is memory already. */
function fitsInPlace(arena: Arena, { page }: PageKey, { length }: ValuePlace): boolean {
  const bodyBytes = length - pageHeaderBytes;
  return (
    bodyBytes > 0 &&
    bodyBytes <= PAGE_BYTES &&
    page >= arena.firstPage &&
    (page + 1) * PAGE_BYTES <= arena.bytes.length
  );
}

/** Returns those that were not where they were said to be. */
async function readInPlace(
  recovered: Recovered,
  placed: PlacedValues,
  images: readonly WantedImage[],
): Promise<WantedImage[]> {
  const missed: WantedImage[] = [];
  let next = 0;
  const lane = async () => {
    const header = new Uint8Array(pageHeaderBytes);
    try {
      while (next < images.length) {
        const { place, key } = images[next++];
        const arena = recovered.arenas.all[key.arena];
        const rows = arena.pageBytes(key.page, place.length - pageHeaderBytes);
        if (await placed.read(place, [header, rows]))
          claimInPlace(recovered, arena, key, header, place.length);
        else missed.push({ place, key });
      }
    } catch (error) {
      next = images.length;
      throw error;
    }
  };
  // All of them: nobody may read into the arena, or from the files, when this is over.
  const ended = await Promise.allSettled(Array.from({ length: readsAtOnce }, lane));
  for (const one of ended) if (one.status === "rejected") throw one.reason;
  return missed;
}
