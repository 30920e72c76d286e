// One table's part of a pull: what is asked for, where it arrives, and how it gets to where it was asked for.
import { arrayLost } from "../api/arguments.js";
import type { TableRead } from "../api/backend.js";
import type { EmbershardError } from "../base/errors.js";
import { type ColumnPlaces, type ColumnShape, columnPlaces, elementBytes } from "../wire/columns.js";
import { Column, ElementType, type PullPartInput } from "../wire/generated/frame-types.js";
import type { Cluster } from "./cluster.js";
import {
  type Column32,
  chunkBytes,
  type NarrowColumn,
  NarrowForCaller,
  NarrowInPlace,
} from "./narrow-columns.js";
import type { PlanMemory } from "./plan-memory.js";
import { PullOrder, pullOrderBytes } from "./pull-order.js";
import type { RemoteTable } from "./remote-table.js";
import type { Route } from "./routing.js";

export type RemoteRead = TableRead<RemoteTable>;

/** Bytes of plan memory that planning and receiving a read takes at most. */
export function pullPlanBytes(read: RemoteRead): number {
  const n = read.keys.length;
  const rowBytes =
    4 * (read.table.dim + (read.state ? read.table.stateFloats : 0) + read.table.counters.length);
  return pullOrderBytes(n) + n * (4 + 1 + rowBytes) + 2 * chunkBytes + rowBytes + 16 * 64;
}

export class PullPlan {
  readonly read: RemoteRead;
  readonly #memory: PlanMemory;
  readonly #order: PullOrder;
  /** Room for rows in the order of the keys that were given, on their way to the caller's arrays. */
  readonly #chunk: number;
  readonly #values: Column32;
  /** Where weights arrive that come as less than float32. */
  readonly #narrow: NarrowColumn | undefined;
  readonly #state: Column32 | undefined;
  readonly #counters: Column32 | undefined;
  readonly #found: Uint8Array | undefined;
  /** Lengths of the caller's arrays, when the read began. */
  readonly #lengths: readonly number[];

