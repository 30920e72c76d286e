// A table that grows over several arenas, with everything going on while rows are handed over.
import { Prng } from "../../lib/base/prng.js";
import { type AdmissionOptions, adagrad, type Store, uniform } from "../../lib/index.js";
import { MemoryDisk } from "../embedded/memory-store.js";
import { randomFloats, randomKeys, Twin } from "../laws/twin.js";

export const options = {
  dim: 1500,
  optimizer: adagrad({ learningRate: 0.1 }),
  initializer: uniform(-1, 1),
  seed: 1,
};

export interface Way {
  readonly seed: number;
  readonly logged: boolean;
  readonly arenas: number;
  readonly admission?: AdmissionOptions;
}

/** Keys that never came before. */
function fresh(random: Prng, n: number): BigUint64Array {
  return BigUint64Array.from({ length: n }, () => (BigInt(random.u32()) << 32n) | BigInt(random.u32()));
}

/** Lives until it has `arenas` arenas, a table that admits some rounds more, and compares with the oracle again and again. */
export async function grow({ seed, logged, arenas, admission }: Way): Promise<void> {
  const random = new Prng(seed);
  const disk = new MemoryDisk(seed);
  const turns = async (n: number) => {
    for (let i = 0; i < n; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  let store: Store = await disk.open({ logBufferBytes: 4 << 20 });
  const twin = await Twin.open(store, "t", {
    ...options,
    ack: logged ? "os" : "memory",
    logged,
    ...(admission && { admission }),
  });
  const rowsAt = 1200 * 3;
  let after = admission ? 12 : 0;
  for (let round = 0; (await store.stats()).memory.arenas < arenas || after-- > 0; round++) {
    const n = 40 + random.below(120);
    const keys = randomKeys(random, n, rowsAt * 2);
    // Many that come once: candidates, which stay.
    if (admission) await twin.push(fresh(random, 40), randomFloats(random, 40 * 1500), { step: round });
    await twin.push(keys, randomFloats(random, n * 1500), { step: round });
    if (random.below(3) === 0) await twin.delete(randomKeys(random, 60, rowsAt * 2));
    if (random.below(4) === 0) await twin.assign(keys.subarray(0, 20), randomFloats(random, 20 * 1500));
    if (random.below(3) === 0) await twin.compare(randomKeys(random, 100, rowsAt * 2));
    if (random.below(4) === 0) await turns(random.below(30));
    if (random.below(6) === 0) await Promise.all([store.checkpoint(), twin.compareAll()]);
    if (logged && random.below(6) === 0) {
      if (random.below(2) === 0) await store.close();
      else disk.kill();
      store = await disk.open({ logBufferBytes: 4 << 20 });
      twin.table = await store.table("t");
      if (random.below(2) === 0) await turns(random.below(40));
      await twin.compareAll();
    }
    if (admission && random.below(4) === 0) await twin.compare(randomKeys(random, 100, rowsAt * 2));
  }
  await twin.compareAll();
  await store.checkpoint();
  await store.close();
  store = await disk.open();
  twin.table = await store.table("t");
  await twin.compareAll();
  await store.close();
}
