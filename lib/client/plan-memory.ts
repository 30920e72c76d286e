import { assert } from "../base/assert.js";
import { EmbershardError } from "../base/errors.js";
import { instantiateKernel, type KernelExports } from "../kernel/kernel.js";
import { SCRATCH } from "../kernel/layout.js";

/** Most bytes that one batch may need. */
const mostBytes = 2 ** 32 - 65_536;
const wasmPageBytes = 65_536;

/** A kernel and its memory. */
class KernelMemory {
  readonly kernel: KernelExports;
  readonly #memory: WebAssembly.Memory;
  bytes!: Uint8Array;
  u16!: Uint16Array;
  u32!: Uint32Array;
  f32!: Float32Array;
  u64!: BigUint64Array;

  constructor() {
    const { exports, memory } = instantiateKernel(mostBytes);
    this.kernel = exports;
    this.#memory = memory;
    this.#view();
  }

  /** Makes sure that there are bytes up to this address. Views die when memory grows. @throws TOO_LARGE */
  reach(end: number): void {
    const missing = end - this.bytes.length;
    if (missing <= 0) return;
    try {
      this.#memory.grow(Math.ceil(missing / wasmPageBytes));
    } catch (cause) {
      throw new EmbershardError(
        "TOO_LARGE",
        `the request needs ${end - SCRATCH} bytes of working memory, which cannot be had: split it`,
        { cause },
      );
    }
    this.#view();
  }

  #view(): void {
    const { buffer } = this.#memory;
    this.bytes = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.f32 = new Float32Array(buffer);
    this.u64 = new BigUint64Array(buffer);
  }
}

/** Memory of a kernel in which one batch is planned, and from which it is sent: nobody else's until it is settled. */
export class PlanMemory {
  readonly #shared: KernelMemory;
  readonly #from: number;
  /** Bytes of a region of memory that others have regions of, too; of memory that is its own, and grows, none. */
  readonly #regionBytes: number | undefined;
  #end: number;
  #limit: number;

  constructor(shared = new KernelMemory(), from: number = SCRATCH, regionBytes?: number) {
    this.#shared = shared;
    this.#from = from;
    this.#regionBytes = regionBytes;
    this.#end = from;
    this.#limit = from;
  }

  get kernel(): KernelExports {
    return this.#shared.kernel;
  }

  get bytes(): Uint8Array {
    return this.#shared.bytes;
  }

  get u16(): Uint16Array {
    return this.#shared.u16;
  }

  get u32(): Uint32Array {
    return this.#shared.u32;
  }

  get f32(): Float32Array {
    return this.#shared.f32;
  }

  get u64(): BigUint64Array {
    return this.#shared.u64;
  }

  /** Begins a batch that takes up to `bytes` in all. What was there is gone. @throws TOO_LARGE */
  begin(bytes: number): void {
    assert(bytes <= (this.#regionBytes ?? bytes), "a batch fits the region that it is given");
    this.#end = this.#from;
    this.#limit = this.#from + bytes;
    if (this.#regionBytes === undefined) this.#shared.reach(this.#limit);
  }

  /** Room of so many bytes, aligned to 64: its address. */
  take(bytes: number): number {
    const at = this.#end;
    this.#end += (bytes + 63) & ~63;
    assert(this.#end <= this.#limit, "a batch takes no more than it has said");
    return at;
  }

  /** Where the next room begins. */
  get end(): number {
    return this.#end;
  }

  /** Lets go of what was taken since `end` was this. */
  goBack(end: number): void {
    this.#end = end;
  }
}

/** Bytes that batches of some thousand rows need at most. */
const regionBytes = 1 << 20;
const regionsOfBlock = 32;
/** Blocks that are kept though nobody needs them. */
const keptBlocks = 8;
/** Memories of large batches that are kept: as many as there usually are at once. */
const keptMemories = 4;

/** Memory that so many small batches share: to make it takes 1 to 3 ms, where a pull of 256 rows takes 0.2. */
class Block {
  readonly idle: PlanMemory[];

  constructor() {
    const shared = new KernelMemory();
    shared.reach(SCRATCH + regionsOfBlock * regionBytes);
    // The first one is taken first, so that few batches at once touch little.
    this.idle = Array.from(
      { length: regionsOfBlock },
      (_, i) => new PlanMemory(shared, SCRATCH + (regionsOfBlock - 1 - i) * regionBytes, regionBytes),
    );
  }
}

/** Memories for batches: those that wait for their next one are used before others are made. */
export class PlanMemories {
  readonly #blocks: Block[] = [];
  /** Of those that are lent. */
  readonly #blockOf = new Map<PlanMemory, Block>();
  readonly #large: PlanMemory[] = [];

  /**
   * A memory for one batch that takes up to `bytes` in all. Give it back when nothing refers to it any more. @throws TOO_LARGE
   */
  take(bytes: number): PlanMemory {
    const memory = bytes <= regionBytes ? this.#takeRegion() : (this.#large.pop() ?? new PlanMemory());
    memory.begin(bytes);
    return memory;
  }

  give(memory: PlanMemory): void {
    const block = this.#blockOf.get(memory);
    if (!block) {
      if (this.#large.length < keptMemories) this.#large.push(memory);
      return;
    }
    this.#blockOf.delete(memory);
    block.idle.push(memory);
    if (block.idle.length === regionsOfBlock && this.#blocks.length > keptBlocks)
      this.#blocks.splice(this.#blocks.indexOf(block), 1);
  }

  #takeRegion(): PlanMemory {
    // The oldest that has one, so that the others come to be idle.
    let block = this.#blocks.find(({ idle }) => idle.length > 0);
    if (!block) {
      block = new Block();
      this.#blocks.push(block);
    }
    const memory = block.idle.pop()!;
    this.#blockOf.set(memory, block);
    return memory;
  }
}
