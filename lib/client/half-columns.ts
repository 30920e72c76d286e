// Weights that come as binary16: where they are received, and how they become float32s.
import type { PlanMemory } from "./plan-memory.js";

/** Bytes of rows after which they are handed to the caller, while they are in the cache. */
export const chunkBytes = 131_072;

/** Numbers f32 of rows, by plan position: in memory of the plan, or the caller's own. */
export interface Column32 {
  readonly view: Float32Array;
  readonly width: number;
  /** Address in plan memory; 0 where it is the caller's. */
  readonly at: number;
}

/** The weights of a plan as they come over the wire. */
export interface Halves {
  /** Where those of plan positions are received. */
  bytes(from: number, to: number): Uint8Array;
  /** Makes float32s of them, which is done once. */
  widen(from: number, to: number): void;
}

/**
 * For a column in plan memory: the halves of positions are received in the upper half of the room of their float32s, and
 * widened from the first on, so that none is overwritten before it has been read.
 */
export class HalvesInPlace implements Halves {
  readonly #memory: PlanMemory;
  readonly #column: Column32;

  constructor(memory: PlanMemory, column: Column32) {
    this.#memory = memory;
    this.#column = column;
  }

  bytes(from: number, to: number): Uint8Array {
    const at = this.#halves(from, to);
    return this.#memory.bytes.subarray(at, at + 2 * (to - from) * this.#column.width);
  }

  widen(from: number, to: number): void {
    const { at, width } = this.#column;
    this.#memory.kernel.readHalves(this.#halves(from, to), at + 4 * from * width, (to - from) * width);
  }

  #halves(from: number, to: number): number {
    const { at, width } = this.#column;
    return at + 4 * from * width + 2 * (to - from) * width;
  }
}

/** For the caller's own array, which the kernel does not see: chunk by chunk, while they are in the cache. */
export class HalvesForCaller implements Halves {
  readonly #memory: PlanMemory;
  readonly #column: Column32;
  readonly #at: number;
  readonly #chunk: number;

  /** Takes memory for `n` rows. */
  constructor(memory: PlanMemory, column: Column32, n: number) {
    this.#memory = memory;
    this.#column = column;
    this.#at = memory.take(2 * n * column.width);
    this.#chunk = memory.take(chunkBytes);
  }

  bytes(from: number, to: number): Uint8Array {
    const { width } = this.#column;
    return this.#memory.bytes.subarray(this.#at + 2 * from * width, this.#at + 2 * to * width);
  }

  widen(from: number, to: number): void {
    const { kernel, f32 } = this.#memory;
    const { view, width } = this.#column;
    const out = this.#chunk / 4;
    const numbers = chunkBytes / 4;
    const end = to * width;
    for (let at = from * width; at < end; at += numbers) {
      const n = Math.min(numbers, end - at);
      kernel.readHalves(this.#at + 2 * at, this.#chunk, n);
      view.set(f32.subarray(out, out + n), at);
    }
  }
}
