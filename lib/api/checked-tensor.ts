// The tensor that callers have: checks what it is given, and hands it to who does the work.
import { EmbershardError } from "../base/errors.js";
import { LIMITS } from "../base/limits.js";
import {
  checkArray,
  checkFields,
  checkInteger,
  checkWriteBytes,
  resolveLearningRate,
  resolveStep,
  resolveWrite,
} from "./arguments.js";
import type { Backend, RowWrite, TableHandle } from "./backend.js";
import type { PushOptions, TableStats, Tensor, TensorRange, WriteOptions } from "./store-types.js";
import type { TableDefinition } from "./table-definition.js";

/** Blocks pulled at once. */
const pullBlocks = 4096;

/** A tensor over a backend: row b of its table is elements [b * block, (b + 1) * block), the last one padded. */
export class CheckedTensor<T extends TableHandle> implements Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly length: number;
  readonly block: number;
  readonly #backend: Backend<T>;
  #table: T;

  constructor(backend: Backend<T>, table: T) {
    const { name, tensor } = table.definition;
    this.name = name;
    this.shape = tensor!.shape;
    this.block = tensor!.block;
    this.length = this.shape.reduce((product, axis) => product * axis, 1);
    this.#backend = backend;
    this.#table = table;
  }

  get options(): TableDefinition {
    return (this.#backend.present(this.#table) ?? this.#table).definition;
  }

  /** @internal Whether the tensor is of a store over `backend`. */
  isOf(backend: object): boolean {
    return backend === this.#backend;
  }

  #live(): T {
    const present = this.#backend.present(this.#table);
    if (!present) throw new EmbershardError("TABLE_NOT_FOUND", `tensor "${this.name}" has been dropped`);
    this.#table = present;
    return present;
  }

  async pull(options: TensorRange & { readonly into?: Float32Array } = {}): Promise<Float32Array> {
    const table = this.#live();
    const what = `pull of "${this.name}"`;
    checkFields(what, options, ["from", "to", "into"]);
    const { from, to } = this.#range(what, options);
    const { into = new Float32Array(to - from) } = options;
    checkArray(`${what}: into`, into, Float32Array, { length: to - from, says: `elements ${from} to ${to}` });
    const last = Math.ceil(to / this.block);
    for (let block = Math.floor(from / this.block); block < last; block += pullBlocks) {
      const n = Math.min(pullBlocks, last - block);
      const rows = new Float32Array(n * this.block);
      await this.#backend.pull([{ table, keys: blockKeys(block, n), into: rows }]);
      const begin = Math.max(from, block * this.block);
      const end = Math.min(to, (block + n) * this.block);
      into.set(rows.subarray(begin - block * this.block, end - block * this.block), begin - from);
    }
    return into;
  }

  async push(
    gradients: Float32Array,
    options: TensorRange & Omit<PushOptions, "counters"> = {},
  ): Promise<void> {
    const what = `push to "${this.name}"`;
    checkFields(what, options, ["from", "to", "ack", "mark", "signal", "step", "learningRate"]);
    const write = this.preparePush(gradients, options);
    const step = resolveStep(what, options.step, [this.options]);
    await this.#backend.write([write], resolveWrite(what, options, [this.options], step));
  }

  /** @internal */
  preparePush(
    gradients: Float32Array,
    options: TensorRange & { readonly learningRate?: number },
  ): RowWrite<T> {
    const table = this.#live();
    const { keys, values } = this.#blocks(`push to "${this.name}"`, "gradients", gradients, options);
    return {
      table,
      kind: "push",
      keys,
      values,
      learningRate: resolveLearningRate(options.learningRate, table.definition),
    };
  }

  async assign(values: Float32Array, options: TensorRange & WriteOptions = {}): Promise<void> {
    const table = this.#live();
    const what = `assign to "${this.name}"`;
    checkFields(what, options, ["from", "to", "ack", "mark", "signal"]);
    const blocks = this.#blocks(what, "values", values, options);
    const request = resolveWrite(what, options, [this.options], 0);
    await this.#backend.write([{ table, kind: "assign", ...blocks, learningRate: 0 }], request);
  }

  /** The rows of an aligned range; the padding of the last one is 0. */
  #blocks(
    what: string,
    noun: string,
    values: Float32Array,
    options: TensorRange,
  ): { keys: BigUint64Array; values: Float32Array } {
    const { from, to } = this.#range(what, options);
    checkArray(`${what}: ${noun}`, values, Float32Array, {
      length: to - from,
      says: `elements ${from} to ${to}`,
    });
    checkWriteBytes(what, values.byteLength);
    if (from % this.block !== 0 || (to % this.block !== 0 && to !== this.length)) {
      throw new EmbershardError(
        "UNALIGNED_RANGE",
        `${what}: found elements ${from} to ${to}, expected multiples of the block ${this.block}, or the end ${this.length}: an optimizer works on whole blocks. Widen the range, or make the tensor with another block`,
      );
    }
    const n = Math.ceil((to - from) / this.block);
    if (n > LIMITS.keysPerWrite) {
      throw new EmbershardError(
        "TOO_LARGE",
        `${what}: found ${n} blocks, the limit is ${LIMITS.keysPerWrite}: split the range`,
      );
    }
    const keys = blockKeys(from / this.block, n);
    if (values.length === n * this.block) return { keys, values };
    const rows = new Float32Array(n * this.block);
    rows.set(values);
    return { keys, values: rows };
  }

  #range(what: string, { from = 0, to = this.length }: TensorRange): { from: number; to: number } {
    checkInteger(`${what}: from`, from, 0, this.length);
    checkInteger(`${what}: to`, to, from, this.length);
    return { from, to };
  }

  async stats(): Promise<TableStats> {
    return this.#backend.tableStats(this.#live());
  }
}

function blockKeys(first: number, n: number): BigUint64Array {
  const keys = new BigUint64Array(n);
  for (let i = 0; i < n; i++) keys[i] = BigInt(first + i);
  return keys;
}
