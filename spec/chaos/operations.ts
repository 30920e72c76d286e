// What chaos does to a store: operation number i is a function of (seed, i) alone, so that whoever replays it knows it.

import type { Ack, TableOptions, TensorOptions } from "../../lib/api/store-types.js";
import { Prng } from "../../lib/base/prng.js";
import {
  adagrad,
  adam,
  adamW,
  ftrl,
  normal,
  rowWiseAdagrad,
  sgd,
  truncatedNormal,
  uniform,
} from "../../lib/index.js";

/** Every kind of optimizer, logged and not, with and without limits. */
export const tables: Readonly<Record<string, TableOptions & { readonly dim: number }>> = {
  items: {
    dim: 8,
    optimizer: adagrad({ learningRate: 0.05 }),
    initializer: uniform(-0.1, 0.1),
    clip: { norm: 2 },
  },
  users: {
    dim: 5,
    optimizer: adam({ learningRate: 0.01 }),
    initializer: normal(0, 0.1),
    seed: 7,
  },
  words: { dim: 3, optimizer: ftrl({ learningRate: 0.1, lambda1: 0.01 }), ack: "fsync", bounds: [-1, 1] },
  steps: {
    dim: 6,
    optimizer: adamW({ learningRate: 0.02, step: "table" }),
    initializer: truncatedNormal(0, 1),
  },
  wide: { dim: 512, optimizer: sgd({ learningRate: 0.1, momentum: 0.9 }) },
  halves: {
    dim: 10,
    optimizer: adagrad({ learningRate: 0.05 }),
    initializer: normal(0, 1),
    storage: "f16",
    stateStorage: "bf16",
    rounding: "stochastic",
  },
  bytes: {
    dim: 9,
    optimizer: rowWiseAdagrad({ learningRate: 0.1 }),
    initializer: uniform(-1, 1),
    storage: "int8",
  },
  rare: { dim: 4, optimizer: adagrad({ learningRate: 0.1 }), admission: { after: 3 } },
  faint: {
    dim: 2,
    optimizer: sgd({ learningRate: 0.1 }),
    admission: { probability: 0.3, counter: { sketchBytes: 2 << 20 } },
  },
  counts: { dim: 4, optimizer: rowWiseAdagrad({ learningRate: 0.1 }), logged: false },
};
export const unloggedTable = "counts";
export const passingTable = "passing";
export const tensorName = "layer";
export const tensor: TensorOptions = {
  shape: [30, 16],
  block: 32,
  optimizer: sgd({ learningRate: 0.1, momentum: 0.5, nesterov: true }),
};
export const tensorBlocks = 15;
const tensorBlock = 32;

/** The table that comes and goes, another one each time. */
export function passingOptions(number: number): TableOptions & { readonly dim: number } {
  const dim = 2 + (number % 5);
  const optimizers = [
    sgd({ learningRate: 0.1 }),
    adagrad({ learningRate: 0.1 }),
    adam({ learningRate: 0.1, step: "row" }),
  ];
  return {
    dim,
    optimizer: optimizers[number % optimizers.length],
    initializer: uniform(-1, 1),
    logged: true,
  };
}

export interface Part {
  readonly table: string;
  readonly keys: BigUint64Array;
  readonly values: Float32Array;
}

export type Operation =
  | { readonly kind: "push"; readonly parts: readonly Part[]; readonly ack: Ack; readonly step: number }
  | {
      readonly kind: "assign";
      readonly part: Part;
      readonly state: Float32Array | undefined;
      readonly history: { readonly frequency: Uint32Array; readonly lastStep: Uint32Array } | undefined;
      readonly ack: Ack;
    }
  | { readonly kind: "delete"; readonly table: string; readonly keys: BigUint64Array; readonly ack: Ack }
  | { readonly kind: "create"; readonly table: string; readonly keys: BigUint64Array }
  | { readonly kind: "tensor"; readonly from: number; readonly values: Float32Array; readonly ack: Ack }
  | {
      readonly kind: "open";
      readonly table: string;
      readonly options: TableOptions & { readonly dim: number };
    }
  | { readonly kind: "openTensor" }
  | { readonly kind: "drop"; readonly table: string };

/** How large things are. */
export interface Scale {
  /** Keys of a table, at most. */
  readonly keys: number;
  readonly batch: number;
  /** Keys of a push that makes tables grow. */
  readonly burst: number;
  /** Some tables have a limit of memory. */
  readonly limited?: boolean;
}

/** Tables that have a limit of memory where some have. */
const limitedTables = new Set(["items", "users", "wide", "bytes", passingTable]);

const names = Object.keys(tables);
/** The first operations make the tables and the tensor. */
export const openings = names.length + 1;
const cycle = 60;

/** Whether the operation carries its number as a mark. */
export function isMarked({ kind }: Operation): boolean {
  return kind === "push" || kind === "assign" || kind === "delete" || kind === "tensor";
}

/** Whether the operation changes the unlogged table. */
export function touchesUnlogged(operation: Operation): boolean {
  switch (operation.kind) {
    case "push":
      return operation.parts.some(({ table }) => table === unloggedTable);
    case "assign":
      return operation.part.table === unloggedTable;
    case "delete":
    case "create":
      return operation.table === unloggedTable;
    default:
      return false;
  }
}

/** Whether the operation changes nothing but the unlogged table: the log need not know of it. */
export function isUnlogged(operation: Operation): boolean {
  return (
    touchesUnlogged(operation) &&
    (operation.kind !== "push" || operation.parts.every(({ table }) => table === unloggedTable))
  );
}

