// Records of the log without the rows that they cannot be applied to, because the page that held them is gone.
import { columnWidths } from "../shard/log-replay.js";
import { decodeRows, rowsHeaderBytes, SECTION, type Section, sectionHeaderBytes } from "../shard/records.js";
import type { ArenaTable } from "../table/arena-table.js";

/** A place for one row: arena, and address as records name it. */
export interface RowPlace {
  readonly arena: number;
  readonly address: number;
  readonly key: bigint;
  readonly kind: number;
  /** The section makes the row. */
  readonly creates: boolean;
}

export const removingKinds: ReadonlySet<number> = new Set<number>([
  SECTION.delete,
  SECTION.evict,
  SECTION.demote,
]);
const arrivingKinds: ReadonlySet<number> = new Set<number>([SECTION.adopt, SECTION.promote]);

/** What is left of records: which rows, and of tables larger than their memory what they say of cold ones. */
export interface RowFilter {
  readonly keeps: (place: RowPlace) => boolean;
  /**
   * Rows come to pages and leave them, and nothing is said of cold ones: the manifest knows those. A row that leaves is demoted,
   * with a digest of 0, since it must not count as deleted: so many more rows are cold than there were.
   */
  readonly pagesOnly: boolean;
}

function padded(bytes: number): number {
  return (bytes + 7) & ~7;
}

/**
 * The payload of a record of rows without those that the filter refuses; the payload itself where it keeps all. `tableOf`
 * gives the table of a number; sections of unknown tables stay. Undefined where its lengths do not add up.
 */
export function filterRows(
  payload: Uint8Array,
  tableOf: (number: number) => ArenaTable | undefined,
  { keeps, pagesOnly }: RowFilter,
): Uint8Array | undefined {
  const rows = decodeRows(payload);
  if (!rows) return undefined;
  const headBytes = rowsHeaderBytes + padded(rows.mark?.length ?? 0);
  const pieces: Uint8Array[] = [payload.subarray(0, headBytes)];
  let changed = false;
  let at = headBytes;
  for (const section of rows.parts) {
    const end = at + sectionHeaderBytes + 16 * section.n + padded(section.valueBytes);
    const table = tableOf(section.table);
    const kept = table && keptRows(section, keeps);
    const other = table && pagesOnly && table.definition.memory !== undefined ? pagesOf(section) : undefined;
    if (kept && (kept.length < section.n || other)) {
      changed = true;
      const header = payload.subarray(at, at + sectionHeaderBytes);
      pieces.push(...sectionOf(header, other ?? section, columnWidths(section, table), kept));
    } else pieces.push(payload.subarray(at, end));
    at = end;
  }
  return changed ? Buffer.concat(pieces) : payload;
}

/** What a section does to pages; undefined where that is all it does. */
function pagesOf(section: Section): Section | undefined {
  const { kind } = section;
  if (kind === SECTION.promote) return { ...section, kind: SECTION.adopt };
  if (kind === SECTION.evictCold) return { ...section, kind: SECTION.adopt, values: new Uint8Array(0) };
  if (removingKinds.has(kind)) return { ...section, kind: SECTION.demote, values: new Uint8Array(8) };
  return undefined;
}

function keptRows(
  { arena, kind, n, keys, positions, counts }: Section,
  keeps: (place: RowPlace) => boolean,
): number[] {
  const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const [key, address, count] = [view(keys), view(positions), view(counts)];
  const kept: number[] = [];
  for (let i = 0; i < n; i++) {
    const creates =
      arrivingKinds.has(kind) || (!removingKinds.has(kind) && count.getUint32(4 * i, true) >>> 31 === 1);
    const place = {
      arena,
      address: address.getUint32(4 * i, true),
      key: key.getBigUint64(8 * i, true),
      kind,
      creates,
    };
    if (keeps(place)) kept.push(i);
  }
  return kept;
}

/** A section of some of another's rows, padded. */
function sectionOf(
  header: Uint8Array,
  { kind, n, keys, positions, counts, values }: Section,
  widths: readonly number[],
  kept: readonly number[],
): Uint8Array[] {
  const pick = (column: Uint8Array, width: number): Uint8Array => {
    const some = new Uint8Array(kept.length * width);
    for (const [j, i] of kept.entries()) some.set(column.subarray(i * width, (i + 1) * width), j * width);
    return some;
  };
  const columns = [pick(keys, 8), pick(positions, 4), pick(counts, 4)];
  let from = 0;
  for (const width of widths) {
    columns.push(pick(values.subarray(from, from + n * width), width));
    from += n * width;
  }
  let valueBytes = widths.reduce((sum, width) => sum + width * kept.length, 0);
  // The digest of all that it demotes: what there is of them is counted.
  if (kind === SECTION.demote) {
    columns.push(values.subarray(0, 8));
    valueBytes = 8;
  }
  const head = header.slice();
  const view = new DataView(head.buffer);
  view.setUint16(6, kind, true);
  view.setUint32(8, kept.length, true);
  view.setUint32(20, valueBytes, true);
  return [head, ...columns, new Uint8Array(padded(valueBytes) - valueBytes)];
}
