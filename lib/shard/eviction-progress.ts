// What is known of a table's eviction: where its hand is, which score goes, what is due, and what has been evicted.
import type { EvictedRows, EvictionCounts, EvictionReason } from "../api/row-batches.js";
import type { ArenaTable } from "../table/arena-table.js";
import { belowNorm, olderThanMs, olderThanSteps, type Rule, type Threshold } from "./eviction-rules.js";
import { Hand } from "./eviction-sweep.js";

/** Of what an age may be, a row may be older before it goes. */
const agePart = 1 / 16;
const leastIntervalMs = 100;

/** Who is told of what a table lets go, and how much that was: it outlasts rollbacks, which make the table's rows others. */
export class EvictionAudience {
  readonly listeners = new Set<(rows: EvictedRows) => void>();
  readonly counts: { -readonly [K in keyof EvictionCounts]: number } = {
    capacity: 0,
    age: 0,
    norm: 0,
    request: 0,
    slices: 0,
  };
}

export class EvictionProgress {
  readonly hand = new Hand();
  readonly audience: EvictionAudience;
  threshold: Threshold | undefined;
  /** Rows that may still go by the threshold. */
  lasts = 0;
  /** Rows written since the last sweep by norm began. */
  written = 0;
  #stepsFrom = -1;
  #timeFrom = Number.NEGATIVE_INFINITY;

  constructor(audience: EvictionAudience) {
    this.audience = audience;
  }

  /** The sweeps whose time has come, as rules; each is given once. */
  due(table: ArenaTable, rows: number, time: number): { reason: EvictionReason; rule: Rule | undefined }[] {
    const { maxAgeSteps, maxAgeMs, minNorm } = table.definition.eviction ?? {};
    const found: { reason: EvictionReason; rule: Rule | undefined }[] = [];
    if (
      maxAgeSteps !== undefined &&
      table.highestStep >= this.#stepsFrom + Math.max(1, maxAgeSteps * agePart)
    ) {
      this.#stepsFrom = table.highestStep;
      found.push({ reason: "age", rule: olderThanSteps(table, maxAgeSteps) });
    }
    if (maxAgeMs !== undefined && time >= this.#timeFrom + intervalOf(maxAgeMs)) {
      this.#timeFrom = time;
      found.push({ reason: "age", rule: olderThanMs(table, time, maxAgeMs) });
    }
    if (minNorm !== undefined && rows > 0 && this.written >= rows) {
      this.written = 0;
      found.push({ reason: "norm", rule: belowNorm(minNorm) });
    }
    return found.filter(({ rule }) => rule !== undefined);
  }
}

/** How often a table is swept for rows that are too old. */
export function intervalOf(maxAgeMs: number): number {
  return Math.max(leastIntervalMs, maxAgeMs * agePart);
}
