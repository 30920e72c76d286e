// What a shard knows beside its rows, for another shard that takes slots of it over.
import { EmbershardError } from "../base/errors.js";
import type { ArenaTable } from "../table/arena-table.js";
import { parts } from "../table/candidates.js";
import type { Shard } from "./shard.js";
import type { SlotRange } from "./slot-sequences.js";

/** The same table in two shards; or the candidates of one. */
export interface TablePair {
  readonly from: ArenaTable;
  readonly into: ArenaTable;
}

/**
 * Makes the tables of one shard in another, where they are not there, and gives both. Counters of both must have decayed as
 * often: they have in all shards of a store.
 *
 * @throws TABLE_MISMATCH
 */
export async function joinTables(source: Shard, target: Shard): Promise<TablePair[]> {
  const pairs: TablePair[] = [];
  for (const from of source.tables.values()) {
    const isNew = !target.tables.has(from.definition.name);
    const into = await target.copyTable(from.definition);
    if (isNew) {
      into.epoch = from.epoch;
      for (const arena of target.state.arenas.all) into.describeEpoch(arena, into.epoch);
    }
    if (like(into) !== like(from) || into.epoch !== from.epoch)
      throw new EmbershardError(
        "TABLE_MISMATCH",
        `table "${from.definition.name}" is not the same in all shards: a change of it was cut short. Open the store and make that change again`,
      );
    into.highestStep = Math.max(into.highestStep, from.highestStep);
    const others = parts(into);
    pairs.push(...parts(from).map((one, i) => ({ from: one, into: others[i] })));
  }
  return pairs;
}

/** What must be the same: all but numbers, and when it was made. */
function like({ definition }: ArenaTable): string {
  return JSON.stringify({ ...definition, number: 0, candidates: 0, made: 0 });
}

/** Copies the mark, the time, and what workers have pushed to a range of slots that goes over. */
export async function copyState(source: Shard, target: Shard, slots: SlotRange): Promise<void> {
  target.keep(source.state);
  const { sequences } = target.state;
  for (const worker of source.workers.known.values()) {
    const { name, session, clock } = worker;
    const known = sequences.named(name);
    // A session that is over in one shard is over in all.
    if (known && known.session > session) continue;
    const { number } = await target.workers.register(name, session, false);
    if (clock !== undefined) sequences.seen(number, clock);
    for (const [from, to, sequence] of worker.slots.notes()) {
      const range = { first: Math.max(from, slots.first), last: Math.min(to, slots.last) };
      if (range.first > range.last) continue;
      const origin = { ...range, worker: number, session, sequence: BigInt(sequence), clock: clock ?? 0n };
      sequences.applied(origin, 0);
    }
  }
}
