/** What takes part in a race: a `Subject`, or something that asks one. */
export interface Racer {
  readonly name: string;
  /** Rows per second, or another rate, of one request. */
  rate(...words: readonly (string | number)[]): Promise<number>;
}

/** Rates of one subject, one of each round, in the order of the rounds. */
export type Rates = readonly number[];

/**
 * Asks the subjects the same in turn (A B C A B C ...), so that a machine that slows down slows all of them. The first
 * round warms up and is not kept. With `settle` each turn is taken twice, and the second time counts: where one subject's
 * rows push those of the others out of the cache that all share, a turn is too short to bring them back.
 */
export async function race(
  subjects: readonly Racer[],
  words: readonly (string | number)[],
  rounds: number,
  { settle = false } = {},
): Promise<Map<string, Rates>> {
  const rates = new Map(subjects.map(({ name }) => [name, [] as number[]]));
  for (let round = 0; round <= rounds; round++) {
    for (const subject of subjects) {
      if (settle) await subject.rate(...words);
      const rate = await subject.rate(...words);
      if (round > 0) rates.get(subject.name)!.push(rate);
    }
  }
  return rates;
}

export interface Ratio {
  readonly value: number;
  readonly peer: number;
  /** The median of the rounds' own ratios. */
  readonly ratio: number;
  /** The least and the greatest of them. */
  readonly spread: readonly [number, number];
}

/** Compares two subjects round by round. */
export function ratioOf(value: Rates, peer: Rates): Ratio {
  const ratios = value.map((rate, round) => rate / peer[round]);
  return {
    value: median(value),
    peer: median(peer),
    ratio: median(ratios),
    spread: [Math.min(...ratios), Math.max(...ratios)],
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
