// Kernels of arenas that are no more, for those to come: compiled code that calls a kernel is good for that one only, and
// who opens one store after the other would have it compiled anew for each.
import { assert } from "../base/assert.js";
import { instantiateKernel, type KernelInstance } from "./kernel.js";
import { FIRST_PAGE, PAGE_LSNS } from "./layout.js";
import { releaseMemory } from "./memory-advice.js";

/** What a memory may become, and whether the system was asked to back it with pages of 2 MiB. */
export interface KernelOptions {
  readonly limitBytes: number;
  readonly hugePages: "auto" | "off";
}

interface SpareKernel extends KernelOptions {
  readonly instance: KernelInstance;
}

/** They hold addresses, and next to no memory. */
const mostSpares = 4;
const spares: SpareKernel[] = [];

let empty: KernelInstance | undefined;

/** A kernel over zeroed memory, which may have grown before. @throws OUT_OF_MEMORY when the system refuses the address space. */
export function takeKernel({ limitBytes, hugePages }: KernelOptions): KernelInstance {
  // Now, so that whoever gives a kernel away needs nothing more.
  empty ??= instantiateEmpty();
  const i = spares.findIndex((spare) => spare.limitBytes === limitBytes && spare.hugePages === hugePages);
  return i < 0 ? instantiateKernel(limitBytes) : spares.splice(i, 1)[0].instance;
}

function instantiateEmpty(): KernelInstance {
  const instance = instantiateKernel(0);
  instance.exports.begin(FIRST_PAGE);
  return instance;
}

/**
 * Gives the memory of a kernel that was taken back to the system at once, and keeps the kernel for somebody else, if it is
 * sound: one that has trapped is not. Views of the memory are detached: who has one yet reaches nobody's rows with it.
 * Returns what to use instead of the kernel: one that has no rows, and no page for any.
 */
export function giveKernel(
  instance: KernelInstance,
  { limitBytes, hugePages }: KernelOptions,
  sound: boolean,
): KernelInstance {
  const { memory } = instance;
  assert(memory !== empty?.memory, "a kernel is given away once");
  // Below are the module's own data. Where the system takes nothing back the memory is not zero.
  if (releaseMemory(memory.buffer, PAGE_LSNS)) {
    memory.grow(0);
    if (sound && spares.length < mostSpares) spares.push({ limitBytes, hugePages, instance });
  }
  return empty!;
}
