// IEEE 754 binary16 on the wire: converted by the kernel, rounded to the nearest, ties to even.
import { guarded, type ShardState } from "./shard-state.js";

/** f32[n] as f16, in a new u16[n]. */
export function toHalves(state: ShardState, values: Float32Array): Uint16Array {
  const { front } = state.arenas;
  const n = values.length;
  return guarded(state, () => {
    front.beginScratch(6 * n + 128);
    const from = front.takeScratch(4 * n);
    const into = front.takeScratch(2 * n);
    front.f32.set(values, from / 4);
    front.kernel.writeHalves(from, into, n);
    return front.u16.slice(into / 2, into / 2 + n);
  });
}

/** The f16 of u8[2 * n], little-endian, as a new f32[n]. */
export function fromHalves(state: ShardState, halves: Uint8Array): Float32Array {
  const { front } = state.arenas;
  const n = halves.length / 2;
  return guarded(state, () => {
    front.beginScratch(6 * n + 128);
    const from = front.takeScratch(2 * n);
    const into = front.takeScratch(4 * n);
    front.bytes.set(halves, from);
    front.kernel.readHalves(from, into, n);
    return front.f32.slice(into / 4, into / 4 + n);
  });
}
