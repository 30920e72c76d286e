import { EmbershardError } from "../base/errors.js";
import { ArenaTable } from "../table/arena-table.js";
import { parseDefinition } from "../table/table-definition.js";
import type { ArenaSet } from "./arena-set.js";
import type { Manifest } from "./manifest.js";
import type { PageKey } from "./page-image.js";
import type { PageLedger } from "./page-ledger.js";
import type { RetiredTable } from "./shard-state.js";

/** What recovery has found, to go on with. */
export interface Recovered {
  readonly arenas: ArenaSet;
  readonly tables: Map<string, ArenaTable>;
  readonly manifest: Manifest | undefined;
  readonly ledger: PageLedger;
  readonly garbage: PageKey[];
  mark: Uint8Array | undefined;
  nextTable: number;
  /** Tables dropped in the log: their pages are not used again before the next checkpoint. */
  readonly retired: RetiredTable[];
  /** Descriptors given to tables so far, dropped ones included. */
  usedIndexes: number;
  records: number;
}

/** Makes a table known, or gives it the definition that it has now. */
export function addTable(recovered: Recovered, json: unknown): void {
  const definition = parseDefinition(json);
  const known = recovered.tables.get(definition.name);
  if (known && known.definition.number === definition.number) {
    known.definition = definition;
    return;
  }
  const table = new ArenaTable(recovered.usedIndexes++, definition);
  recovered.tables.set(definition.name, table);
  recovered.nextTable = Math.max(recovered.nextTable, definition.number + 1);
  for (const arena of recovered.arenas.all) table.describe(arena);
}

export function tableOf(recovered: Recovered, number: number): ArenaTable | undefined {
  for (const table of recovered.tables.values()) if (table.definition.number === number) return table;
  return undefined;
}

export function outOfRoom(what: string, cause?: unknown): EmbershardError {
  return new EmbershardError(
    "OUT_OF_MEMORY",
    `${what} does not fit the arena: open the store with the arenaBytes it was made with, or more`,
    { cause },
  );
}
