// Recovery of what counts keys without a row: see ./admission and ./sketch.
import { hashKey } from "./hash";
import { MAX_FREQUENCY, T_PLACEMENT } from "./layout";
import { tableAt } from "./places";
import { addOccurrences, CREATED } from "./record";
import { lsnOf, MISPLACED, settle } from "./replay";
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
    const count = load<u32>(counts + four);
    const key = load<u64>(keys + ((<usize>i) << 3));
    if (!settle(t, table, record, key, (count & CREATED) != 0)) return MISPLACED;
    addOccurrences(record, count, step);
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
    const key = load<u64>(keys + ((<usize>i) << 3));
    const count = load<u32>(counts + four);
    if (!settle(t, table, row, hashKey(key, placement) >> 50, (count & CREATED) != 0)) return MISPLACED;
    raiseKey(t, row, key, count & MAX_FREQUENCY);
    applied++;
  }
  return applied;
}
