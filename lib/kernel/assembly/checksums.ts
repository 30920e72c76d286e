// What the module of checksums exports: a kernel without rows, for memory that is only hashed. lib/kernel/hash-block.ts is
// its only caller.

export { crc32c } from "./crc32c";
export { xxh64 } from "./hash";

/** Where the module's static data ends, and memory begins that is its caller's. */
export function staticEnd(): usize {
  return __heap_base;
}
