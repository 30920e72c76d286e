// Staging: a write's rows are laid out in an arena's scratch, checked, and equal keys summed. Nothing is changed yet.

import { arrayLost, nonFinite } from "../api/arguments.js";
import type { RowHistory, RowWrite as TableWrite, WriteKind } from "../api/backend.js";
import { EmbershardError } from "../base/errors.js";
import { copyChecked } from "../kernel/checked-copy.js";
import { distinctSlots } from "../kernel/equal-keys.js";
import { MAX_FREQUENCY } from "../kernel/layout.js";
import type { Arena } from "../table/arena.js";
import type { ArenaTable } from "../table/arena-table.js";
import { candidateBytes } from "./admitting.js";

/** One table's part of a write. */
export interface RowWrite extends Omit<TableWrite<ArenaTable>, "kind"> {
  /** adopt: whole rows, of keys that have none. */
  readonly kind: WriteKind | "adopt";
  /** push: the keys are known to be distinct, so that nothing has to be summed. */
  readonly distinct?: boolean | undefined;
  /** adopt: the rows as they lie in memory, recordBytes each. */
  readonly records?: Uint8Array | undefined;
}

/** The lengths of all that a write borrows. */
export function borrowedLengths(writes: readonly RowWrite[], mark: Uint8Array | undefined): number[] {
  return [
    mark?.length ?? 0,
    ...writes.flatMap(({ keys, values, states, history, counts, counters, records }) => [
      keys.length,
      records?.length ?? 0,
      counts?.length ?? 0,
      values?.length ?? 0,
      states?.length ?? 0,
      history?.frequency.length ?? 0,
      history?.lastStep.length ?? 0,
      counters?.length ?? 0,
    ]),
  ];
}

/** Demands that what a write borrows is as long as it was. @throws INVALID_ARGUMENT */
export function demandLengths(
  writes: readonly RowWrite[],
  mark: Uint8Array | undefined,
  sizes: readonly number[],
): void {
  if (borrowedLengths(writes, mark).every((size, i) => size === sizes[i])) return;
  throw arrayLost("the write that borrows it waited; nothing was changed");
}

/** Rows in one arena's scratch; all but `n` and `arena` are pointers. */
export interface Run {
  readonly arena: Arena;
  n: number;
  readonly keys: number;
  readonly counts: number;
  readonly positions: number;
  readonly values: number;
  readonly states: number;
  /** Last steps, where the write brings them; the frequencies are in `counts` then. */
  readonly steps: number;
  /** What a push adds to counters, or an assignment sets them to. */
  readonly counters: number;
}

/** Bytes of values, states, last steps and counters that a row of this write has in scratch. */
export function valueBytesOf({ table, kind, states, history, counters }: RowWrite): number {
  if (kind === "adopt") return table.recordBytes;
  if (kind !== "push" && kind !== "assign") return 0;
  return (
    4 * (table.dim + (states ? table.stateFloats : 0) + (history ? 1 : 0) + (counters ? table.counters : 0))
  );
}

/** Scratch that staging a write takes. */
export function stagingBytes(write: RowWrite): number {
  const n = write.keys.length;
  const distinct = write.kind === "push" ? 4 * distinctSlots(n) : 0;
  // Counters are summed beside the gradients, by keys of their own.
  const counted = write.counters ? 12 * n : 0;
  // A byte of each is for a look at what exists already, where an arena is close to full.
  return 17 * n + distinct + counted + n * valueBytesOf(write) + candidateBytes(write.table, n) + 14 * 64;
}

/** What staging gives. */
export interface StagedRun extends Run {
  /** Gradients left out because they were not finite. */
  skipped: number;
}

/**
 * Lays a write out in `arena`. A push's keys are distinct then, gradients of equal ones summed in order of occurrence.
 *
 * @throws NON_FINITE naming the key, where the table refuses such gradients; rows are never taken with such values.
 */
export function stage(arena: Arena, write: RowWrite): StagedRun {
  const n = write.keys.length;
  const run: StagedRun = {
    arena,
    n,
    skipped: 0,
    keys: arena.takeScratch(8 * n),
    counts: arena.takeScratch(4 * n),
    positions: arena.takeScratch(4 * n),
    values: write.records
      ? arena.takeScratch(write.records.length)
      : write.values
        ? arena.takeScratch(4 * n * write.table.dim)
        : 0,
    states: write.states ? arena.takeScratch(4 * n * write.table.stateFloats) : 0,
    steps: write.history ? arena.takeScratch(4 * n) : 0,
    counters: write.counters ? arena.takeScratch(4 * n * write.table.counters) : 0,
  };
  arena.u64.set(write.keys, run.keys / 8);
  if (write.kind === "push") return stagePush(run, write);
  if (write.records) arena.bytes.set(write.records, run.values);
  if (write.history) stageHistory(run, write.history);
  else arena.u32.fill(0, run.counts / 4, run.counts / 4 + n);
  const { f32, kernel } = arena;
  if (write.values) refuseNonFinite(write, copyChecked(f32, kernel, write.values, run.values), "value");
  if (write.states) refuseNonFinite(write, copyChecked(f32, kernel, write.states, run.states), "state");
  if (write.counters) arena.f32.set(write.counters, run.counters / 4);
  return run;
}

