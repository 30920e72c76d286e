import xxhash from "xxhash-wasm";
import type { BlockFactory } from "../../lib/base/hash-block.js";

const { h64Raw } = await xxhash();

/** Blocks in ordinary memory, hashed by xxhash-wasm. */
export const xxhashBlock: BlockFactory = (bytes) => {
  const memory = new Uint8Array(bytes);
  return {
    bytes: memory,
    checksum: (offset, length, seed) => h64Raw(memory.subarray(offset, offset + length), seed),
  };
};
