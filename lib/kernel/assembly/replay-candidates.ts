// Recovery of what counts keys without a row: see ./admission and ./sketch.

import { hashKey } from "./hash";
import { LIVE, MAX_FREQUENCY, R_FREQUENCY, R_STEP, T_PLACEMENT } from "./layout";
import { lsnOf, MISPLACED, owns, settle } from "./replay";
import { CREATED, tableAt } from "./rows";
import { raiseKey } from "./sketch";

/** Applies logged occurrences of candidates. Returns rows applied, or MISPLACED. Pages are not stamped yet. */
export function replayCount(
  table: u32,
  positions: usize,
  keys: usize,
  counts: usize,
  n: i32,
  step: u32,
  lsn: u64,
): i32 {
  const t = tableAt(table);
  let applied = 0;
  for (let i = 0; i < n; i++) {
    const four = (<usize>i) << 2;
    const record = (<usize>load<u32>(positions + four)) << 3;
    if (lsnOf(record) >= lsn) continue;
    if (!owns(t, table, record)) return MISPLACED;
    const count = load<u32>(counts + four);
    if (!settle(t, record, load<u64>(keys + ((<usize>i) << 3)), (count & CREATED) != 0)) return MISPLACED;
    const frequency = load<u32>(record, R_FREQUENCY) & MAX_FREQUENCY;
    store<u32>(record, LIVE | min(frequency + (count & MAX_FREQUENCY), MAX_FREQUENCY), R_FREQUENCY);
    store<u32>(record, step, R_STEP);
    applied++;
  }
  return applied;
}

/** Applies logged counts of a sketch, whose rows are those of the keys' slots. Returns keys applied, or MISPLACED. */
export function replaySketch(
  table: u32,
  positions: usize,
  keys: usize,
  counts: usize,
  n: i32,
  lsn: u64,
): i32 {
  const t = tableAt(table);
  const placement = load<u64>(t, T_PLACEMENT);
  let applied = 0;
  for (let i = 0; i < n; i++) {
    const four = (<usize>i) << 2;
    const row = (<usize>load<u32>(positions + four)) << 3;
    if (lsnOf(row) >= lsn) continue;
    if (!owns(t, table, row)) return MISPLACED;
    const key = load<u64>(keys + ((<usize>i) << 3));
    const count = load<u32>(counts + four);
    if (!settle(t, row, hashKey(key, placement) >> 50, (count & CREATED) != 0)) return MISPLACED;
    raiseKey(t, row, key, count & MAX_FREQUENCY);
    applied++;
  }
  return applied;
}
