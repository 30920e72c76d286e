import { instantiateKernel } from "./kernel.js";

/** A fixed piece of kernel memory with a checksum that runs over it in place. It never grows: its view never detaches. */
export interface HashBlock {
  readonly bytes: Uint8Array;
  /** XXH64 of `bytes[offset, offset + length)`. */
  checksum(offset: number, length: number, seed: bigint): bigint;
}

/** Bytes below which the kernel keeps static data of its own. */
const reservedBytes = 0x20000;

/** A block of `length` bytes, zeroed. */
export function createHashBlock(length: number): HashBlock {
  const { exports, memory } = instantiateKernel(reservedBytes + length);
  const missing = reservedBytes + length - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / 65_536));
  return {
    bytes: new Uint8Array(memory.buffer, reservedBytes, length),
    checksum: (offset, bytes, seed) => BigInt.asUintN(64, exports.xxh64(reservedBytes + offset, bytes, seed)),
  };
}
