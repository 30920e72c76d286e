// The peer that needs no library: a Map from key to a Float32Array of weights and Adagrad state, in one process. Keys are
// BigInts, since numbers do not hold 64 bits. Equal keys of a batch are applied one after the other.
import { type Distribution, Draws, keysOfRows } from "./keys.js";
import { nanoseconds, serveLines, settingsOf } from "./line-server.js";
import { CHUNK_BATCHES, gradientsOf, LEARNING_RATE, type RowsSettings } from "./rows-settings.js";

const { rows, dim, batch, seed } = settingsOf<RowsSettings>();
const table = new Map<bigint, Float32Array>();
for (let from = 0; from < rows; from += batch) {
  for (const key of keysOfRows(from, Math.min(batch, rows - from))) {
    table.set(key, new Float32Array(2 * dim).fill(0.01));
  }
}

function pull(keys: BigUint64Array, into: Float32Array): void {
  for (let i = 0; i < keys.length; i++) {
    const row = table.get(keys[i])!;
    for (let j = 0, at = i * dim; j < dim; j++, at++) into[at] = row[j];
  }
}

function push(keys: BigUint64Array, gradients: Float32Array): void {
  for (let i = 0; i < keys.length; i++) {
    const row = table.get(keys[i])!;
    for (let j = 0, at = i * dim; j < dim; j++, at++) {
      const g = gradients[at];
      row[dim + j] += g * g;
      row[j] -= (LEARNING_RATE * g) / (Math.sqrt(row[dim + j]) + 1e-10);
    }
  }
}

const draws = new Draws(rows, seed);
const into = new Float32Array(batch * dim);
const gradients = gradientsOf(batch * dim);

await serveLines({}, async ([operation, distribution, limitMs]) => {
  let ns = 0;
  let visited = 0;
  while (ns < Number(limitMs) * 1e6) {
    const batches = draws.batches(distribution as Distribution, CHUNK_BATCHES / 4, batch);
    const start = nanoseconds();
    for (const keys of batches) operation === "pull" ? pull(keys, into) : push(keys, gradients);
    ns += nanoseconds() - start;
    visited += batches.length * batch;
  }
  return { rows: visited, ns };
});
