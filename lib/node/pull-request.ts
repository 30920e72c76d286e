// Pulls: rows go out in one frame, or in several where one would be longer than a frame may be.
import { splitCounters } from "../api/counter-columns.js";
import { EmbershardError } from "../base/errors.js";
import { LIMITS } from "../base/limits.js";
import { type FramePart, frameDataBytes } from "../shard/frame-gathering.js";
import { storedScales, toNarrow } from "../shard/narrow.js";
import type { RowWrite } from "../shard/staging.js";
import type { ArenaTable } from "../table/arena-table.js";
import { elementBytes, elementName } from "../wire/columns.js";
import type { Frame, FrameInput } from "../wire/frame.js";
import {
  Column,
  ElementType,
  type Pull,
  type PullPart,
  type RowsPartInput,
} from "../wire/generated/frame-types.js";
import { bitmapOf } from "./keys-requests.js";
import { allSlots } from "./ownership.js";
import { type Answer, lowestClock, type RequestContext, unsupported } from "./request-context.js";
import type { ServedConnection } from "./served-connection.js";

/** One table's part of a pull. */
interface Wanted {
  readonly table: ArenaTable;
  readonly keys: BigUint64Array;
  readonly part: PullPart;
}

/** Some rows of one part. */
interface Stretch {
  readonly wanted: Wanted;
  /** Index of the part. */
  readonly part: number;
  readonly first: number;
  readonly count: number;
}

export const answerPull: Answer<Pull> = (context, frame, connection) => {
  const { id, epoch, body } = frame;
  const ownership = context.ownership();
  ownership.demandEpoch(epoch);
  const creates = body.parts.some(({ create }) => create);
  const wanted = wantedOf(context, body, creates);
  for (const { table, keys } of wanted) ownership.demand(context.shard, table, keys, allSlots);
  if (creates)
    return createFirst(context, wanted).then(() =>
      send(context, frame, connection, present(context, wanted)),
    );
  return send(context, { id, body }, connection, wanted);
};

function wantedOf(context: RequestContext, { parts, keys }: Pull, creates: boolean): Wanted[] {
  let end = 0;
  const wanted = parts.map((part): Wanted => {
    const table = context.tables.demand(part.table, part.fingerprint);
    demandColumns(table, part);
    const from = end;
    end += part.count;
    return { table, part, keys: keys.subarray(from, end) };
  });
  // Who may have to wait for something keeps the keys.
  if (!creates && wanted.every(({ table }) => table.definition.memory === undefined)) return wanted;
  return wanted.map((one) => ({ ...one, keys: one.keys.slice() }));
}

function demandColumns({ definition }: ArenaTable, { columns }: PullPart): void {
  if ((columns & (Column.Counts | Column.LastStep)) !== 0)
    throw unsupported("frequencies and steps in a pull: scan has them");
  const counters = definition.counters?.names.length ?? 0;
  const asked = (columns & Column.SecondCounter) !== 0 ? 2 : (columns & Column.FirstCounter) !== 0 ? 1 : 0;
  if (asked > counters)
    throw new EmbershardError(
      "INVALID_ARGUMENT",
      `found a column for counter ${asked}, table "${definition.name}" has ${counters}`,
    );
}

/** Makes the rows that are to be made; the keys are their own. */
async function createFirst(context: RequestContext, wanted: readonly Wanted[]): Promise<void> {
  context.demandMemory(0);
  await Promise.all(
    wanted
      .filter(({ part }) => part.create)
      .map(({ table, keys }) => {
        if (keys.length > LIMITS.keysPerWrite)
          throw new EmbershardError(
            "TOO_LARGE",
            `found ${keys.length} keys to create, the limit is ${LIMITS.keysPerWrite}`,
          );
        const write: RowWrite = { table, kind: "create", keys, learningRate: 0 };
        return context.shard.write([write], { ack: table.definition.ack, step: 0 });
      }),
  );
}

/** Tables as they are after waiting. */
function present({ shard }: RequestContext, wanted: readonly Wanted[]): Wanted[] {
  return wanted.map((one) => {
    const table = shard.present(one.table);
    if (table) return { ...one, table };
    throw new EmbershardError(
      "TABLE_NOT_FOUND",
      `table "${one.table.definition.name}" was dropped meanwhile`,
    );
  });
}

