import { parseDefinition } from "../api/table-definition.js";
import { EmbershardError } from "../base/errors.js";
import type { ArenaTable } from "../table/arena-table.js";
import { descriptorsOf, makeTable, parts } from "../table/candidates.js";
import type { ArenaIndexing } from "./arena-indexing.js";
import type { ArenaSet } from "./arena-set.js";
import type { ColdRows } from "./cold-rows.js";
import type { Manifest } from "./manifest.js";
import type { PageKey } from "./page-image.js";
import { PageLedger } from "./page-ledger.js";
import { Sequences } from "./sequences.js";
import type { RetiredTable } from "./shard-state.js";

/** What recovery has found, to go on with. */
export interface Recovered {
  readonly arenas: ArenaSet;
  readonly tables: Map<string, ArenaTable>;
  readonly manifest: Manifest | undefined;
  readonly ledger: PageLedger;
  readonly garbage: PageKey[];
  readonly cold: Map<number, ColdRows>;
  mark: Uint8Array | undefined;
  /** What workers have pushed. */
  readonly sequences: Sequences;
  /** The latest time of a write. */
  time: number;
  nextTable: number;
  /** Tables dropped in the log: their pages are not used again before the next checkpoint. */
  readonly retired: RetiredTable[];
  /** Descriptors given to tables so far, dropped ones included. */
  usedIndexes: number;
  records: number;
  /** The indexes of the arenas, begun while pages are read, where no log changes rows any more. */
  indexing: readonly ArenaIndexing[] | undefined;
}

/**
 * The beginning of a recovery into `arenas`: the tables of a manifest are known, and their pages have not been read. `known`
 * is what of the manifest counts besides.
 */
export function beginRecovered(
  arenas: ArenaSet,
  manifest: Manifest | undefined,
  known: Partial<Pick<Recovered, "ledger" | "mark" | "sequences">> = {},
): Recovered {
  const recovered: Recovered = {
    arenas,
    tables: new Map(),
    manifest,
    ledger: new PageLedger(),
    garbage: [],
    cold: new Map(),
    mark: undefined,
    sequences: new Sequences(),
    time: manifest?.time ?? 0,
    nextTable: manifest?.nextTable ?? 1,
    retired: [],
    usedIndexes: 0,
    records: 0,
    indexing: undefined,
    ...known,
  };
  for (const definition of manifest?.tables ?? []) addTable(recovered, definition);
  return recovered;
}

/** Makes a table known, or gives it the definition that it has now. */
export function addTable(recovered: Recovered, json: unknown): void {
  const definition = parseDefinition(json);
  const known = recovered.tables.get(definition.name);
  if (known && known.definition.number === definition.number) {
    known.definition = definition;
    return;
  }
  const descriptors = descriptorsOf(definition);
  const indexes = Array.from({ length: descriptors }, () => recovered.usedIndexes++);
  const table = makeTable(indexes, definition);
  recovered.tables.set(definition.name, table);
  recovered.nextTable = Math.max(recovered.nextTable, definition.number + descriptors);
  for (const one of parts(table)) for (const arena of recovered.arenas.all) one.describe(arena);
}

/** The tables, and the candidates of those that have some as tables of their own. */
export function allTables(recovered: Recovered): ArenaTable[] {
  return [...recovered.tables.values()].flatMap(parts);
}

/** The table, or the candidates of one, that pages and records call by this number. */
export function tableOf(recovered: Pick<Recovered, "tables">, number: number): ArenaTable | undefined {
  for (const table of recovered.tables.values()) {
    if (table.definition.number === number) return table;
    if (table.definition.candidates === number) return table.candidates;
  }
  return undefined;
}

export function outOfRoom(what: string, cause?: unknown): EmbershardError {
  return new EmbershardError(
    "OUT_OF_MEMORY",
    `${what} does not fit the arena: open the store with the arenaBytes it was made with, or more`,
    { cause },
  );
}
