// One table's part of a write: equal keys summed, rows put in the order in which they are sent.

import { nonFinite } from "../api/arguments.js";
import type { RowWrite } from "../api/backend.js";
import { distinctSlots } from "../kernel/equal-keys.js";
import type { Chunk } from "../wire/bulk.js";
import { elementBytes } from "../wire/columns.js";
import { Column, ElementType, type WritePartInput } from "../wire/generated/frame-types.js";
import type { Cluster } from "./cluster.js";
import type { PlanMemory } from "./plan-memory.js";
import { placePush, placingBytes } from "./push-placing.js";
import type { RemoteTable } from "./remote-table.js";
import { type Route, routeBySlot, routeBytes, routeToOne } from "./routing.js";

export type RemoteWrite = RowWrite<RemoteTable>;

/** Columns of a write's rows: addresses in plan memory; 0 where there is none. */
interface Columns {
  readonly values: number;
  readonly states: number;
  readonly counts: number;
  readonly lastSteps: number;
  /** One for each counter. */
  readonly counters: readonly number[];
}

interface Rows extends Columns {
  readonly n: number;
  readonly skipped: number;
  readonly keys: number;
}

/** Bytes of a row's columns. */
function rowBytesOf({ table, values, states, counters }: RemoteWrite): number {
  return (
    4 *
    ((values ? table.dim : 0) + (states ? table.stateFloats : 0) + 2 + (counters ? table.counters.length : 0))
  );
}

/** Bytes of plan memory that a write takes at most. */
export function writePlanBytes(write: RemoteWrite): number {
  const n = write.keys.length;
  const counters = write.counters ? 16 * n + 8 * n * write.table.counters.length : 0;
  const staged = 2 * n * (8 + rowBytesOf(write)) + 4 * distinctSlots(n) + counters + routeBytes(n) + 32 * 64;
  const narrow = elementOf(write) === ElementType.F32 ? 0 : valueBytesOf(write) * n + 64;
  return narrow + Math.max(staged, write.kind === "push" ? placingBytes(write) : 0);
}

/** Bytes that the values of a row take in a frame. */
export function valueBytesOf(write: RemoteWrite): number {
  return elementBytes(elementOf(write)) * write.table.dim;
}

/** Bytes that a row takes in a frame at most. */
export function mostRowBytes(write: RemoteWrite): number {
  const { table, kind, values, states, history, counters } = write;
  const numbers =
    (states ? table.stateFloats : 0) +
    (kind === "push" ? 1 : history ? 2 : 0) +
    (counters ? table.counters.length : 0);
  return 8 + (values ? valueBytesOf(write) : 0) + 4 * numbers;
}

/** What its values go as. Not int8. */
function elementOf({ kind, table }: RemoteWrite): ElementType {
  return kind === "push" ? table.gradients : ElementType.F32;
}

export class WritePlan {
  readonly write: RemoteWrite;
  readonly route: Route;
  /** Gradients that were left out because they are not finite. */
  readonly skipped: number;
  readonly #memory: PlanMemory;
  readonly #columns: Columns;
  readonly #columnMask: number;
  /** What values go as. */
  readonly element: ElementType;
  /** Values as less than float32, which go instead of them; 0 where they go as they are. */
  readonly #narrow: number;

  /** @throws NON_FINITE naming the key, where the table refuses such gradients; rows are never taken with such values */
  constructor(memory: PlanMemory, cluster: Cluster, write: RemoteWrite, cut: boolean) {
    this.write = write;
    this.#memory = memory;
    const { owners } = cluster;
    const begin = memory.end;
    const inOrder = cut || owners.length > 1;
    const plain = write.kind === "push" && !write.counts && !write.counters;
    const placed = inOrder && plain ? placePush(memory, cluster, write) : undefined;
    if (placed) {
      const { route, values, counts } = placed;
      this.route = route;
      this.#columns = { values, counts, states: 0, lastSteps: 0, counters: [] };
      this.skipped = 0;
    } else {
      memory.goBack(begin);
      const staged = stageWrite(memory, write);
      this.skipped = staged.skipped;
      this.route = inOrder
        ? routeBySlot(memory, cluster, write.table.placement, staged.keys, staged.n)
        : routeToOne(owners[0], cluster.map.owners.length, staged.keys, staged.n);
      this.#columns = this.route.places === 0 ? staged : this.#inOrder(staged);
    }
    const { values, states, counts, lastSteps, counters } = this.#columns;
    this.#columnMask =
      (values ? Column.Values : 0) |
      (states ? Column.State : 0) |
      (counts ? Column.Counts : 0) |
      (lastSteps ? Column.LastStep : 0) |
      (counters.length > 0 ? Column.FirstCounter : 0) |
      (counters.length > 1 ? Column.SecondCounter : 0);
    this.element = elementOf(write);
    this.#narrow = values && this.element !== ElementType.F32 ? this.#narrowed(values) : 0;
  }

