// Comparing two states of a shard, each a manifest and the images that it names. Pages with the same image on both sides
// are equal and are not read. Of the others places are compared; what has another key, or none, on the other side is looked
// for by its key, in as many passes as memory allows.

import type { ChangeBatch } from "../api/row-batches.js";
import type { CompareProgress } from "../api/version-types.js";
import { EmbershardError } from "../base/errors.js";
import type { PageStore } from "../store/page-store.js";
import type { ArenaTable } from "../table/arena-table.js";
import { batchWithout, ChangeCollector } from "./change-batch.js";
import { ColdComparison } from "./cold-comparing.js";
import { distanceOf, ImageReader, type ReadPage, sameRecord } from "./image-reader.js";
import { hashOfKey, LeftoverRows } from "./leftover-rows.js";
import type { Manifest } from "./manifest.js";

export interface CompareOptions {
  readonly pause: () => Promise<void>;
  /** Only these tables, by name. */
  readonly tables?: readonly string[] | undefined;
  /** Rows of a batch, at most. */
  readonly batchRows: number;
  /** Bytes of rows that may wait to be found at another place. */
  readonly leftoverBytes: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: CompareProgress) => void) | undefined;
}

/** A page whose images differ, and whether rows of it have to be looked for by key. */
interface DifferingPage {
  readonly arena: number;
  readonly page: number;
  leftovers: boolean;
}

/** Pages of which both images are read before they are looked at. */
const fetchPages = 16;

/**
 * What was added, changed and removed from state `from` to state `to`, in no particular order, each row once. The images of
 * both must stay until it ends.
 *
 * @throws CORRUPT naming a page, ABORTED, IO
 */
export function compareStates(
  pages: PageStore,
  from: Manifest,
  to: Manifest,
  options: CompareOptions,
): AsyncGenerator<ChangeBatch> {
  return new Comparison(pages, from, to, options).run();
}

class Comparison {
  readonly #from: ImageReader;
  readonly #to: ImageReader;
  readonly #cold: ColdComparison;
  readonly #options: CompareOptions;
  readonly #pages: DifferingPage[];
  readonly #collectors = new Map<number, ChangeCollector>();
  /** By number of the table, of those that both states have. */
  readonly #leftovers = new Map<number, LeftoverRows>();
  readonly #ready: ChangeBatch[] = [];
  /** Hashes of keys that are looked for in this pass: from `low`, inclusive, to `end`, exclusive. */
  #low = 0;
  #end = 2 ** 32;

  constructor(pages: PageStore, from: Manifest, to: Manifest, options: CompareOptions) {
    this.#from = new ImageReader(pages, from);
    this.#to = new ImageReader(pages, to);
    this.#options = options;
    this.#pages = differing(from, to);
    this.#cold = new ColdComparison(pages, this.#from, this.#to);
  }

