// Applying: runs that have been staged and reserved change rows, in one kernel call each, and leave the parts of their
// log record.

import type { ArenaTable } from "../table/arena-table.js";
import { type CandidateRuns, forgetCandidates, logCandidates, pushAdmitted } from "./admitting.js";
import { encodeSectionHeader, padded, SECTION } from "./records.js";
import type { RowWrite, Run } from "./staging.js";

/** The parts of a log record that are being gathered: views of scratch, to be copied before anything else happens. */
export class SectionList {
  readonly parts: Uint8Array[] = [];
  count = 0;

  add(
    run: Pick<Run, "arena" | "n" | "keys" | "positions" | "counts">,
    { definition, epoch }: ArenaTable,
    kind: number,
    learningRate: number,
    values: readonly Uint8Array[],
  ): void {
    const { arena, n } = run;
    const table = definition.number;
    const valueBytes = values.reduce((sum, part) => sum + part.length, 0);
    this.parts.push(
      encodeSectionHeader({ table, arena: arena.number, kind, n, learningRate, epoch, valueBytes }),
      arena.bytes.subarray(run.keys, run.keys + 8 * n),
      arena.bytes.subarray(run.positions, run.positions + 4 * n),
      arena.bytes.subarray(run.counts, run.counts + 4 * n),
      ...values,
    );
    if (padded(valueBytes) !== valueBytes) this.parts.push(new Uint8Array(padded(valueBytes) - valueBytes));
    this.count++;
  }

  /** Adds what another list has, as copies. */
  addCopies({ parts, count }: SectionList): void {
    for (const part of parts) this.parts.push(part.slice());
    this.count += count;
  }
}

/** What a run came to: the rows that it touched, for a delete those that there were; and candidates of its table. */
export type AppliedRun = Run & Partial<CandidateRuns>;

/** Changes the rows of a run. */
export function applyRun(run: Run, write: RowWrite, step: number, lsn: bigint): AppliedRun {
  // An adopted row was elsewhere before, and its key no candidate.
  if (write.table.candidates === undefined || write.kind === "adopt") return applyRows(run, write, step, lsn);
  if (write.kind === "push") return pushAdmitted(run, write, step, lsn);
  // Before the rows: a deletion leaves other keys in the run than it was asked for.
  const removed = forgetCandidates(run, write.table, lsn);
  return { ...applyRows(run, write, step, lsn), removed, counted: undefined };
}

function applyRows(run: Run, write: RowWrite, step: number, lsn: bigint): Run {
  const { kernel } = run.arena;
  const { index } = write.table;
  switch (write.kind) {
    case "push":
      kernel.pushRows(
        index,
        run.keys,
        run.counts,
        run.values,
        run.n,
        run.positions,
        run.counters,
        write.learningRate,
        step,
        lsn,
      );
      return run;
    case "create":
      kernel.createRows(index, run.keys, run.counts, run.n, run.positions, lsn);
      return run;
    case "assign":
      kernel.assignRows(index, run.keys, run.counts, run.n, run.positions, run.values, run.states, lsn);
      if (run.steps) kernel.writeHistory(run.positions, run.n, run.counts, run.steps);
      if (run.counters) kernel.writeCounters(index, run.positions, run.n, run.counters);
      return run;
    case "adopt":
      kernel.adoptRows(index, run.values, run.n, run.positions, lsn);
      return run;
    case "delete":
      // The keys that had rows replace the ones asked for.
      run.n = kernel.deleteRows(index, run.keys, run.n, run.positions, run.keys, lsn);
      return run;
  }
}

/** Adds an applied run to a log record. */
export function logRun(list: SectionList, run: AppliedRun, write: RowWrite): void {
  const { bytes } = run.arena;
  const { table, kind } = write;
  if (table.candidates) logCandidates(list, run, table.candidates);
  if (run.n === 0) return;
  const column = (pointer: number, floats: number) => bytes.subarray(pointer, pointer + 4 * run.n * floats);
  const values: Uint8Array[] = [];
  if (kind === "adopt") values.push(bytes.subarray(run.values, run.values + run.n * table.recordBytes));
  else if (run.values) values.push(column(run.values, table.dim));
  if (run.states) values.push(column(run.states, table.stateFloats));
  if (run.steps) values.push(column(run.steps, 1));
  if (run.counters) values.push(column(run.counters, table.counters));
  const code = kind === "assign" ? assignmentCode(run) : SECTION[kind];
  list.add(run, table, code, write.learningRate, values);
}

function assignmentCode({ states, steps }: Run): number {
  if (steps) return states ? SECTION.assignStateHistory : SECTION.assignHistory;
  return states ? SECTION.assignState : SECTION.assign;
}
