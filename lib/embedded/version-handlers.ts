// What is asked of a store's versions over the control socket, and by the command line of a store that it opened itself.

import type { CheckpointInfo, RollbackInfo, Store, TableDiff, VersionInfo } from "../api/store-types.js";
import { EmbershardError } from "../base/errors.js";
import type { ControlHandlers, ControlRequest } from "./control-socket.js";
import { type InspectedRows, inspectRows } from "./inspection.js";

/** What the handlers take of a store. */
export type VersionedStore = Pick<
  Store,
  "versions" | "checkpoint" | "deleteVersion" | "diff" | "rollback" | "openVersion"
>;

/** A difference as JSON: keys are decimal text. */
export interface ShownDiff {
  readonly from: string;
  readonly to: string;
  readonly tables: readonly (Omit<TableDiff, "largest"> & {
    readonly largest: readonly { readonly key: string; readonly distance: number }[];
  })[];
}

/** How far work is. */
export interface VersionProgress {
  readonly pages: number;
  readonly total: number;
}

export interface VersionWork {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: VersionProgress) => void) | undefined;
}

/** Everything that the command line does with versions, wherever the store is open. */
export interface VersionDesk {
  list(): Promise<readonly VersionInfo[]>;
  create(
    version: { name: string; note?: string; keep?: number },
    work?: VersionWork,
  ): Promise<CheckpointInfo>;
  diff(question: { from: string; to?: string; largest?: number }, work?: VersionWork): Promise<ShownDiff>;
  rollback(name: string): Promise<RollbackInfo>;
  delete(name: string): Promise<void>;
  /** Rows of a table in a version, which is brought into memory for that. */
  rows(question: { version: string; table: string; keys: readonly string[] }): Promise<InspectedRows>;
}

/** The versions of a store that is open in this process. */
export function versionDesk(store: VersionedStore): VersionDesk {
  return {
    list: () => store.versions(),
    create: ({ name, ...rest }, work) => store.checkpoint({ version: name, ...rest, ...given(work) }),
    diff: async ({ from, to, largest }, work) => {
      const found = await store.diff(from, to, { ...(largest !== undefined && { largest }), ...given(work) });
      const tables = found.tables.map((table) => ({
        ...table,
        largest: table.largest.map(({ key, distance }) => ({ key: String(key), distance })),
      }));
      return { ...found, tables };
    },
    rollback: (name) => store.rollback(name),
    delete: (name) => store.deleteVersion(name),
    rows: async ({ version: name, ...question }) => {
      const version = await store.openVersion(name);
      try {
        return await inspectRows(version, question);
      } finally {
        await version.close();
      }
    },
  };
}

/** What the owner of a store answers about its versions: `versions.list`, `versions.create`, and so on. */
export function versionHandlers(store: VersionedStore): ControlHandlers {
  const desk = versionDesk(store);
  const work = ({ signal, progress }: ControlRequest): VersionWork => ({ signal, onProgress: progress });
  return {
    "versions.list": () => desk.list(),
    "versions.create": (params, request) => desk.create(fields(params), work(request)),
    "versions.diff": (params, request) => desk.diff(fields(params), work(request)),
    "versions.rollback": (params) => desk.rollback(fields<{ name: string }>(params).name),
    "versions.delete": (params) => desk.delete(fields<{ name: string }>(params).name),
    "versions.rows": (params) => desk.rows(fields(params)),
  };
}

function given({ signal, onProgress }: VersionWork = {}): {
  signal?: AbortSignal;
  onProgress?: (progress: VersionProgress) => void;
} {
  return { ...(signal && { signal }), ...(onProgress && { onProgress }) };
}

/** The store checks what is in them. */
function fields<T>(params: unknown): T {
  if (typeof params === "object" && params !== null) return params as T;
  throw new EmbershardError("INVALID_ARGUMENT", "versions are asked for with an object of parameters");
}
