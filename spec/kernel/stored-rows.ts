import { defineTable } from "../../lib/api/table-definition.js";
import { constant, sgd, type TableOptions } from "../../lib/index.js";
import { R_WEIGHTS } from "../../lib/kernel/layout.js";
import { ELEMENT_BYTES, STORAGES } from "../../lib/kernel/storage.js";
import type { NarrowType } from "../../lib/shard/narrow.js";
import { Arena } from "../../lib/table/arena.js";
import { ArenaTable } from "../../lib/table/arena-table.js";

/** Rows of one table in an arena, with a look at the bytes that they are stored as. */
export class StoredRows {
  readonly table: ArenaTable;
  readonly #arena = new Arena(0, { limitBytes: 32 << 20, hugePages: "off" });

  /** The optimizer is SGD with rate 1 and the initial value 0 unless given: the first push of -x makes a weight x. */
  constructor(dim: number, options: Partial<TableOptions>) {
    const usual = { dim, optimizer: sgd({ learningRate: 1 }), initializer: constant(0) };
    this.table = new ArenaTable(0, defineTable("t", 1, { ...usual, ...options }));
    this.#arena.commit(4);
    this.table.describe(this.#arena);
    this.#arena.kernel.openTable(0, 0);
  }

  /** Assigns f32[n * dim]. */
  assign(keys: BigUint64Array, weights: Float32Array): void {
    const run = this.#run(keys, weights);
    this.#arena.kernel.assignRows(0, run.keys, run.counts, run.n, run.positions, run.values, 0, 1n);
  }

  /** Pushes f32[n * dim], each key `count` times. */
  push(keys: BigUint64Array, gradients: Float32Array, step: number, count: number): void {
    const run = this.#run(keys, gradients);
    this.#arena.u32.fill(count, run.counts / 4, run.counts / 4 + run.n);
    this.#arena.kernel.pushRows(0, run.keys, run.counts, run.values, run.n, run.positions, 0, 1, step, 1n);
  }

  /** Weights as they read; `fallback` where a key has no row, or else its initial value. */
  read(keys: BigUint64Array, fallback?: number): Float32Array {
    const run = this.#run(keys, new Float32Array(keys.length * this.table.dim));
    const falls = fallback === undefined ? 0 : 1;
    this.#arena.kernel.pullRows(0, run.keys, run.n, run.values, 0, 0, falls, fallback ?? 0);
    return this.#arena.f32.slice(run.values / 4, run.values / 4 + keys.length * this.table.dim);
  }

  /** Weights as a type, the scales of int8, and the bytes behind both, which were 0xab. */
  readNarrow(type: NarrowType, keys: BigUint64Array, fallback?: number) {
    const n = keys.length;
    const run = this.#run(keys, new Float32Array(n * (this.table.dim + 2)));
    const arena = this.#arena;
    const scales = run.values;
    const numbers = scales + 4 * n + 4;
    const end = numbers + n * this.table.dim * ELEMENT_BYTES[type];
    const guards = [scales + 4 * n, end];
    for (const at of guards) arena.bytes[at] = 0xab;
    const falls = fallback === undefined ? 0 : 1;
    const given = type === "int8" ? scales : 0;
    arena.kernel.pullNarrow(0, run.keys, n, numbers, given, 0, 0, falls, fallback ?? 0, STORAGES[type]);
    return {
      numbers: arena.bytes.slice(numbers, end),
      scales: arena.f32.slice(scales / 4, scales / 4 + n),
      guards: guards.map((at) => arena.bytes[at]),
    };
  }

  /** A copy of a key's record from its weights on. */
  bytes(key: bigint): DataView {
    const run = this.#run(BigUint64Array.of(key), new Float32Array(this.table.dim));
    this.#arena.kernel.createRows(0, run.keys, run.counts, 1, run.positions, 1n);
    const record = 8 * this.#arena.u32[run.positions / 4];
    return new DataView(this.#arena.bytes.slice(record + R_WEIGHTS, record + this.table.recordBytes).buffer);
  }

  #run(keys: BigUint64Array, values: Float32Array) {
    const arena = this.#arena;
    const n = keys.length;
    arena.commit(arena.kernel.pagesFor(0, n));
    arena.beginScratch(16 * n + values.byteLength + 4 * 64);
    const run = {
      n,
      keys: arena.takeScratch(8 * n),
      counts: arena.takeScratch(4 * n),
      positions: arena.takeScratch(4 * n),
      values: arena.takeScratch(values.byteLength),
    };
    arena.u64.set(keys, run.keys / 8);
    arena.u32.fill(0, run.counts / 4, run.counts / 4 + n);
    arena.f32.set(values, run.values / 4);
    return run;
  }
}
