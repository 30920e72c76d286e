/** Embershard's client alone, as `embershard/client`: stores on nodes, and nothing of what opens a directory. */

export { constant, normal, truncatedNormal, uniform, zeros } from "./api/initializers.js";
export { crossKeysOf, type KeyColumn, keysOf } from "./api/keys.js";
export { adagrad, adam, adamW, ftrl, rowWiseAdagrad, sgd } from "./api/optimizers.js";
export type * from "./api/store-types.js";
export { EmbershardError, ERRORS, type ErrorCode } from "./base/errors.js";
export { LIMITS } from "./base/limits.js";
export type { GradientType, TransferType } from "./client/client-options.js";
export { type ConnectOptions, connect } from "./client/connect.js";
export { type FailedPart, PartialError } from "./client/partial-error.js";
