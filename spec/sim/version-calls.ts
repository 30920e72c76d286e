// What workers do with versions: make, list, read, roll back to, and delete them.
import type { ErrorCode } from "../../lib/base/errors.js";
import type { Store, Table } from "../../lib/index.js";
import type { ReadRow } from "./table-model.js";
import type { TableReads } from "./version-ledger.js";
import type { World } from "./world.js";

/** Few, so that several workers mean the same one. */
export const versionNames = ["v1", "v2", "v3"];

export class VersionCalls {
  readonly #world: World;
  readonly #store: Store;

  constructor(world: World, store: Store) {
    this.#world = world;
    this.#store = store;
  }

  async make(name: string): Promise<void> {
    const made = this.#world.versions.making(name);
    await this.#store.checkpoint({ version: name });
    made();
  }

  async delete(name: string): Promise<void> {
    const over = this.#world.versions.deleting(name);
    try {
      await this.#store.deleteVersion(name);
    } finally {
      over();
    }
  }

  async rollBack(name: string): Promise<void> {
    this.#world.rollbacks++;
    const done = this.#world.versions.rollingBack();
    await this.#store.rollback(name);
    done(name);
  }

  async list(): Promise<void> {
    const listed = this.#world.versions.listing();
    listed(await this.#store.versions());
  }

  /** Lists all, makes one, and reads all; nothing is in the way of that. */
  async demandAll(): Promise<void> {
    await this.list();
    await this.make("last");
    for (const name of this.#world.versions.settled.keys()) await this.read(name);
  }

  /** Reads every key of every table of a version. */
  async read(name: string): Promise<void> {
    const version = await this.#store.openVersion(name);
    try {
      const reads = new Map<string, TableReads>();
      for (const table of Object.keys(this.#world.tables))
        reads.set(table, await this.#readTable(version, table));
      this.#world.versions.read(name, reads);
    } finally {
      await version.close();
    }
  }

  async #readTable(version: Store, name: string): Promise<TableReads> {
    let table: Table;
    try {
      table = await version.table(name);
    } catch (error) {
      if ((error as { code?: ErrorCode }).code === "TABLE_NOT_FOUND") return undefined;
      throw error;
    }
    const { keys: n } = this.#world.scale;
    const { dim, stateFloats } = table;
    const keys = BigUint64Array.from({ length: n }, (_, i) => BigInt(i));
    const found = new Uint8Array(n);
    const state = new Float32Array(n * stateFloats);
    const rows = await table.pull(keys, { found, state });
    const reads = Array.from(keys, (key, i): [bigint, ReadRow] => [
      key,
      {
        found: found[i] === 1,
        weights: rows.subarray(i * dim, (i + 1) * dim),
        state: state.subarray(i * stateFloats, (i + 1) * stateFloats),
      },
    ]);
    return new Map(reads);
  }

  /** What such a call may fail with beside what every call may. */
  excuses(kind: VersionCall, name: string): (code: ErrorCode) => boolean {
    const settled = this.#world.versions.settled.get(name);
    return (code) => {
      if (kind === "make") return code === "VERSION_EXISTS";
      // It is there: nobody may be told otherwise.
      const still = settled !== undefined && this.#world.versions.settled.get(name) === settled;
      return !still && (code === "VERSION_NOT_FOUND" || code === "CORRUPT");
    };
  }

  call(kind: VersionCall, name: string): Promise<void> {
    switch (kind) {
      case "make":
        return this.make(name);
      case "delete version":
        return this.delete(name);
      case "roll back":
        return this.rollBack(name);
      case "read version":
        return this.read(name);
      default:
        return this.list();
    }
  }
}

export type VersionCall = "make" | "delete version" | "roll back" | "read version" | "list";