  constructor(memory: PlanMemory, cluster: Cluster, read: RemoteRead) {
    this.read = read;
    this.#lengths = lengthsOf(read);
    this.#memory = memory;
    const { table } = read;
    const n = read.keys.length;
    const windowKeys = Math.max(1, Math.floor(chunkBytes / (4 * table.dim)));
    this.#order = new PullOrder(memory, cluster, table.placement, read.keys, windowKeys);
    const inPlace = this.#order.places === 0;
    const distinct = this.#order.route.n;
    this.#chunk = inPlace ? 0 : memory.take(chunkBytes + 4 * Math.max(table.dim, table.stateFloats));
    const column = (width: number, own: Float32Array | undefined): Column32 | undefined => {
      if (own === undefined || width === 0) return undefined;
      if (inPlace) return { view: own, width, at: 0 };
      const at = memory.take(4 * distinct * width);
      return { view: memory.f32.subarray(at / 4, at / 4 + distinct * width), width, at };
    };
    this.#values = column(table.dim, read.into) as Column32;
    this.#state = column(table.stateFloats, read.state);
    this.#counters = column(table.counters.length, read.counters);
    if (table.element !== ElementType.F32)
      this.#narrow = inPlace
        ? new NarrowForCaller(memory, this.#values, table.element, n)
        : new NarrowInPlace(memory, this.#values, table.element, distinct);
    if (read.found) {
      const at = memory.take(distinct);
      this.#found = inPlace ? read.found : memory.bytes.subarray(at, at + distinct);
    }
  }

  /** Whether it asks for more than weights and state, which go straight to where they belong. */
  get hasCounters(): boolean {
    return this.#counters !== undefined;
  }

  get wantsFound(): boolean {
    return this.#found !== undefined;
  }

  get route(): Route {
    return this.#order.route;
  }

  /** Why rows cannot be received any more: the caller has taken an array away. */
  get lost(): EmbershardError | undefined {
    if (lengthsOf(this.read).every((length, i) => length === this.#lengths[i])) return undefined;
    return arrayLost("the pull that borrows it was under way");
  }

  /** The part of a request for plan positions `from` to `to`. */
  part(from: number, to: number): PullPartInput {
    const { table, fallback, create } = this.read;
    let columns: number = Column.Values;
    if (this.#state) columns |= Column.State;
    if (this.#counters) columns |= counterColumns(table.counters.length);
    return {
      table: table.id,
      fingerprint: table.fingerprint,
      count: to - from,
      columns,
      element: table.element,
      create: create !== undefined,
      ...(fallback !== undefined && { defaultValue: fallback }),
    };
  }

  /** The shape of an answer to it, with all of its columns. */
  shape(count: number): ColumnShape {
    return {
      count,
      dim: this.read.table.dim,
      stateFloats: this.#state ? this.read.table.stateFloats : 0,
      element: this.read.table.element,
      columns: this.part(0, 0).columns as number,
    };
  }

  /** Bytes of rows that one key brings. */
  get rowBytes(): number {
    const floats = (this.#state?.width ?? 0) + (this.#counters?.width ?? 0);
    const { element } = this.read.table;
    const scale = element === ElementType.Int8 ? 4 : 0;
    return elementBytes(element) * this.#values.width + scale + 4 * floats;
  }

  /** u64[] of plan positions. */
  keys(from: number, to: number): BigUint64Array {
    return this.#memory.u64.subarray(this.route.keys / 8 + from, this.route.keys / 8 + to);
  }

  /** Where weights, their scales if they have any, and state of plan positions go, in the order in which they come. */
  targets(from: number, to: number): Uint8Array[] {
    const targets = this.#narrow?.targets(from, to) ?? [bytesOf(this.#values, from, to)];
    if (this.#state) targets.push(bytesOf(this.#state, from, to));
    return targets;
  }

  /** All columns of plan positions of an owner's have come to their targets. */
  arrived(owner: number, from: number, to: number): void {
    this.#narrow?.widen(from, to);
    if (this.#order.places === 0) return;
    this.#order.arrived(owner, from, to);
    this.#handOver();
  }

  /** Rows that have come will come again: what has not been handed to the caller waits for `deliver`. */
  hold(): void {
    this.#order.hold();
  }

  /** Takes the columns of plan positions from `from` on out of `data`, where they begin at `at`. */
  copy(data: Uint8Array, at: number, from: number, count: number): void {
    const places = columnPlaces(this.shape(count), at);
    const begins = placesOfTargets(places);
    for (const [i, target] of this.targets(from, from + count).entries())
      target.set(data.subarray(begins[i], begins[i] + target.length));
    if (!this.#counters) return;
    const { view, width } = this.#counters;
    [places.firstCounter, places.secondCounter].slice(0, width).forEach((place, c) => {
      const column = new DataView(data.buffer, data.byteOffset + place, 4 * count);
      for (let i = 0; i < count; i++) view[(from + i) * width + c] = column.getFloat32(4 * i, true);
    });
  }

  /** Takes bits of a bitmap, of which the first is that of position `from`. */
  copyFound(bits: Uint8Array, bit: number, from: number, count: number): void {
    const found = this.#found;
    if (!found) return;
    for (let i = 0; i < count; i++) found[from + i] = (bits[(bit + i) >> 3] >> ((bit + i) & 7)) & 1;
  }

  /** What it would take to ask for positions anew: keys, and where their rows go. */
  again(from: number, to: number): RemoteRead {
    const slice = (column: Column32 | undefined) =>
      column?.view.subarray(from * column.width, to * column.width);
    const { table, fallback, create } = this.read;
    return {
      table,
      fallback,
      create,
      keys: this.keys(from, to),
      into: slice(this.#values) as Float32Array,
      state: slice(this.#state),
      counters: slice(this.#counters),
      found: this.#found?.subarray(from, to),
    };
  }

  /** All has come: hands to the caller's arrays what has not been handed over. @throws INVALID_ARGUMENT where one is lost */
  deliver(): void {
    const { lost } = this;
    if (lost) throw lost;
    const { places } = this.#order;
    if (places === 0) return;
    this.#order.complete();
    this.#handOver();
    if (!this.#found) return;
    const { u32 } = this.#memory;
    const found = this.read.found as Uint8Array;
    for (let i = 0; i < found.length; i++) found[i] = this.#found[u32[places / 4 + i]];
  }

  /** Hands rows to the caller's arrays, in the order of the keys that were given: those of as many keys as have all of theirs. */
  #handOver(): void {
    const { into, state, counters } = this.read;
    for (let window = this.#order.next(); window; window = this.#order.next()) {
      const { from, to } = window;
      this.#gather(this.#values, into, from, to);
      if (this.#state) this.#gather(this.#state, state as Float32Array, from, to);
      if (this.#counters) this.#gather(this.#counters, counters as Float32Array, from, to);
    }
  }

  #gather({ width, at }: Column32, into: Float32Array, begin: number, end: number): void {
    const { kernel, f32 } = this.#memory;
    const { places } = this.#order;
    const out = this.#chunk;
    const most = Math.max(1, Math.floor(chunkBytes / (4 * width)));
    for (let from = begin; from < end; from += most) {
      const count = Math.min(most, end - from);
      kernel.gatherRows(at, places + 4 * from, count, 4 * width, out);
      into.set(f32.subarray(out / 4, out / 4 + count * width), from * width);
    }
  }
}

function lengthsOf({ into, found, state }: RemoteRead): number[] {
  return [into.length, found?.length ?? 0, state?.length ?? 0];
}

/** Where what goes to a plan's targets begins. */
export function placesOfTargets({ values, scales, state }: ColumnPlaces): number[] {
  return [values, scales, state].filter((at) => at >= 0);
}

function bytesOf({ view, width }: Column32, from: number, to: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + 4 * from * width, 4 * (to - from) * width);
}

function counterColumns(counters: number): number {
  return counters > 1 ? Column.FirstCounter | Column.SecondCounter : Column.FirstCounter;
}
