/** How numbers of a record are kept. The numbers are those of lib/kernel/assembly/storage/codes.ts. */

/** Of weights. int8: one float32 scale a row. */
export type WeightStorage = "f32" | "f16" | "bf16" | "int8";
/** Of those floats of optimizer state that there is one of for each element. */
export type StateStorage = "f32" | "bf16";
/** To the nearest, ties to even; or to one of the two neighbours, by chance, so that the mean is exact. */
export type Rounding = "nearest" | "stochastic";

/** How a table stores its rows. */
export interface RowStorage {
  readonly storage: WeightStorage;
  readonly stateStorage: StateStorage;
  /** What becomes of what a push computes; all else is stored to the nearest. */
  readonly rounding: Rounding;
}

/** What T_STORAGE and T_STATE_STORAGE hold. */
export const STORAGES = { f32: 0, f16: 1, bf16: 2, int8: 3 } as const;
/** What T_ROUNDING holds. */
export const ROUNDINGS = { nearest: 0, stochastic: 1 } as const;
/** Bytes of one number. */
export const ELEMENT_BYTES = { f32: 4, f16: 2, bf16: 2, int8: 1 } as const;
