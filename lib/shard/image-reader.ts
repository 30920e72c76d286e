// Images of pages that are looked at one by one, in an arena that is worked in and has no index.
import { FIRST_PAGE, PAGE_BYTES } from "../kernel/layout.js";
import type { PageStore } from "../store/page-store.js";
import type { Arena } from "../table/arena.js";
import type { ArenaTable } from "../table/arena-table.js";
import { ArenaSet } from "./arena-set.js";
import type { Manifest } from "./manifest.js";
import { claimAndLoad } from "./page-claiming.js";
import { encodePageKey, type PageKey } from "./page-image.js";
import { PageLedger } from "./page-ledger.js";
import { beginRecovered, type Recovered, tableOf } from "./recovered.js";

const slot = FIRST_PAGE;
const liveBit = 0x8000_0000;
/** Whether a cold copy of the row exists is no part of the row. */
const frequencyMask = 0xbfff_ffff;

/** A page that has been read: which places hold rows, and the rows in columns in the order of their places. */
export interface ReadPage {
  readonly table: ArenaTable;
  /** i32[places]: the number of the row at a place, or -1. */
  readonly ordinals: Int32Array;
  readonly n: number;
  /** u64[n], f32[n * dim], f32[n * stateFloats], u32[n], u32[n]: views, valid until the next page is read. */
  readonly keys: BigUint64Array;
  readonly rows: Float32Array;
  readonly state: Float32Array;
  readonly frequency: Uint32Array;
  readonly lastStep: Uint32Array;
  /** f32[n * counters], as of the state's instant. */
  readonly counters: Float32Array;
  /** u32: the records themselves, `words` of them each, of which the first `usedWords` mean something. */
  readonly records: Uint32Array;
  readonly words: number;
  readonly usedWords: number;
}

/** Reads images of one manifest, one at a time. */
export class ImageReader {
  readonly recovered: Recovered;
  readonly ledger: PageLedger;
  readonly #pages: PageStore;

  constructor(pages: PageStore, manifest: Manifest) {
    const arenas = new ArenaSet({ limitBytes: (slot + 64) * PAGE_BYTES, hugePages: "off" });
    arenas.add();
    this.#pages = pages;
    this.ledger = new PageLedger(manifest.pages);
    this.recovered = beginRecovered(arenas, manifest, { ledger: this.ledger });
    for (const { number, epoch } of manifest.progress ?? [])
      tableOf(this.recovered, number)?.describeEpoch(this.arena, epoch);
  }

  get arena(): Arena {
    return this.recovered.arenas.all[0];
  }

