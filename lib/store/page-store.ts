/** Keys from `gte`, inclusive, to `lt`, exclusive, compared bytewise. */
export interface KeyRange {
  readonly gte: Uint8Array;
  readonly lt: Uint8Array;
}

export interface PageEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** Values of several keys: value i is the bytes from `ends[i - 1]` (0 for the first) to `ends[i]`, none where there is no value. */
export interface FoundValues {
  readonly bytes: Uint8Array;
  readonly ends: Uint32Array;
}

/** Where a value lies: the page store's business, but for key and length. */
export interface ValuePlace {
  readonly key: Uint8Array;
  readonly fd: number;
  readonly offset: number;
  readonly length: number;
  /** The engine's number of the write, where that it is the value's has not been seen yet; else undefined. */
  readonly unseen: number | undefined;
}

/** Values that have not been read: their files stay open until `close`. */
export interface PlacedValues {
  /** In the order in which they are best read. */
  readonly places: readonly ValuePlace[];
  /**
   * Reads a value from its beginning into the memories of `into`, one after the other; they must neither move nor change
   * meanwhile. Resolves to whether the value was there, whole. If not, `get` knows what there is: nothing, for a key that was
   * deleted. Errors: `IO`.
   */
  read(place: ValuePlace, into: readonly Uint8Array[]): Promise<boolean>;
  close(): Promise<void>;
}

/**
 * An ordered map of byte strings on the disk, written in durable batches: pages, cold rows and the manifest. What it
 * gives back may be damaged without its noticing; whoever reads it checks the key and checksum inside each value.
 *
 * Errors: `IO` with its cause, after which every call fails alike until `reopen`, because an engine that failed once
 * may lose what it acknowledges later; `CORRUPT` when the engine notices damage; `CLOSED`.
 */
export interface PageStore {
  /**
   * The entries of `range` in the order of keys, in batches of about 4 MiB, which the caller then owns: as of the first
   * one asked for, whatever is written later.
   */
  entries(range: KeyRange): AsyncIterable<readonly PageEntry[]>;
  /**
   * Where the entries of several ranges lie, for those who have a place for long values: reading them costs half of what
   * `entries` does. Undefined where the engine cannot tell, as once something was written since it was opened.
   */
  place?(ranges: readonly KeyRange[]): Promise<PlacedValues | undefined>;
  /** The value of `key`, owned by the caller; undefined when there is none. */
  get(key: Uint8Array): Promise<Uint8Array | undefined>;
  /**
   * The values of keys that lie one behind the other, `keyBytes` each, owned by the caller: as of the call, whatever is
   * written later. No value is empty. The keys are borrowed until this returns.
   */
  getMany(keys: Uint8Array, keyBytes: number): Promise<FoundValues>;
  /** A new, empty batch. Batches are written one after the other, in the order of `write`. */
  batch(): PageBatch;
  /** Gives the space of deleted entries in `range` back to the file system. Slow: it rewrites what is left there. */
  compact(range: KeyRange): Promise<void>;
  /** Closes and opens again, after a failure or not. Unwritten batches are void. */
  reopen(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Changes that happen together or not at all. Writing one occupies the calling thread for about 80 us per page of
 * 128 KiB: 1 to 4 MiB a batch keep that short, and one sync for so much is cheap.
 */
export interface PageBatch {
  /** Copies key and value before it returns. */
  put(key: Uint8Array, value: Uint8Array): void;
  del(key: Uint8Array): void;
  /** Applies the changes; resolves when they are durable. Call it once. */
  write(): Promise<void>;
}

const compactAtLeastBytes = 64 * 2 ** 20;

/**
 * Whether it is time to compact, given the bytes of the entries that are there and of those that were deleted since
 * the last compaction. LevelDB gives back next to nothing by itself when keys only ever grow; compacting at every
 * checkpoint wrote 3.6 bytes per byte of pages, when the dead outweigh the living it takes about twice the space.
 */
export function compactionIsDue({ liveBytes, deadBytes }: { liveBytes: number; deadBytes: number }): boolean {
  return deadBytes >= Math.max(liveBytes, compactAtLeastBytes);
}
