// What the workers of the cluster's chaos push: a function of seed, worker and number.
import { Prng } from "../../lib/base/prng.js";
import { adagrad, sgd, type TableOptions, uniform } from "../../lib/index.js";

/** Workers that push at the same time. */
export const workers = 3;

export const ownDim = 6;
/** A table of each worker's own: what its rows are is decided to the bit by its pushes alone. */
export const ownOptions: TableOptions = {
  dim: ownDim,
  optimizer: adagrad({ learningRate: 0.05 }),
  initializer: uniform(-0.1, 0.1),
  ack: "os",
};
/** A table of all: an element for each worker, from which each push takes 1, so that it counts them. */
export const sharedOptions: TableOptions = { dim: workers, optimizer: sgd({ learningRate: 1 }), ack: "os" };
export const sharedName = "shared";
export const ownName = (worker: number) => `own-${worker}`;

/** One push: to both tables at once, keys in no order, each once. */
export interface ChaosPush {
  readonly ownKeys: BigUint64Array;
  readonly ownGradients: Float32Array;
  readonly sharedKeys: BigUint64Array;
  readonly sharedGradients: Float32Array;
}

const ownKeyCount = 400;
const sharedKeyCount = 150;

export function pushAt(seed: number, worker: number, i: number): ChaosPush {
  const random = new Prng((seed * 1_000_003 + worker * 7_368_787 + i * 104_729) >>> 0);
  const ownKeys = someOf(random, ownKeyCount, 1 + random.below(60));
  const sharedKeys = someOf(random, sharedKeyCount, 1 + random.below(30));
  const sharedGradients = new Float32Array(sharedKeys.length * workers);
  for (let at = worker; at < sharedGradients.length; at += workers) sharedGradients[at] = 1;
  return {
    ownKeys,
    ownGradients: Float32Array.from({ length: ownKeys.length * ownDim }, () => random.normal()),
    sharedKeys,
    sharedGradients,
  };
}

function someOf(random: Prng, among: number, count: number): BigUint64Array {
  const chosen = new Set<number>();
  while (chosen.size < count) chosen.add(random.below(among));
  return BigUint64Array.from(
    chosen,
    (number) => (BigInt(number) * 0x9e37_79b9_7f4a_7c15n) & 0xffff_ffff_ffff_ffffn,
  );
}
