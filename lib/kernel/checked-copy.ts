// Floats of a caller's array are brought into a kernel's memory, and looked at on the way.
import type { KernelExports } from "./kernel.js";

/** 8 KiB: what was just copied is looked at in the cache of the first level. */
const floatsAtOnce = 2048;

/**
 * Copies floats to address `into` of the memory that `memory` is a view of, and looks for such as are not finite. All are
 * copied, whatever they are. Returns the place of the first NaN or infinity, -1 when all are finite.
 */
export function copyChecked(
  memory: Float32Array,
  { firstNonFinite }: Pick<KernelExports, "firstNonFinite">,
  from: Float32Array,
  into: number,
): number {
  let bad = -1;
  for (let at = 0; at < from.length; at += floatsAtOnce) {
    const some = from.length <= floatsAtOnce ? from : from.subarray(at, at + floatsAtOnce);
    memory.set(some, into / 4 + at);
    if (bad >= 0) continue;
    const found = firstNonFinite(into + 4 * at, some.length);
    if (found >= 0) bad = at + found;
  }
  return bad;
}
