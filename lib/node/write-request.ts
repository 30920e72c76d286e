// Pushes, assignments and deletions: at once where the shard can, else with copies, when it can.

import { checkCounts, resolveAck, resolveLearningRate, resolveStep } from "../api/arguments.js";
import type { RowHistory } from "../api/backend.js";
import { joinCounters } from "../api/counter-columns.js";
import type { Ack } from "../api/table-definition.js";
import { EmbershardError } from "../base/errors.js";
import { LIMITS } from "../base/limits.js";
import { fromNarrow } from "../shard/narrow.js";
import type { PushOrigin } from "../shard/sequences.js";
import type { RowWrite } from "../shard/staging.js";
import type { ShardRequest } from "../shard/writing.js";
import type { ArenaTable } from "../table/arena-table.js";
import {
  type ColumnPlaces,
  elementName,
  float32Column,
  placesOfParts,
  uint32Column,
} from "../wire/columns.js";
import type { Frame } from "../wire/frame.js";
import {
  type Assign,
  type Delete,
  ElementType,
  type Push,
  type Write,
  type WritePart,
} from "../wire/generated/frame-types.js";
import { allSlots, type SlotRange } from "./ownership.js";
import { type Answer, done, type RequestContext, unsupported } from "./request-context.js";
import type { ServedConnection } from "./served-connection.js";

export const answerPush: Answer<Push> = (context, frame, connection) => {
  const writes = writesOf(context, frame.body);
  return write(context, frame, connection, writes, frame.body.data.length);
};

export const answerAssign: Answer<Assign> = (context, frame, connection) => {
  const writes = writesOf(context, frame.body);
  return write(context, frame, connection, writes, frame.body.data.length);
};

export const answerDelete: Answer<Delete> = (context, frame, connection) => {
  const { parts, keys } = frame.body;
  let end = 0;
  const writes = parts.map(({ table, fingerprint, count }): RowWrite => {
    const from = end;
    end += count;
    return {
      table: context.tables.demand(table, fingerprint),
      kind: "delete",
      keys: keys.subarray(from, end),
      learningRate: 0,
    };
  });
  return write(context, frame, connection, writes, 0);
};

/** Where a write comes from, if it says so: what makes it one and the same however often it comes. */
export function originOf(
  { worker, session, sequence, clock, firstSlot, lastSlot }: Write,
  connection: ServedConnection,
): PushOrigin | undefined {
  if (worker === 0) return undefined;
  if (worker !== connection.worker || session !== connection.session)
    throw new EmbershardError(
      "INVALID_ARGUMENT",
      `found a write of worker ${worker}, session ${session}, expected ${connection.worker} and ${connection.session}, as this connection began`,
    );
  return {
    worker,
    session,
    sequence: BigInt(sequence),
    clock: BigInt(clock),
    first: firstSlot,
    last: Math.min(lastSlot, allSlots.last),
  };
}

/** The level that a frame asks for; undefined: what the tables say. */
export function ackOf({ ack }: Write): Ack | undefined {
  return ([undefined, "memory", "os", "fsync"] as const)[ack];
}

function write(
  context: RequestContext,
  { id, epoch, body }: Frame<Push | Assign | Delete>,
  connection: ServedConnection,
  writes: readonly RowWrite[],
  bytes: number,
): Promise<void> | undefined {
  const { shard, counts } = context;
  const request = requestOf(body.kind, body.write, connection, writes);
  const { origin } = request;
  // The message is gone by the time that the log has it.
  const rows = body.keys.length;
  const answer = (outcome: { touched: number; lsn: number; repeated: boolean }) => {
    if (outcome.repeated) counts.repeated++;
    else counts.rowsWritten += rows;
    connection.reply(id, done(context, outcome));
  };
  // What has been applied is answered whatever the map is now; nothing is applied then.
  let checked = writes;
  const applied = origin !== undefined && shard.state.sequences.left(origin).length === 0;
  if (!applied) {
    const ownership = context.ownership();
    ownership.demandEpoch(epoch);
    const range: SlotRange = {
      first: body.write.firstSlot,
      last: Math.min(body.write.lastSlot, allSlots.last),
    };
    checked = writes.map((one) => ({
      ...one,
      distinct: ownership.demand(shard, one.table, one.keys, range),
    }));
    if (body.kind !== "Delete") context.demandMemory(bytes);
  }
  const now = shard.tryWriteNow(checked, request);
  if (now === undefined) return shard.writeWhole(checked.map(copied), copiedRequest(request)).then(answer);
  if (now.settled) return now.settled.then(() => answer(now));
  answer(now);
  return undefined;
}

function requestOf(
  kind: string,
  given: Write,
  connection: ServedConnection,
  writes: readonly RowWrite[],
): ShardRequest {
  const definitions = writes.map(({ table }) => table.definition);
  const twice = writes.find(({ table }, i) => writes.findIndex((one) => one.table === table) !== i);
  if (twice)
    throw new EmbershardError(
      "INVALID_ARGUMENT",
      `found table "${twice.table.definition.name}" twice in one frame: join its keys into one part`,
    );
  return {
    ack: resolveAck(kind, ackOf(given), definitions),
    step: kind === "Push" ? resolveStep(kind, given.step, definitions) : given.step,
    mark: given.mark,
    origin: originOf(given, connection),
  };
}

