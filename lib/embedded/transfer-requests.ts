import { EmbershardError } from "../base/errors.js";
import type { ExportOptions, ImportOptions, TransferStore } from "../transfer/transfer-types.js";
import type { ControlHandlers } from "./control-socket.js";

/** What the command line asks the owner of a store to export or import. Paths are absolute. JSON. */
export interface TransferRequest<Options> {
  readonly table: string;
  readonly path: string;
  readonly options: Omit<Options, "signal" | "onProgress">;
}

/** `export` and `import`, which the owner does while it goes on; who asked hears how far it is, and ends it by leaving. */
export function transferHandlers(store: TransferStore): ControlHandlers {
  return {
    async export(params, { signal, progress }) {
      const { table, path, options } = checked<ExportOptions>(params);
      const { exportTable } = await import("../transfer/export-table.js");
      return exportTable(store, table, path, { ...options, signal, onProgress: progress });
    },
    async import(params, { signal, progress }) {
      const { table, path, options } = checked<ImportOptions>(params);
      const { importTable } = await import("../transfer/import-table.js");
      return importTable(store, table, path, { ...options, signal, onProgress: progress });
    },
  };
}

function checked<Options>(params: unknown): TransferRequest<Options> {
  const { table, path, options } = (params ?? {}) as Record<string, unknown>;
  if (
    typeof table === "string" &&
    typeof path === "string" &&
    typeof options === "object" &&
    options !== null
  )
    return params as TransferRequest<Options>;
  throw new EmbershardError("INVALID_ARGUMENT", "a transfer is asked for with { table, path, options }");
}
