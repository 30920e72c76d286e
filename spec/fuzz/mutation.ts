import type { Prng } from "../../lib/base/prng.js";

/** Changes bytes of a value: flips a bit, overwrites a stretch, repeats an earlier one, or cuts the end off. */
export function mutate(bytes: Uint8Array, random: Prng): Uint8Array {
  // Not slice(): that of a Buffer shares its memory.
  const changed = new Uint8Array(bytes);
  if (changed.length === 0) return changed;
  const at = random.below(changed.length);
  switch (random.below(4)) {
    case 0:
      changed[at] ^= 1 << random.below(8);
      return changed;
    case 1:
      for (let i = at; i < Math.min(changed.length, at + 1 + random.below(16)); i++)
        changed[i] = random.below(256);
      return changed;
    case 2:
      changed.copyWithin(at, random.below(changed.length), random.below(changed.length));
      return changed;
    default:
      return changed.slice(0, at);
  }
}
