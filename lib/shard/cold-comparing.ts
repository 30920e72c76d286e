// The cold rows of two states that are compared: which of them one has and the other has not alike. Where a row is resident
// its value counts for nothing, so the keys of resident rows of both are gathered first; a table's limit of memory bounds them.
import type { PageStore } from "../store/page-store.js";
import type { ArenaTable } from "../table/arena-table.js";
import { isOf, joinChecked, type PastValue, pastValues } from "./cold-past.js";
import { coldRowsOf } from "./cold-rows.js";
import { valueHeaderBytes } from "./cold-values.js";
import type { ImageReader, ReadPage } from "./image-reader.js";
import { LeftoverRows } from "./leftover-rows.js";

/** Rows that are taken apart at once, in bytes of values. */
const pieceBytes = 1 << 20;

/** Keys of resident rows, by number of the table. */
type Residents = Map<number, LeftoverRows>;

/** The cold rows of two states. */
export class ColdComparison {
  readonly #from: ImageReader;
  readonly #to: ImageReader;
  readonly #pages: PageStore;
  readonly #residents: readonly [Residents, Residents] = [new Map(), new Map()];

  constructor(pages: PageStore, from: ImageReader, to: ImageReader) {
    this.#pages = pages;
    this.#from = from;
    this.#to = to;
  }

  /** Whether there may be some at all. */
  get isNeeded(): boolean {
    const { recovered: from } = this.#from;
    const { recovered: to } = this.#to;
    return (from.manifest?.cold ?? to.manifest?.cold) !== undefined;
  }

  /** Reads all pages of both states. */
  async gather(pause: () => Promise<void>): Promise<void> {
    for (const [i, reader] of [this.#from, this.#to].entries()) {
      for (const { arena, page } of reader.ledger.entries()) {
        const read = reader.read(arena, page, await reader.fetch(arena, page));
        if (read) noteResidents(this.#residents[i], read);
        await pause();
      }
    }
  }

  /**
   * The rows of one state that the other has not as the same value, of tables that `wanted` says, in pieces that are valid
   * until the next one is asked for. @throws CORRUPT, IO
   */
  async *rowsOf(side: "from" | "to", wanted: (table: ArenaTable) => boolean): AsyncGenerator<ReadPage> {
    const [own, other] = side === "from" ? [this.#from, this.#to] : [this.#to, this.#from];
    const [here, there] = side === "from" ? this.#residents : [this.#residents[1], this.#residents[0]];
    const [lsn, otherLsn] = [own.recovered.manifest!.lsn, other.recovered.manifest!.lsn];
    const known = new Set(tablesOf(other).keys());
    const tables = tablesOf(own);
    for await (const all of pastValues(this.#pages)) {
      const some = all.filter((one) => {
        const table = tables.get(one.table);
        if (!table || !isOf(one, lsn) || !wanted(table) || has(here, one)) return false;
        return !known.has(one.table) || !isOf(one, otherLsn) || has(there, one);
      });
      yield* pieces(own, tables, some);
    }
  }
}

function tablesOf({ recovered }: ImageReader): Map<number, ArenaTable> {
  return new Map(
    [...recovered.tables.values()]
      .filter(({ definition }) => definition.memory !== undefined)
      .map((table) => [table.definition.number, table]),
  );
}

function noteResidents(residents: Residents, { table, records, words, ordinals }: ReadPage): void {
  const { number, memory } = table.definition;
  if (memory === undefined) return;
  let keys = residents.get(number);
  if (!keys) {
    keys = new LeftoverRows(2);
    residents.set(number, keys);
  }
  for (let place = 0; place < ordinals.length; place++)
    if (ordinals[place] >= 0) keys.add(records, place * words);
}

function has(residents: Residents, { table, key }: PastValue): boolean {
  const low = Number(key & 0xffff_ffffn);
  return residents.get(table)?.match(low, Number(key >> 32n)) !== undefined;
}

function* pieces(
  reader: ImageReader,
  tables: ReadonlyMap<number, ArenaTable>,
  values: readonly PastValue[],
): Generator<ReadPage> {
  for (const [number, table] of tables) {
    const some = values.filter((one) => one.table === number);
    const rows = coldRowsOf(reader.recovered.cold, table)!;
    const piece = Math.max(1, Math.floor(pieceBytes / rows.valueBytes));
    for (let from = 0; from < some.length; from += piece) {
      const part = some.slice(from, from + piece);
      const keys = BigUint64Array.from(part, ({ key }) => key);
      const joined = joinChecked(reader.arena, rows, keys, part);
      const records = new Uint8Array(part.length * table.recordBytes);
      for (let i = 0; i < part.length; i++) {
        const begin = i * rows.valueBytes + valueHeaderBytes;
        records.set(joined.subarray(begin, begin + table.recordBytes), i * table.recordBytes);
      }
      yield reader.readRecords(table, records);
    }
  }
}
