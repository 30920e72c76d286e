import { EmbershardError } from "../base/errors.js";
import type { Rounding, RowStorage, StateStorage, WeightStorage } from "../kernel/storage.js";
import type { OptionReader } from "./option-reader.js";

export type { Rounding, StateStorage, WeightStorage };

/** How a table stores its rows, as options and definitions say it: what is left out is what is plain. */
export interface StorageOptions {
  /** Of weights. "int8" has one float32 scale a row. "f32" unless given. */
  readonly storage?: WeightStorage | undefined;
  /** Of those floats of optimizer state that there is one of for each element. "f32" unless given. */
  readonly stateStorage?: StateStorage | undefined;
  /** What a push computes is stored as the nearest number, or as one of the two beside it, so that the mean is exact. */
  readonly rounding?: Rounding | undefined;
}

/** Takes a table's fields of storage. What is plain is left undefined, so that saying it is not another definition. @throws INVALID_OPTIONS */
export function readStorage(name: string, read: OptionReader): StorageOptions {
  const storage = read.choice("storage", ["f32", "f16", "bf16", "int8"], "f32");
  const stateStorage = read.choice("stateStorage", ["f32", "bf16"], "f32");
  const rounding = read.choice("rounding", ["nearest", "stochastic"], "nearest");
  if (rounding === "stochastic" && storage === "f32" && stateStorage === "f32") {
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `table "${name}": found rounding "stochastic" where all is stored as float32 and nothing is rounded, expected a storage or stateStorage with it`,
    );
  }
  return {
    storage: storage === "f32" ? undefined : storage,
    stateStorage: stateStorage === "f32" ? undefined : stateStorage,
    rounding: rounding === "nearest" ? undefined : rounding,
  };
}

/** The options of storage that a definition has, and no others. */
export function givenStorage({ storage, stateStorage, rounding }: StorageOptions): StorageOptions {
  return {
    ...(storage && { storage }),
    ...(stateStorage && { stateStorage }),
    ...(rounding && { rounding }),
  };
}

/** How a table stores its rows, nothing left out. */
export function rowStorageOf({ storage, stateStorage, rounding }: StorageOptions): RowStorage {
  return {
    storage: storage ?? "f32",
    stateStorage: stateStorage ?? "f32",
    rounding: rounding ?? "nearest",
  };
}
