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
  const bytes = values.length * ELEMENT_BYTES[type];
  const given = type === "int8" ? (scales ?? unknownScales(n)) : undefined;
  return guarded(state, () => {
    front.beginScratch(8 * values.length + 4 * n + 192);
    const from = front.takeScratch(4 * values.length);
    const into = front.takeScratch(bytes);
    const scalesAt = front.takeScratch(4 * n);
    front.f32.set(values, from / 4);
    if (given) front.f32.set(given, scalesAt / 4);
    front.kernel.narrowRows(from, n, dim, into, scalesAt, STORAGES[type]);
    return {
      numbers: front.bytes.slice(into, into + bytes),
      scales: given && front.f32.slice(scalesAt / 4, scalesAt / 4 + n),
    };
  });
}

/** The numbers of u8[2 * n], of a type of two bytes, as a new f32[n]. */
export function fromNarrow(state: ShardState, type: "f16" | "bf16", numbers: Uint8Array): Float32Array {
  const { front } = state.arenas;
  const n = numbers.length / 2;
  return guarded(state, () => {
    front.beginScratch(6 * n + 128);
    const from = front.takeScratch(2 * n);
    const into = front.takeScratch(4 * n);
    front.bytes.set(numbers, from);
    front.kernel.widenRows(from, 0, n, 1, into, STORAGES[type]);
    return front.f32.slice(into / 4, into / 4 + n);
  });
}
