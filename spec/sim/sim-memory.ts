// Memory of a story's shards, which the next stories have again: making new memory, and what the garbage collector does
// about it, took longer than the stories.
import type { HashBlock } from "../../lib/base/hash-block.js";
import { createHashBlock } from "../../lib/kernel/hash-block.js";
import { instantiateKernel, type KernelInstance } from "../../lib/kernel/kernel.js";
import { FIRST_PAGE, PAGE_BYTES, SCRATCH } from "../../lib/kernel/layout.js";

/** Bytes of the blocks that are kept. */
const blockBytes = 32_768;

const freeKernels = new Map<number, WebAssembly.Memory[]>();
const freeBlocks: HashBlock[] = [];

export class SimMemory {
  readonly #kernels: { maximumBytes: number; kernel: KernelInstance }[] = [];
  readonly #blocks: { whole: HashBlock; bytes: number }[] = [];

  /** A kernel over zeroed memory. Nothing reads scratch that it has not written, so that is as an earlier story left it. */
  kernel(maximumBytes: number): KernelInstance {
    const kernel = instantiateKernel(maximumBytes, freeKernels.get(maximumBytes)?.pop());
    this.#kernels.push({ maximumBytes, kernel });
    return kernel;
  }

  /** A block of exactly so many bytes, zeroed. */
  block(bytes: number): HashBlock {
    if (bytes > blockBytes) return createHashBlock(bytes);
    const whole = freeBlocks.pop() ?? createHashBlock(blockBytes);
    this.#blocks.push({ whole, bytes });
    return { bytes: whole.bytes.subarray(0, bytes), checksum: whole.checksum };
  }

  /** The story is over: nothing of it runs any more. */
  release(): void {
    for (const { maximumBytes, kernel } of this.#kernels) {
      const { memory, exports } = kernel;
      const bytes = new Uint8Array(memory.buffer);
      bytes.fill(0, 0, SCRATCH);
      bytes.fill(0, FIRST_PAGE * PAGE_BYTES, exports.pagesEnd() * PAGE_BYTES);
      const free = freeKernels.get(maximumBytes);
      if (free) free.push(memory);
      else freeKernels.set(maximumBytes, [memory]);
    }
    for (const { whole, bytes } of this.#blocks) {
      whole.bytes.fill(0, 0, bytes);
      freeBlocks.push(whole);
    }
  }
}
