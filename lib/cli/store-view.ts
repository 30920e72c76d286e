import { connectControl } from "../embedded/control-client.js";
import { type InspectedRows, inspectRows } from "../embedded/inspection.js";
import { openStore } from "../embedded/open-store.js";
import type { StoreStats } from "../embedded/store-types.js";

/** A store to look at, wherever it is open. */
export interface StoreView {
  /** The pid of the process that has it open; undefined where none has. */
  readonly owner: number | undefined;
  stats(): Promise<StoreStats>;
  /** Keys in decimal or hexadecimal. TABLE_NOT_FOUND, INVALID_ARGUMENT. */
  rows(table: string, keys: readonly string[]): Promise<InspectedRows>;
  close(): Promise<void>;
}

/**
 * Asks the process that has `directory` open, or opens it here where none listens.
 * LOCKED where a process has it open and does not listen; NOT_A_STORE, CORRUPT and others of `openStore`.
 */
export async function openView(directory: string): Promise<StoreView> {
  const client = await connectControl(directory);
  if (client !== undefined) {
    const { pid } = (await client.ask("owner")) as { pid: number };
    return {
      owner: pid,
      stats: async () => (await client.ask("inspect")) as StoreStats,
      rows: async (table, keys) => (await client.ask("rows", { table, keys })) as InspectedRows,
      close: async () => client.close(),
    };
  }
  const store = await openStore(directory, { create: false, checkpoint: false, control: false });
  return {
    owner: undefined,
    stats: async () => store.stats(),
    rows: (table, keys) => inspectRows(store, { table, keys }),
    close: () => store.close(),
  };
}
