import { createRequire } from "node:module";

/** The few calls of the system that Node does not offer and speed gains from. */
export interface SystemCalls {
  /** madvise(2) on memory that `bytes` shows. Returns 0 when the system agreed. */
  madvise(bytes: Uint8Array, length: number, advice: number): number;
  /** The same on memory at an address of this process, whichever thread's it is. */
  madviseAt(address: bigint, length: number, advice: number): number;
  /** Where in the process the memory that `bytes` shows lies. */
  addressOf(bytes: Uint8Array): bigint;
  /** posix_fadvise(2) in another thread; calls back when it is done. */
  posixFadviseLater(
    fd: number,
    offset: number,
    length: number,
    advice: number,
    done: (error: unknown, result: number) => void,
  ): void;
}

let loaded: SystemCalls | null | undefined;

/** The calls, or null where the optional package koffi, or the system, does not offer them. Loaded at the first use. */
export function systemCalls(): SystemCalls | null {
  if (loaded === undefined) loaded = load();
  return loaded;
}

function load(): SystemCalls | null {
  if (process.platform !== "linux") return null;
  try {
    const koffi = createRequire(import.meta.url)("koffi");
    const libc = koffi.load(null);
    return {
      madvise: libc.func("int madvise(void *address, size_t bytes, int advice)"),
      madviseAt: libc.func("madvise", "int", ["uintptr_t", "size_t", "int"]),
      addressOf: koffi.address,
      posixFadviseLater: libc.func("int posix_fadvise(int fd, int64_t offset, int64_t bytes, int advice)")
        .async,
    };
  } catch {
    // koffi is optional, and may not have a build for this platform: the slower way then.
    return null;
  }
}
