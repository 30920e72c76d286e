import { assert } from "../base/assert.js";

/** What `quotasOf` divides, and who held what before. Arrays are parallel, one entry for each holder. */
export interface Division {
  readonly slots: number;
  /** Integers, at least 1. */
  readonly weights: ArrayLike<number>;
  /** Slots that each holds so far; together at most `slots`, since others may have left. */
  readonly before: ArrayLike<number>;
  /** Whether each is new. Of holders that could take one more, those that are new do, so that others need not. */
  readonly joined: ArrayLike<boolean>;
}

/**
 * How many slots each gets: its weighted share, rounded down or up, `slots` together, and of all such divisions one that moves
 * the fewest slots. With low and high the share rounded down and up, that is
 * max(sum of max(0, low - before), sum of max(0, before - high)) slots: the first must be taken, the second given.
 *
 * Who is beyond its bounds goes to the nearer bound. What is then missing or too much is made up one slot each: slots are given
 * up by whoever is most above its share, taken by those who joined, then by whoever is most below it, the first in order where
 * several are. All arithmetic is exact on integers.
 */
export function quotasOf({ slots, weights, before, joined }: Division): Uint32Array {
  const n = weights.length;
  let total = 0;
  for (let i = 0; i < n; i++) total += weights[i];
  const quotas = new Uint32Array(n);
  const lows = new Uint32Array(n);
  const highs = new Uint32Array(n);
  let sum = 0;
  for (let i = 0; i < n; i++) {
    const product = slots * weights[i];
    lows[i] = Math.floor(product / total);
    highs[i] = lows[i] + (product % total > 0 ? 1 : 0);
    quotas[i] = Math.min(highs[i], Math.max(lows[i], before[i]));
    sum += quotas[i];
  }
  // Above its share, in units of 1 / total of a slot.
  const surplus = (i: number) => quotas[i] * total - slots * weights[i];
  const order = Array.from({ length: n }, (_, i) => i);
  if (sum > slots) {
    const givers = order.filter((i) => quotas[i] > lows[i]).sort((a, b) => surplus(b) - surplus(a) || a - b);
    for (const i of givers.slice(0, sum - slots)) quotas[i]--;
  } else if (sum < slots) {
    const takers = order
      .filter((i) => quotas[i] < highs[i])
      .sort((a, b) => Number(joined[b]) - Number(joined[a]) || surplus(a) - surplus(b) || a - b);
    for (const i of takers.slice(0, slots - sum)) quotas[i]++;
  }
  assert(quotas.reduce((a, b) => a + b, 0) === slots, "quotas add up to the slots");
  return quotas;
}
