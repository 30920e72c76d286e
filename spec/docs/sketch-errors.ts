// What a sketch costs and gets wrong, measured over a stream of keys as features are: few often, most once.

import { Draws, keyHalves } from "../../bench/subjects/keys.js";
import { type Store, sgd } from "../../lib/index.js";

const universe = 4_000_000;
const batch = 16_384;

/** A stream of keys with what is true of it. */
export interface Stream {
  readonly batches: readonly BigUint64Array[];
  /** Keys that came, each once, and how often. */
  readonly keys: BigUint64Array;
  readonly counts: Uint32Array;
}

/** Keys with probability ~ rank^-1.05, the same at every call. */
export function zipfStream(batches: number): Stream {
  const draws = new Draws(universe, 17);
  const counts = new Uint32Array(universe);
  const all = Array.from({ length: batches }, () => {
    const rows = Uint32Array.from({ length: batch }, () => draws.row("zipf"));
    for (const row of rows) counts[row]++;
    return keysOf(rows);
  });
  const seen = Uint32Array.from(counts.keys()).filter((row) => counts[row] > 0);
  return { batches: all, keys: keysOf(seen), counts: seen.map((row) => counts[row]) };
}

function keysOf(rows: Uint32Array): BigUint64Array {
  const keys = new BigUint64Array(rows.length);
  const halves = new Uint32Array(keys.buffer);
  for (const [i, row] of rows.entries()) [halves[2 * i], halves[2 * i + 1]] = keyHalves(row);
  return keys;
}

/** What became of a stream. */
export interface Admitted {
  /** Keys that have rows and came too seldom for it. */
  readonly early: number;
  /** Keys that came often enough and have no row. */
  readonly late: number;
  /** Keys that came too seldom. */
  readonly seldom: number;
  /** Bytes of memory of what counts. */
  readonly bytes: number;
}

/** Pushes a stream to a table that admits after `after` occurrences. */
export async function admitStream(
  store: Store,
  stream: Stream,
  after: number,
  counter: "exact" | { readonly sketchBytes: number },
): Promise<Admitted> {
  const table = await store.table("t", {
    dim: 1,
    optimizer: sgd({ learningRate: 1 }),
    logged: false,
    admission: { after, counter },
  });
  const gradients = new Float32Array(batch);
  for (const keys of stream.batches) await table.push(keys, gradients);
  const found = await table.contains(stream.keys);
  const { bytes } = (await table.stats()).admission!;
  await store.dropTable("t");
  let [early, late, seldom] = [0, 0, 0];
  for (const [i, count] of stream.counts.entries()) {
    if (count < after) seldom++;
    if (count < after && found[i] === 1) early++;
    if (count >= after && found[i] === 0) late++;
  }
  return { early, late, seldom, bytes };
}
