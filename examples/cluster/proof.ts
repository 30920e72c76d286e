import type { Store } from "../../lib/index.js";
import type { Proof } from "./story.js";

/**
 * Compares what the nodes counted with what the workers were told was done: a row counts the pushes of its key, so a push
 * that was lost is missing there, and one that was applied twice is too many.
 */
export async function proofOf(
  store: Store,
  tables: readonly string[],
  keys: BigUint64Array,
  pushesOf: readonly Uint32Array[],
): Promise<Proof> {
  const expected = new Map<bigint, number>();
  for (const [feature, key] of keys.entries()) {
    const pushes = pushesOf.reduce((sum, one) => sum + one[feature]!, 0);
    if (pushes > 0) expected.set(key, pushes);
  }
  const proof = { rows: 0, pushes: 0, lost: 0, doubled: 0 };
  for (const name of tables) {
    const left = new Map(expected);
    for await (const batch of (await store.table(name)).scan()) {
      for (const [i, key] of batch.keys.entries()) {
        const pushes = left.get(key) ?? 0;
        left.delete(key);
        const frequency = batch.frequency[i]!;
        proof.rows++;
        proof.pushes += pushes;
        proof.lost += Math.max(0, pushes - frequency);
        proof.doubled += Math.max(0, frequency - pushes);
      }
    }
    for (const pushes of left.values()) {
      proof.pushes += pushes;
      proof.lost += pushes;
    }
  }
  return proof;
}
