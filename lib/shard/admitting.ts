// Admitting: what a write does to the candidates of its table, keys that were counted and have no row.
import type { ArenaTable } from "../table/arena-table.js";
import type { SectionList } from "./applying.js";
import { SECTION } from "./records.js";
import type { RowWrite, Run } from "./staging.js";

/** What happened to a table's candidates in one arena. */
export interface CandidateRuns {
  /** Keys that are candidates no more. */
  readonly removed: Run | undefined;
  /** Keys that were counted. */
  readonly counted: Run | undefined;
}

/** Bytes that the kernel's outcome takes before its columns, which take 28 a row. */
const outcomeBytes = 64;

/** Scratch that candidates take in a write of n rows. */
export function candidateBytes({ candidates }: ArenaTable, n: number): number {
  return candidates ? outcomeBytes + 28 * n + 64 : 0;
}

/** Where the columns of n rows lie that the kernel leaves: see pushAdmitted in lib/kernel/assembly/admission.ts. */
function columnsAt(outcome: number, n: number) {
  const removedKeys = outcome + outcomeBytes;
  const countedKeys = removedKeys + 8 * n;
  const removedPositions = countedKeys + 8 * n;
  const countedPositions = removedPositions + 4 * n;
  return {
    removedKeys,
    countedKeys,
    removedPositions,
    countedPositions,
    countedCounts: countedPositions + 4 * n,
  };
}

/** A push to a table that admits: rows for keys that have been seen often enough, counts for the others. Returns the rows. */
export function pushAdmitted(run: Run, write: RowWrite, step: number, lsn: bigint): Run & CandidateRuns {
  const { arena, n } = run;
  const { table } = write;
  const at = arena.takeScratch(outcomeBytes + 28 * n);
  arena.kernel.pushAdmitted(
    table.index,
    run.keys,
    run.counts,
    run.values,
    n,
    run.positions,
    run.counters,
    write.learningRate,
    step,
    lsn,
    at,
  );
  const [first, rows, removed, counted, admitted, occurrences] = arena.u32.subarray(at / 4, at / 4 + 6);
  table.admitting.admitted += admitted;
  table.admitting.occurrences += occurrences;
  table.admitting.gradients += counted;
  const columns = columnsAt(at, n);
  return {
    arena,
    n: rows,
    keys: run.keys + 8 * first,
    counts: run.counts + 4 * first,
    positions: run.positions + 4 * first,
    values: run.values + 4 * first * table.dim,
    states: 0,
    steps: 0,
    counters: run.counters && run.counters + 4 * first * table.counters,
    removed: removedRun(run, columns.removedKeys, columns.removedPositions, removed),
    counted:
      counted === 0
        ? undefined
        : {
            arena,
            n: counted,
            keys: columns.countedKeys,
            counts: columns.countedCounts,
            positions: columns.countedPositions,
            values: 0,
            states: 0,
            steps: 0,
            counters: 0,
          },
  };
}

/** Forgets candidates whose keys get rows without having been counted, or are deleted. A sketch cannot forget. */
export function forgetCandidates(run: Run, { candidates }: ArenaTable, lsn: bigint): Run | undefined {
  if (!candidates || candidates.bySlot) return undefined;
  const { arena, n } = run;
  const { removedKeys, removedPositions } = columnsAt(arena.takeScratch(outcomeBytes + 28 * n), n);
  const removed = arena.kernel.deleteRows(candidates.index, run.keys, n, removedPositions, removedKeys, lsn);
  return removedRun(run, removedKeys, removedPositions, removed);
}

/** The counts of a removal mean nothing, so any column serves. */
function removedRun({ arena }: Run, keys: number, positions: number, n: number): Run | undefined {
  return n === 0
    ? undefined
    : { arena, n, keys, counts: positions, positions, values: 0, states: 0, steps: 0, counters: 0 };
}

/** Adds what happened to candidates to a log record: removals first, since others may take their places. */
export function logCandidates(
  list: SectionList,
  { removed, counted }: Partial<CandidateRuns>,
  candidates: ArenaTable,
): void {
  if (removed) list.add(removed, candidates, SECTION.delete, 0, []);
  if (counted) list.add(counted, candidates, candidates.bySlot ? SECTION.sketch : SECTION.count, 0, []);
}