  /** The value of an image; undefined where the page has none. */
  async fetch(arena: number, page: number): Promise<Uint8Array | undefined> {
    const generation = this.ledger.get(arena, page);
    if (generation === 0) return undefined;
    // A value that is missing is reported when it is read.
    return (await this.#pages.get(encodePageKey({ generation, arena, page }))) ?? new Uint8Array(0);
  }

  /** Takes a value apart. Undefined for a page without an image. @throws CORRUPT naming the page */
  read(arena: number, page: number, value: Uint8Array | undefined): ReadPage | undefined {
    if (value === undefined) return undefined;
    const key: PageKey = { generation: this.ledger.get(arena, page), arena, page };
    const there = value.length === 0 ? undefined : value;
    const table = claimAndLoad(this.recovered, this.arena, key, there, slot);
    return this.#columns(table);
  }

  /** Reads the weights of a record that is given as words. Returns f32[dim], the caller's. */
  weightsOf(table: ArenaTable, record: Uint32Array): Float32Array {
    const { arena } = this;
    arena.beginScratch(table.recordBytes + 4 * table.dim + 2 * 64);
    const at = arena.takeScratch(table.recordBytes);
    const weights = arena.takeScratch(4 * table.dim);
    arena.u32.set(record, at / 4);
    arena.kernel.readRecords(table.index, at, 1, table.recordBytes, weights, 0, 0, 0);
    return arena.f32.slice(weights / 4, weights / 4 + table.dim);
  }

  /** Takes whole records apart, one behind the other, as if they were those of a page. */
  readRecords(table: ArenaTable, given: Uint8Array): ReadPage {
    const { arena } = this;
    const { dim, stateFloats, counters, layout, recordBytes } = table;
    const n = given.length / recordBytes;
    arena.beginScratch(given.length + n * (12 + 4 * (dim + stateFloats + counters)) + 8 * 64);
    const at = arena.takeScratch(given.length);
    const rows = arena.takeScratch(4 * n * dim);
    const states = arena.takeScratch(4 * n * stateFloats);
    const frequencies = arena.takeScratch(4 * n);
    const steps = arena.takeScratch(4 * n);
    arena.bytes.set(given, at);
    arena.kernel.readRecords(
      table.index,
      at,
      n,
      recordBytes,
      rows,
      stateFloats > 0 ? states : 0,
      frequencies,
      steps,
    );
    const counted = counters > 0 ? readCounters(arena, table, at, n) : 0;
    const words = recordBytes / 4;
    return {
      table,
      ordinals: Int32Array.from({ length: n }, (_, i) => i),
      n,
      keys: BigUint64Array.from({ length: n }, (_, i) => arena.u64[(at + i * recordBytes) / 8]),
      rows: arena.f32.slice(rows / 4, rows / 4 + n * dim),
      state: arena.f32.slice(states / 4, states / 4 + n * stateFloats),
      frequency: arena.u32.slice(frequencies / 4, frequencies / 4 + n),
      lastStep: arena.u32.slice(steps / 4, steps / 4 + n),
      counters: arena.f32.slice(counted / 4, counted / 4 + n * counters),
      records: arena.u32.slice(at / 4, at / 4 + n * words),
      words,
      usedWords: (layout.extrasOffset + layout.extrasBytes) / 4,
    };
  }

  #columns(table: ArenaTable): ReadPage {
    const { arena } = this;
    const { dim, stateFloats, counters, layout } = table;
    const places = arena.pagePlaces(slot);
    arena.beginScratch(places * (16 + 4 * (dim + stateFloats + counters)) + 7 * 64);
    const keys = arena.takeScratch(8 * places);
    const rows = arena.takeScratch(4 * places * dim);
    const states = arena.takeScratch(4 * places * stateFloats);
    const frequencies = arena.takeScratch(4 * places);
    const steps = arena.takeScratch(4 * places);
    const counted = counters > 0 ? arena.takeScratch(4 * places * counters) : 0;
    const result = arena.kernel.scanPage(
      slot,
      0,
      places,
      keys,
      dim > 0 ? rows : 0,
      stateFloats > 0 ? states : 0,
      frequencies,
      steps,
    );
    const n = Number(result & 0xffff_ffffn);
    if (counted > 0) arena.kernel.scanExtras(slot, 0, n, counted, 0);
    arena.refresh();
    const words = table.recordBytes / 4;
    const first = (slot * PAGE_BYTES) / 4;
    const records = arena.u32.subarray(first, first + places * words);
    const ordinals = new Int32Array(places).fill(-1);
    let live = 0;
    for (let place = 0; place < places; place++)
      if (records[place * words + 2] & liveBit) ordinals[place] = live++;
    return {
      table,
      ordinals,
      n,
      keys: arena.u64.subarray(keys / 8, keys / 8 + n),
      rows: arena.f32.subarray(rows / 4, rows / 4 + n * dim),
      state: arena.f32.subarray(states / 4, states / 4 + n * stateFloats),
      frequency: arena.u32.subarray(frequencies / 4, frequencies / 4 + n),
      lastStep: arena.u32.subarray(steps / 4, steps / 4 + n),
      counters: arena.f32.subarray(counted / 4, counted / 4 + n * counters),
      records,
      words,
      usedWords: (layout.extrasOffset + layout.extrasBytes) / 4,
    };
  }
}

/** Reads counters of records that lie in scratch, one behind the other. Gives where they are. */
function readCounters(
  arena: Arena,
  { index, counters, recordBytes }: ArenaTable,
  records: number,
  n: number,
) {
  const counted = arena.takeScratch(4 * n * counters);
  // A record's address in scratch is as good as that of a row.
  const positions = arena.takeScratch(4 * n);
  for (let i = 0; i < n; i++) arena.u32[positions / 4 + i] = (records + i * recordBytes) / 8;
  arena.kernel.readExtras(index, positions, n, counted, 0);
  return counted;
}

/** Whether two records of one layout, at word `a` of one array and `b` of the other, are the same row of one key. */
export function sameRecord(
  as: Uint32Array,
  a: number,
  bs: Uint32Array,
  b: number,
  usedWords: number,
): boolean {
  if (((as[a + 2] ^ bs[b + 2]) & frequencyMask) !== 0) return false;
  for (let word = 3; word < usedWords; word++) if (as[a + word] !== bs[b + word]) return false;
  return true;
}

/** Euclidean distance of two vectors of `dim` floats. */
export function distanceOf(as: Float32Array, a: number, bs: Float32Array, b: number, dim: number): number {
  let sum = 0;
  for (let i = 0; i < dim; i++) {
    const difference = as[a + i] - bs[b + i];
    sum += difference * difference;
  }
  return Math.sqrt(sum);
}
