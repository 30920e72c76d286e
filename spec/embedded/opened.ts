import { mkdtempSync, rmSync } from "node:fs";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStore, type StoreOptions, sgd } from "../../lib/index.js";
import type { Opened } from "../laws/twin.js";

/** A store in a directory of its own, for the laws: a new one, or a copy of one that is closed. */
export async function openTemporary(options: StoreOptions = {}, original?: string): Promise<Opened> {
  const directory = await mkdtemp(join(tmpdir(), "embershard-spec-"));
  if (original !== undefined) await cp(original, directory, { recursive: true });
  let store = await openStore(directory, { control: false, ...options });
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

/** What stores over several arenas are opened with. */
export const smallArenas = { arenaBytes: 32 << 20, checkpoint: false } as const;

let several: Promise<string> | undefined;

/**
 * An empty store over three arenas of 32 MiB: an arena is never given back. It is made once in a process, since filling
 * arenas takes far longer than what the laws do with them.
 */
export async function openSeveralArenas(): Promise<Opened> {
  several ??= makeSeveral();
  const opened = await openTemporary(smallArenas, await several);
  const { arenas } = (await opened.store.stats()).memory;
  if (arenas !== 3) throw new Error(`found ${arenas} arenas, expected 3`);
  return opened;
}

async function makeSeveral(): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), "embershard-spec-arenas-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  const store = await openStore(directory, { control: false, ...smallArenas });
  const table = await store.table("ballast", {
    dim: 4096,
    optimizer: sgd({ learningRate: 1 }),
    logged: false,
  });
  const gradients = new Float32Array(32 * 4096).fill(1);
  for (let first = 0; (await store.stats()).memory.arenas < 3; first += 32)
    await table.push(
      BigUint64Array.from({ length: 32 }, (_, i) => BigInt(first + i)),
      gradients,
    );
  await store.dropTable("ballast");
  await store.checkpoint();
  await store.close();
  return directory;
}