  async *run(): AsyncGenerator<ChangeBatch> {
    yield* this.#resets();
    const { isNeeded } = this.#cold;
    if (isNeeded) await this.#cold.gather(this.#options.pause);
    for (let first = true; ; first = false) {
      const looked = first ? this.#pages : this.#pages.filter((one) => one.leftovers);
      yield* this.#each(looked, (one, a, b) => this.#compare(one, a, b, first));
      if (isNeeded) await this.#keepCold();
      const left = this.#pages.filter((one) => one.leftovers);
      yield* this.#each(left, (_, a, b) => this.#join(a, b));
      if (isNeeded) yield* this.#joinCold();
      for (const [number, rows] of this.#leftovers) yield* this.#removals(number, rows);
      this.#leftovers.clear();
      if (this.#end === 2 ** 32) break;
      const width = this.#end - this.#low;
      this.#low = this.#end;
      this.#end = Math.min(2 ** 32, this.#low + width);
    }
    for (const collector of this.#collectors.values()) if (!collector.empty) yield collector.take();
  }

  #wanted(table: ArenaTable): boolean {
    const { tables } = this.#options;
    return tables === undefined || tables.includes(table.definition.name);
  }

  /** Whether a table of one state is in the other one, too. */
  #isIn(reader: ImageReader, { definition }: ArenaTable): boolean {
    return reader.recovered.tables.get(definition.name)?.definition.number === definition.number;
  }

  *#resets(): Generator<ChangeBatch> {
    for (const table of this.#from.recovered.tables.values())
      if (this.#wanted(table) && !this.#isIn(this.#to, table))
        yield batchWithout(table.definition.name, { reset: true });
  }

  async *#each(
    pages: readonly DifferingPage[],
    look: (one: DifferingPage, a: ReadPage | undefined, b: ReadPage | undefined) => void,
  ): AsyncGenerator<ChangeBatch> {
    const { signal, onProgress, pause } = this.#options;
    for (let at = 0; at < pages.length; at += fetchPages) {
      const some = pages.slice(at, at + fetchPages);
      const values = await Promise.all(
        some.map(({ arena, page }) =>
          Promise.all([this.#from.fetch(arena, page), this.#to.fetch(arena, page)]),
        ),
      );
      for (const [i, one] of some.entries()) {
        if (i % 4 === 0) await pause();
        if (signal?.aborted)
          throw new EmbershardError("ABORTED", "the comparison was aborted", { cause: signal.reason });
        const { arena, page } = one;
        look(one, this.#from.read(arena, page, values[i][0]), this.#to.read(arena, page, values[i][1]));
        while (this.#ready.length > 0) yield this.#ready.shift()!;
      }
      onProgress?.({ pages: at + some.length, total: pages.length });
    }
  }

  /** The table of a page if its rows count: not that of candidates, nor one that is not wanted. */
  #tableOf(reader: ImageReader, page: ReadPage | undefined): ArenaTable | undefined {
    if (!page || !this.#wanted(page.table)) return undefined;
    return reader.recovered.tables.get(page.table.definition.name) === page.table ? page.table : undefined;
  }

  #compare(one: DifferingPage, a: ReadPage | undefined, b: ReadPage | undefined, first: boolean): void {
    const from = this.#tableOf(this.#from, a);
    const to = this.#tableOf(this.#to, b);
    const same = from && to && from.definition.number === to.definition.number;
    const places = Math.max(a?.ordinals.length ?? 0, b?.ordinals.length ?? 0);
    const searching = from !== undefined && this.#isIn(this.#to, from);
    for (let place = 0; place < places; place++) {
      const i = from ? (a!.ordinals[place] ?? -1) : -1;
      const j = to ? (b!.ordinals[place] ?? -1) : -1;
      if (i < 0 && j < 0) continue;
      if (same && i >= 0 && j >= 0 && sameKey(a!, b!, place)) {
        if (first) this.#compareRows(a!, b!, place, i, j);
        continue;
      }
      if (i >= 0 && searching) this.#keep(a!, place);
      if (j >= 0 || (i >= 0 && searching)) one.leftovers = true;
    }
  }

  #compareRows(a: ReadPage, b: ReadPage, place: number, i: number, j: number): void {
    const { words, usedWords, table } = b;
    if (sameRecord(a.records, place * words, b.records, place * words, usedWords)) return;
    this.#emit(b, j, distanceOf(a.rows, i * table.dim, b.rows, j * table.dim, table.dim));
  }

  /** Remembers a row of the first state, to be found at another place of the second. */
  #keep({ table, records, words }: ReadPage, place: number): void {
    const at = place * words;
    const hash = hashOfKey(records[at], records[at + 1]);
    if (hash < this.#low || hash >= this.#end) return;
    const { number } = table.definition;
    let rows = this.#leftovers.get(number);
    if (!rows) {
      rows = new LeftoverRows(words);
      this.#leftovers.set(number, rows);
    }
    rows.add(records, at);
    let bytes = 0;
    for (const one of this.#leftovers.values()) bytes += one.bytes;
    if (bytes <= this.#options.leftoverBytes || this.#end - this.#low < 2) return;
    this.#end = this.#low + Math.ceil((this.#end - this.#low) / 2);
    for (const one of this.#leftovers.values()) one.keepBelow(this.#end);
  }

  /** Rows of the second state at places where the first has another key: there before at another place, or new. */
  #join(a: ReadPage | undefined, b: ReadPage | undefined): void {
    const to = this.#tableOf(this.#to, b);
    if (!to || !b) return;
    const from = this.#tableOf(this.#from, a);
    const same = from && from.definition.number === to.definition.number;
    const rows = this.#leftovers.get(to.definition.number);
    for (let place = 0; place < b.ordinals.length; place++) {
      const j = b.ordinals[place];
      if (j < 0 || (same && (a!.ordinals[place] ?? -1) >= 0 && sameKey(a!, b, place))) continue;
      const at = place * b.words;
      const [low, high] = [b.records[at], b.records[at + 1]];
      const hash = hashOfKey(low, high);
      if (hash < this.#low || hash >= this.#end) continue;
      const before = rows?.match(low, high);
      if (!before) this.#emit(b, j, undefined);
      else if (!sameRecord(before, 0, b.records, at, b.usedWords))
        this.#emit(b, j, distanceOf(this.#weightsBefore(to, before), 0, b.rows, j * to.dim, to.dim));
    }
  }

  /** The table may have another descriptor in the first state. */
  #weightsBefore({ definition }: ArenaTable, record: Uint32Array): Float32Array {
    return this.#from.weightsOf(this.#from.recovered.tables.get(definition.name)!, record);
  }

  /** Cold rows of the first state that the second has not alike. */
  async #keepCold(): Promise<void> {
    const wanted = (table: ArenaTable) => this.#wanted(table) && this.#isIn(this.#to, table);
    for await (const rows of this.#cold.rowsOf("from", wanted)) {
      for (let i = 0; i < rows.n; i++) this.#keep(rows, i);
      await this.#turn();
    }
  }

  async *#joinCold(): AsyncGenerator<ChangeBatch> {
    for await (const rows of this.#cold.rowsOf("to", (table) => this.#wanted(table))) {
      this.#join(undefined, rows);
      await this.#turn();
      while (this.#ready.length > 0) yield this.#ready.shift()!;
    }
  }

  async #turn(): Promise<void> {
    const { signal, pause } = this.#options;
    await pause();
    if (signal?.aborted)
      throw new EmbershardError("ABORTED", "the comparison was aborted", { cause: signal.reason });
  }

  #emit(page: ReadPage, row: number, distance: number | undefined): void {
    const { definition } = page.table;
    let collector = this.#collectors.get(definition.number);
    if (!collector) {
      collector = new ChangeCollector(page.table, this.#options.batchRows);
      this.#collectors.set(definition.number, collector);
    }
    collector.add(page, row, distance);
    if (collector.full) this.#ready.push(collector.take());
  }

  *#removals(number: number, rows: LeftoverRows): Generator<ChangeBatch> {
    const { batchRows } = this.#options;
    const words = rows.unmatched();
    const name = [...this.#from.recovered.tables.values()].find(
      ({ definition }) => definition.number === number,
    )!.definition.name;
    for (let at = 0; at < words.length; at += 2 * batchRows)
      yield batchWithout(name, { removed: new BigUint64Array(words.slice(at, at + 2 * batchRows).buffer) });
  }
}

function sameKey(a: ReadPage, b: ReadPage, place: number): boolean {
  const [i, j] = [place * a.words, place * b.words];
  return a.records[i] === b.records[j] && a.records[i + 1] === b.records[j + 1];
}

function differing(from: Manifest, to: Manifest): DifferingPage[] {
  const pages: DifferingPage[] = [];
  for (let arena = 0; arena < Math.max(from.pages.length, to.pages.length); arena++) {
    const [a, b] = [from.pages[arena] ?? [], to.pages[arena] ?? []];
    for (let page = 0; page < Math.max(a.length, b.length); page++)
      if ((a[page] ?? 0) !== (b[page] ?? 0)) pages.push({ arena, page, leftovers: false });
  }
  return pages;
}