/** Operation number `i`, from 1. */
export function operationAt(seed: number, i: number, scale: Scale): Operation {
  const operation = plainOperationAt(seed, i, scale);
  if (!scale.limited || operation.kind !== "open" || !limitedTables.has(operation.table)) return operation;
  return { ...operation, options: { ...operation.options, memory: 1 << 20 } };
}

function plainOperationAt(seed: number, i: number, scale: Scale): Operation {
  if (i <= names.length) return { kind: "open", table: names[i - 1], options: tables[names[i - 1]] };
  if (i === openings) return { kind: "openTensor" };
  const random = new Prng((seed ^ Math.imul(i, 0x9e3779b1)) >>> 0);
  const place = i % cycle;
  const passing = Math.floor(i / cycle);
  if (place === 20) return { kind: "open", table: passingTable, options: passingOptions(passing) };
  if (place === 50) return { kind: "drop", table: passingTable };
  if (place === 35)
    return {
      kind: "open",
      table: "items",
      options: { ...tables.items, optimizer: adagrad({ learningRate: 0.03 + 0.01 * (passing % 3) }) },
    };
  // What exists when this operation's turn has come.
  const present = place > 20 && place < 50 ? { ...tables, [passingTable]: passingOptions(passing) } : tables;
  return contentOf(random, i, scale, present);
}

function contentOf(random: Prng, i: number, scale: Scale, present: typeof tables): Operation {
  const name = pick(random, Object.keys(present));
  const { dim } = present[name];
  const ack = ackOf(random, name);
  switch (random.below(16)) {
    case 0:
    case 1: {
      const keys = distinctKeys(random, scale.keys, 1 + random.below(scale.batch));
      return { kind: "delete", table: name, keys, ack };
    }
    case 2:
    case 3: {
      const keys = keysOf(random, scale.keys, 1 + random.below(scale.batch));
      const state =
        name === "users" && random.below(2) === 0 ? positive(random, keys.length * 11) : undefined;
      const column = () => Uint32Array.from(keys, () => random.u32() >>> random.below(32));
      const history = random.below(2) === 0 ? { frequency: column(), lastStep: column() } : undefined;
      return {
        kind: "assign",
        part: { table: name, keys, values: floats(random, keys.length * dim) },
        state,
        history,
        ack,
      };
    }
    case 4:
      return { kind: "create", table: name, keys: keysOf(random, scale.keys, 1 + random.below(scale.batch)) };
    case 5: {
      const from = random.below(tensorBlocks);
      const to = from + 1 + random.below(tensorBlocks - from);
      return {
        kind: "tensor",
        from: from * tensorBlock,
        values: floats(random, (to - from) * tensorBlock),
        ack: ackOf(random, tensorName),
      };
    }
    case 6:
    case 7: {
      const other = pick(
        random,
        Object.keys(present).filter((one) => one !== name),
      );
      const parts = [name, other].map((one) =>
        partOf(random, one, present[one].dim, scale.keys, 1 + random.below(scale.batch)),
      );
      const unlogged = name === unloggedTable || other === unloggedTable;
      return { kind: "push", parts, ack: unlogged ? "memory" : ack, step: i };
    }
    case 8:
      return {
        kind: "push",
        parts: [partOf(random, name, dim, scale.keys, dim > 100 ? scale.burst >> 3 : scale.burst)],
        ack,
        step: i,
      };
    default:
      return {
        kind: "push",
        parts: [partOf(random, name, dim, scale.keys, 1 + random.below(scale.batch))],
        ack,
        step: i,
      };
  }
}

function ackOf(random: Prng, name: string): Ack {
  const level = pick(random, ["memory", "os", "os", "os", "fsync"] as const);
  return name === unloggedTable ? "memory" : level;
}

function pick<T>(random: Prng, from: readonly T[]): T {
  return from[random.below(from.length)];
}

function partOf(random: Prng, table: string, dim: number, universe: number, n: number): Part {
  const keys = keysOf(random, dim > 100 ? universe >> 1 : universe, n);
  return { table, keys, values: floats(random, n * dim) };
}

/** Keys with repetitions; the least and the greatest u64 are among them. */
function keysOf(random: Prng, universe: number, n: number): BigUint64Array {
  return BigUint64Array.from({ length: n }, () => keyOf(random.below(universe)));
}

function distinctKeys(random: Prng, universe: number, n: number): BigUint64Array {
  const numbers = new Set(Array.from({ length: n }, () => random.below(universe)));
  return BigUint64Array.from([...numbers], keyOf);
}

/** The key of a number below `Scale.keys`. */
export function keyOf(number: number): bigint {
  return BigInt.asUintN(
    64,
    BigInt(number) * 0xffff_ffff_ffff_ffffn * (number > 1 ? 0x9e37_79b9_7f4a_7c15n : 1n),
  );
}

function floats(random: Prng, n: number): Float32Array {
  return Float32Array.from({ length: n }, () => random.unit() * 2 - 1);
}

function positive(random: Prng, n: number): Float32Array {
  return Float32Array.from({ length: n }, () => random.unit());
}

/** The mark of operation `i`. Its length varies. */
export function markOf(i: number): Uint8Array {
  const mark = new Uint8Array(4 + (i % 9)).fill(i & 255);
  new DataView(mark.buffer).setUint32(0, i);
  return mark;
}

/** The operation whose mark this is; 0 without one. Throws when it is no mark of ours. */
export function numberOf(mark: Uint8Array | undefined): number {
  if (!mark) return 0;
  const i = new DataView(mark.buffer, mark.byteOffset).getUint32(0);
  if (Buffer.compare(mark, markOf(i)) !== 0)
    throw new Error(`the mark ${Buffer.from(mark).toString("hex")} is not the one of operation ${i}`);
  return i;
}
