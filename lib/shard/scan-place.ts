import type { Arena } from "../table/arena.js";
import type { ArenaTable } from "../table/arena-table.js";
import type { MovedRows } from "./hand-over.js";

/**
 * Where a scan is. Rows move while it goes on, from arena to arena, and between arenas and the page store; each is given
 * exactly once, because the scan knows of each move whether it leads past where it is.
 *
 * A row lies in what the scan has *passed*, where it has been given unless it is `owed`, or *ahead*, where it has not been
 * given unless it was `seen`. Cold rows come first, in the order of their keys as of the scan's beginning.
 */
export class ScanPlace {
  arena = 0;
  page = 0;
  place = 0;
  /** Rows ahead that have been given. */
  readonly seen = new Set<bigint>();
  /** Rows in what was passed that have not been given. */
  readonly owed = new Set<bigint>();
  /** Keys that have ceased to be cold, or begun to be, since the scan began: what it reads of cold rows has not got them. */
  readonly stirred = new Set<bigint>();
  /** The last cold row that was given; undefined before the first, and when all have been passed. */
  coldKey: bigint | undefined;
  #inCold = false;
  readonly #table: ArenaTable;

  constructor(table: ArenaTable) {
    this.#table = table;
  }

  /** Cold rows are read now; no arena has been passed. */
  beginCold(): void {
    this.#inCold = true;
    this.arena = -1;
  }

  /** All cold rows have been passed; the arenas come next. */
  endCold(): void {
    this.#inCold = false;
    this.arena = 0;
    this.stirred.clear();
  }

  /** All arenas have been passed, those to come included. */
  end(): void {
    this.arena = Number.POSITIVE_INFINITY;
  }

  /** Rows that leave an arena for one that comes later. */
  noteMoves({ table, from, keys, positions }: MovedRows): void {
    if (table !== this.#table) return;
    const toPassed = this.arena === Number.POSITIVE_INFINITY;
    for (let i = 0; i < keys.length; i++)
      this.#move(keys[i], this.#isGiven(keys[i], from, positions[i]), toPassed);
  }

  /** Cold rows that come into an arena. */
  notePromotion(table: ArenaTable, arena: Arena, keys: BigUint64Array, positions: Uint32Array): void {
    if (table !== this.#table) return;
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i];
      const passed = !this.#inCold || this.stirred.has(key) || key <= (this.coldKey ?? -1n);
      const given = passed && !this.owed.has(key);
      if (this.#inCold) this.stirred.add(key);
      this.#move(key, given, this.#hasPassed(arena, positions[i]));
    }
  }

  /** Rows of an arena that become cold. They are never met again: what is read of cold rows is older. */
  noteDemotion(table: ArenaTable, arena: Arena, keys: BigUint64Array, positions: Uint32Array): void {
    if (table !== this.#table) return;
    for (let i = 0; i < keys.length; i++) {
      const given = this.#isGiven(keys[i], arena, positions[i]);
      if (this.#inCold) this.stirred.add(keys[i]);
      this.#move(keys[i], given, true);
    }
  }

  #isGiven(key: bigint, arena: Arena, position: number): boolean {
    return this.#hasPassed(arena, position) ? !this.owed.has(key) : this.seen.has(key);
  }

  #move(key: bigint, given: boolean, toPassed: boolean): void {
    this.seen.delete(key);
    this.owed.delete(key);
    if (toPassed && !given) this.owed.add(key);
    if (!toPassed && given) this.seen.add(key);
  }

  #hasPassed(arena: Arena, position: number): boolean {
    const page = position >>> 14;
    const place = ((position & 0x3fff) * 8) / this.#table.recordBytes;
    return (
      arena.number < this.arena ||
      (arena.number === this.arena && (page < this.page || (page === this.page && place < this.place)))
    );
  }
}
