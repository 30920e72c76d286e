/** Embershard: an embeddable parameter store for embedding tables and sparse features. */

export type { AdmissionOptions, CounterOptions } from "./api/admission.js";
export type {
  CountersDefinition,
  CountersOptions,
  EvictionDefinition,
  EvictionOptions,
  EvictionPolicy,
} from "./api/eviction.js";
export type { Clip } from "./api/gradients.js";
export {
  constant,
  type InitializerDefinition,
  normal,
  truncatedNormal,
  uniform,
  zeros,
} from "./api/initializers.js";
export { crossKeysOf, type KeyColumn, keysOf } from "./api/keys.js";
export {
  adagrad,
  adam,
  adamW,
  ftrl,
  type OptimizerDefinition,
  rowWiseAdagrad,
  sgd,
} from "./api/optimizers.js";
export type * from "./api/store-types.js";
export { EmbershardError, ERRORS, type ErrorCode } from "./base/errors.js";
export { LIMITS } from "./base/limits.js";
export type { GradientType, TransferType } from "./client/client-options.js";
export { type ConnectOptions, connect } from "./client/connect.js";
export { type FailedPart, PartialError } from "./client/partial-error.js";
export {
  type ModelPlan,
  type PlannedTable,
  type PlanOptions,
  planModel,
  type TablePlan,
} from "./embedded/plan.js";
export { type BackupInfo, listBackups } from "./repair/backup-directory.js";
export { type BackupOptions, backupStore } from "./repair/backup-store.js";
export { type RepairOptions, repairStore } from "./repair/repair-store.js";
export type * from "./repair/report.js";
export { type RestoreOptions, restoreStore } from "./repair/restore-store.js";
export { type VerifyOptions, verifyStore } from "./repair/verify-store.js";
export { openStore, type StoreOptions } from "./threads/open-store.js";
export { exportTable } from "./transfer/export-table.js";
export { importTable } from "./transfer/import-table.js";
export { removeUnfinishedUploads } from "./transfer/s3-transfer.js";
export type * from "./transfer/transfer-types.js";
