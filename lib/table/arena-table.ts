import { encodeAdmission } from "../api/admission.js";
import { extrasOf, scoreCoefficients } from "../api/eviction.js";
import { encodeInitializer } from "../api/initializers.js";
import { encodeOptimizer, stateFloats } from "../api/optimizers.js";
import { rowLayoutOf } from "../api/row-layout.js";
import { rowStorageOf } from "../api/row-storage.js";
import type { TableDefinition } from "../api/table-definition.js";
import {
  KIND_INDEX,
  PAGE_BYTES,
  type RecordLayout,
  SPLIT_ABOVE,
  T_ADMISSION,
  T_ADMIT_AFTER,
  T_ADMIT_MISS,
  T_CANDIDATES,
  T_COUNTER_COUNT,
  T_COUNTERS,
  T_DECAY,
  T_DIM,
  T_EPOCH,
  T_EXTRAS_BYTES,
  T_EXTRAS_OFFSET,
  T_FLAGS,
  T_INIT_PARAMS,
  T_INITIALIZER,
  T_NOW,
  T_OPT_PARAMS,
  T_OPTIMIZER,
  T_PAGES,
  T_PLACEMENT,
  T_PREPARE,
  T_RECORD,
  T_ROUNDING,
  T_ROWS,
  T_ROWS_PER_PAGE,
  T_SCALARS_OFFSET,
  T_SCORE,
  T_SEED_LO,
  T_SEGMENTS,
  T_SKETCH_BLOCKS,
  T_SLOT_KEYS,
  T_STATE,
  T_STATE_BYTES,
  T_STATE_ELEMENTS,
  T_STATE_OFFSET,
  T_STATE_STORAGE,
  T_STORAGE,
  T_TOUCHED,
  TABLE_BYTES,
  TABLES,
} from "../kernel/layout.js";
import { ROUNDINGS, STORAGES } from "../kernel/storage.js";
import type { Arena } from "./arena.js";

/** Splits that leave one half empty and have to go on. */
const spareSplits = 4;

export interface AdmissionCounts {
  /** Rows that were created because their keys had been seen often enough. */
  admitted: number;
  /** Occurrences of keys that got no row, and the gradients, summed over equal keys of a push, that were not kept. */
  occurrences: number;
  gradients: number;
}

/** A table as arenas know it: a number of a descriptor, and sizes. The same in every arena of a shard. */
export class ArenaTable {
  /** Number of the descriptor, below 1,024; used again after a drop. */
  readonly index: number;
  readonly dim: number;
  readonly stateFloats: number;
  readonly layout: RecordLayout;
  readonly recordBytes: number;
  readonly rowsPerPage: number;
  readonly placement: bigint;
  definition: TableDefinition;
  /** Rows whose gradients were skipped because they were not finite, since the store was opened. */
  skipped = 0;
  /** Keys that were counted and have no row, where the table admits. Made with it, see `makeTable`. */
  candidates: ArenaTable | undefined;
  /** Of candidates: whether rows are those of slots, not of keys. */
  bySlot = false;
  /** What admission has done since the store was opened. */
  readonly admitting: AdmissionCounts = { admitted: 0, occurrences: 0, gradients: 0 };
  /** The highest step that a write has brought. */
  highestStep = 0;
  /** LSN of the record that made or changed its definition in this life of the store: who opens it waits for that. */
  definedLsn = 0;
  /** Times that its counters have decayed. */
  epoch = 0;
  /** Counters of a row. */
  readonly counters: number;
  /** Places in a record: when it was last written; the epoch of its counters, which follow. 0 where it has none. */
  readonly touchedOffset: number;
  readonly countersOffset: number;

  /** `layout` is that of the definition unless given. */
  constructor(index: number, definition: TableDefinition, layout = rowLayoutOf(definition)) {
    this.index = index;
    this.definition = definition;
    this.dim = definition.dim;
    this.stateFloats = stateFloats(definition.optimizer, definition.dim);
    this.layout = layout;
    this.recordBytes = this.layout.recordBytes;
    this.rowsPerPage = Math.floor(PAGE_BYTES / this.recordBytes);
    this.placement = BigInt(definition.placement);
    const extras = extrasOf(definition);
    const { extrasOffset } = this.layout;
    this.counters = definition.counters?.names.length ?? 0;
    this.touchedOffset = extras.touched === undefined ? 0 : extrasOffset + extras.touched;
    this.countersOffset = extras.counters === undefined ? 0 : extrasOffset + extras.counters;
  }

