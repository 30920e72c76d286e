// What can be told of a page that cannot be had, though nothing proves it: its table, and the keys of its rows.
import { decodePageKey, type PageHeader, type PageKey, pageHeaderBytes } from "../shard/page-image.js";
import type { ArenaTable } from "../table/arena-table.js";
import { readValue } from "./backup-store.js";
import type { PageInventory, StoredEntry } from "./page-inventory.js";

/** What the damaged image says, or where its header is damaged an image of the same page from another checkpoint. */
export interface PageHint {
  readonly table: ArenaTable;
  /** Rows at most. */
  readonly rows: number;
  /** What says so. */
  readonly entry: StoredEntry;
}

/** Pages stay with their table until it is dropped, so that any image of a page tells whose it is. */
export class PageHints {
  readonly #pages: PageInventory;
  readonly #tables: ReadonlyMap<number, ArenaTable>;
  /** By arena and page, the newest first. */
  #images: Map<string, StoredEntry[]> | undefined;

  /** `tables` by number, candidates by theirs. */
  constructor(pages: PageInventory, tables: ReadonlyMap<number, ArenaTable>) {
    this.#pages = pages;
    this.#tables = tables;
  }

  /** Undefined where nothing tells. */
  of(key: PageKey): PageHint | undefined {
    const images = this.#imagesOf(key);
    const own = images.filter((entry) => decodePageKey(entry.key)?.generation === key.generation);
    for (const entry of [...own, ...images]) {
      const header = headerOf(entry);
      const table = header && this.#tables.get(header.table);
      if (!table || table.recordBytes !== header.recordBytes || header.places > table.rowsPerPage) continue;
      return { table, rows: own.includes(entry) ? header.places : table.rowsPerPage, entry };
    }
    return undefined;
  }

  #imagesOf({ arena, page }: PageKey): readonly StoredEntry[] {
    this.#images ??= this.#sorted();
    return this.#images.get(`${arena}/${page}`) ?? [];
  }

  #sorted(): Map<string, StoredEntry[]> {
    const images = new Map<string, StoredEntry[]>();
    for (const entry of [...this.#pages.entries.values()].flat()) {
      const key = decodePageKey(entry.key);
      if (!key || !headerOf(entry)) continue;
      const id = `${key.arena}/${key.page}`;
      const known = images.get(id);
      if (known) known.push(entry);
      else images.set(id, [entry]);
    }
    for (const all of images.values()) all.sort((a, b) => headerOf(b)!.generation - headerOf(a)!.generation);
    return images;
  }
}

/** Keys of the rows of an image, ascending; a damaged one may say some that are wrong. None of a sketch, which knows no keys. @throws IO */
export async function keysOf({ table, entry }: PageHint): Promise<bigint[]> {
  if (table.bySlot) return [];
  const value = await readValue(entry);
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  const keys = new Set<bigint>();
  for (let at = pageHeaderBytes; at + table.recordBytes <= value.length; at += table.recordBytes)
    if (view.getUint32(at + 8, true) >>> 31) keys.add(view.getBigUint64(at, true));
  return [...keys].sort((a, b) => (a < b ? -1 : 1));
}

function headerOf({ proof }: StoredEntry): PageHeader | undefined {
  return "header" in proof ? proof.header : undefined;
}
