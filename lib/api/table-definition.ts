import { EmbershardError } from "../base/errors.js";
import { LIMITS } from "../base/limits.js";
import { PAGE_BYTES } from "../kernel/layout.js";
import { type AdmissionDefinition, type AdmissionOptions, parseAdmission } from "./admission.js";
import {
  type CountersDefinition,
  type CountersOptions,
  type EvictionDefinition,
  type EvictionOptions,
  parseCounters,
  parseEviction,
} from "./eviction.js";
import { type Clip, parseBounds, parseClip } from "./gradients.js";
import {
  type InitializerDefinition,
  parseInitializer,
  unchangeableInitializer,
  zeros,
} from "./initializers.js";
import { hashName } from "./keys.js";
import { parseMemory } from "./memory-limit.js";
import { type OptimizerDefinition, parseOptimizer, unchangeable } from "./optimizers.js";
import { describe, differingFields, OptionReader } from "./option-reader.js";
import { rowLayoutOf } from "./row-layout.js";
import { givenStorage, readStorage, type StorageOptions } from "./row-storage.js";

/** What a resolved write promises: applied; in the log, survives the process; survives power loss. */
export type Ack = "memory" | "os" | "fsync";

/** What a table is opened or created with. On an existing table everything may be left out. */
export interface TableOptions extends StorageOptions {
  /** Floats of weights in a row, 1 to 4,096. */
  readonly dim?: number;
  readonly optimizer?: OptimizerDefinition;
  /** What a row begins with; zeros unless given. */
  readonly initializer?: InitializerDefinition;
  /** Seed of the initial values: an integer from 0 to 2^64 - 1. A function of the name unless given. */
  readonly seed?: number | bigint;
  /** What a push that says nothing promises; "os" unless given, "memory" for an unlogged table. */
  readonly ack?: Ack;
  /** An unlogged table survives as of the last checkpoint only, and is faster. True unless given. */
  readonly logged?: boolean;
  /** What becomes of a gradient that is not finite: the push is refused, or the row is skipped and counted. */
  readonly nonFinite?: "refuse" | "skip";
  readonly clip?: Clip;
  /** Weights are kept in [lower, upper] after each update. */
  readonly bounds?: readonly [number, number];
  /** When a key that is pushed gets a row; at once unless given. */
  readonly admission?: AdmissionOptions;
  /** Which rows go by themselves. A table has it from its making on (`{}` if nothing is to go yet) or never. */
  readonly eviction?: EvictionOptions;
  /** Counters of each row, which decay. */
  readonly counters?: CountersOptions;
  /**
   * Bytes of memory for rows and index, of all shards together, 1 MiB at least; rows beyond them are kept in LevelDB,
   * those pushed least first.
   * All rows are in memory unless given. Logged tables only, and no tensors.
   */
  readonly memory?: number;
}

/** A tensor's place in a table: its shape, and the floats of a row. */
export interface TensorShape {
  readonly shape: readonly number[];
  readonly block: number;
}

/** A table as it is stored: plain JSON, complete. Seeds are decimal, since JSON has no 64-bit integers. */
export interface TableDefinition extends StorageOptions {
  readonly name: string;
  /** Unique in the store's life, never used again after a drop. */
  readonly number: number;
  readonly dim: number;
  readonly optimizer: OptimizerDefinition;
  readonly initializer: InitializerDefinition;
  readonly seed: string;
  /** Seed of the hash that places keys; kept so that it survives a rename. */
  readonly placement: string;
  readonly ack: Ack;
  readonly logged: boolean;
  readonly nonFinite: "refuse" | "skip";
  readonly clip?: Clip | undefined;
  readonly bounds?: readonly [number, number] | undefined;
  readonly memory?: number | undefined;
  readonly tensor?: TensorShape | undefined;
  readonly admission?: AdmissionDefinition | undefined;
  /** The number by which pages and records call the candidates of a table that admits. */
  readonly candidates?: number | undefined;
  readonly eviction?: EvictionDefinition | undefined;
  readonly counters?: CountersDefinition | undefined;
  /** When a table with eviction was made, milliseconds since the epoch: its rows' times count from there. */
  readonly made?: number | undefined;
}

const acks = ["memory", "os", "fsync"] as const;
const policies = ["refuse", "skip"] as const;
const changeable = ["optimizer", "ack", "nonFinite", "eviction", "made", "memory"];

/** A definition for a new table. @throws INVALID_OPTIONS */
export function defineTable(
  name: string,
  number: number,
  options: TableOptions,
  tensor?: TensorShape,
): TableDefinition {
  const read = new OptionReader(`table "${name}"`, options);
  const dim = readDim(name, read.any("dim"));
  const logged = read.boolean("logged", true);
  const counters = parseCounters(read.any("counters"));
  const definition: TableDefinition = {
    name,
    number,
    dim,
    optimizer: readOptimizer(name, read.any("optimizer")),
    initializer: readInitializer(read.any("initializer")),
    seed: readSeed(name, read.any("seed")).toString(),
    placement: hashName(name, 1n).toString(),
    logged,
    ack: read.choice("ack", acks, logged ? "os" : "memory"),
    nonFinite: read.choice("nonFinite", policies, "refuse"),
    clip: parseClip(read.any("clip")),
    bounds: parseBounds(read.any("bounds")),
    ...readStorage(name, read),
    memory: parseMemory(name, read.any("memory"), { logged, isTensor: tensor !== undefined }),
    tensor,
    ...readAdmission(name, number, read.any("admission"), tensor),
    eviction: parseEviction(read.any("eviction"), counters),
    counters,
    made: undefined,
  };
  read.end();
  if (tensor && (definition.eviction ?? counters)) {
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `tensor "${name}": found eviction or counters, which only tables have: all of a tensor is always there`,
    );
  }
  if (!logged && definition.ack !== "memory") {
    throw new EmbershardError(
      "NOT_LOGGED",
      `table "${name}": found logged false with ack "${definition.ack}": an unlogged table promises "memory" only`,
    );
  }
  checkRecord(definition);
  return definition;
}

