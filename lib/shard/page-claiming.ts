// An image becomes a page of an arena: its key, header and checksum must be those of that page.
import { EmbershardError } from "../base/errors.js";
import { KIND_ROWS } from "../kernel/layout.js";
import type { Arena } from "../table/arena.js";
import type { ArenaTable } from "../table/arena-table.js";
import {
  acceptPage,
  decodePageHeader,
  decodePageKey,
  type PageHeader,
  type PageKey,
  pageHeaderBytes,
} from "./page-image.js";
import { outOfRoom, type Recovered, tableOf } from "./recovered.js";

/** The key of an image that is a current page; undefined, and noted as garbage, when nothing refers to it. @throws CORRUPT */
export function wantedKey(recovered: Recovered, keyBytes: Uint8Array): PageKey | undefined {
  const key = decodePageKey(keyBytes);
  if (!key)
    throw new EmbershardError(
      "CORRUPT",
      `the page store has a key of ${keyBytes.length} bytes that is none of ours`,
    );
  if (recovered.ledger.has(key)) return key;
  recovered.garbage.push(key);
  return undefined;
}

/**
 * Brings an image to page `at` of `arena`, its own number unless told otherwise. The value must be the page that its key
 * says; the arena's views may have changed.
 *
 * @throws CORRUPT naming the page, OUT_OF_MEMORY
 */
export function claimAndLoad(
  recovered: Pick<Recovered, "tables" | "indexing">,
  arena: Arena,
  key: PageKey,
  value: Uint8Array | undefined,
  at = key.page,
): ArenaTable {
  if (!value) throw new EmbershardError("CORRUPT", `${describe(key)} is missing`);
  const header = decodePageHeader(value);
  const table = claim(recovered, arena, key, header, at);
  arena.bytes.set(value.subarray(pageHeaderBytes), at * 2 ** 17);
  accept(arena, key, header!, value, at);
  recovered.indexing?.[key.arena].add(at, table);
  return table;
}

/**
 * Makes rows that lie where their page belongs that page, if they are what `header`, the 64 bytes before them in an image
 * of `imageBytes`, and the key say. The arena's views may have changed.
 *
 * @throws CORRUPT naming the page, OUT_OF_MEMORY
 */
export function claimInPlace(
  recovered: Pick<Recovered, "tables" | "indexing">,
  arena: Arena,
  key: PageKey,
  header: Uint8Array,
  imageBytes: number,
): void {
  const decoded = decodePageHeader(header, imageBytes);
  const table = claim(recovered, arena, key, decoded, key.page);
  accept(arena, key, decoded!, header, key.page);
  recovered.indexing?.[key.arena].add(key.page, table);
}

function claim(
  recovered: Pick<Recovered, "tables">,
  arena: Arena,
  key: PageKey,
  header: PageHeader | undefined,
  at: number,
): ArenaTable {
  if (
    !header ||
    header.arena !== key.arena ||
    header.page !== key.page ||
    header.generation !== key.generation
  ) {
    throw new EmbershardError("CORRUPT", `${describe(key)} does not hold that page`);
  }
  const table = tableOf(recovered, header.table);
  if (!table || table.recordBytes !== header.recordBytes || header.places > table.rowsPerPage) {
    throw new EmbershardError(
      "CORRUPT",
      `${describe(key)} is of table number ${header.table}, which does not exist like that`,
    );
  }
  if (!arena.kernel.claimPage(at, KIND_ROWS, table.index)) throw outOfRoom(describe(key));
  arena.refresh();
  return table;
}

function accept(arena: Arena, key: PageKey, header: PageHeader, bytes: Uint8Array, at: number): void {
  if (!acceptPage(arena, header, bytes, at))
    throw new EmbershardError("CORRUPT", `${describe(key)} does not match its checksum`);
}

function describe({ page, arena, generation }: PageKey): string {
  return `page ${page} of arena ${arena}, generation ${generation}`;
}
