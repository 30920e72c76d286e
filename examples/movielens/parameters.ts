import { adagrad, constant, normal, type Store, zeros } from "../../lib/index.js";
import type { Gradients, Parameters } from "./model.js";
import type { Settings } from "./settings.js";

/** The model's parameters, all of them in a store: nothing that is learned lives anywhere else. */
export interface StoredParameters {
  /** The parameters of the features that have these keys, in this order. Creates nothing. */
  pull(keys: BigUint64Array): Promise<Parameters>;
  /** Applies gradients and remembers `mark`, if there is one: all or nothing, whatever moment the process is killed at. */
  push(
    keys: BigUint64Array,
    gradients: Gradients,
    options: { mark?: Uint8Array; step: number },
  ): Promise<void>;
}

/** Opens two tables and a tensor, or creates them. `meanStars` is where the bias starts. */
export async function openParameters(
  store: Store,
  settings: Settings,
  { seed, meanStars }: { seed: number; meanStars: number },
): Promise<StoredParameters> {
  const { learningRate, rank, spread } = settings;
  const shared = { optimizer: adagrad({ learningRate }), ack: "os", seed } as const;
  const bias = await store.tensor("bias", { ...shared, shape: [1], initializer: constant(meanStars) });
  const weights = await store.table("weights", { ...shared, dim: 1, initializer: zeros() });
  const factors = await store.table("factors", { ...shared, dim: rank, initializer: normal(0, spread) });
  return {
    async pull(keys) {
      const [w, v] = await store.pull([
        { table: weights, keys },
        { table: factors, keys },
      ]);
      const [b] = await bias.pull();
      return { bias: b, weights: w, factors: v };
    },
    async push(keys, gradients, options) {
      await store.push(
        [
          { tensor: bias, gradients: Float32Array.of(gradients.bias) },
          { table: weights, keys, gradients: gradients.weights },
          { table: factors, keys, gradients: gradients.factors },
        ],
        options,
      );
    },
  };
}
