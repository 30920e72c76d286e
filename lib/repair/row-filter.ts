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

export const removingKinds: ReadonlySet<number> = new Set<number>([SECTION.delete, 7]);
const arrivingKinds: ReadonlySet<number> = new Set<number>([SECTION.adopt]);

function padded(bytes: number): number {
  return (bytes + 7) & ~7;
}

/**
 * The payload of a record of rows without those that `keeps` refuses; the payload itself where it keeps all. `tableOf`
 * gives the table of a number; sections of unknown tables stay. Undefined where its lengths do not add up.
 */
export function filterRows(
  payload: Uint8Array,
  tableOf: (number: number) => ArenaTable | undefined,
  keeps: (place: RowPlace) => boolean,
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
    if (kept && kept.length < section.n) {
      changed = true;
      pieces.push(
        ...sectionOf(
          payload.subarray(at, at + sectionHeaderBytes),
          section,
          columnWidths(section, table),
          kept,
        ),
      );
    } else pieces.push(payload.subarray(at, end));
    at = end;
  }
  return changed ? Buffer.concat(pieces) : payload;
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
  { n, keys, positions, counts, values }: Section,
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
  const valueBytes = widths.reduce((sum, width) => sum + width * kept.length, 0);
  const head = header.slice();
  const view = new DataView(head.buffer);
  view.setUint32(8, kept.length, true);
  view.setUint32(20, valueBytes, true);
  return [head, ...columns, new Uint8Array(padded(valueBytes) - valueBytes)];
}
