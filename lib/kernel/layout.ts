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

export const R_WEIGHTS = 16;

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
export const T_OPTIMIZER = 192;
export const T_INITIALIZER = 196;
export const T_FLAGS = 200;
export const T_OPT_PARAMS = 208;
export const T_INIT_PARAMS = 336;
export const T_PREPARE = 384;

/** A segment of the index splits when it holds more entries. */
export const SPLIT_ABOVE = 12_800;

/** Bit of an occurrence count: this request created the row. */
export const CREATED = 0x8000_0000;

/** Bytes of a record: key, frequency, last step, weights, optimizer state, rounded up to 8. */
export function recordBytes(dim: number, stateFloats: number): number {
  return (R_WEIGHTS + 4 * (dim + stateFloats) + 7) & ~7;
}
