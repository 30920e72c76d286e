// What tables there are: making them, and saying which there are.

import {
  defineTable,
  type TableDefinition,
  type TableOptions,
  type TensorShape,
} from "../api/table-definition.js";
import { EmbershardError } from "../base/errors.js";
import { LIMITS } from "../base/limits.js";
import type { ArenaTable } from "../table/arena-table.js";
import { descriptorsOf, makeTable } from "../table/candidates.js";
import { type DecayNote, encodeJson, RECORD } from "./records.js";
import { type ShardState, timeNow } from "./shard-state.js";

/** A table that nobody knows yet, and how many descriptors it takes. @throws INVALID_OPTIONS, NOT_LOGGED, TOO_LARGE */
export function newTable(
  state: ShardState,
  name: string,
  options: TableOptions,
  tensor: TensorShape | undefined,
): { table: ArenaTable; descriptors: number } {
  const defined = defineTable(name, state.nextTable, options, tensor);
  const definition = defined.eviction ? { ...defined, made: timeNow(state) } : defined;
  const descriptors = descriptorsOf(definition);
  return { table: makeTable(freeIndexes(state, descriptors), definition), descriptors };
}

/** A table as another shard has it, with a number of this one. @throws TOO_LARGE */
export function copiedTable(
  state: ShardState,
  definition: TableDefinition,
): { table: ArenaTable; descriptors: number } {
  const { nextTable: number } = state;
  const own = { ...definition, number, ...(definition.candidates && { candidates: number + 1 }) };
  const descriptors = descriptorsOf(own);
  return { table: makeTable(freeIndexes(state, descriptors), own), descriptors };
}

/** Descriptors that no table has. @throws TOO_LARGE */
function freeIndexes(state: ShardState, wanted: number): number[] {
  const used = new Set([...state.arenas.tables].map((table) => table.index));
  for (const { index } of state.retired) used.add(index);
  const free: number[] = [];
  for (let index = 0; index < LIMITS.tables && free.length < wanted; index++)
    if (!used.has(index)) free.push(index);
  if (free.length === wanted) return free;
  throw new EmbershardError(
    "TOO_LARGE",
    `the store has ${LIMITS.tables} tables, dropped ones included until the next checkpoint, and those that admit counted twice: that is the limit`,
  );
}

/** Decays a table's counters, and logs it where the table is logged. Returns the record's LSN. */
export function decayTable(state: ShardState, table: ArenaTable): number | undefined {
  const epoch = ++table.epoch;
  for (const arena of state.arenas.all) table.describeEpoch(arena, epoch);
  const { number, logged } = table.definition;
  if (!logged && !state.draining) return undefined;
  return state.log.append(RECORD.decay, 0, [encodeJson({ number, epoch } satisfies DecayNote)]);
}

/** What is said of a table that is not there. */
export function noTable(
  name: string,
  advice: string | undefined,
  tables: ReadonlyMap<string, ArenaTable>,
): EmbershardError {
  const there = listed([...tables.keys()]);
  return new EmbershardError(
    "TABLE_NOT_FOUND",
    `no table "${name}": there ${there}${advice === undefined ? "" : `; ${advice}`}`,
  );
}

function listed(names: readonly string[]): string {
  if (names.length === 0) return "are no tables";
  return `are ${names
    .slice(0, 8)
    .map((name) => `"${name}"`)
    .join(", ")}${names.length > 8 ? ", ..." : ""}`;
}