/**
 * The stored definition as `options` change it: learning rate, ack, nonFinite, memory and what eviction is given can change.
 *
 * @throws TABLE_MISMATCH naming what differs and cannot, INVALID_OPTIONS.
 */
export function redefineTable(
  stored: TableDefinition,
  options: TableOptions,
  tensor?: TensorShape,
): TableDefinition {
  new OptionReader(`table "${stored.name}"`, options);
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  // What contradicts the limit of memory that is stored is a mismatch like any other.
  const { memory, ...others } = optionsOf(stored);
  const base = { ...others, ...(memory !== undefined && given.logged !== false && { memory }) };
  const wanted = defineTable(stored.name, stored.number, { ...base, ...given }, tensor ?? stored.tensor);
  const differing = differingFields(flat(stored), flat(wanted), changeable);
  differing.push(...unchangeable(stored.optimizer, wanted.optimizer).map((field) => `optimizer.${field}`));
  differing.push(
    ...unchangeableInitializer(stored.initializer, wanted.initializer).map((field) => `initializer.${field}`),
  );
  if ((stored.eviction === undefined) !== (wanted.eviction === undefined)) differing.push("eviction");
  if (differing.length > 0) {
    throw new EmbershardError(
      "TABLE_MISMATCH",
      `table "${stored.name}" exists with other settings: ${differing.join(", ")}. Open it without them, or choose another name; only the learning rate, ack, nonFinite, memory and what eviction is given can change`,
    );
  }
  return { ...wanted, placement: stored.placement, ...candidatesOf(stored), made: stored.made };
}

/** Reads a stored definition back. @throws INVALID_OPTIONS */
export function parseDefinition(json: unknown): TableDefinition {
  const stored = json as TableDefinition;
  return {
    ...defineTable(stored.name, stored.number, optionsOf(stored), stored.tensor),
    placement: stored.placement,
    ...candidatesOf(stored),
    made: stored.made,
  };
}

function candidatesOf({ candidates }: TableDefinition): Pick<TableDefinition, "candidates"> {
  return candidates === undefined ? {} : { candidates };
}

function optionsOf(stored: TableDefinition): TableOptions {
  const { dim, optimizer, initializer, seed, ack, logged, nonFinite, clip, bounds } = stored;
  const { admission, eviction, counters, memory } = stored;
  return {
    dim,
    optimizer,
    initializer,
    seed: BigInt(seed),
    ack,
    logged,
    nonFinite,
    ...(clip && { clip }),
    ...(bounds && { bounds }),
    ...(admission && { admission: admission as AdmissionOptions }),
    ...givenStorage(stored),
    ...(eviction && { eviction }),
    ...(counters && { counters }),
    ...(memory !== undefined && { memory }),
  };
}

/** A definition whose fields can be compared one by one. */
function flat({ optimizer: _, initializer: __, ...rest }: TableDefinition): object {
  const { clip, bounds, tensor, admission, candidates: _candidates, counters, ...plain } = rest;
  return {
    ...plain,
    placement: "",
    clip: JSON.stringify(clip),
    bounds: JSON.stringify(bounds),
    tensor: JSON.stringify(tensor),
    admission: JSON.stringify(admission),
    counters: JSON.stringify(counters),
  };
}

function readDim(name: string, dim: unknown): number {
  if (typeof dim === "number" && Number.isInteger(dim) && dim >= 1 && dim <= LIMITS.dim) return dim;
  throw new EmbershardError(
    "INVALID_OPTIONS",
    `table "${name}": found dim ${describe(dim)}, expected an integer from 1 to ${LIMITS.dim}`,
  );
}

function readAdmission(
  name: string,
  number: number,
  given: unknown,
  tensor: TensorShape | undefined,
): Pick<TableDefinition, "admission" | "candidates"> {
  const admission = parseAdmission(given);
  if (!admission) return {};
  if (!tensor) return { admission, candidates: number + 1 };
  throw new EmbershardError(
    "INVALID_OPTIONS",
    `tensor "${name}": found admission, which is for keys of tables: leave it out`,
  );
}

function readOptimizer(name: string, optimizer: unknown): OptimizerDefinition {
  if (optimizer !== undefined) return parseOptimizer(optimizer);
  throw new EmbershardError(
    "INVALID_OPTIONS",
    `table "${name}": found no optimizer, expected one, such as adagrad({ learningRate: 0.05 })`,
  );
}

function readInitializer(initializer: unknown): InitializerDefinition {
  return initializer === undefined ? zeros() : parseInitializer(initializer);
}

function readSeed(name: string, seed: unknown): bigint {
  if (seed === undefined) return hashName(name, 0n);
  const integer = typeof seed === "bigint" || (typeof seed === "number" && Number.isSafeInteger(seed));
  if (integer && seed >= 0 && seed < 2n ** 64n) return BigInt(seed);
  throw new EmbershardError(
    "INVALID_OPTIONS",
    `table "${name}": found seed ${describe(seed)}, expected an integer from 0 to 2^64 - 1 (a BigInt beyond 2^53)`,
  );
}

function checkRecord(definition: TableDefinition): void {
  const { recordBytes } = rowLayoutOf(definition);
  if (recordBytes > PAGE_BYTES)
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `table "${definition.name}": a row takes ${recordBytes} bytes, more than a page of ${PAGE_BYTES}`,
    );
}
