/** A fixed piece of memory that can compute XXH64 over itself without a copy. It never moves and never grows. */
export interface HashBlock {
  /** The memory. Views of it stay valid for as long as the block is referenced. */
  readonly bytes: Uint8Array;
  /** XXH64 of `length` bytes from `offset`, with `seed`. */
  checksum(offset: number, length: number, seed: bigint): bigint;
}

/** One that can compute CRC-32C, too, which LevelDB's files have. */
export interface ChecksumBlock extends HashBlock {
  /** CRC-32C of `length` bytes from `offset`, not masked. */
  crc32c(offset: number, length: number): number;
}

/** Makes a block of exactly `bytes` bytes, zeroed. The kernel has one over WebAssembly memory. */
export type BlockFactory = (bytes: number) => HashBlock;
