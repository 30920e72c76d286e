// Rows for an answer that goes out as it lies here: room for a front, then the columns of each table, in kernel memory.
import { EmbershardError } from "../base/errors.js";
import { ELEMENT_BYTES, STORAGES } from "../kernel/storage.js";
import type { ArenaTable } from "../table/arena-table.js";
import { type NarrowType, storedScales, toNarrow } from "./narrow.js";
import { pullRows, readCounters } from "./reading.js";
import type { ShardState } from "./shard-state.js";

/** What an answer has of one table. Columns lie one behind the other, each beginning at a multiple of 8 bytes. */
export interface FramePart {
  readonly table: ArenaTable;
  /** u64[n]; borrowed for the call. */
  readonly keys: BigUint64Array;
  /** Behind the weights, f32[n * dim] or what `narrow` says, state, f32[n * stateFloats], if the table has any. */
  readonly state?: boolean | undefined;
  /** Behind that, for each of these indices of counters, f32[n]. */
  readonly counters?: readonly number[] | undefined;
  /** Read instead of the initial value where there is no row. */
  readonly fallback?: number | undefined;
  /** The weights as a narrower type, rounded to the nearest; of int8 the scales, f32[n], are a column behind them. */
  readonly narrow?: NarrowType | undefined;
}

/** Views that are valid until the next call of the shard. */
export interface GatheredFrame {
  /** The room, whatever is in it, and the columns of all parts; begins at a multiple of 8 bytes. */
  readonly bytes: Uint8Array;
  /** u8, the parts' keys one behind the other: 1 where the key has a row. */
  readonly found: Uint8Array;
}

/** Where the columns of a part lie, from the beginning of the columns. */
interface Places {
  readonly rows: number;
  /** 0 where there is none: rows come first. */
  readonly scales: number;
  readonly state: number;
  readonly counters: readonly number[];
  readonly end: number;
}

/**
 * Gathers rows behind room of `frontBytes`, a multiple of 8. No table may have cold rows.
 *
 * @throws TOO_LARGE, INVALID_ARGUMENT
 */
export function gatherFrame(
  state: ShardState,
  parts: readonly FramePart[],
  frontBytes: number,
): GatheredFrame {
  if (!Number.isInteger(frontBytes / 8) || frontBytes < 0)
    throw new EmbershardError(
      "INVALID_ARGUMENT",
      `found a front of ${frontBytes} bytes, expected a multiple of 8`,
    );
  const places: Places[] = [];
  for (const part of parts) places.push(placesOf(part, places.at(-1)?.end ?? 0));
  const dataBytes = places.at(-1)?.end ?? 0;
  const counters = parts.map(({ table, keys, counters }) =>
    counters?.length ? readCounters(state.arenas, table, keys) : undefined,
  );
  const frame =
    state.arenas.all.length === 1 &&
    state.arenas.front.hasScratch(scratchBytes(parts, frontBytes + dataBytes))
      ? gatherHere(state, parts, places, frontBytes, dataBytes)
      : gatherCopies(state, parts, places, frontBytes, dataBytes);
  for (const [p, { table, keys, counters: wanted = [] }] of parts.entries())
    for (const [c, counter] of wanted.entries()) {
      const at = frame.bytes.byteOffset + frontBytes + places[p].counters[c];
      const column = new Float32Array(frame.bytes.buffer, at, keys.length);
      for (let i = 0; i < column.length; i++) column[i] = counters[p]![i * table.counters + counter];
    }
  return frame;
}

/** Bytes behind the front that the columns of these parts take; the next part begins at a multiple of 8. */
export function frameDataBytes(parts: readonly FramePart[]): number {
  return parts.reduce((from, part) => placesOf(part, from).end, 0);
}