/** What a frame brings to each table, as views over the message. */
function writesOf(context: RequestContext, { kind, parts, keys, data }: Push | Assign): RowWrite[] {
  if (keys.length > LIMITS.keysPerWrite)
    throw new EmbershardError(
      "TOO_LARGE",
      `found ${keys.length} keys, the limit is ${LIMITS.keysPerWrite}: split the batch`,
    );
  const places = placesOfParts(parts);
  let end = 0;
  return parts.map((part, i) => {
    const table = context.tables.demand(part.table, part.fingerprint);
    demandShape(table, part);
    const from = end;
    end += part.count;
    const own = keys.subarray(from, end);
    return kind === "Push"
      ? pushOf(context, table, part, own, data, places[i])
      : assignOf(context, table, part, own, data, places[i]);
  });
}

function demandShape(table: ArenaTable, { dim, stateFloats, element }: WritePart): void {
  const { definition } = table;
  if (element === ElementType.Int8)
    throw unsupported("rows or gradients that are written as int8: send float32, float16 or bfloat16");
  if (dim !== table.dim || (stateFloats !== 0 && stateFloats !== table.stateFloats))
    throw new EmbershardError(
      "TABLE_MISMATCH",
      `table "${definition.name}" has ${table.dim} floats of weights and ${table.stateFloats} of state in a row, the request ${dim} and ${stateFloats}: open it again`,
    );
}

function pushOf(
  context: RequestContext,
  table: ArenaTable,
  part: WritePart,
  keys: BigUint64Array,
  data: Uint8Array,
  places: ColumnPlaces,
): RowWrite {
  const { count: n, learningRate } = part;
  const counts = places.counts < 0 ? undefined : uint32Column(data, places.counts, n);
  const counters = countersOf(table, n, data, places, counts);
  return {
    table,
    kind: "push",
    keys,
    values: valuesOf(context, part, data, places),
    ...(counts && { counts }),
    ...(counters && { counters }),
    learningRate: resolveLearningRate(learningRate, table.definition),
  };
}

/** Weights or gradients, f32[n * dim]: a view over the message, or what its narrower numbers say. Not int8. */
function valuesOf(
  { shard }: RequestContext,
  { count, dim, element }: WritePart,
  data: Uint8Array,
  { values }: ColumnPlaces,
): Float32Array {
  const name = elementName(element);
  if (name === "f16" || name === "bf16")
    return fromNarrow(shard.state, name, data.subarray(values, values + 2 * count * dim));
  return float32Column(data, values, count * dim);
}

function countersOf(
  { definition }: ArenaTable,
  n: number,
  data: Uint8Array,
  { firstCounter, secondCounter }: ColumnPlaces,
  counts: Uint32Array | undefined,
): Float32Array | undefined {
  if (firstCounter < 0 && secondCounter < 0) return undefined;
  const names = definition.counters?.names ?? [];
  const columns: Record<string, Float32Array> = {};
  for (const [i, at] of [firstCounter, secondCounter].entries()) {
    if (at < 0) continue;
    if (names[i] === undefined)
      throw new EmbershardError(
        "INVALID_ARGUMENT",
        `found a column for counter ${i + 1}, table "${definition.name}" has ${names.length}`,
      );
    columns[names[i]] = float32Column(data, at, n);
  }
  checkCounts(`write to "${definition.name}"`, columns);
  return joinCounters(names, columns, n, counts);
}

function assignOf(
  context: RequestContext,
  table: ArenaTable,
  part: WritePart,
  keys: BigUint64Array,
  data: Uint8Array,
  places: ColumnPlaces,
): RowWrite {
  const { count: n, stateFloats } = part;
  const history: RowHistory | undefined =
    places.counts < 0
      ? undefined
      : { frequency: uint32Column(data, places.counts, n), lastStep: uint32Column(data, places.lastStep, n) };
  const counters = assignedCounters(table, n, data, places);
  return {
    table,
    kind: "assign",
    keys,
    values: valuesOf(context, part, data, places),
    ...(stateFloats > 0 && { states: float32Column(data, places.state, n * stateFloats) }),
    history,
    ...(counters && { counters }),
    learningRate: 0,
  };
}

/** What an assignment sets counters to: all that the table has, or none. */
function assignedCounters(
  table: ArenaTable,
  n: number,
  data: Uint8Array,
  places: ColumnPlaces,
): Float32Array | undefined {
  const counters = countersOf(table, n, data, places, undefined);
  const found = [places.firstCounter, places.secondCounter].filter((at) => at >= 0).length;
  if (found === 0 || found === table.counters) return counters;
  throw new EmbershardError(
    "INVALID_ARGUMENT",
    `found ${found} columns of counters in an assignment, table "${table.definition.name}" has ${table.counters}: they are assigned together`,
  );
}

/** With arrays of its own: those of a message are gone when whoever read it returns. */
function copied({ keys, values, states, history, counts, counters, ...rest }: RowWrite): RowWrite {
  return {
    ...rest,
    keys: keys.slice(),
    values: values?.slice(),
    states: states?.slice(),
    history: history && { frequency: history.frequency.slice(), lastStep: history.lastStep.slice() },
    counts: counts?.slice(),
    counters: counters?.slice(),
  };
}

function copiedRequest(request: ShardRequest): ShardRequest {
  return { ...request, mark: request.mark && new Uint8Array(request.mark) };
}
