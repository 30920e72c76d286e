// Requests that go over many rows of a table: evict, forget, decay.

import { checkEviction } from "../api/arguments.js";
import type { EvictionRequest, ForgetOptions } from "../api/eviction-request.js";
import { EmbershardError } from "../base/errors.js";
import { type Decay, type Evict, EvictBy, type Forget, type Write } from "../wire/generated/frame-types.js";
import { type Answer, done, type RequestContext } from "./request-context.js";
import type { ServedConnection } from "./served-connection.js";
import { originOf } from "./write-request.js";

export const answerEvict: Answer<Evict> = (context, { id, body }, connection) => {
  const table = context.tables.demand(body.table, body.fingerprint);
  const request = evictionOf(body);
  checkEviction(`evict from "${table.definition.name}"`, request, table.definition);
  return once(context, id, body.write, connection, () => context.shard.evict(table, request));
};

export const answerForget: Answer<Forget> = (context, { id, body }, connection) => {
  const { candidates, definition } = context.tables.demand(body.table, body.fingerprint);
  const { unseenSince, atMost } = body;
  if (!candidates)
    throw new EmbershardError("UNSUPPORTED", `table "${definition.name}" admits every key at once`);
  if (candidates.bySlot && (unseenSince ?? atMost) !== undefined)
    throw new EmbershardError(
      "UNSUPPORTED",
      `a sketch counts the candidates of "${definition.name}", which can only forget all`,
    );
  const wanted: ForgetOptions = { unseenSince, atMost };
  return once(context, id, body.write, connection, async () => {
    const forgotten = await context.shard.forgetCandidates(candidates, wanted, definition.ack);
    return candidates.bySlot ? 0 : forgotten;
  });
};

export const answerDecay: Answer<Decay> = (context, { id, body }, connection) => {
  const table = context.tables.demand(body.table, body.fingerprint);
  if (table.counters === 0)
    throw new EmbershardError(
      "INVALID_ARGUMENT",
      `table "${table.definition.name}" has no counters; they are given when it is made`,
    );
  return once(context, id, body.write, connection, async () => {
    await context.shard.decay(table);
    return 0;
  });
};

function evictionOf({ by, bound }: Evict): EvictionRequest {
  switch (by) {
    case EvictBy.Rows:
      return { rows: bound };
    case EvictBy.OlderThanSteps:
      return { olderThanSteps: bound };
    case EvictBy.OlderThanMs:
      return { olderThanMs: bound };
    case EvictBy.BelowNorm:
      return { belowNorm: bound };
    case EvictBy.BelowFrequency:
      return { belowFrequency: bound };
    default:
      return { belowScore: bound };
  }
}

/**
 * Does what goes on over many turns, and notes that it has been done: one that comes again is answered. Between the two
 * there may be a crash, and what comes again is done again then.
 */
async function once(
  context: RequestContext,
  id: number,
  write: Write,
  connection: ServedConnection,
  work: () => Promise<number>,
): Promise<void> {
  const { shard } = context;
  const own = { ...write, mark: write.mark && new Uint8Array(write.mark) };
  const origin = originOf(own, connection);
  if (origin && shard.state.sequences.left(origin).length === 0) {
    const lsn = shard.state.sequences.lsnOf(origin);
    connection.reply(id, done(context, { touched: 0, lsn, repeated: true }));
    return;
  }
  const touched = await work();
  const { lsn } = origin
    ? await shard.writeWhole([], { ack: "os", step: own.step, mark: own.mark, origin })
    : { lsn: 0 };
  connection.reply(id, done(context, { touched, lsn, repeated: false }));
}
