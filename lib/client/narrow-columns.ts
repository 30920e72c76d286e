// Weights that come as less than float32: where they are received, and how they become float32s.
import { elementBytes } from "../wire/columns.js";
import { ElementType } from "../wire/generated/frame-types.js";
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
export abstract class NarrowColumn {
  protected readonly memory: PlanMemory;
  protected readonly column: Column32;
  protected readonly element: ElementType;
  /** f32[n] by plan position, of int8; else 0. */
  readonly #scales: number;

  /** Takes memory for the scales of `n` rows. */
  constructor(memory: PlanMemory, column: Column32, element: ElementType, n: number) {
    this.memory = memory;
    this.column = column;
    this.element = element;
    this.#scales = element === ElementType.Int8 ? memory.take(4 * n) : 0;
  }

  /** Address of the numbers of positions, while they are received and widened together. */
  protected abstract numbers(from: number, to: number): number;

  /** Makes float32s of positions, which is done once. */
  abstract widen(from: number, to: number): void;

  /** Where positions are received: their numbers, and of int8 their scales. */
  targets(from: number, to: number): Uint8Array[] {
    const { bytes } = this.memory;
    const at = this.numbers(from, to);
    const numbers = bytes.subarray(at, at + this.rowBytes * (to - from));
    if (this.#scales === 0) return [numbers];
    return [numbers, bytes.subarray(this.#scales + 4 * from, this.#scales + 4 * to)];
  }

  /** Bytes of a row's numbers. */
  protected get rowBytes(): number {
    return elementBytes(this.element) * this.column.width;
  }

  /** Makes float32s of the rows of positions, of which the numbers lie at `numbers`. */
  protected widenRows(numbers: number, from: number, to: number, into: number): void {
    const { kernel } = this.memory;
    kernel.widenRows(numbers, this.#scales + 4 * from, to - from, this.column.width, into, this.element);
  }
}

/**
 * For a column in plan memory: the numbers of positions are received at the end of the room of their float32s, and widened from
 * the first on, so that none is overwritten before it has been read.
 */
export class NarrowInPlace extends NarrowColumn {
  protected numbers(from: number, to: number): number {
    const { at, width } = this.column;
    return at + 4 * to * width - this.rowBytes * (to - from);
  }

  widen(from: number, to: number): void {
    const { at, width } = this.column;
    this.widenRows(this.numbers(from, to), from, to, at + 4 * from * width);
  }
}

/**
 * For the caller's own array, which the kernel does not see: chunk by chunk, while they are in the cache. There is one owner then, whose
 * answers come one after the other: each is received where the one before was, so that this place stays in the cache.
 */
export class NarrowForCaller extends NarrowColumn {
  readonly #at: number;
  readonly #chunk: number;
  readonly #chunkRows: number;

  /** Takes memory for `n` rows. */
  constructor(memory: PlanMemory, column: Column32, element: ElementType, n: number) {
    super(memory, column, element, n);
    this.#at = memory.take(this.rowBytes * n);
    this.#chunkRows = Math.floor(chunkBytes / (4 * column.width));
    this.#chunk = memory.take(chunkBytes);
  }

  protected numbers(): number {
    return this.#at;
  }

  widen(from: number, to: number): void {
    const { f32 } = this.memory;
    const { view, width } = this.column;
    const out = this.#chunk / 4;
    for (let at = from; at < to; at += this.#chunkRows) {
      const end = Math.min(to, at + this.#chunkRows);
      this.widenRows(this.#at + this.rowBytes * (at - from), at, end, this.#chunk);
      view.set(f32.subarray(out, out + (end - at) * width), at * width);
    }
  }
}
