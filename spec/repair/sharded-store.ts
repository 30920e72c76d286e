// A closed store of several shards with a life behind it, and all that it holds.
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { adagrad, openStore, type Store, sgd } from "../../lib/index.js";
import { quietly } from "./lived-store.js";

export const keys = BigUint64Array.from({ length: 400 }, (_, i) => BigInt(i) * 7919n);
const tableOptions = { dim: 3, optimizer: adagrad({ learningRate: 0.1 }) };
const tensorOptions = { shape: [64], block: 4, optimizer: sgd({ learningRate: 1 }) };

export interface ShardedStore {
  readonly directory: string;
  readonly shards: number;
  /** A path beside the store, which `remove` removes, too. */
  beside(name: string): string;
  /** A copy of the store to damage. */
  copy(name: string): string;
  remove(): void;
}

/** Makes one with a checkpoint, and a log after it. */
export async function makeSharded(shards: number): Promise<ShardedStore> {
  const home = mkdtempSync(join(tmpdir(), "embershard-shards-"));
  const directory = join(home, "store");
  const store = await openStore(directory, { ...quietly, threads: shards });
  await push(store, 1);
  await store.checkpoint();
  await push(store, 2);
  await store.close();
  const beside = (name: string) => join(home, name);
  return {
    directory,
    shards,
    beside,
    copy: (name) => {
      const to = beside(name);
      rmSync(to, { recursive: true, force: true });
      cpSync(directory, to, { recursive: true });
      return to;
    },
    remove: () => rmSync(home, { recursive: true, force: true }),
  };
}

/** Opens a store on so many threads, and pushes to all of its rows. */
export async function pushMore(directory: string, shards: number, round: number): Promise<void> {
  const store = await openStore(directory, { ...quietly, threads: shards });
  await push(store, round);
  await store.close();
}

async function push(store: Store, round: number): Promise<void> {
  const items = await store.table("items", tableOptions);
  const tensor = await store.tensor("bias", tensorOptions);
  const gradients = Float32Array.from({ length: 3 * keys.length }, (_, i) => Math.sin(i * round));
  await items.push(keys, gradients, { mark: Uint8Array.of(round) });
  await tensor.push(Float32Array.from({ length: 64 }, (_, i) => i / round));
}

/** All that a store of several shards holds, as text to compare. */
export async function shardedContents(directory: string, threads: number): Promise<string> {
  const store = await openStore(directory, { ...quietly, threads, create: false });
  try {
    const items = await store.table("items");
    const rows = new Map<bigint, string>();
    for await (const batch of items.scan())
      for (const [i, key] of batch.keys.entries())
        rows.set(
          key,
          `${batch.rows.subarray(3 * i, 3 * i + 3)}/${batch.state.subarray(3 * i, 3 * i + 3)}/${batch.frequency[i]}/${batch.lastStep[i]}`,
        );
    const pulled = await items.pull(keys);
    const sorted = [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, row]) => `${key}:${row}`);
    return [...sorted, pulled, await (await store.tensor("bias")).pull(), await store.mark()].join("\n");
  } finally {
    await store.close();
  }
}
