import { EmbershardError } from "../base/errors.js";
import type { ChecksumBlock } from "../base/hash-block.js";
import { checksumsWasm } from "./generated/checksums-wasm.js";
import { adviseHugePages } from "./memory-advice.js";

/** What the module of checksums offers; pointers and lengths are unsigned 32-bit. */
interface ChecksumExports {
  staticEnd(): number;
  xxh64(ptr: number, length: number, seed: bigint): bigint;
  crc32c(ptr: number, length: number): number;
}

const wasmPageBytes = 65_536;
/** Bytes below which the module keeps static data of its own. A spec holds it to that. */
export const reservedBytes = 0x8000;

let compiled: WebAssembly.Module | undefined;

/**
 * An instance of the module of checksums over a memory of so many bytes. The kernel has XXH64 too; but its memory is 20 MiB
 * at least, and the garbage collector runs the more often the more memory seems to be in use.
 *
 * @throws OUT_OF_MEMORY when the system refuses the memory.
 */
export function instantiateChecksums(bytes: number): {
  readonly exports: ChecksumExports;
  readonly memory: WebAssembly.Memory;
} {
  compiled ??= new WebAssembly.Module(Buffer.from(checksumsWasm, "base64"));
  const pages = Math.ceil(bytes / wasmPageBytes);
  let memory: WebAssembly.Memory;
  try {
    memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  } catch (cause) {
    throw new EmbershardError("OUT_OF_MEMORY", `no memory for a buffer of ${bytes} bytes`, { cause });
  }
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
  return { exports: exports as unknown as ChecksumExports, memory };
}

/**
 * A block of `length` bytes of WebAssembly memory, zeroed, on huge pages where that is asked for and permitted. It never grows:
 * its view never detaches.
 */
export function createHashBlock(length: number, hugePages: "auto" | "off" = "off"): ChecksumBlock {
  const { exports, memory } = instantiateChecksums(reservedBytes + length);
  const { xxh64, crc32c } = exports;
  if (hugePages === "auto") adviseHugePages(memory.buffer, 0, memory.buffer.byteLength);
  return {
    bytes: new Uint8Array(memory.buffer, reservedBytes, length),
    checksum: (offset, bytes, seed) => BigInt.asUintN(64, xxh64(reservedBytes + offset, bytes, seed)),
    crc32c: (offset, bytes) => crc32c(reservedBytes + offset, bytes) >>> 0,
  };
}
