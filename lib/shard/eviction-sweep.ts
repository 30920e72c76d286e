// Sweeps: going over all pages of a table, arena by arena, in slices.

import type { EvictionReason } from "../api/row-batches.js";
import type { Arena } from "../table/arena.js";
import type { ArenaTable } from "../table/arena-table.js";
import type { VictimCursor } from "../table/victims.js";
import type { ArenaSet } from "./arena-set.js";
import type { Rule } from "./eviction-rules.js";

/** Where a search is in a table: it goes round and round, over the arenas and, where there are some, the cold rows. */
export class Hand {
  #number = 0;
  readonly cursor: VictimCursor = { page: 0, place: 0 };
  /** The key from which on cold rows are looked at next. */
  coldKey = 0n;
  /** How often it has come to the end of the last part. */
  rounds = 0;

  /** The arena that it is in; undefined when it has come to the cold rows. */
  arena(set: ArenaSet): Arena | undefined {
    return set.all[this.#number];
  }

  /** Goes on to the next part: arenas, then cold rows where `hasCold`. */
  next(set: ArenaSet, hasCold: boolean): void {
    this.#number++;
    if (this.#number >= set.all.length + (hasCold ? 1 : 0)) {
      this.#number = 0;
      this.rounds++;
    }
    this.cursor.page = 0;
    this.cursor.place = 0;
    this.coldKey = 0n;
  }
}

/** What is to be evicted beyond what a table has too many. */
export interface EvictionJob {
  readonly table: ArenaTable;
  readonly reason: EvictionReason;
  /** Every row at or below it goes; undefined: `rows` rows by the table's policy. */
  readonly rule: Rule | undefined;
  readonly rows: number;
  readonly hand: Hand;
  evicted: number;
  /** LSN of its last record. */
  lsn: number;
  /** Told when it has ended, with why if it could not be done. */
  readonly ended: (error?: unknown) => void;
}

/** Whether a job has nothing left to do in a table of `there` rows. */
export function isDone({ rule, rows, hand, evicted }: EvictionJob, there: number): boolean {
  return rule ? hand.rounds > 0 : evicted >= rows || there === 0;
}