function send(
  context: RequestContext,
  { id, body }: Pick<Frame<Pull>, "id" | "body">,
  connection: ServedConnection,
  wanted: readonly Wanted[],
): Promise<void> | undefined {
  context.counts.rowsRead += body.keys.length;
  const frames = framesOf(wanted, connection.frameBytes);
  for (let i = 0; i < frames.length; i++) {
    // A reader that has much to take gets the rest when it has taken that; the keys are kept until then.
    if (i > 0 && connection.isFull) return sendRest(context, id, connection, frames.slice(i), body.found);
    const waiting = sendRows(context, id, connection, frames[i], body.found, i < frames.length - 1);
    if (waiting) {
      const rest = frames.slice(i + 1);
      return rest.length === 0
        ? waiting
        : waiting.then(() => sendRest(context, id, connection, rest, body.found));
    }
  }
  return undefined;
}

/** Sends frames as fast as they are taken. What it needs of the message is copied before it returns. */
function sendRest(
  context: RequestContext,
  id: number,
  connection: ServedConnection,
  frames: readonly (readonly Stretch[])[],
  wantsFound: boolean,
): Promise<void> {
  const copies = new Map<Wanted, Wanted>();
  const own = frames.map((stretches) =>
    stretches.map((stretch) => {
      const { wanted } = stretch;
      const copy = copies.get(wanted) ?? { ...wanted, keys: wanted.keys.slice() };
      copies.set(wanted, copy);
      return { ...stretch, wanted: copy };
    }),
  );
  const sending = async () => {
    for (const [i, stretches] of own.entries()) {
      await connection.flowing();
      if (connection.isOver(id)) return;
      const there = stretches.map((stretch) => ({
        ...stretch,
        wanted: present(context, [stretch.wanted])[0],
      }));
      await sendRows(context, id, connection, there, wantsFound, i < own.length - 1);
    }
  };
  return sending();
}

/** Bytes of a row in an answer. */
function rowBytes({ table, part: { columns, element } }: Wanted): number {
  const has = (column: number) => ((columns & column) === 0 ? 0 : 1);
  const others =
    has(Column.State) * table.stateFloats +
    has(Column.FirstCounter) +
    has(Column.SecondCounter) +
    (element === ElementType.Int8 ? 1 : 0);
  return elementBytes(element) * table.dim + 4 * others;
}

/** Bytes of an answer's frame, about: what is gathered is still in the cache when the system takes it, and when the client does. */
const answerBytes = 128 << 10;
/** Bytes of a frame beside its rows, at most: header, and of each part its table and its columns' padding. */
const frontBytes = 256;
const partBytes = 96;

/** Cuts rows into frames that fit. */
function framesOf(wanted: readonly Wanted[], most: number): Stretch[][] {
  const longestRow = Math.max(...wanted.map(rowBytes));
  const limit = Math.min(most, Math.max(answerBytes, frontBytes + partBytes + longestRow + 1));
  const frames: Stretch[][] = [[]];
  let left = limit - frontBytes;
  wanted.forEach((one, part) => {
    // A row's bit in the bitmap takes less than a byte.
    const bytes = rowBytes(one) + 1;
    const n = one.keys.length;
    for (let first = 0; first < n || first === 0; ) {
      const count = Math.min(n - first, Math.floor((left - partBytes) / bytes));
      if (count < Math.min(1, n - first)) {
        if (frames[frames.length - 1].length === 0)
          throw new EmbershardError(
            "TOO_LARGE",
            `a row of ${bytes} bytes does not fit the client's frames of ${limit} bytes`,
          );
        frames.push([]);
        left = limit - frontBytes;
        continue;
      }
      frames[frames.length - 1].push({ wanted: one, part, first, count });
      left -= partBytes + count * bytes;
      if (n === 0) return;
      first += count;
    }
  });
  return frames;
}

function sendRows(
  context: RequestContext,
  id: number,
  connection: ServedConnection,
  stretches: readonly Stretch[],
  wantsFound: boolean,
  more: boolean,
): Promise<void> | undefined {
  if (connection.isOver(id) || sendGathered(context, id, connection, stretches, wantsFound, more))
    return undefined;
  const total = stretches.reduce((sum, { count }) => sum + count, 0);
  const flags = wantsFound ? new Uint8Array(total) : undefined;
  let from = 0;
  const reads = stretches.map((stretch) => {
    const read = readStretch(context, stretch, flags?.subarray(from, from + stretch.count));
    from += stretch.count;
    return read;
  });
  const reply = () => {
    const found = flags && bitmapOf(flags);
    const data = reads.flatMap(({ columns }) => columns());
    const parts = stretches.map(partOf);
    connection.reply(id, { kind: "Rows", clock: lowestClock(context), parts, found, data }, more);
  };
  const waits = reads.flatMap(({ wait }) => wait ?? []);
  if (waits.length > 0) return Promise.all(waits).then(reply);
  reply();
  return undefined;
}

