// Which images of pages are still of use. An image is written once and never changed; it is deleted when neither the last
// checkpoint, nor a version, nor somebody who is reading refers to it.
import { PAGE_BYTES } from "../kernel/layout.js";
import { encodePageKey, type PageKey } from "./page-image.js";
import type { PageLedger } from "./page-ledger.js";
import type { ShardState } from "./shard-state.js";
import type { KnownVersion } from "./version.js";

/** The images of a ledger that neither the last checkpoint nor any version refers to. */
export function unusedOf(state: ShardState, ledger: PageLedger): PageKey[] {
  return [...ledger.entries()].filter(
    (key) => !state.ledger.has(key) && !isOfVersion(state.versions.values(), key),
  );
}

/** Keeps a ledger's images while they are read; call what it gives when that is over. */
export function holdImages(state: ShardState, ledger: PageLedger): () => void {
  const reader = { ledger };
  state.readers.add(reader);
  return () => void state.readers.delete(reader);
}

/** Deletes images that nothing refers to. Those that are being read go later. */
export async function clearGarbage(state: ShardState): Promise<void> {
  const readers = [...state.readers];
  const isRead = (key: PageKey) => readers.some(({ ledger }) => ledger?.has(key) === true);
  // Of a version whose manifest is damaged nobody knows what it refers to: nothing is deleted until it is.
  const unknown = [...state.versions.values()].some((version) => "damage" in version);
  const garbage = state.garbage.filter(
    (key) => !unknown && !state.ledger.has(key) && !isOfVersion(state.versions.values(), key),
  );
  const later = garbage.filter(isRead);
  state.garbage = later.length === 0 ? garbage : garbage.filter((key) => !isRead(key));
  try {
    while (state.garbage.length > 0) {
      const some = state.garbage.slice(0, 4096);
      const batch = state.pages.batch();
      for (const key of some) batch.del(encodePageKey(key));
      await batch.write();
      state.garbage.splice(0, some.length);
    }
  } finally {
    state.garbage.push(...later);
  }
}

/** Bytes of all images that something refers to, about: each is counted as a whole page. */
export function usedImageBytes(state: ShardState): number {
  let images = state.ledger.count();
  const seen: PageLedger[] = [state.ledger];
  for (const version of state.versions.values()) {
    if ("damage" in version) continue;
    for (const key of version.ledger.entries()) if (!seen.some((ledger) => ledger.has(key))) images++;
    seen.push(version.ledger);
  }
  return images * PAGE_BYTES;
}

/** Bytes of images that only versions refer to, each counted as a whole page. */
export function versionBytes(state: ShardState): number {
  return usedImageBytes(state) - state.ledger.count() * PAGE_BYTES;
}

function isOfVersion(versions: Iterable<KnownVersion>, key: PageKey): boolean {
  for (const version of versions) if (!("damage" in version) && version.ledger.has(key)) return true;
  return false;
}
