// One table's part of a pull: what is asked for, where it arrives, and how it gets to where it was asked for.
import type { TableRead } from "../api/backend.js";
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
import type { RemoteTable } from "./remote-table.js";
import { type Route, routeByOwner, routeBytes, routeToOne } from "./routing.js";

/** Keys that are looked at to see whether many come more than once. */
const sampleKeys = 1024;
/** Of the sample, the share of repeats from which each key is asked for once. */
const manyRepeats = 1 / 16;

export type RemoteRead = TableRead<RemoteTable>;

/** Bytes of plan memory that planning and receiving a read takes at most. */
export function pullPlanBytes(read: RemoteRead): number {
  const n = read.keys.length;
  const rowBytes =
    4 * (read.table.dim + (read.state ? read.table.stateFloats : 0) + read.table.counters.length);
  return (
    n * (8 + 28 + 8 + 4 + 4 + 4 + 4 + 1 + rowBytes) + routeBytes(n) + 4 * chunkBytes + 5 * rowBytes + 16 * 64
  );
}

export class PullPlan {
  readonly read: RemoteRead;
  readonly route: Route;
  readonly #memory: PlanMemory;
  /** u32[keys given]: the plan position of each; 0 where they are the same. */
  readonly #places: number;
  readonly #values: Column32;
  /** Where weights arrive that come as less than float32. */
  readonly #narrow: NarrowColumn | undefined;
  readonly #state: Column32 | undefined;
  readonly #counters: Column32 | undefined;
  readonly #found: Uint8Array | undefined;

  constructor(memory: PlanMemory, cluster: Cluster, read: RemoteRead) {
    this.read = read;
    this.#memory = memory;
    const { table } = read;
    const n = read.keys.length;
    const given = memory.take(8 * n);
    memory.u64.set(read.keys, given / 8);
    const ranks = repeatsOften(read.keys) ? memory.take(4 * n) : 0;
    let keys = given;
    let distinct = n;
    if (ranks !== 0) {
      keys = memory.take(8 * n);
      distinct = memory.kernel.uniqueKeys(given, n, memory.take(28 * n), keys, ranks);
    }
    const { owners } = cluster;
    this.route =
      owners.length === 1
        ? routeToOne(owners[0], cluster.map.owners.length, keys, distinct)
        : routeByOwner(memory, cluster, table.placement, keys, distinct);
    this.#places = ranks === 0 && this.route.order === 0 ? 0 : this.#placesOf(ranks, n);
    const column = (width: number, own: Float32Array | undefined): Column32 | undefined => {
      if (own === undefined || width === 0) return undefined;
      if (this.#places === 0) return { view: own, width, at: 0 };
      const at = memory.take(4 * distinct * width);
      return { view: memory.f32.subarray(at / 4, at / 4 + distinct * width), width, at };
    };
    this.#values = column(table.dim, read.into) as Column32;
    this.#state = column(table.stateFloats, read.state);
    this.#counters = column(table.counters.length, read.counters);
    if (table.element !== ElementType.F32)
      this.#narrow =
        this.#places === 0
          ? new NarrowForCaller(memory, this.#values, table.element, n)
          : new NarrowInPlace(memory, this.#values, table.element, distinct);
    if (read.found) {
      const at = memory.take(distinct);
      this.#found = this.#places === 0 ? read.found : memory.bytes.subarray(at, at + distinct);
    }
  }

  /** Whether it asks for more than weights and state, which go straight to where they belong. */
  get hasCounters(): boolean {
    return this.#counters !== undefined;
  }

  get wantsFound(): boolean {
    return this.#found !== undefined;
  }

  #placesOf(ranks: number, n: number): number {
    const { u32 } = this.#memory;
    const { order } = this.route;
    const places = this.#memory.take(4 * n);
    const inverse = this.#memory.take(4 * n);
    if (order === 0) {
      u32.copyWithin(places / 4, ranks / 4, ranks / 4 + n);
      return places;
    }
    const target = (ranks === 0 ? places : inverse) / 4;
    for (let place = 0; place < this.route.n; place++) u32[target + u32[order / 4 + place]] = place;
    if (ranks !== 0) for (let i = 0; i < n; i++) u32[places / 4 + i] = u32[inverse / 4 + u32[ranks / 4 + i]];
    return places;
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

  /** Weights of plan positions have come to their target. */
  arrived(from: number, to: number): void {
    this.#narrow?.widen(from, to);
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

  /** Hands what has arrived to the caller's arrays, in the order of the keys that were given. */
  deliver(): void {
    if (this.#places === 0) return;
    const { read } = this;
    this.#scatter(this.#values, read.into);
    if (this.#state) this.#scatter(this.#state, read.state as Float32Array);
    if (this.#counters) this.#scatter(this.#counters, read.counters as Float32Array);
    if (!this.#found) return;
    const { u32 } = this.#memory;
    const found = read.found as Uint8Array;
    for (let i = 0; i < found.length; i++) found[i] = this.#found[u32[this.#places / 4 + i]];
  }

  #scatter({ width, at }: Column32, into: Float32Array): void {
    const { kernel, f32 } = this.#memory;
    const n = this.read.keys.length;
    const chunk = Math.max(1, Math.floor(chunkBytes / (4 * width)));
    const out = this.#memory.take(chunkBytes + 4 * width);
    for (let from = 0; from < n; from += chunk) {
      const count = Math.min(chunk, n - from);
      kernel.gatherRows(at, this.#places + 4 * from, count, 4 * width, out);
      into.set(f32.subarray(out / 4, out / 4 + count * width), from * width);
    }
  }
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

/** Looks at some of the keys. Whether each is asked for once matters for speed only. */
function repeatsOften(keys: BigUint64Array): boolean {
  const n = Math.min(keys.length, sampleKeys);
  const words = new Uint32Array(keys.buffer, keys.byteOffset, 2 * n);
  sampled.fill(0);
  let repeats = 0;
  for (let i = 0; i < 2 * n; i += 2) {
    // Two keys that share a fingerprint are as good as a repeat.
    const fingerprint = (Math.imul(words[i], 0x9e37_79b1) ^ Math.imul(words[i + 1], 0x85eb_ca77)) | 1;
    let at = (fingerprint >>> 21) & (sampled.length - 1);
    while (sampled[at] !== 0 && sampled[at] !== fingerprint) at = (at + 1) & (sampled.length - 1);
    if (sampled[at] !== 0) repeats++;
    sampled[at] = fingerprint;
  }
  return repeats > n * manyRepeats;
}

/** Fingerprints of sampled keys, by their upper bits; 0 where there is none. */
const sampled = new Int32Array(2 * sampleKeys);