  #narrowed(values: number): number {
    const { n } = this.route;
    const into = this.#memory.take(n * valueBytesOf(this.write));
    this.#memory.kernel.narrowRows(values, n, this.write.table.dim, into, 0, this.element);
    return into;
  }

  #inOrder(staged: Rows): Columns {
    const { kernel } = this.#memory;
    const { n } = staged;
    const { dim, stateFloats } = this.write.table;
    const ordered = (from: number, bytes: number): number => {
      if (from === 0) return 0;
      const into = this.#memory.take(n * bytes);
      kernel.scatterRows(from, this.route.places, n, bytes, into);
      return into;
    };
    return {
      values: ordered(staged.values, 4 * dim),
      states: ordered(staged.states, 4 * stateFloats),
      counts: ordered(staged.counts, 4),
      lastSteps: ordered(staged.lastSteps, 4),
      counters: staged.counters.map((column) => ordered(column, 4)),
    };
  }

  /** Bytes of a row in a frame. */
  get rowBytes(): number {
    const { values, states, counts, lastSteps, counters } = this.#columns;
    const { stateFloats } = this.write.table;
    const numbers = (states ? stateFloats : 0) + (counts ? 1 : 0) + (lastSteps ? 1 : 0) + counters.length;
    return 8 + (values ? valueBytesOf(this.write) : 0) + 4 * numbers;
  }

  /** The position at which the keys of the slots from one on begin, given by its place in the order of slots. */
  beginOfSlot(place: number): number {
    return place === 0 ? 0 : this.#memory.u32[this.route.slotEnds / 4 + place - 1];
  }

  /** The part of a frame with positions `from` to `to`. */
  part(from: number, to: number): WritePartInput {
    const { table, learningRate, kind } = this.write;
    return {
      table: table.id,
      fingerprint: table.fingerprint,
      count: to - from,
      dim: table.dim,
      stateFloats: this.#columns.states ? table.stateFloats : 0,
      element: this.element,
      columns: this.#columnMask,
      ...(kind === "push" && { learningRate }),
    };
  }

  keys(from: number, to: number): BigUint64Array {
    return this.#memory.u64.subarray(this.route.keys / 8 + from, this.route.keys / 8 + to);
  }

  /** The columns of positions, in the order of frames. */
  columns(from: number, to: number): Chunk[] {
    const { stateFloats } = this.write.table;
    const { values, states, counts, lastSteps, counters } = this.#columns;
    const chunks: Chunk[] = [];
    const put = (at: number, bytes: number) => {
      if (at !== 0) chunks.push(this.#memory.bytes.subarray(at + bytes * from, at + bytes * to));
    };
    put(this.#narrow || values, valueBytesOf(this.write));
    put(states, 4 * stateFloats);
    put(counts, 4);
    put(lastSteps, 4);
    for (const column of counters) put(column, 4);
    return chunks;
  }

  /** What it takes to send positions anew. They are summed already: the arrays are views of plan memory. */
  again(from: number, to: number): RemoteWrite {
    const { f32, u32 } = this.#memory;
    const { table } = this.write;
    const { values, states, counts, lastSteps, counters } = this.#columns;
    const n = to - from;
    const floats = (at: number, width: number) =>
      at === 0 ? undefined : f32.subarray(at / 4 + from * width, at / 4 + to * width);
    const numbers = (at: number) => u32.subarray(at / 4 + from, at / 4 + to);
    return {
      table,
      kind: this.write.kind,
      learningRate: this.write.learningRate,
      keys: this.keys(from, to),
      values: floats(values, table.dim),
      states: floats(states, table.stateFloats),
      ...(lastSteps !== 0 && { history: { frequency: numbers(counts), lastStep: numbers(lastSteps) } }),
      ...(this.write.kind === "push" && counts !== 0 && { counts: numbers(counts) }),
      ...(counters.length > 0 && { counters: this.#interleaved(from, n) }),
    };
  }

  #interleaved(from: number, n: number): Float32Array {
    const { counters } = this.#columns;
    const rows = new Float32Array(n * counters.length);
    counters.forEach((column, c) => {
      for (let i = 0; i < n; i++) rows[i * counters.length + c] = this.#memory.f32[column / 4 + from + i];
    });
    return rows;
  }
}

/** Copies a write into plan memory, checked; of a push equal keys are summed, in order of occurrence. */
function stageWrite(memory: PlanMemory, write: RemoteWrite): Rows {
  const { table, keys, values, states, history } = write;
  const n = keys.length;
  const put = (from: Float32Array | Uint32Array | undefined): number => {
    if (!from) return 0;
    const at = memory.take(4 * from.length);
    if (from instanceof Float32Array) memory.f32.set(from, at / 4);
    else memory.u32.set(from, at / 4);
    return at;
  };
  const at = memory.take(8 * n);
  memory.u64.set(keys, at / 8);
  if (write.kind === "push") return stagePush(memory, write, at, put(values));
  const rows: Rows = {
    n,
    skipped: 0,
    keys: at,
    values: put(values),
    states: put(states),
    counts: put(history?.frequency),
    lastSteps: put(history?.lastStep),
    counters: counterColumns(memory, write),
  };
  if (values) refuseNonFinite(memory, write, "value", rows.values, n * table.dim);
  if (states) refuseNonFinite(memory, write, "state", rows.states, n * table.stateFloats);
  return rows;
}

/** Counters of a write, which come row by row, as a column each. */
function counterColumns(memory: PlanMemory, { table, keys, counters }: RemoteWrite): number[] {
  if (!counters) return [];
  const width = table.counters.length;
  return table.counters.map((_, c) => {
    const at = memory.take(4 * keys.length);
    for (let i = 0; i < keys.length; i++) memory.f32[at / 4 + i] = counters[i * width + c];
    return at;
  });
}

function stagePush(memory: PlanMemory, write: RemoteWrite, keys: number, values: number): Rows {
  const { kernel } = memory;
  const { table } = write;
  const { dim } = table;
  const width = write.counters ? table.counters.length : 0;
  const counts = memory.take(4 * write.keys.length);
  if (write.counts) memory.u32.set(write.counts, counts / 4);
  const counters = width > 0 ? memory.take(4 * width * write.keys.length) : 0;
  if (write.counters) memory.f32.set(write.counters, counters / 4);
  let skipped = 0;
  const drop = (given: number, bad: number, countsAt: number): number => {
    if (table.definition.nonFinite === "refuse") {
      const key = memory.u64[keys / 8 + Math.floor(bad / dim)];
      throw nonFinite(write.table.definition.name, "gradient", key, memory.f32[values / 4 + bad], bad % dim);
    }
    const kept = kernel.dropNonFinite(values, keys, countsAt, given, dim, counters, width);
    skipped += given - kept;
    return kept;
  };
  let given = write.keys.length;
  const bad = kernel.firstNonFinite(values, given * dim);
  if (bad >= 0) given = drop(given, bad, write.counts ? counts : 0);
  const slotCount = distinctSlots(given);
  const slots = memory.take(4 * slotCount);
  if (counters) {
    // Where sums end up depends on the keys alone: counters lie as the gradients' sums will.
    const copy = memory.take(8 * given);
    memory.bytes.copyWithin(copy, keys, keys + 8 * given);
    kernel.sumEqualKeys(copy, memory.take(4 * given), counters, given, width, slots, slotCount, 0);
  }
  let n = kernel.sumEqualKeys(keys, counts, values, given, dim, slots, slotCount, write.counts ? 1 : 0);
  if (n < given || write.counts) {
    const overflow = kernel.firstNonFiniteSum(values, counts, n, dim);
    if (overflow >= 0) n = drop(n, overflow, counts);
  }
  const plain = n === given && !write.counts;
  const columns = Array.from({ length: width }, (_, c) => {
    const column = memory.take(4 * n);
    for (let i = 0; i < n; i++) memory.f32[column / 4 + i] = memory.f32[counters / 4 + i * width + c];
    return column;
  });
  return { n, skipped, keys, values, states: 0, counts: plain ? 0 : counts, lastSteps: 0, counters: columns };
}

function refuseNonFinite(
  memory: PlanMemory,
  write: RemoteWrite,
  what: "value" | "state",
  at: number,
  n: number,
): void {
  const bad = memory.kernel.firstNonFinite(at, n);
  if (bad < 0) return;
  const width = what === "value" ? write.table.dim : write.table.stateFloats;
  throw nonFinite(
    write.table.definition.name,
    what,
    write.keys[Math.floor(bad / width)],
    memory.f32[at / 4 + bad],
    bad % width,
  );
}
