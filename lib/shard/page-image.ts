// A page as it is stored: key, header, the rows up to the last place ever used. docs/formats/pages.md is the document.
import { EmbershardError } from "../base/errors.js";
import { SCRATCH } from "../kernel/layout.js";
import type { Arena } from "../table/arena.js";
import type { ArenaTable } from "../table/arena-table.js";

export const pageHeaderBytes = 64;
const magic = 0x3147_5045; // "EPG1"
const version = 1;
const prefix = 1;

export interface PageKey {
  readonly generation: number;
  readonly arena: number;
  readonly page: number;
}

/** Key of a page's value: 1, generation u32, arena u16, page u32, big-endian, so that a checkpoint's pages lie together. */
export function encodePageKey({ generation, arena, page }: PageKey): Uint8Array {
  const bytes = new Uint8Array(11);
  const view = new DataView(bytes.buffer);
  bytes[0] = prefix;
  view.setUint32(1, generation);
  view.setUint16(5, arena);
  view.setUint32(7, page);
  return bytes;
}

export function decodePageKey(bytes: Uint8Array): PageKey | undefined {
  if (bytes.length !== 11 || bytes[0] !== prefix) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return { generation: view.getUint32(1), arena: view.getUint16(5), page: view.getUint32(7) };
}

/** Every key of a page, and nothing else. */
export const pageKeys = { gte: Uint8Array.of(prefix), lt: Uint8Array.of(prefix + 1) };

/**
 * Writes the image of a page into `into` and returns its length: 64 bytes of header and the rows. `at` is where the page
 * is in `arena`, its own number unless it was brought somewhere else.
 *
 *   0 magic u32 | 4 version u16 | 6 arena u16 | 8 page u32 | 12 generation u32 | 16 table number u32 | 20 record bytes u32
 *   24 places u32 | 28 body bytes u32 | 32 LSN u64 | 40 zero u8[16] | 56 checksum u64
 *
 * The checksum is XXH64(rows, seed = XXH64(bytes 0 to 55, seed 0)).
 */
export function encodePage(
  arena: Arena,
  table: ArenaTable,
  { generation, arena: number, page }: PageKey,
  into: Uint8Array,
  at = page,
): number {
  const places = arena.pagePlaces(at);
  const bodyBytes = places * table.recordBytes;
  const view = new DataView(into.buffer, into.byteOffset, pageHeaderBytes);
  into.fill(0, 0, pageHeaderBytes);
  view.setUint32(0, magic, true);
  view.setUint16(4, version, true);
  view.setUint16(6, number, true);
  view.setUint32(8, page, true);
  view.setUint32(12, generation, true);
  view.setUint32(16, table.definition.number, true);
  view.setUint32(20, table.recordBytes, true);
  view.setUint32(24, places, true);
  view.setUint32(28, bodyBytes, true);
  const lsn = arena.pageLsn(at);
  view.setUint32(32, lsn >>> 0, true);
  view.setUint32(36, Math.floor(lsn / 2 ** 32), true);
  view.setBigUint64(56, checksum(arena, at, into, bodyBytes), true);
  into.set(arena.pageBytes(at, bodyBytes), pageHeaderBytes);
  return pageHeaderBytes + bodyBytes;
}

function checksum(arena: Arena, page: number, header: Uint8Array, bodyBytes: number): bigint {
  arena.bytes.set(header.subarray(0, 56), SCRATCH);
  const seed = arena.kernel.xxh64(SCRATCH, 56, 0n);
  return BigInt.asUintN(64, arena.kernel.xxh64(page * 2 ** 17, bodyBytes, seed));
}

export interface PageHeader {
  readonly arena: number;
  readonly page: number;
  readonly generation: number;
  readonly table: number;
  readonly recordBytes: number;
  readonly places: number;
  readonly bodyBytes: number;
  readonly lsn: number;
  readonly checksum: bigint;
}

/**
 * Reads the header that an image of `imageBytes`, all of `value` unless given, begins with. Returns undefined for what is not the image of a page.
 *
 * @throws NEWER_FORMAT
 */
export function decodePageHeader(value: Uint8Array, imageBytes = value.length): PageHeader | undefined {
  if (imageBytes < pageHeaderBytes) return undefined;
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  if (view.getUint32(0, true) !== magic) return undefined;
  const found = view.getUint16(4, true);
  if (found > version) {
    throw new EmbershardError(
      "NEWER_FORMAT",
      `a page has format ${found}, this version reads up to ${version}: upgrade Embershard`,
    );
  }
  if (found !== version) return undefined;
  const header: PageHeader = {
    arena: view.getUint16(6, true),
    page: view.getUint32(8, true),
    generation: view.getUint32(12, true),
    table: view.getUint32(16, true),
    recordBytes: view.getUint32(20, true),
    places: view.getUint32(24, true),
    bodyBytes: view.getUint32(28, true),
    lsn: view.getUint32(36, true) * 2 ** 32 + view.getUint32(32, true),
    checksum: view.getBigUint64(56, true),
  };
  if (
    header.bodyBytes !== imageBytes - pageHeaderBytes ||
    header.bodyBytes !== header.places * header.recordBytes
  )
    return undefined;
  return header;
}

/**
 * Makes rows that have been copied to page `at` of the arena, which has been claimed, that page; `bytes` begins with the
 * header. Returns false when the checksum differs.
 */
export function acceptPage(arena: Arena, header: PageHeader, bytes: Uint8Array, at: number): boolean {
  if (checksum(arena, at, bytes, header.bodyBytes) !== header.checksum) return false;
  arena.setPagePlaces(at, header.places);
  arena.setPageLsn(at, header.lsn);
  return true;
}
