import type { HashBlock } from "../base/hash-block.js";
import { instantiateKernel } from "./kernel.js";

/** Bytes below which the kernel keeps static data of its own. */
const reservedBytes = 0x20000;

/** A block of `length` bytes of kernel memory, zeroed. It never grows: its view never detaches. */
export function createHashBlock(length: number): HashBlock {
  const { exports, memory } = instantiateKernel(reservedBytes + length);
  const missing = reservedBytes + length - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / 65_536));
  return {
    bytes: new Uint8Array(memory.buffer, reservedBytes, length),
    checksum: (offset, bytes, seed) => BigInt.asUintN(64, exports.xxh64(reservedBytes + offset, bytes, seed)),
  };
}
