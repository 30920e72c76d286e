// Which ranges of keys of images to read, where versions keep many that are not wanted.
import { MAX_PAGES } from "../kernel/layout.js";
import type { KeyRange } from "../store/page-store.js";
import { encodePageKey, pageKeys } from "./page-image.js";
import type { PageLedger } from "./page-ledger.js";

/** Fewer images than this in a row are read and left: another range would take as long. */
const skipAtLeast = 16;

/**
 * Ranges that hold every image of `wanted`, and, with `strays`, every image that neither it nor `others` refer to, but
 * not long rows of what only `others` do. In the order of keys.
 */
export function rangesToRead(
  wanted: PageLedger,
  others: readonly PageLedger[],
  { strays }: { readonly strays: boolean },
): KeyRange[] {
  const codes = Float64Array.from(wanted.entries(), codeOf).sort();
  if (codes.length === 0 && !strays) return [];
  const skipped = longRows(unwantedCodes(wanted, others), codes, strays);
  const ranges: KeyRange[] = [];
  let gte = strays ? pageKeys.gte : keyOf(codes[0]);
  const end = strays ? pageKeys.lt : keyOf(codes[codes.length - 1] + 1);
  for (const { first, last } of skipped) {
    if (!strays && (last < codes[0] || first > codes[codes.length - 1])) continue;
    ranges.push({ gte, lt: keyOf(first) });
    gte = keyOf(last + 1);
  }
  ranges.push({ gte, lt: end });
  return ranges;
}

/** Codes are in the order of keys: generation, arena, page. */
function codeOf({ generation, arena, page }: { generation: number; arena: number; page: number }): number {
  return (generation * 256 + arena) * MAX_PAGES + page;
}

function keyOf(code: number): Uint8Array {
  const rest = Math.floor(code / MAX_PAGES);
  return encodePageKey({ generation: Math.floor(rest / 256), arena: rest % 256, page: code % MAX_PAGES });
}

function unwantedCodes(wanted: PageLedger, others: readonly PageLedger[]): Float64Array {
  const codes: number[] = [];
  for (const other of others)
    for (const key of other.entries()) if (!wanted.has(key)) codes.push(codeOf(key));
  return Float64Array.from(codes).sort();
}

/**
 * Rows of unwanted codes with no wanted one between. Where strays are looked for the pages must be adjacent, so that
 * nothing can lie between two of a row.
 */
function longRows(
  unwanted: Float64Array,
  wanted: Float64Array,
  adjacent: boolean,
): { first: number; last: number }[] {
  const rows: { first: number; last: number }[] = [];
  let w = 0;
  for (let i = 0; i < unwanted.length; ) {
    const first = unwanted[i];
    let last = first;
    let count = 1;
    while (w < wanted.length && wanted[w] < first) w++;
    const next = w < wanted.length ? wanted[w] : Number.POSITIVE_INFINITY;
    for (i++; i < unwanted.length && unwanted[i] < next; i++) {
      if (adjacent && unwanted[i] > last + 1) break;
      if (unwanted[i] !== last) count++;
      last = unwanted[i];
    }
    if (count >= skipAtLeast) rows.push({ first, last });
  }
  return rows;
}