function placesOf({ table, keys, narrow, state, counters = [] }: FramePart, from: number): Places {
  const n = keys.length;
  let end = from;
  const place = (bytes: number): number => {
    const at = round8(end);
    end = at + bytes;
    return at;
  };
  const rows = place(ELEMENT_BYTES[narrow ?? "f32"] * n * table.dim);
  const scales = narrow === "int8" ? place(4 * n) : 0;
  const stateAt = state && table.stateFloats > 0 ? place(4 * n * table.stateFloats) : 0;
  return { rows, scales, state: stateAt, counters: counters.map(() => place(4 * n)), end };
}

function scratchBytes(parts: readonly FramePart[], frameBytes: number): number {
  return parts.reduce((sum, { keys }) => sum + 9 * keys.length, frameBytes + 3 * 64);
}

/** One arena: the kernel writes rows where they are sent from. */
function gatherHere(
  { arenas: { front: arena } }: ShardState,
  parts: readonly FramePart[],
  places: readonly Places[],
  frontBytes: number,
  dataBytes: number,
): GatheredFrame {
  const n = parts.reduce((sum, { keys }) => sum + keys.length, 0);
  const bytes = frontBytes + dataBytes;
  arena.beginScratch(scratchBytes(parts, bytes));
  const frame = arena.takeScratch(bytes);
  const found = arena.takeScratch(n);
  const keysAt = arena.takeScratch(8 * n);
  // Padding lies in the 8 bytes before a column: no byte of others' goes out.
  for (const { rows, scales, state, counters } of places)
    for (const at of [rows, scales, state, ...counters])
      if (at > 0) arena.bytes.fill(0, frame + frontBytes + at - 8, frame + frontBytes + at);
  let from = 0;
  for (const [p, { table, keys, narrow, fallback }] of parts.entries()) {
    const at = keysAt + 8 * from;
    arena.u64.set(keys, at / 8);
    const n = keys.length;
    const data = frame + frontBytes;
    const { rows, scales, state } = places[p];
    const states = state && data + state;
    const falls = fallback === undefined ? 0 : 1;
    const { pullRows, pullNarrow } = arena.kernel;
    if (narrow === undefined)
      pullRows(table.index, at, n, data + rows, states, found + from, falls, fallback ?? 0);
    else {
      const type = STORAGES[narrow];
      pullNarrow(
        table.index,
        at,
        n,
        data + rows,
        scales && data + scales,
        states,
        found + from,
        falls,
        fallback ?? 0,
        type,
      );
    }
    from += keys.length;
  }
  return {
    bytes: arena.bytes.subarray(frame, frame + bytes),
    found: arena.bytes.subarray(found, found + n),
  };
}

/** Several arenas, or one close to full: their answers are put together in memory of its own. */
function gatherCopies(
  shard: ShardState,
  parts: readonly FramePart[],
  places: readonly Places[],
  frontBytes: number,
  dataBytes: number,
): GatheredFrame {
  const n = parts.reduce((sum, { keys }) => sum + keys.length, 0);
  const { arenas } = shard;
  const bytes = new Uint8Array(frontBytes + dataBytes);
  const found = new Uint8Array(n);
  let from = 0;
  for (const [p, { table, keys, narrow, fallback }] of parts.entries()) {
    const column = (at: number, floats: number) =>
      new Float32Array(bytes.buffer, frontBytes + at, keys.length * floats);
    const { rows, scales, state } = places[p];
    const into = narrow ? new Float32Array(keys.length * table.dim) : column(rows, table.dim);
    const stored = narrow && storedScales(table, narrow, keys.length);
    pullRows(arenas, {
      table,
      keys,
      into,
      state: state ? column(state, table.stateFloats) : undefined,
      found: found.subarray(from, from + keys.length),
      fallback,
      scales: stored,
    });
    if (narrow) {
      const narrowed = toNarrow(shard, narrow, into, table.dim, stored);
      bytes.set(narrowed.numbers, frontBytes + rows);
      if (narrowed.scales) column(scales, 1).set(narrowed.scales);
    }
    from += keys.length;
  }
  return { bytes, found };
}

function round8(bytes: number): number {
  return (bytes + 7) & ~7;
}
