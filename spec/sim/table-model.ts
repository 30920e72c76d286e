// What a table of a shard must have been after each of its records, and what its rows may read as.
import type { TableDefinition } from "../../lib/api/table-definition.js";
import { firstDifference, type OracleRow, type OracleTable } from "../../lib/kernel/oracle/oracle-table.js";
import { oracleOf } from "../laws/oracle-of.js";

/** A row as a record left it. */
interface RowVersion {
  /** Where: see Stretch. */
  readonly at: number;
  /** Lives of the shard in which it was there: from this one, before that one. */
  readonly from: number;
  before: number;
  /** Undefined: there was no row. */
  readonly row: OracleRow | undefined;
}

/**
 * The shard as it was from one moment on, until before another. After a record the moment is its LSN; what is no record, as a rollback,
 * has moments between those of records.
 */
export interface Stretch {
  readonly first: number;
  readonly end: number;
}

/** What an answer says of a key. */
export interface ReadRow {
  readonly found?: boolean;
  readonly weights?: Float32Array;
  readonly state?: Float32Array;
  readonly frequency?: number;
}

export class TableModel {
  readonly name: string;
  readonly oracle: OracleTable;
  /** Of which nothing is ever written: what keys without rows read as. */
  readonly #blank: OracleTable;
  readonly #versions = new Map<bigint, RowVersion[]>();

  constructor(definition: TableDefinition) {
    this.name = definition.name;
    this.oracle = oracleOf(definition);
    this.#blank = oracleOf(definition);
  }

  /** Notes what a record made of some keys' rows, which the oracle has. */
  note(keys: Iterable<bigint>, at: number, life: number): void {
    for (const key of keys) {
      const row = this.oracle.rows.get(key);
      const version = { at, from: life, before: Number.POSITIVE_INFINITY, row: row && copyOf(row) };
      const versions = this.#versions.get(key);
      if (versions) versions.push(version);
      else this.#versions.set(key, [version]);
    }
  }

  /** Takes back what came after a record, in the life that begins now. */
  rollBack(lsn: number, life: number): void {
    for (const [key, versions] of this.#versions) {
      let lost = false;
      for (const version of versions) {
        if (version.before <= life || version.at < lsn + 1) continue;
        version.before = life;
        lost = true;
      }
      if (lost) this.#restore(key, versions.findLast(({ before }) => before > life)?.row);
    }
  }

  /** Makes it what it was, or empty, from a moment on. */
  goBack(to: number | undefined, at: number, life: number): void {
    for (const key of this.#versions.keys()) {
      const row = to === undefined ? undefined : this.rowAt(key, to);
      if (this.rowAt(key, at) === row) continue;
      this.#restore(key, row);
      this.note([key], at, life);
    }
  }

  /** A row as it was at a moment that has come to stay. */
  rowAt(key: bigint, at: number): OracleRow | undefined {
    const there = this.#versions.get(key)?.filter((one) => one.before === Number.POSITIVE_INFINITY);
    return there?.findLast((one) => one.at <= at)?.row;
  }

  /** Whether it read like that at such a moment. */
  readsAt(key: bigint, read: ReadRow, at: number): boolean {
    return this.#agrees(key, this.rowAt(key, at), read);
  }

  #restore(key: bigint, row: OracleRow | undefined): void {
    if (!row) {
      this.oracle.delete([key]);
      return;
    }
    const { weights, state, frequency, lastStep } = row;
    const history = { frequency: Uint32Array.of(frequency), lastStep: Uint32Array.of(lastStep) };
    this.oracle.assign([key], weights, state, history);
  }

  /** When a key read like that, in a life of the shard. */
  stretchesOf(key: bigint, read: ReadRow, life: number): Stretch[] {
    const there = (this.#versions.get(key) ?? []).filter(({ from, before }) => from <= life && life < before);
    const stretches: Stretch[] = [];
    for (let i = -1; i < there.length; i++) {
      const row = there[i]?.row;
      if (!this.#agrees(key, row, read)) continue;
      const end = i + 1 < there.length ? there[i + 1].at : Number.POSITIVE_INFINITY;
      stretches.push({ first: i < 0 ? 0 : there[i].at, end });
    }
    return stretches;
  }

  #agrees(key: bigint, row: OracleRow | undefined, { found, weights, state, frequency }: ReadRow): boolean {
    if (found !== undefined && found !== (row !== undefined)) return false;
    if (frequency !== undefined && frequency !== (row?.frequency ?? 0)) return false;
    if (weights === undefined) return true;
    const expected = row ?? this.#beginning(key, state);
    if (firstDifference(weights, expected.weights) >= 0) return false;
    return state === undefined || firstDifference(state, expected.state) < 0;
  }

  #beginning(key: bigint, asked: Float32Array | undefined): Pick<OracleRow, "weights" | "state"> {
    const state = new Float32Array(asked?.length ?? 0);
    return { weights: this.#blank.pull([key], asked && { state }), state };
  }
}

/** What is in both. */
export function meet(a: readonly Stretch[], b: readonly Stretch[]): Stretch[] {
  return a.flatMap((one) =>
    b
      .map((other) => ({ first: Math.max(one.first, other.first), end: Math.min(one.end, other.end) }))
      .filter(({ first, end }) => first < end),
  );
}

function copyOf({ weights, state, frequency, lastStep }: OracleRow): OracleRow {
  return { weights: weights.slice(), state: state.slice(), frequency, lastStep };
}
