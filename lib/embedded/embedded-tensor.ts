import {
  checkArray,
  checkFields,
  checkInteger,
  checkMark,
  checkWriteBytes,
  resolveAck,
  resolveLearningRate,
  resolveStep,
} from "../api/arguments.js";
import { describe } from "../api/option-reader.js";
import type { PushOptions, TableStats, Tensor, TensorRange, WriteOptions } from "../api/store-types.js";
import type { TableDefinition, TensorShape } from "../api/table-definition.js";
import { EmbershardError } from "../base/errors.js";
import { LIMITS } from "../base/limits.js";
import type { Shard } from "../shard/shard.js";
import type { RowWrite } from "../shard/staging.js";
import type { ArenaTable } from "../table/arena-table.js";
import { statsOf } from "./embedded-table.js";

/** Floats of a block where the shape suggests none. */
const usualBlock = 1024;
/** Blocks pulled at once. */
const pullBlocks = 4096;

/** Checks a shape and chooses the block: one index of the first axis where that fits a row, else a divisor of it. */
export function tensorShape(name: string, shape: unknown, block: unknown): TensorShape {
  if (
    !Array.isArray(shape) ||
    shape.length === 0 ||
    !shape.every((axis) => Number.isSafeInteger(axis) && axis > 0)
  ) {
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `tensor "${name}": found shape ${describe(shape)}, expected an array of integers > 0`,
    );
  }
  const length = shape.reduce((product, axis) => product * axis, 1);
  if (!Number.isSafeInteger(length) || length > 2 ** 40) {
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `tensor "${name}": found ${length} elements, expected at most 2^40`,
    );
  }
  if (block === undefined) return { shape: [...shape], block: usualBlockOf(shape, length) };
  if (typeof block !== "number" || !Number.isInteger(block) || block < 1 || block > LIMITS.dim) {
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `tensor "${name}": found block ${describe(block)}, expected an integer from 1 to ${LIMITS.dim}`,
    );
  }
  return { shape: [...shape], block };
}

function usualBlockOf(shape: readonly number[], length: number): number {
  const inner = length / shape[0];
  if (shape.length === 1) return Math.min(length, usualBlock);
  if (inner <= LIMITS.dim) return inner * Math.max(1, Math.min(shape[0], Math.floor(usualBlock / inner)));
  for (let block = LIMITS.dim; block > 1; block--) if (inner % block === 0) return block;
  return 1;
}

/** A tensor of an embedded store: row b of its table is elements [b * block, (b + 1) * block), the last one padded. */
export class EmbeddedTensor implements Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly length: number;
  readonly block: number;
  readonly #shard: Shard;
  #table: ArenaTable;

  constructor(shard: Shard, table: ArenaTable) {
    const { name, tensor } = table.definition;
    this.name = name;
    this.shape = tensor!.shape;
    this.block = tensor!.block;
    this.length = this.shape.reduce((product, axis) => product * axis, 1);
    this.#shard = shard;
    this.#table = table;
  }

  get options(): TableDefinition {
    return (this.#shard.present(this.#table) ?? this.#table).definition;
  }

  #live(shard: Shard = this.#shard): ArenaTable {
    if (shard !== this.#shard)
      throw new EmbershardError("INVALID_ARGUMENT", `tensor "${this.name}" is of another store`);
    const present = shard.present(this.#table);
    if (present) {
      this.#table = present;
      return present;
    }
    throw new EmbershardError("TABLE_NOT_FOUND", `tensor "${this.name}" has been dropped`);
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
      this.#shard.pull({ table, keys: blockKeys(block, n), into: rows });
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
    checkFields(what, options, ["from", "to", "ack", "mark", "step", "learningRate"]);
    const write = this.preparePush(gradients, options);
    checkMark(what, options.mark);
    const step = resolveStep(what, options.step, [this.options]);
    const ack = resolveAck(what, options.ack, [this.options]);
    await this.#shard.write([write], { ack, step, mark: options.mark });
  }

  /** @internal */
  preparePush(
    gradients: Float32Array,
    options: TensorRange & { readonly learningRate?: number },
    shard?: Shard,
  ): RowWrite {
    const table = this.#live(shard);
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
    checkFields(what, options, ["from", "to", "ack", "mark"]);
    const blocks = this.#blocks(what, "values", values, options);
    checkMark(what, options.mark);
    const ack = resolveAck(what, options.ack, [this.options]);
    await this.#shard.write([{ table, kind: "assign", ...blocks, learningRate: 0 }], {
      ack,
      step: 0,
      mark: options.mark,
    });
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
    return statsOf(this.#shard, this.#live());
  }
}

function blockKeys(first: number, n: number): BigUint64Array {
  const keys = new BigUint64Array(n);
  for (let i = 0; i < n; i++) keys[i] = BigInt(first + i);
  return keys;
}
