// The layout of an arena's memory, the one place that fixes it. lib/kernel/layout.ts repeats it for TypeScript and a spec
// compares the two.
//
//   0x000000  static data of the module
//   0x020000  page LSNs     u64[32768]   bit 63 = dirty, the rest the LSN of the last record applied to the page
//   0x060000  page metas    16 bytes each, below
//   0x0E0000  tables        descriptors of 512 bytes each, below
//   0x160000  scratch, 16 MiB, where batches lie while they are worked on (pages 11 to 138)
//  0x1160000  first page that can be allocated (page 139)
//
// Every page is 128 KiB and lies at a multiple of its size. A row's address is kept as address >>> 3 (29 bits).

export const PAGE_SHIFT: u32 = 17;
export const PAGE_BYTES: u32 = 1 << 17;
export const MAX_PAGES: u32 = 32768;
export const PAGE_LSNS: usize = 0x20000;
export const PAGE_METAS: usize = 0x60000;
export const TABLES: usize = 0xe0000;
export const TABLE_BYTES: usize = 512;
export const SCRATCH: usize = 0x160000;
export const SCRATCH_BYTES: u32 = 0x1000000;
export const FIRST_PAGE: u32 = 139;
export const DIRTY: u64 = 1 << 63;

// Page meta: u16 table, u16 kind, u32 live rows (index: entries), u16 first free place + 1 (index: local depth),
// u16 places ever used, u32 next page of the list it is in.
export const M_TABLE: usize = 0;
export const M_KIND: usize = 2;
export const M_LIVE: usize = 4;
export const M_FREE: usize = 8;
export const M_BUMP: usize = 10;
export const M_NEXT: usize = 12;

export const KIND_FREE: u16 = 0;
export const KIND_ROWS: u16 = 1;
export const KIND_INDEX: u16 = 2;
export const KIND_DIRECTORY: u16 = 3;
export const KIND_SCRATCH: u16 = 4;

// A record: key u64, frequency u32 with bit 31 = live and bit 30 = clean, last step u32, weights, [int8: their scale, f32], state elements, state
// scalars f32[], extras (fields of 4 bytes), up to a multiple of 8. Each part begins at a multiple of 4. Weights are dim numbers
// of T_STORAGE; elements of state are T_STATE_ELEMENTS numbers of T_STATE_STORAGE, scalars the rest of T_STATE floats.
// Where both are f32, weights and state are f32[dim] and f32[T_STATE], one behind the other.
export const R_KEY: usize = 0;
export const R_FREQUENCY: usize = 8;
export const R_STEP: usize = 12;
export const R_WEIGHTS: usize = 16;
export const LIVE: u32 = 0x80000000;
/** The row has not changed since it was read from the cold rows, where a copy of it still is. Every change clears it. */
export const CLEAN: u32 = 0x40000000;
export const MAX_FREQUENCY: u32 = 0x3fffffff;

// Table descriptor.
export const T_DEPTH: usize = 4; // u32: the directory has 2^depth entries
export const T_DIRECTORY: usize = 8; // u32: its address
export const T_ROWS_PER_PAGE: usize = 12; // u32
export const T_DIM: usize = 16; // u32
export const T_STATE: usize = 20; // u32: floats of optimizer state
export const T_RECORD: usize = 24; // u32: bytes of a record
export const T_SEED_LO: usize = 32; // u64: seed of initial values
export const T_PLACEMENT: usize = 40; // u64: seed of the hash that places keys
export const T_ROWS: usize = 48; // u32: live rows
export const T_PAGES: usize = 52; // u32: pages of rows
export const T_SPACE: usize = 56; // u32: first page with a free place, 0 = none
export const T_SEGMENTS: usize = 60; // u32: pages of index
export const T_OVERFLOWS: usize = 64; // u32: pages where full segments go on
export const T_STORAGE: usize = 68; // u8, codes of storage/codes.ts
export const T_STATE_STORAGE: usize = 69; // u8
export const T_ROUNDING: usize = 70; // u8
export const T_STATE_ELEMENTS: usize = 72; // u32
export const T_STATE_OFFSET: usize = 76; // u32: where state begins in a record
export const T_STATE_BYTES: usize = 80; // u32: elements and scalars
export const T_SCALARS_OFFSET: usize = 84; // u32: where the scalars of state begin
export const T_EXTRAS_OFFSET: usize = 88; // u32
export const T_EXTRAS_BYTES: usize = 92; // u32
// Eviction and counters: where a record has what they need, 0 = not at all, and what they are now.
export const T_TOUCHED: usize = 96; // u32: place of `touched` in a record
export const T_COUNTERS: usize = 100; // u32: place of the decay epoch in a record, counters f32 behind it
export const T_COUNTER_COUNT: usize = 104; // u32
export const T_NOW: usize = 108; // u32: what a write sets `touched` to
export const T_EPOCH: usize = 112; // u32: decays so far
export const T_DECAY: usize = 116; // f32: what one decay multiplies counters by
export const T_SCORE: usize = 120; // f32[2]: coefficients of the counters in a row's score
export const T_ADMISSION: usize = 128; // u32, ADMIT_*: how keys without a row are counted, and candidates are kept
export const T_CANDIDATES: usize = 132; // u32: number of the descriptor of the table's candidates
export const T_ADMIT_AFTER: usize = 136; // u32: occurrences, 0 where chance decides
export const T_SKETCH_BLOCKS: usize = 140; // u32: blocks of counters in a row of a sketch
export const T_ADMIT_MISS: usize = 144; // f64: the chance that an occurrence does not admit
export const T_SLOT_KEYS: usize = 152; // u32: 1 where keys of rows are slots, of a sketch
// Owned by optimizers and initializers.
export const T_OPTIMIZER: usize = 192; // u32
export const T_INITIALIZER: usize = 196; // u32
export const T_FLAGS: usize = 200; // u32
export const T_OPT_PARAMS: usize = 208; // f64[16]
export const T_INIT_PARAMS: usize = 336; // f64[6]
export const T_PREPARE: usize = 384; // f64[4]

// What T_ADMISSION holds.
export const ADMIT_NONE: u32 = 0;
export const ADMIT_EXACT: u32 = 1;
export const ADMIT_SKETCH_U8: u32 = 2;
export const ADMIT_SKETCH_U16: u32 = 3;
