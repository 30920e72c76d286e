import type { ArenaTable } from "../table/arena-table.js";
import { ColdStage } from "./cold-stage.js";
import { valueHeaderBytes } from "./cold-values.js";
import { partOf, type Share } from "./share.js";

/** What a manifest says of a table's cold rows, as of its `replayLsn`. */
export interface ColdNote {
  /** The table's number. */
  readonly table: number;
  readonly rows: number;
  /** The sum modulo 2^64 of the checksums of their values, decimal. */
  readonly digest: string;
}

/** Bytes of values that were read not long ago, at most, and the part of the table's memory that they may take besides it. */
const mostStageBytes = 32 << 20;
const stagePart = 8;

/**
 * The cold rows of a table: those that are in the page store and not in an arena. A row is resident or cold, never
 * both: where a row is resident, a value of its key is only a remain. How many there are, and the sum of their
 * checksums, is known at every LSN: so opening can tell whether one is missing.
 */
export class ColdRows {
  readonly table: ArenaTable;
  rows = 0;
  digest = 0n;
  /** Keys that were deleted, with the LSN of the deletion: values that may still be there count for nothing. */
  readonly deleted = new Map<bigint, number>();
  /** Whether the page store may have values of this table at all. */
  written = false;
  /** Values that were read not long ago; undefined before the first. */
  stage: ColdStage | undefined;
  /** Of each read or demotion under way the keys that have become cold, or ceased to be, or gone, since it began. */
  readonly watches = new Set<Set<bigint>>();
  /** Rows read since the store was opened: that were resident; that were cold. */
  hits = 0;
  misses = 0;
  /** Rows since the store was opened. */
  promotions = 0;
  demotions = 0;
  /** The largest frequency of rows that were demoted last; undefined when none were yet. */
  threshold: number | undefined;
  /** Cold rows that pulls have found too hot to be cold. */
  readonly wanted = new Set<bigint>();

  constructor(table: ArenaTable) {
    this.table = table;
  }

  /** Where values are kept that were read, of a shard with that share of the table. */
  stageFor(share: Share | undefined): ColdStage {
    const bytes = stageBytes(memoryOf(this.table, share));
    this.stage ??= new ColdStage(this.valueBytes, Math.floor(bytes / this.valueBytes));
    return this.stage;
  }

  /** Bytes of a value: header and record. */
  get valueBytes(): number {
    return valueHeaderBytes + this.table.recordBytes;
  }

  /** What checksums of this table's values begin with. */
  get seed(): bigint {
    return BigInt(this.table.definition.number);
  }

  note(): ColdNote {
    return { table: this.table.definition.number, rows: this.rows, digest: this.digest.toString() };
  }

  /** What was read or copied of these keys, or is being read, is no longer to be used. */
  forgetReads(keys: Iterable<bigint>): void {
    if (this.watches.size === 0) return;
    for (const key of keys) for (const watch of this.watches) watch.add(key);
  }

  /** The values of keys that were kept at hand are no longer to be used. */
  forgetStaged(keys: BigUint64Array): void {
    const halves = new Uint32Array(keys.buffer, keys.byteOffset, 2 * keys.length);
    for (let i = 0; i < keys.length; i++) this.stage?.remove(halves[2 * i], halves[2 * i + 1]);
  }

  /** A row is gone. Where the page store has still the value of an earlier one of its key, that has not counted since then. */
  noteDeleted(key: bigint, lsn: number): void {
    if (!this.deleted.has(key)) this.deleted.set(key, lsn);
  }

  /** Rows have become cold. */
  add(rows: number, digest: bigint): void {
    this.rows += rows;
    this.digest = BigInt.asUintN(64, this.digest + digest);
  }

  /** Rows have ceased to be cold. */
  take(rows: number, digest: bigint): void {
    this.add(-rows, -digest);
  }
}

/** Bytes that a table may take in the memory of a shard that has that share of it; 0 without a limit. */
export function memoryOf({ definition }: ArenaTable, share: Share | undefined): number {
  return definition.memory === undefined ? 0 : partOf(definition.memory, share);
}

/** Bytes that values take which were read not long ago, besides so much memory of a table. */
export function stageBytes(memory: number): number {
  return Math.min(mostStageBytes, memory / stagePart);
}

/** What a manifest says of the cold rows that there are now. */
export function coldNotes({ cold }: { readonly cold: ReadonlyMap<number, ColdRows> }): ColdNote[] {
  return [...cold.values()].filter(({ rows }) => rows > 0).map((one) => one.note());
}

/** The cold rows of a table, for as long as it has a limit of memory; makes them known where they are not yet. */
export function coldRowsOf(all: Map<number, ColdRows>, table: ArenaTable): ColdRows | undefined {
  const { number, memory } = table.definition;
  if (memory === undefined) return undefined;
  let cold = all.get(number);
  if (!cold) {
    cold = new ColdRows(table);
    all.set(number, cold);
  }
  return cold;
}
