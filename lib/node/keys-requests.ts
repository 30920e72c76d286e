// Questions about keys: contains, occurrences, prefetch.
import type { ArenaTable } from "../table/arena-table.js";
import type { Contains, KeysPart, Occurrences, Prefetch } from "../wire/generated/frame-types.js";
import { allSlots } from "./ownership.js";
import { type Answer, done, type RequestContext } from "./request-context.js";

/** One table's keys in a request. */
export interface TableKeys {
  readonly table: ArenaTable;
  /** u64[n], to be kept for as long as they are needed. */
  readonly keys: BigUint64Array;
  /** Index of the first one among those of the frame. */
  readonly from: number;
}

/** The keys of each part: views over the message, copies where the page store may have to be asked. */
export function keysOfParts(
  context: RequestContext,
  parts: readonly KeysPart[],
  keys: BigUint64Array,
): TableKeys[] {
  let end = 0;
  return parts.map(({ table: id, fingerprint, count }) => {
    const table = context.tables.demand(id, fingerprint);
    const from = end;
    end += count;
    const own = keys.subarray(from, end);
    context.ownership().demand(context.shard, table, own, allSlots);
    return { table, keys: table.definition.memory === undefined ? own : own.slice(), from };
  });
}

/** A bitmap of bytes of 0 and 1. */
export function bitmapOf(flags: Uint8Array, into = new Uint8Array(Math.ceil(flags.length / 8))): Uint8Array {
  for (let i = 0; i < flags.length; i++) into[i >> 3] |= flags[i] << (i & 7);
  return into;
}

export const answerContains: Answer<Contains> = (context, { id, epoch, body }, connection) => {
  context.ownership().demandEpoch(epoch);
  const parts = keysOfParts(context, body.parts, body.keys);
  const found = new Uint8Array(body.keys.length);
  const waits = parts.map(({ table, keys, from }) =>
    context.shard.contains(table, keys, found.subarray(from, from + keys.length)),
  );
  context.counts.rowsRead += found.length;
  const reply = () => connection.reply(id, { kind: "Found", count: found.length, found: bitmapOf(found) });
  return afterAll(waits, reply);
};

export const answerOccurrences: Answer<Occurrences> = (context, { id, epoch, body }, connection) => {
  context.ownership().demandEpoch(epoch);
  const parts = keysOfParts(context, body.parts, body.keys);
  const counts = new Uint32Array(body.keys.length);
  const waits = parts.map(({ table, keys, from }) =>
    context.shard.occurrences(table, keys, counts.subarray(from, from + keys.length)),
  );
  context.counts.rowsRead += counts.length;
  return afterAll(waits, () => connection.reply(id, { kind: "OccurrenceCounts", counts }));
};

export const answerPrefetch: Answer<Prefetch> = (context, { id, epoch, body }, connection) => {
  context.ownership().demandEpoch(epoch);
  const parts = keysOfParts(context, body.parts, body.keys);
  const waits = parts.map(({ table, keys }) =>
    table.definition.memory === undefined ? undefined : context.shard.prefetch(table, keys),
  );
  return afterAll(waits, () => connection.reply(id, done(context, { touched: 0, lsn: 0, repeated: false })));
};

/** Does the rest when all have settled: at once where nobody has to be waited for. */
function afterAll(
  waits: readonly (Promise<void> | undefined)[],
  rest: () => void,
): Promise<void> | undefined {
  const waiting = waits.filter((wait) => wait !== undefined);
  if (waiting.length > 0) return Promise.all(waiting).then(rest);
  rest();
  return undefined;
}
