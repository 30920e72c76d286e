import { KeySet, wordsOf } from "./key-set.js";
import type { RowShape } from "./row-file.js";
import type { RowBatch } from "./transfer-types.js";

export interface RowConditions {
  readonly minFrequency?: number | undefined;
  readonly minNorm?: number | undefined;
  readonly keys?: BigUint64Array | undefined;
}

/** Makes a function that leaves in a batch the rows that meet all conditions; undefined where there are none. */
export function rowFilter(
  { minFrequency, minNorm, keys }: RowConditions,
  { dim, stateFloats }: RowShape,
): ((batch: RowBatch) => RowBatch) | undefined {
  if (minFrequency === undefined && minNorm === undefined && keys === undefined) return undefined;
  const wanted = keys && KeySet.of(keys);
  const least = minNorm === undefined ? 0 : minNorm * minNorm;
  return (batch) => {
    const words = wordsOf(batch.keys);
    const kept = new Uint32Array(batch.keys.length);
    let n = 0;
    for (let i = 0; i < kept.length; i++) {
      if (minFrequency !== undefined && batch.frequency[i] < minFrequency) continue;
      if (wanted && !wanted.has(words[2 * i], words[2 * i + 1])) continue;
      if (least > 0 && squareSum(batch.rows, i * dim, dim) < least) continue;
      kept[n++] = i;
    }
    if (n === kept.length) return batch;
    const places = kept.subarray(0, n);
    return {
      keys: BigUint64Array.from(places, (i) => batch.keys[i]),
      rows: gather(batch.rows, places, dim),
      state: gather(batch.state, places, stateFloats),
      frequency: Uint32Array.from(places, (i) => batch.frequency[i]),
      lastStep: Uint32Array.from(places, (i) => batch.lastStep[i]),
      ...(batch.counters && {
        counters: Object.fromEntries(
          Object.entries(batch.counters).map(([name, column]) => [name, gather(column, places, 1)]),
        ),
      }),
    };
  };
}

function squareSum(floats: Float32Array, from: number, n: number): number {
  let sum = 0;
  for (let i = from; i < from + n; i++) sum += floats[i] * floats[i];
  return sum;
}

function gather(from: Float32Array, places: Uint32Array, width: number): Float32Array {
  const into = new Float32Array(places.length * width);
  for (let j = 0; j < places.length; j++)
    into.set(from.subarray(places[j] * width, (places[j] + 1) * width), j * width);
  return into;
}
