// Runs: rows staged in the first arena are put in the order of the arenas that own their slots, and taken there.
import { LIMITS } from "../base/limits.js";
import type { Arena } from "../table/arena.js";
import type { ArenaTable } from "../table/arena-table.js";
import { type ArenaSet, slotCount } from "./arena-set.js";
import { type RowWrite, type Run, valueBytesOf } from "./staging.js";

/** Scratch, in each of several arenas, that ordering n rows takes. */
export function orderingBytes(
  set: ArenaSet,
  n: number,
  rowBytes: number,
  several = set.all.length > 1,
): number {
  if (!several) return 0;
  return n * (6 + 16 + rowBytes) + 4 * LIMITS.arenas + slotCount + 12 * 64;
}

/** The places of n keys at `keys` of the first arena in the order of arenas, and where each arena's run ends. */
export interface Order {
  /** u32[n] in the first arena. */
  readonly places: number;
  readonly ends: readonly number[];
}

export function orderKeys(set: ArenaSet, table: ArenaTable, keys: number, n: number): Order {
  const { front } = set;
  const { kernel } = front;
  const slots = front.takeScratch(2 * n);
  const arenaOf = front.takeScratch(slotCount);
  const places = front.takeScratch(4 * n);
  const ends = front.takeScratch(4 * set.all.length);
  front.bytes.set(set.arenaOf, arenaOf);
  if (table.bySlot) for (let i = 0; i < n; i++) front.u16[slots / 2 + i] = front.u32[keys / 4 + 2 * i];
  else kernel.slotsOf(keys, n, table.placement, slots);
  kernel.orderByArena(slots, arenaOf, n, set.all.length, places, ends);
  return { places, ends: Array.from(front.u32.subarray(ends / 4, ends / 4 + set.all.length)) };
}

/** Splits a staged run by arena. With one arena it is the run itself. */
export function splitRun(set: ArenaSet, staged: Run, write: RowWrite): Run[] {
  if (set.all.length === 1) return [staged];
  const { front } = set;
  const { kernel } = front;
  const { n } = staged;
  const { places, ends } = orderKeys(set, write.table, staged.keys, n);
  const stateBytes = staged.states ? 4 * write.table.stateFloats : 0;
  const stepBytes = staged.steps ? 4 : 0;
  const counterBytes = staged.counters ? 4 * write.table.counters : 0;
  const rowBytes = valueBytesOf(write) - stateBytes - stepBytes - counterBytes;
  const gather = (from: number, bytes: number): number => {
    if (from === 0 || bytes === 0) return 0;
    const into = front.takeScratch(n * bytes);
    kernel.gatherRows(from, places, n, bytes, into);
    return into;
  };
  const sorted = {
    keys: gather(staged.keys, 8),
    counts: gather(staged.counts, 4),
    positions: front.takeScratch(4 * n),
    values: gather(staged.values, rowBytes),
    states: gather(staged.states, stateBytes),
    steps: gather(staged.steps, stepBytes),
    counters: gather(staged.counters, counterBytes),
  };
  const runs: Run[] = [];
  ends.forEach((end, number) => {
    const begin = number === 0 ? 0 : ends[number - 1];
    if (begin === end) return;
    const at = (pointer: number, bytes: number) => (pointer === 0 ? 0 : pointer + begin * bytes);
    const run: Run = {
      arena: front,
      n: end - begin,
      keys: at(sorted.keys, 8),
      counts: at(sorted.counts, 4),
      positions: at(sorted.positions, 4),
      values: at(sorted.values, rowBytes),
      states: at(sorted.states, stateBytes),
      steps: at(sorted.steps, stepBytes),
      counters: at(sorted.counters, counterBytes),
    };
    runs.push(number === 0 ? run : carryRun(run, set.all[number], { rowBytes, stateBytes, counterBytes }));
  });
  return runs;
}

function carryRun(
  run: Run,
  to: Arena,
  { rowBytes, stateBytes, counterBytes }: { rowBytes: number; stateBytes: number; counterBytes: number },
): Run {
  const { n } = run;
  return {
    arena: to,
    n,
    keys: carry(run.arena, run.keys, to, 8 * n),
    counts: carry(run.arena, run.counts, to, 4 * n),
    positions: to.takeScratch(4 * n),
    values: carry(run.arena, run.values, to, rowBytes * n),
    states: carry(run.arena, run.states, to, stateBytes * n),
    steps: carry(run.arena, run.steps, to, 4 * n),
    counters: carry(run.arena, run.counters, to, counterBytes * n),
  };
}

/** Copies bytes between the scratches of two arenas. Returns where they are; 0 stays 0. */
export function carry(from: Arena, pointer: number, to: Arena, bytes: number): number {
  if (pointer === 0 || bytes === 0) return 0;
  const into = to.takeScratch(bytes);
  to.bytes.set(from.bytes.subarray(pointer, pointer + bytes), into);
  return into;
}
