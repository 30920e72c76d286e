// The columns of a scan's batches, copied out of an arena's scratch.
import { type CounterColumns, splitCounters } from "../api/counter-columns.js";
import type { ScanBatch } from "../api/row-batches.js";
import type { Arena } from "../table/arena.js";
import type { ArenaTable } from "../table/arena-table.js";

/** Bytes of rows that are gathered at once where they are lent: they are still in the cache when they are copied. */
const GATHERED_BYTES = 256 << 10;

/** Rows in an arena's scratch; all but `n` and `arena` are pointers, 0 for what the table does not have. */
export interface GatheredRows {
  readonly arena: Arena;
  readonly n: number;
  readonly keys: number;
  readonly rows: number;
  readonly states: number;
  readonly frequencies: number;
  readonly steps: number;
  readonly counted: number;
  readonly times: number;
}

/** Rows in arrays that are the caller's. */
export function ownRows(table: ArenaTable, gathered: GatheredRows): ScanBatch {
  const { arena, n, keys, rows, states, frequencies, steps } = gathered;
  const { dim, stateFloats } = table;
  return {
    keys: arena.u64.slice(keys / 8, keys / 8 + n),
    rows: arena.f32.slice(rows / 4, rows / 4 + n * dim),
    state: arena.f32.slice(states / 4, states / 4 + n * stateFloats),
    frequency: arena.u32.slice(frequencies / 4, frequencies / 4 + n),
    lastStep: arena.u32.slice(steps / 4, steps / 4 + n),
    ...extrasOf(table, gathered),
  };
}

/** Counters and times, in arrays that are the caller's. */
function extrasOf(
  { counters, definition }: ArenaTable,
  { arena, n, counted, times }: GatheredRows,
): Pick<ScanBatch, "counters" | "writtenAt"> {
  return {
    ...(counted > 0 && {
      counters: splitCounters(
        definition.counters!.names,
        arena.f32.subarray(counted / 4, counted / 4 + n * counters),
      ),
    }),
    ...(times > 0 && {
      writtenAt: Float64Array.from(
        arena.u32.subarray(times / 4, times / 4 + n),
        (tenths) => definition.made! + 100 * tenths,
      ),
    }),
  };
}

type ColumnSet = Required<ScanBatch>;

/** Arrays for a scan's batches, two of each column in turn, so that one batch can be worked with while the next is read. */
export class LentColumns {
  readonly #table: ArenaTable;
  readonly #batchRows: number;
  readonly #sets: readonly [ColumnSet, ColumnSet];
  #turn: 0 | 1 = 0;

  /** For batches of so many rows at most. */
  constructor(table: ArenaTable, batchRows: number) {
    this.#table = table;
    this.#batchRows = batchRows;
    this.#sets = [columnSet(table, batchRows), columnSet(table, batchRows)];
  }

  /** A batch of what `gather` gives, which is fewer rows than it is asked for when there are no more for now. */
  fill(gather: (limit: number) => GatheredRows): ScanBatch {
    const into = this.#sets[this.#turn];
    this.#turn = this.#turn === 0 ? 1 : 0;
    const { dim, stateFloats, counters, touchedOffset } = this.#table;
    const atOnce = Math.max(1, Math.floor(GATHERED_BYTES / (4 * (dim + stateFloats + counters))));
    let n = 0;
    for (let all = true; all && n < this.#batchRows; ) {
      const limit = Math.min(atOnce, this.#batchRows - n);
      const gathered = gather(limit);
      this.#copy(gathered, into, n);
      n += gathered.n;
      all = gathered.n === limit;
    }
    return {
      keys: into.keys.subarray(0, n),
      rows: into.rows.subarray(0, n * dim),
      state: into.state.subarray(0, n * stateFloats),
      frequency: into.frequency.subarray(0, n),
      lastStep: into.lastStep.subarray(0, n),
      ...(counters > 0 && { counters: firstOf(into.counters, n) }),
      ...(touchedOffset > 0 && { writtenAt: into.writtenAt.subarray(0, n) }),
    };
  }

  #copy(gathered: GatheredRows, into: ColumnSet, at: number): void {
    const { arena, n, keys, rows, states, frequencies, steps } = gathered;
    const { dim, stateFloats } = this.#table;
    into.keys.set(arena.u64.subarray(keys / 8, keys / 8 + n), at);
    into.rows.set(arena.f32.subarray(rows / 4, rows / 4 + n * dim), at * dim);
    into.state.set(arena.f32.subarray(states / 4, states / 4 + n * stateFloats), at * stateFloats);
    into.frequency.set(arena.u32.subarray(frequencies / 4, frequencies / 4 + n), at);
    into.lastStep.set(arena.u32.subarray(steps / 4, steps / 4 + n), at);
    const { counters, writtenAt } = extrasOf(this.#table, gathered);
    for (const [name, column] of Object.entries(counters ?? {})) into.counters[name].set(column, at);
    if (writtenAt) into.writtenAt.set(writtenAt, at);
  }
}

function columnSet({ dim, stateFloats, touchedOffset, definition }: ArenaTable, rows: number): ColumnSet {
  return {
    keys: new BigUint64Array(rows),
    rows: new Float32Array(rows * dim),
    state: new Float32Array(rows * stateFloats),
    frequency: new Uint32Array(rows),
    lastStep: new Uint32Array(rows),
    counters: Object.fromEntries(
      (definition.counters?.names ?? []).map((name) => [name, new Float32Array(rows)]),
    ),
    writtenAt: new Float64Array(touchedOffset > 0 ? rows : 0),
  };
}

function firstOf(columns: CounterColumns, n: number): CounterColumns {
  return Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, column.subarray(0, n)]));
}
