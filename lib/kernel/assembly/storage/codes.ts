// What T_STORAGE, T_STATE_STORAGE and T_ROUNDING hold. lib/kernel/storage.ts repeats it for TypeScript.

export const F32: u32 = 0;
export const F16: u32 = 1;
export const BF16: u32 = 2;
export const INT8: u32 = 3;

export const NEAREST: u32 = 0;
export const STOCHASTIC: u32 = 1;
