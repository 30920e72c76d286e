/** The limits of one shard and one request. Each is enforced where the bytes come in. */
export const LIMITS = {
  /** Floats of weights in a row. */
  dim: 4096,
  /** Characters of a table's, tensor's or feature's name. */
  nameLength: 128,
  /** Tables and tensors in a store, dropped ones included until the next checkpoint; a table that admits counts twice. */
  tables: 1024,
  /** Keys in one push, assign or delete. A pull has no limit. */
  keysPerWrite: 1 << 22,
  /** Bytes of gradients or rows in one push or assign, over all its tables. */
  writeBytes: 256 << 20,
  /** Bytes of the caller's own that a push may carry. */
  markBytes: 4096,
  /** Bytes, in UTF-8, of the name of a worker that pushes from elsewhere. */
  workerNameBytes: 200,
  /** Workers that a shard knows at once. */
  workers: 65_536,
  /** Characters of a version's note. */
  noteLength: 4096,
  /** Most bytes of one arena: 32-bit memory. */
  arenaBytes: 2 ** 32,
  /** Least bytes of one arena: the kernel's own, scratch, and some rows. */
  minimumArenaBytes: 32 << 20,
  /** Least bytes that a table may be kept to. */
  tableMemory: 1 << 20,
  /** Shards of a directory. */
  shards: 1024,
  /** Shards that a process opens at once, as a node or by itself: each has a thread. */
  threads: 256,
  /** Arenas of a shard. */
  arenas: 64,
  /** A step is kept in 32 bits. */
  step: 0xffff_ffff,
} as const;
