import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStore, type Store, type StoreOptions, sgd } from "../../lib/index.js";
import type { Opened } from "../laws/twin.js";

/** A store in a directory of its own, for the laws. `prepare` sees it first. */
export async function openTemporary(
  options: StoreOptions = {},
  prepare?: (store: Store) => Promise<void>,
): Promise<Opened> {
  const directory = await mkdtemp(join(tmpdir(), "embershard-spec-"));
  let store = await openStore(directory, { control: false, ...options });
  await prepare?.(store);
  return {
    store,
    async reopen() {
      await store.close();
      store = await openStore(directory, { control: false, ...options });
      return store;
    },
    async end() {
      await store.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Makes a store spread over `arenas` arenas of 32 MiB, and empties it again: an arena is never given back. */
export async function spread(store: Store, arenas: number): Promise<void> {
  const table = await store.table("ballast", {
    dim: 4096,
    optimizer: sgd({ learningRate: 1 }),
    logged: false,
  });
  for (let first = 0; (await store.stats()).memory.arenas < arenas; first += 32) {
    const keys = BigUint64Array.from({ length: 32 }, (_, i) => BigInt(first + i));
    await table.push(keys, new Float32Array(32 * 4096).fill(1));
  }
  await store.dropTable("ballast");
  await store.checkpoint();
}
