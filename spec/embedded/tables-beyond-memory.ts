import type { EmbeddedStore } from "../../lib/embedded/embedded-store.js";
import type { Store, TableOptions } from "../../lib/index.js";
import type { ShardOptions } from "../../lib/shard/shard.js";
import type { Opened } from "../laws/twin.js";
import { MemoryDisk } from "./memory-store.js";

/** A store that gives tables a limit of memory wherever they can have one. */
export function limited(store: EmbeddedStore): Store {
  return new Proxy(store, {
    get(target, name) {
      if (name === "table")
        return (table: string, options?: TableOptions) =>
          target.table(table, canBeLimited(options) ? { memory: 1 << 20, ...options } : options);
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** A store in memory whose tables keep `rows` rows in the arenas and all others cold. */
export async function openLimited(rows: number, options: Partial<ShardOptions> = {}): Promise<Opened> {
  const disk = new MemoryDisk(7);
  let store = await disk.open({ ...options, hotRows: () => rows });
  return {
    store: limited(store),
    async reopen() {
      await store.close();
      store = await disk.open({ ...options, hotRows: () => rows });
      return limited(store);
    },
    async end() {
      await store.close();
    },
  };
}

/** What is refused with a limit of memory is none of its business. */
function canBeLimited(options: TableOptions | undefined): boolean {
  if (typeof options !== "object" || options === null) return false;
  return options.logged !== false;
}
