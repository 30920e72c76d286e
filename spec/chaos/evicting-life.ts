// The child of the chaos of a table that evicts: works on it until it is killed. What it has begun, what was acknowledged and which
// rows went it writes to a journal, synchronously, so that the journal outlives it.
import { openSync, writeSync } from "node:fs";
import type { Store, Table } from "../../lib/api/store-types.js";
import { Prng } from "../../lib/base/prng.js";
import { adagrad, normal, openStore, sgd, type TableOptions } from "../../lib/index.js";
import { randomFloats, randomKeys } from "../laws/twin.js";

type EvictingOptions = TableOptions & {
  readonly dim: number;
  readonly eviction: { readonly maxRows: number };
};

const evictingOptions: EvictingOptions = {
  dim: 4,
  optimizer: adagrad({ learningRate: 0.1 }),
  initializer: normal(0, 1),
  eviction: { maxRows: 700, policy: "lru" },
  counters: { names: ["show", "click"], decay: 0.9 },
};

/** The same with narrow rows that keys get with their second push. */
const combinedOptions: EvictingOptions = {
  ...evictingOptions,
  storage: "int8",
  stateStorage: "bf16",
  rounding: "stochastic",
  admission: { after: 2 },
};

/** Rows so wide that about half of them have no room in memory. */
const coldOptions: EvictingOptions = {
  ...evictingOptions,
  dim: 700,
  optimizer: sgd({ learningRate: 0.1 }),
  memory: 1 << 20,
};

export type EvictingKind = "plain" | "combined" | "cold";

export const optionsOfKind: Readonly<Record<EvictingKind, EvictingOptions>> = {
  plain: evictingOptions,
  combined: combinedOptions,
  cold: coldOptions,
};

export interface EvictingPlan {
  readonly kind: EvictingKind;
  readonly directory: string;
  readonly journal: string;
  readonly seed: number;
  /** The first operation. */
  readonly from: number;
  /** After so many it says so. */
  readonly signalAfter: number;
}

/** What operation number `i` is: a function of seed and number. */
export type EvictingOperation =
  | { readonly kind: "decay" }
  | {
      readonly kind: "push" | "assign" | "delete";
      readonly keys: BigUint64Array;
      readonly values: Float32Array;
    };

export function evictingOperation(kind: EvictingKind, seed: number, i: number): EvictingOperation {
  const { dim } = optionsOfKind[kind];
  const mostKeys = kind === "cold" ? 60 : 200;
  const random = new Prng((seed ^ Math.imul(i, 0x9e3779b1)) >>> 0);
  const chosen = random.below(12);
  if (chosen === 0) return { kind: "decay" };
  const keys = randomKeys(random, 1 + random.below(mostKeys), 3000);
  const values = randomFloats(random, keys.length * dim);
  return { kind: chosen === 1 ? "delete" : chosen === 2 ? "assign" : "push", keys, values };
}

function perform(table: Table, operation: EvictingOperation, step: number): Promise<unknown> {
  switch (operation.kind) {
    case "decay":
      return table.decay();
    case "delete":
      return table.delete(operation.keys);
    case "assign":
      return table.assign(operation.keys, operation.values);
    case "push":
      return table.push(operation.keys, operation.values, { step });
  }
}

async function live({ kind, directory, journal, seed, from, signalAfter }: EvictingPlan): Promise<void> {
  const file = openSync(journal, "a");
  const note = (line: string) => void writeSync(file, `${line}\n`);
  const store: Store = await openStore(directory, {
    control: false,
    hugePages: "off",
    arenaBytes: 32 << 20,
    checkpoint: { everyMs: 50, everyLogBytes: 1 << 19 },
  });
  const table = await store.table("t", optionsOfKind[kind]);
  table.onEvicted(({ keys }) => note(`e${keys.join(",")}`));
  for (let i = from; ; i++) {
    note(`s${i}`);
    await perform(table, evictingOperation(kind, seed, i), i);
    note(`a${i}`);
    if (i - from === signalAfter) process.stdout.write("now\n");
  }
}

if (process.argv[2]?.startsWith("{")) await live(JSON.parse(process.argv[2]));
