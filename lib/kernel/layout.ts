import { ELEMENT_BYTES, type StateStorage, type WeightStorage } from "./storage.js";

/** The layout of an arena's memory: lib/kernel/assembly/layout.ts explains it, and a spec holds the two equal. */

export const PAGE_SHIFT = 17;
export const PAGE_BYTES = 1 << PAGE_SHIFT;
export const MAX_PAGES = 32768;
export const PAGE_LSNS = 0x20000;
export const PAGE_METAS = 0x60000;
export const PAGE_META_BYTES = 16;
export const TABLES = 0xe0000;
export const TABLE_BYTES = 512;
export const MAX_TABLES = 1024;
export const SCRATCH = 0x160000;
export const SCRATCH_BYTES = 0x1000000;
export const FIRST_PAGE = 139;

export const M_TABLE = 0;
export const M_KIND = 2;
export const M_LIVE = 4;
export const M_BUMP = 10;

export const KIND_FREE = 0;
export const KIND_ROWS = 1;
export const KIND_INDEX = 2;
export const KIND_SCRATCH = 4;
/** Pages of a dropped table, until a checkpoint has forgotten them. Known to TypeScript only. */
export const KIND_DROPPED = 5;

export const R_FREQUENCY = 8;
export const R_WEIGHTS = 16;

/** Bits of a record's frequency: the row is live; a copy of it is among the cold rows. */
export const LIVE = 0x80000000;
export const CLEAN = 0x40000000;
export const MAX_FREQUENCY = 0x3fffffff;

export const T_ROWS_PER_PAGE = 12;
export const T_DIM = 16;
export const T_STATE = 20;
export const T_RECORD = 24;
export const T_SEED_LO = 32;
export const T_PLACEMENT = 40;
export const T_ROWS = 48;
export const T_PAGES = 52;
export const T_SEGMENTS = 60;
export const T_OVERFLOWS = 64;
export const T_STORAGE = 68;
export const T_STATE_STORAGE = 69;
export const T_ROUNDING = 70;
export const T_STATE_ELEMENTS = 72;
export const T_STATE_OFFSET = 76;
export const T_STATE_BYTES = 80;
export const T_SCALARS_OFFSET = 84;
export const T_EXTRAS_OFFSET = 88;
export const T_EXTRAS_BYTES = 92;
export const T_TOUCHED = 96;
export const T_COUNTERS = 100;
export const T_COUNTER_COUNT = 104;
export const T_NOW = 108;
export const T_EPOCH = 112;
export const T_DECAY = 116;
export const T_SCORE = 120;
export const T_ADMISSION = 128;
export const T_CANDIDATES = 132;
export const T_ADMIT_AFTER = 136;
export const T_SKETCH_BLOCKS = 140;
export const T_ADMIT_MISS = 144;
export const T_SLOT_KEYS = 152;
export const T_OPTIMIZER = 192;
export const T_INITIALIZER = 196;
export const T_FLAGS = 200;
export const T_OPT_PARAMS = 208;
export const T_INIT_PARAMS = 336;
export const T_PREPARE = 384;

export const ADMIT_NONE = 0;
export const ADMIT_EXACT = 1;
export const ADMIT_SKETCH_U8 = 2;
export const ADMIT_SKETCH_U16 = 3;

/** A segment of the index splits when it holds more entries. */
export const SPLIT_ABOVE = 12_800;

/** Bit of an occurrence count: this request created the row. */
export const CREATED = 0x8000_0000;

/** What decides the layout of a table's records. */
export interface RecordShape {
  readonly dim: number;
  /** Floats of optimizer state. */
  readonly stateFloats: number;
  /** How many of them, the last ones, are one a row and not one an element: they are kept as float32 whatever `stateStorage`. */
  readonly stateScalars: number;
  readonly storage: WeightStorage;
  readonly stateStorage: StateStorage;
  /** Bytes of 4-byte fields behind the state. */
  readonly extrasBytes: number;
}

/** Where the parts of a record begin, in bytes from its own beginning. Key, frequency and last step are always at 0, 8 and 12. */
export interface RecordLayout {
  /** All of it, a multiple of 8. */
  readonly recordBytes: number;
  /** Of the float32 scale of int8 weights; undefined for other weights. */
  readonly scaleOffset: number | undefined;
  readonly stateOffset: number;
  /** Of state, scalars included. */
  readonly stateBytes: number;
  /** Floats of state that `stateStorage` is about. */
  readonly stateElements: number;
  readonly scalarsOffset: number;
  readonly extrasOffset: number;
  readonly extrasBytes: number;
}

/** Weights from byte 16, [int8: their scale], state elements, state scalars, extras; each part begins at a multiple of 4. */
export function recordLayout(shape: RecordShape): RecordLayout {
  const { dim, stateFloats, stateScalars, storage, stateStorage, extrasBytes } = shape;
  const weightsEnd = R_WEIGHTS + round4(dim * ELEMENT_BYTES[storage]);
  const scaleOffset = storage === "int8" ? weightsEnd : undefined;
  const stateOffset = weightsEnd + (storage === "int8" ? 4 : 0);
  const stateElements = stateFloats - stateScalars;
  const scalarsOffset = stateOffset + round4(stateElements * ELEMENT_BYTES[stateStorage]);
  const extrasOffset = scalarsOffset + 4 * stateScalars;
  return {
    recordBytes: (extrasOffset + extrasBytes + 7) & ~7,
    scaleOffset,
    stateOffset,
    stateBytes: extrasOffset - stateOffset,
    stateElements,
    scalarsOffset,
    extrasOffset,
    extrasBytes,
  };
}

function round4(bytes: number): number {
  return (bytes + 3) & ~3;
}