  /** Writes the descriptor into an arena. The table has no index there yet: see `kernel.openTable`. */
  describe(arena: Arena): void {
    const { definition } = this;
    const t = TABLES + this.index * TABLE_BYTES;
    const { data } = arena;
    arena.bytes.fill(0, t, t + TABLE_BYTES);
    data.setUint32(t + T_ROWS_PER_PAGE, this.rowsPerPage, true);
    data.setUint32(t + T_DIM, this.dim, true);
    data.setUint32(t + T_STATE, this.stateFloats, true);
    data.setUint32(t + T_RECORD, this.recordBytes, true);
    data.setBigUint64(t + T_SEED_LO, BigInt(definition.seed), true);
    data.setBigUint64(t + T_PLACEMENT, this.placement, true);
    const { layout } = this;
    const stored = rowStorageOf(definition);
    data.setUint8(t + T_STORAGE, STORAGES[stored.storage]);
    data.setUint8(t + T_STATE_STORAGE, layout.stateElements === 0 ? 0 : STORAGES[stored.stateStorage]);
    data.setUint8(t + T_ROUNDING, ROUNDINGS[stored.rounding]);
    data.setUint32(t + T_STATE_ELEMENTS, layout.stateElements, true);
    data.setUint32(t + T_STATE_OFFSET, layout.stateOffset, true);
    data.setUint32(t + T_STATE_BYTES, layout.stateBytes, true);
    data.setUint32(t + T_SCALARS_OFFSET, layout.scalarsOffset, true);
    data.setUint32(t + T_EXTRAS_OFFSET, layout.extrasOffset, true);
    data.setUint32(t + T_EXTRAS_BYTES, layout.extrasBytes, true);
    this.#describeAdmission(data, t);
    data.setUint32(t + T_TOUCHED, this.touchedOffset, true);
    data.setUint32(t + T_COUNTERS, this.countersOffset, true);
    data.setUint32(t + T_COUNTER_COUNT, this.counters, true);
    data.setFloat32(t + T_DECAY, definition.counters?.decay ?? 1, true);
    this.describeEpoch(arena, this.epoch);
    const optimizer = encodeOptimizer(definition.optimizer, definition);
    data.setUint32(t + T_OPTIMIZER, optimizer.id, true);
    data.setUint32(t + T_FLAGS, optimizer.flags, true);
    optimizer.params.forEach((value, i) => {
      data.setFloat64(t + T_OPT_PARAMS + 8 * i, value, true);
    });
    optimizer.prepare.forEach((value, i) => {
      data.setFloat64(t + T_PREPARE + 8 * i, value, true);
    });
    const initializer = encodeInitializer(definition.initializer);
    data.setUint32(t + T_INITIALIZER, initializer.id, true);
    initializer.params.forEach((value, i) => {
      data.setFloat64(t + T_INIT_PARAMS + 8 * i, value, true);
    });
  }

  #describeAdmission(data: DataView, t: number): void {
    const program = encodeAdmission(this.definition.admission);
    data.setUint32(t + T_ADMISSION, program.counter, true);
    data.setUint32(t + T_CANDIDATES, this.candidates?.index ?? 0, true);
    data.setUint32(t + T_ADMIT_AFTER, program.after, true);
    data.setUint32(t + T_SKETCH_BLOCKS, program.blocks, true);
    data.setFloat64(t + T_ADMIT_MISS, program.miss, true);
    data.setUint32(t + T_SLOT_KEYS, this.bySlot ? 1 : 0, true);
  }

  /** Tells an arena what `epoch` a row's counters are read and written at. */
  describeEpoch(arena: Arena, epoch: number): void {
    arena.data.setUint32(TABLES + this.index * TABLE_BYTES + T_EPOCH, epoch, true);
  }

  /** Tells an arena the time of the writes that follow, milliseconds since the epoch. Costs a table without times nothing. */
  describeTime(arena: Arena, time: number): void {
    if (this.touchedOffset !== 0)
      arena.data.setUint32(TABLES + this.index * TABLE_BYTES + T_NOW, this.tenthsAt(time), true);
  }

  /** Tells an arena what a row's score is. */
  describeScore(arena: Arena): void {
    const { counters, eviction } = this.definition;
    if (!counters) return;
    scoreCoefficients(eviction, counters).forEach((coefficient, i) => {
      arena.data.setFloat32(TABLES + this.index * TABLE_BYTES + T_SCORE + 4 * i, coefficient, true);
    });
  }

  /** A time as records keep it: tenths of a second since the table was made, rounded down. */
  tenthsAt(time: number): number {
    const tenths = Math.floor((time - this.definition.made!) / 100);
    return Math.min(Math.max(tenths, 0), 0xffff_ffff);
  }

  rows(arena: Arena): number {
    return arena.data.getUint32(TABLES + this.index * TABLE_BYTES + T_ROWS, true);
  }

  /**
   * The pages that creating `rows` rows in an arena may take, closer than the kernel's bound, which counts on every
   * segment of the index to split: here each takes as many of the rows as fill it. Slow: it looks at every page.
   */
  pagesFor(arena: Arena, rows: number): number {
    const pages = arena.data.getUint32(TABLES + this.index * TABLE_BYTES + T_PAGES, true);
    const unused = pages * this.rowsPerPage - this.rows(arena);
    const rowPages = Math.ceil(Math.max(0, rows - unused) / this.rowsPerPage);
    return rowPages + this.#splits(arena, rows) + Math.ceil(rows / (SPLIT_ABOVE / 2)) + spareSplits;
  }

  /** The most segments that `rows` more rows can fill. */
  #splits(arena: Arena, rows: number): number {
    const missing: number[] = [];
    for (let page = arena.firstPage; page < arena.pagesEnd; page++) {
      if (arena.pageKind(page) !== KIND_INDEX || arena.pageTable(page) !== this.index) continue;
      missing.push(Math.max(1, SPLIT_ABOVE + 1 - arena.pageRows(page)));
    }
    missing.sort((a, b) => a - b);
    let left = rows;
    let splits = 0;
    for (const more of missing) {
      left -= more;
      if (left < 0) break;
      splits++;
    }
    return splits;
  }

  /** Bytes of its pages in an arena that no row takes. */
  freeBytes(arena: Arena): number {
    const pages = arena.data.getUint32(TABLES + this.index * TABLE_BYTES + T_PAGES, true);
    return (pages * this.rowsPerPage - this.rows(arena)) * this.recordBytes;
  }

  /** Pages of its index in an arena, the directory included. */
  indexPages(arena: Arena): number {
    return arena.data.getUint32(TABLES + this.index * TABLE_BYTES + T_SEGMENTS, true) + 1;
  }

  /** Bytes of its pages of rows and of index in an arena. */
  bytes(arena: Arena): number {
    const t = TABLES + this.index * TABLE_BYTES;
    return (
      (arena.data.getUint32(t + T_PAGES, true) + arena.data.getUint32(t + T_SEGMENTS, true) + 1) * PAGE_BYTES
    );
  }
}
