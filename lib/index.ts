/** Embershard: an embeddable parameter store for embedding tables and sparse features. */
export { EmbershardError, ERRORS, type ErrorCode } from "./base/errors.js";
export { LIMITS } from "./base/limits.js";
export { openStore, type StoreOptions } from "./embedded/open-store.js";
export {
  type ModelPlan,
  type PlannedTable,
  type PlanOptions,
  planModel,
  type TablePlan,
} from "./embedded/plan.js";
export type * from "./embedded/store-types.js";
export { type BackupInfo, listBackups } from "./repair/backup-directory.js";
export { type BackupOptions, backupStore } from "./repair/backup-store.js";
export { type RepairOptions, repairStore } from "./repair/repair-store.js";
export type * from "./repair/report.js";
export { type RestoreOptions, restoreStore } from "./repair/restore-store.js";
export { type VerifyOptions, verifyStore } from "./repair/verify-store.js";
export type { AdmissionOptions, CounterOptions } from "./table/admission.js";
export type {
  CountersDefinition,
  CountersOptions,
  EvictionDefinition,
  EvictionOptions,
  EvictionPolicy,
} from "./table/eviction.js";
export type { Clip } from "./table/gradients.js";
export {
  constant,
  type InitializerDefinition,
  normal,
  truncatedNormal,
  uniform,
  zeros,
} from "./table/initializers.js";
export { crossKeysOf, type KeyColumn, keysOf } from "./table/keys.js";
export {
  adagrad,
  adam,
  adamW,
  ftrl,
  type OptimizerDefinition,
  rowWiseAdagrad,
  sgd,
} from "./table/optimizers.js";
export { exportTable } from "./transfer/export-table.js";
export { importTable } from "./transfer/import-table.js";
export { removeUnfinishedUploads } from "./transfer/s3-transfer.js";
export type * from "./transfer/transfer-types.js";
