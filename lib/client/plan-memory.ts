import { EmbershardError } from "../base/errors.js";
import { instantiateKernel, type KernelExports } from "../kernel/kernel.js";
import { SCRATCH } from "../kernel/layout.js";

/** Most bytes that one batch may need. */
const mostBytes = 2 ** 32 - 65_536;
const wasmPageBytes = 65_536;

/** Memory of a kernel in which one batch is planned, and from which it is sent: nobody else's until it is settled. */
export class PlanMemory {
  readonly kernel: KernelExports;
  readonly #memory: WebAssembly.Memory;
  #end = SCRATCH;
  #used = 0;
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

  /** Begins a batch that takes up to `bytes` in all. What was there is gone. @throws TOO_LARGE */
  begin(bytes: number): void {
    this.#end = SCRATCH;
    this.#used = Math.max(this.#used, bytes);
    const missing = SCRATCH + bytes - this.#memory.buffer.byteLength;
    if (missing <= 0) return;
    try {
      this.#memory.grow(Math.ceil(missing / wasmPageBytes));
    } catch (cause) {
      throw new EmbershardError(
        "TOO_LARGE",
        `the request needs ${bytes} bytes of working memory, which cannot be had: split it`,
        { cause },
      );
    }
    this.#view();
  }

  /** Bytes that batches have needed at most. */
  get used(): number {
    return this.#used;
  }

  /** Room of so many bytes, aligned to 64: its address. */
  take(bytes: number): number {
    const at = this.#end;
    this.#end += (bytes + 63) & ~63;
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

  #view(): void {
    const { buffer } = this.#memory;
    this.bytes = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.f32 = new Float32Array(buffer);
    this.u64 = new BigUint64Array(buffer);
  }
}

/** Memories that wait for their next batch. */
export class PlanMemories {
  readonly #idle: PlanMemory[] = [];

  /** A memory for one batch. Give it back when nothing refers to it any more. */
  take(): PlanMemory {
    return this.#idle.pop() ?? new PlanMemory();
  }

  give(memory: PlanMemory): void {
    const kept = memory.used <= smallBytes ? keptSmallMemories : keptMemories;
    if (this.#idle.length < kept) this.#idle.push(memory);
  }
}

/** Memories that are kept: as many as there usually are batches at once. */
const keptMemories = 4;
/** So many requests of some hundred rows may be on their way; making a memory takes 1 to 3 ms, where one of them takes 0.2. */
const keptSmallMemories = 256;
/** Bytes that batches have needed, up to which a memory is small. */
const smallBytes = 1 << 20;