/**
 * Has rows gathered in kernel memory right behind their front, and sends them as they lie there. False where a table may
 * have rows that are not in memory.
 */
function sendGathered(
  context: RequestContext,
  id: number,
  connection: ServedConnection,
  stretches: readonly Stretch[],
  wantsFound: boolean,
  more: boolean,
): boolean {
  const asked = stretches.map(gatheredPart);
  const total = stretches.reduce((sum, { count }) => sum + count, 0);
  const found = wantsFound ? new Uint8Array(Math.ceil(total / 8)) : undefined;
  const parts = stretches.map(partOf);
  const data = { bytes: frameDataBytes(asked) };
  const frame: FrameInput = {
    id,
    more,
    body: { kind: "Rows", clock: lowestClock(context), parts, found, data },
  };
  const front = context.writer.write(frame);
  const gathered = context.shard.gatherFrame(asked, front.frontBytes);
  if (!gathered) return false;
  if (found) {
    bitmapOf(gathered.found, found);
    context.writer.write(frame).copyTo(gathered.bytes, 0);
  } else front.copyTo(gathered.bytes, 0);
  connection.sendParts([gathered.bytes], gathered.bytes.length);
  return true;
}

function gatheredPart({ wanted: { table, keys, part }, first, count }: Stretch): FramePart {
  const { columns, defaultValue } = part;
  const counters = [Column.FirstCounter, Column.SecondCounter].flatMap((column, i) =>
    (columns & column) === 0 ? [] : [i],
  );
  return {
    table,
    keys: count === keys.length ? keys : keys.subarray(first, first + count),
    state: (columns & Column.State) !== 0,
    counters,
    fallback: defaultValue,
    narrow: narrowOf(part),
  };
}

/** What weights are sent as, unless as float32. */
function narrowOf({ element }: PullPart): FramePart["narrow"] {
  const name = elementName(element);
  return name === "f32" ? undefined : name;
}

function partOf({ wanted: { table, part: wanted }, part, first, count }: Stretch): RowsPartInput {
  const { columns, element } = wanted;
  const stateFloats = (columns & Column.State) !== 0 ? table.stateFloats : 0;
  // A table without state has no such column, whatever was asked for.
  const given = stateFloats === 0 ? columns & ~Column.State : columns;
  return { part, first, count, dim: table.dim, stateFloats, element, columns: given };
}

/** Reads some rows into arrays of their own; `columns` are there when nobody has to be waited for any more. */
function readStretch(
  { shard }: RequestContext,
  { wanted: { table, keys, part }, first, count: n }: Stretch,
  found: Uint8Array | undefined,
): { columns: () => (Float32Array | Uint8Array)[]; wait: Promise<void> | undefined } {
  const has = (column: number) => (part.columns & column) !== 0;
  const into = new Float32Array(n * table.dim);
  const state =
    has(Column.State) && table.stateFloats > 0 ? new Float32Array(n * table.stateFloats) : undefined;
  const names = table.definition.counters?.names ?? [];
  const counted = has(Column.FirstCounter | Column.SecondCounter);
  const counters = counted ? new Float32Array(n * names.length) : undefined;
  const own = keys.subarray(first, first + n);
  const narrow = narrowOf(part);
  const scales = narrow && storedScales(table, narrow, n);
  const fallback = part.defaultValue;
  const wait = shard.pull({ table, keys: own, into, found, state, counters, fallback, scales });
  const columns = (): (Float32Array | Uint8Array)[] => {
    const split = counters ? splitCounters(names, counters) : {};
    const asked = [Column.FirstCounter, Column.SecondCounter].flatMap((column, i) =>
      has(column) ? [split[names[i]]] : [],
    );
    const rest = [...(state ? [state] : []), ...asked];
    if (narrow === undefined) return [into, ...rest];
    const { numbers, scales: given } = toNarrow(shard.state, narrow, into, table.dim, scales);
    return [numbers, ...(given ? [given] : []), ...rest];
  };
  return { columns, wait };
}
