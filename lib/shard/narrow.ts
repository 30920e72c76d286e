// Rows as a narrower type than float32, as messages carry them: converted by the kernel, as tables of that type store rows.
import { ELEMENT_BYTES, STORAGES, type WeightStorage } from "../kernel/storage.js";
import type { ArenaTable } from "../table/arena-table.js";
import { guarded, type ShardState } from "./shard-state.js";

/** A type that takes less than float32 does. */
export type NarrowType = Exclude<WeightStorage, "f32">;

/** Rows of a type, one behind the other, little-endian. */
export interface NarrowRows {
  /** u8[n * dim * bytes of a number] */
  readonly numbers: Uint8Array;
  /** Of int8, f32[n]: a number times its row's scale is a weight. */
  readonly scales: Float32Array | undefined;
}

/** Bytes that are converted at once in scratch, about. */
const pieceBytes = 4 << 20;

/** Scales that are not known: each row gets its own. */
function unknownScales(n: number): Float32Array {
  return new Float32Array(n).fill(-1);
}

/** Room for the scales that n rows are stored with, where they come as what the table stores: then they come as they lie. */
export function storedScales(
  { definition }: ArenaTable,
  type: NarrowType,
  n: number,
): Float32Array | undefined {
  return type === "int8" && definition.storage === "int8" ? unknownScales(n) : undefined;
}

/**
 * f32[n * dim] as the nearest numbers of a type, in new arrays. `scales` are those that rows of int8 are to have, where they are not
 * negative.
 */
export function toNarrow(
  state: ShardState,
  type: NarrowType,
  values: Float32Array,
  dim: number,
  scales?: Float32Array,
): NarrowRows {
  const { front } = state.arenas;
  const n = values.length / dim;
  const rowBytes = dim * ELEMENT_BYTES[type];
  const numbers = new Uint8Array(n * rowBytes);
  const given = type === "int8" ? (scales ?? unknownScales(n)).slice() : undefined;
  const piece = Math.max(1, Math.floor(pieceBytes / (8 * dim)));
  guarded(state, () => {
    for (let first = 0; first < n; first += piece) {
      const count = Math.min(piece, n - first);
      const end = first + count;
      front.beginScratch(count * (8 * dim + 4) + 192);
      const from = front.takeScratch(4 * count * dim);
      const into = front.takeScratch(count * rowBytes);
      const scalesAt = front.takeScratch(4 * count);
      front.f32.set(values.subarray(first * dim, end * dim), from / 4);
      if (given) front.f32.set(given.subarray(first, end), scalesAt / 4);
      front.kernel.narrowRows(from, count, dim, into, scalesAt, STORAGES[type]);
      numbers.set(front.bytes.subarray(into, into + count * rowBytes), first * rowBytes);
      given?.set(front.f32.subarray(scalesAt / 4, scalesAt / 4 + count), first);
    }
  });
  return { numbers, scales: given };
}

/** The numbers of u8[2 * n], of a type of two bytes, as a new f32[n]. */
export function fromNarrow(state: ShardState, type: "f16" | "bf16", numbers: Uint8Array): Float32Array {
  const { front } = state.arenas;
  const values = new Float32Array(numbers.length / 2);
  const piece = pieceBytes / 8;
  guarded(state, () => {
    for (let first = 0; first < values.length; first += piece) {
      const n = Math.min(piece, values.length - first);
      front.beginScratch(6 * n + 128);
      const from = front.takeScratch(2 * n);
      const into = front.takeScratch(4 * n);
      front.bytes.set(numbers.subarray(2 * first, 2 * (first + n)), from);
      front.kernel.widenRows(from, 0, n, 1, into, STORAGES[type]);
      values.set(front.f32.subarray(into / 4, into / 4 + n), first);
    }
  });
  return values;
}
