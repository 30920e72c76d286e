import { type RecordLayout, recordLayout } from "../kernel/layout.js";
import { stateFloatsOf, stateScalarsOf } from "../kernel/programs.js";
import { extrasOf } from "./eviction.js";
import { encodeOptimizer } from "./optimizers.js";
import { rowStorageOf } from "./row-storage.js";
import type { TableDefinition } from "./table-definition.js";

/** The layout of a table's records: a function of its definition alone. */
export function rowLayoutOf(definition: TableDefinition): RecordLayout {
  const { dim, optimizer } = definition;
  const program = encodeOptimizer(optimizer);
  return recordLayout({
    dim,
    stateFloats: stateFloatsOf(program, dim),
    stateScalars: stateScalarsOf(program),
    ...rowStorageOf(definition),
    extrasBytes: extrasOf(definition).bytes,
  });
}
