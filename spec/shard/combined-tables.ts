// Tables that combine what tables can have, by chance.

import type { AdmissionOptions } from "../../lib/api/admission.js";
import type { EvictionOptions } from "../../lib/api/eviction.js";
import { normal, uniform, zeros } from "../../lib/api/initializers.js";
import { adagrad, adam, ftrl, rowWiseAdagrad, sgd } from "../../lib/api/optimizers.js";
import type { TableOptions } from "../../lib/api/table-definition.js";
import type { Prng } from "../../lib/base/prng.js";

const optimizers = [
  adagrad({ learningRate: 0.1, initialAccumulator: 0.1 }),
  rowWiseAdagrad({ learningRate: 0.1 }),
  adam({ learningRate: 0.01 }),
  ftrl({ learningRate: 0.1, lambda1: 0.01 }),
  sgd({ learningRate: 0.1 }),
];
const storages: readonly Pick<TableOptions, "storage" | "stateStorage" | "rounding">[] = [
  {},
  { storage: "f16" },
  { storage: "bf16", stateStorage: "bf16", rounding: "stochastic" },
  { storage: "int8", rounding: "stochastic" },
  { storage: "int8", stateStorage: "bf16" },
  { stateStorage: "bf16" },
];
const admissions: readonly (AdmissionOptions | undefined)[] = [
  undefined,
  { after: 2 },
  { probability: 0.4 },
  { after: 3, counter: { sketchBytes: 2 << 20 } },
  { probability: 0.5, counter: { sketchBytes: 2 << 20 } },
];

function oneOf<T>(random: Prng, choice: readonly T[]): T {
  return choice[random.below(choice.length)];
}

export function evictionOf(random: Prng, wide: boolean, counters: boolean): EvictionOptions {
  const policies = counters ? (["lru", "lfu", "score"] as const) : (["lru", "lfu"] as const);
  return {
    ...(random.below(4) > 0 && { maxRows: wide ? 1500 + random.below(300) : 20 + random.below(150) }),
    ...(random.below(2) === 0 && { policy: oneOf(random, policies) }),
    ...(random.below(4) === 0 && { maxAgeSteps: 10 + random.below(40) }),
    ...(random.below(4) === 0 && { maxAgeMs: 20_000 + random.below(60_000) }),
    ...(random.below(6) === 0 && { minNorm: 0.2 }),
  };
}

/** Options of a table; `wide` rows fill an arena of 32 MiB with about 2,000 of them, a `limited` one has cold rows. */
export function combinedOptions(random: Prng, wide: boolean, limited = false): TableOptions {
  const evicts = random.below(5) > 0;
  const counts = random.below(3) > 0;
  const names = ["show", "click"].slice(0, 1 + random.below(2));
  const stored = oneOf(random, storages);
  const optimizer = wide ? optimizers[0] : oneOf(random, optimizers);
  const admission = oneOf(random, admissions);
  return {
    dim: wide ? wideDim(stored) : 1 + random.below(12),
    optimizer,
    initializer: oneOf(random, [zeros(), uniform(-1, 1), normal(0, 1)]),
    seed: random.u32(),
    ...stored,
    ...(admission && { admission }),
    ...(evicts && { eviction: evictionOf(random, wide, counts) }),
    ...(counts && { counters: { names, decay: 0.9 } }),
    ...(random.below(4) === 0 && !limited && { logged: false }),
    ...(limited && { memory: 1 << 20 }),
  };
}

/** Rows of 13 KB or so, weights and state. */
function wideDim({ storage = "f32", stateStorage = "f32" }: TableOptions): number {
  const weight = storage === "f32" ? 4 : storage === "int8" ? 1 : 2;
  return Math.min(4096, Math.floor(13_000 / (weight + (stateStorage === "f32" ? 4 : 2))));
}
