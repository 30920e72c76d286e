// The index over the rows of one arena's pages, which may come in any order, while others are still being read.
import { assert } from "../base/assert.js";
import { EmbershardError } from "../base/errors.js";
import type { Arena } from "../table/arena.js";
import type { ArenaTable } from "../table/arena-table.js";
import { outOfRoom } from "./recovered.js";

/** Rows that are put into the index at once. */
const indexRows = 1 << 19;
const wordBytes = 8;
/** Pages that an index made for so many rows takes at most, besides one for each so many rows. */
const rowsPerSegment = 5000;
const fixedPages = 4;

/**
 * Collects what the index is to hold of each row, and puts it in by the piece, in scratch: until `finish` the arena is used
 * for nothing else that needs scratch, but its first 64 bytes.
 */
export class ArenaIndexing {
  readonly #arena: Arena;
  /** Rows of each table, by the number of its descriptor, as far as that is known beforehand. */
  readonly #expected: ReadonlyMap<number, number>;
  readonly #words: number;
  readonly #gathered: number;
  readonly #sorted: number;
  /** Of each table's words: first and number of each page's. */
  readonly #collected = new Map<ArenaTable, number[]>();
  readonly #opened = new Set<ArenaTable>();
  /** Pages that came when there was no room for the index that they may need. */
  readonly #waiting: { readonly page: number; readonly table: ArenaTable }[] = [];
  #count = 0;
  #grows: boolean;

  /** `grows`: whether the arena's memory may grow. */
  constructor(arena: Arena, { expected, grows }: { expected: ReadonlyMap<number, number>; grows: boolean }) {
    this.#arena = arena;
    this.#expected = expected;
    this.#grows = grows;
    arena.beginScratch(64 + 3 * wordBytes * indexRows);
    // Where checksums are computed of headers.
    arena.takeScratch(64);
    [this.#words, this.#gathered, this.#sorted] = [0, 1, 2].map(() =>
      arena.takeScratch(wordBytes * indexRows),
    );
  }

  /** Pages that must be there so that no page waits, for `rows` rows in all: the index, and as much in case that it splits. */
  static pagesFor(tables: number, rows: number): number {
    return tables * 20 + 2 * Math.ceil(rows / rowsPerSegment) + indexRows / 4096;
  }

  /** Takes a page of rows that are all there. @throws CORRUPT when a key stands twice, OUT_OF_MEMORY */
  add(page: number, table: ArenaTable): void {
    if (this.#waiting.length > 0 || !this.#makeRoom(table)) this.#waiting.push({ page, table });
    else this.#collect(page, table);
  }

  /** From here on memory may grow. @throws as `add` */
  mayGrow(): void {
    this.#grows = true;
    for (const { page, table } of this.#waiting.splice(0)) this.add(page, table);
  }

  /** Puts in what is left, and makes indexes for `tables` that have no rows. @throws as `add` */
  finish(tables: Iterable<ArenaTable>): void {
    assert(this.#grows && this.#waiting.length === 0, "no page waits for room when all are there");
    this.#flush();
    demandRoom(() => {
      for (const table of tables) this.#open(table, 0);
    });
    this.#arena.kernel.linkSpace();
  }

  /** Returns false when that has to wait. */
  #makeRoom(table: ArenaTable): boolean {
    if (this.#count + table.rowsPerPage <= indexRows) return true;
    if (!this.#grows && this.#need() > this.#arena.reservedPages) return false;
    this.#flush();
    return true;
  }

  #collect(page: number, table: ArenaTable): void {
    const n = this.#arena.kernel.collectPage(page, this.#words + wordBytes * this.#count);
    const runs = this.#collected.get(table);
    if (runs) runs.push(this.#count, n);
    else this.#collected.set(table, [this.#count, n]);
    this.#count += n;
  }

  /** Pages that the next flush may take. */
  #need(): number {
    const { kernel } = this.#arena;
    let pages = 0;
    for (const [table, runs] of this.#collected) {
      const rows = rowsOf(runs);
      if (!this.#opened.has(table))
        pages += fixedPages + Math.ceil(this.#rowsFor(table, rows) / rowsPerSegment);
      pages += kernel.indexPagesFor(table.index, rows);
    }
    return pages;
  }

  #flush(): void {
    const { kernel, number } = this.#arena;
    for (const [table, runs] of this.#collected) {
      const rows = rowsOf(runs);
      this.#gather(runs);
      const twice = demandRoom(() => {
        this.#open(table, rows);
        return kernel.indexWords(table.index, this.#gathered, rows, this.#sorted);
      });
      this.#arena.refresh();
      if (twice >= 0)
        throw new EmbershardError(
          "CORRUPT",
          `a key stands twice in table "${table.definition.name}", arena ${number}`,
        );
    }
    this.#collected.clear();
    this.#count = 0;
  }

  #gather(runs: readonly number[]): void {
    let to = this.#gathered;
    for (let i = 0; i < runs.length; i += 2) {
      const from = this.#words + wordBytes * runs[i];
      const bytes = wordBytes * runs[i + 1];
      this.#arena.bytes.copyWithin(to, from, from + bytes);
      to += bytes;
    }
  }

  #open(table: ArenaTable, rows: number): void {
    if (this.#opened.has(table)) return;
    this.#opened.add(table);
    const { kernel } = this.#arena;
    // An index made for its rows may be twice as large as one that grew: where that may not fit, it grows again.
    const wanted = this.#rowsFor(table, rows);
    const roomy = fixedPages + wanted / rowsPerSegment < kernel.pagesLeft();
    kernel.openTable(table.index, roomy ? wanted : 0);
    this.#arena.refresh();
  }

  #rowsFor(table: ArenaTable, rows: number): number {
    return this.#expected.get(table.index) ?? rows;
  }
}

function rowsOf(runs: readonly number[]): number {
  let rows = 0;
  for (let i = 1; i < runs.length; i += 2) rows += runs[i];
  return rows;
}

/** The kernel traps where the arena has no page left for the index. @throws OUT_OF_MEMORY */
function demandRoom<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof WebAssembly.RuntimeError) throw outOfRoom("the index of the rows", cause);
    throw cause;
  }
}
