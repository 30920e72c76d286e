// What T_OPTIMIZER, T_FLAGS and T_INITIALIZER hold. lib/kernel/programs.ts repeats it for TypeScript.

export const SGD: u32 = 1;
export const SGD_MOMENTUM: u32 = 2;
export const SGD_NESTEROV: u32 = 3;
export const ADAGRAD: u32 = 4;
export const ROW_WISE_ADAGRAD: u32 = 5;
export const ADAM_ROW_STEP: u32 = 6;
export const ADAM_TABLE_STEP: u32 = 7;
export const FTRL: u32 = 8;

export const CLIP_VALUE: u32 = 1;
export const CLIP_NORM: u32 = 2;
export const BOUNDS: u32 = 4;
export const DECAY_L2: u32 = 8;
export const DECAY_DECOUPLED: u32 = 16;

export const ZEROS: u32 = 0;
export const CONSTANT: u32 = 1;
export const UNIFORM: u32 = 2;
export const NORMAL: u32 = 3;
export const TRUNCATED_NORMAL: u32 = 4;
