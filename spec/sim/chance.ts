// What is drawn from a seed.
import type { Prng } from "../../lib/base/prng.js";

export function pick<T>(random: Prng, from: readonly T[]): T {
  return from[random.below(from.length)];
}

/** One of the names, each as likely as its weight says. */
export function weighted<K extends string>(random: Prng, weights: Readonly<Record<K, number>>): K {
  const names = Object.keys(weights) as K[];
  let left = random.below(names.reduce((sum, name) => sum + weights[name], 0));
  for (const name of names) {
    left -= weights[name];
    if (left < 0) return name;
  }
  return names[0];
}

/** A time from `least` to `most` milliseconds. */
export function time(random: Prng, least: number, most: number): number {
  return least + random.unit() * (most - least);
}
