import type { Store } from "../api/store-types.js";
import { type AskOptions, connectControl } from "../embedded/control-client.js";
import { type InspectedRows, inspectRows } from "../embedded/inspection.js";
import {
  type Histogram,
  histogram,
  type SurveyOptions,
  type SurveyProgress,
  type TopRows,
  topRows,
} from "../embedded/table-survey.js";
import { type ClosedStats, closedStats, openClosed } from "./closed-store.js";

/** A store to look at, wherever it is open. */
export interface StoreView {
  /** The pid of the process that has it open; undefined where none has. */
  readonly owner: number | undefined;
  stats(): Promise<ClosedStats>;
  /** Keys in decimal or hexadecimal. TABLE_NOT_FOUND, INVALID_ARGUMENT. */
  rows(table: string, keys: readonly string[]): Promise<InspectedRows>;
  /** The hottest rows of a table, and how its rows are spread: see `topRows` and `histogram`. */
  top(question: { table: string; by?: string; count?: number }, options?: SurveyOptions): Promise<TopRows>;
  histogram(question: { table: string; of?: string }, options?: SurveyOptions): Promise<Histogram>;
  close(): Promise<void>;
}

/**
 * Asks the process that has `directory` open; where none listens it is opened here for each question: LOCKED where a
 * process has it open and does not listen; NOT_A_STORE, CORRUPT and others of `openStore`.
 */
export async function openView(directory: string): Promise<StoreView> {
  const client = await connectControl(directory);
  if (client !== undefined) {
    const { pid } = (await client.ask("owner")) as { pid: number };
    return {
      owner: pid,
      stats: async () => (await client.ask("inspect")) as ClosedStats,
      rows: async (table, keys) => (await client.ask("rows", { table, keys })) as InspectedRows,
      top: async (question, options) => (await client.ask("top", question, asked(options))) as TopRows,
      histogram: async (question, options) =>
        (await client.ask("histogram", question, asked(options))) as Histogram,
      close: async () => client.close(),
    };
  }
  // Figures take one shard at a time into memory, rows all of them.
  let opened: Promise<Store> | undefined;
  const store = () => {
    opened ??= openClosed(directory);
    return opened;
  };
  return {
    owner: undefined,
    stats: () => closedStats(directory),
    rows: async (table, keys) => inspectRows(await store(), { table, keys }),
    top: async (question, options) => topRows(await store(), question, options),
    histogram: async (question, options) => histogram(await store(), question, options),
    close: async () => {
      const one = await opened?.catch(() => undefined);
      await one?.close();
    },
  };
}

/** The owner may only be alive, with nothing to tell. */
function asked({ signal, onProgress }: SurveyOptions = {}): AskOptions {
  return { signal, onProgress: (progress) => progress && onProgress?.(progress as SurveyProgress) };
}
