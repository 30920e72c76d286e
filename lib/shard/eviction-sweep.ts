// Sweeps: going over all pages of a table, arena by arena, in slices.

import type { EvictionReason } from "../api/row-batches.js";
import type { Arena } from "../table/arena.js";
import type { ArenaTable } from "../table/arena-table.js";
import type { VictimCursor } from "../table/victims.js";
import type { ArenaSet } from "./arena-set.js";
import type { Rule } from "./eviction-rules.js";

/** Where a search is in a table: it goes round and round. */
export class Hand {
  #number = 0;
  readonly cursor: VictimCursor = { page: 0, place: 0 };
  /** How often it has come to the end of the last arena. */
  rounds = 0;

  arena(set: ArenaSet): Arena {
    return set.all[this.#number];
  }

  /** Goes on to the next arena. */
  next(set: ArenaSet): void {
    this.#number = (this.#number + 1) % set.all.length;
    if (this.#number === 0) this.rounds++;
    this.cursor.page = 0;
    this.cursor.place = 0;
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

/** Whether a job has nothing left to do. */
export function isDone({ rule, rows, hand, evicted, table }: EvictionJob, set: ArenaSet): boolean {
  return rule ? hand.rounds > 0 : evicted >= rows || set.rows(table) === 0;
}