/** The bit above a frequency says that the row is created: what would reach it is the largest frequency. */
function stageHistory({ arena, counts, steps, n }: Run, { frequency, lastStep }: RowHistory): void {
  arena.u32.set(frequency, counts / 4);
  arena.kernel.limitTo(MAX_FREQUENCY, counts, n);
  arena.u32.set(lastStep, steps / 4);
}

function stagePush(staged: StagedRun, write: RowWrite): StagedRun {
  const { arena } = staged;
  const { kernel } = arena;
  const { dim } = write.table;
  const run = { ...staged };
  if (write.counters) arena.f32.set(write.counters, run.counters / 4);
  if (write.counts) stageCounts(run, write, write.counts);
  const bad = copyChecked(arena.f32, kernel, write.values!, run.values);
  if (bad >= 0) run.n = skipOrRefuse(run, write, write.counts ? run.counts : 0, bad);
  if (write.distinct) {
    if (!write.counts) arena.u32.fill(1, run.counts / 4, run.counts / 4 + run.n);
    return run;
  }
  const given = run.n;
  const slots = distinctSlots(given);
  const slotsAt = arena.takeScratch(4 * slots);
  if (run.counters) sumCounters(run, write.table.counters, slotsAt, slots);
  run.n = kernel.sumEqualKeys(
    run.keys,
    run.counts,
    run.values,
    given,
    dim,
    slotsAt,
    slots,
    write.counts ? 1 : 0,
  );
  if (run.n === given) return run;
  const overflow = kernel.firstNonFiniteSum(run.values, run.counts, run.n, dim);
  if (overflow >= 0) run.n = skipOrRefuse(run, write, run.counts, overflow);
  return run;
}

/** @throws INVALID_ARGUMENT naming the first key whose count is out of range */
function stageCounts({ arena, counts, n }: Run, { table, keys }: RowWrite, given: Uint32Array): void {
  if (given.length !== n)
    throw new EmbershardError(
      "INVALID_ARGUMENT",
      `table "${table.definition.name}": found ${given.length} counts, expected one for each of ${n} keys; nothing was changed`,
    );
  for (let i = 0; i < n; i++) {
    if ((given[i] - 1) >>> 0 < MAX_FREQUENCY) continue;
    throw new EmbershardError(
      "INVALID_ARGUMENT",
      `table "${table.definition.name}": the count of key ${keys[i]} is ${given[i]}, expected 1 to ${MAX_FREQUENCY}; nothing was changed`,
    );
  }
  arena.u32.set(given, counts / 4);
}

/** Sums counters of equal keys. Where the sums end up depends on the keys alone: they lie as the gradients' sums will. */
function sumCounters({ arena, n, ...run }: Run, width: number, slots: number, slotCount: number): void {
  const keys = arena.takeScratch(8 * n);
  const counts = arena.takeScratch(4 * n);
  arena.bytes.copyWithin(keys, run.keys, run.keys + 8 * n);
  arena.kernel.sumEqualKeys(keys, counts, run.counters, n, width, slots, slotCount, 0);
}

/** Returns how many rows are left. */
function skipOrRefuse(run: StagedRun, write: RowWrite, counts: number, bad: number): number {
  if (write.table.definition.nonFinite === "refuse") {
    const key = run.arena.u64[run.keys / 8 + Math.floor(bad / write.table.dim)];
    throw nonFinite(
      write.table.definition.name,
      "gradient",
      key,
      run.arena.f32[run.values / 4 + bad],
      bad % write.table.dim,
    );
  }
  const kept = run.arena.kernel.dropNonFinite(
    run.values,
    run.keys,
    counts,
    run.n,
    write.table.dim,
    run.counters,
    write.table.counters,
  );
  run.skipped += run.n - kept;
  return kept;
}

function refuseNonFinite(write: RowWrite, bad: number, what: "value" | "state"): void {
  if (bad < 0) return;
  const width = what === "value" ? write.table.dim : write.table.stateFloats;
  const source = what === "value" ? write.values! : write.states!;
  throw nonFinite(
    write.table.definition.name,
    what,
    write.keys[Math.floor(bad / width)],
    source[bad],
    bad % width,
  );
}
