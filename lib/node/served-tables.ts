import { EmbershardError } from "../base/errors.js";
import type { Shard } from "../shard/shard.js";
import type { ArenaTable } from "../table/arena-table.js";
import type { TableReplyInput } from "../wire/generated/frame-types.js";
import { tableFingerprint, tableId } from "./table-fingerprint.js";

interface ServedTable {
  readonly table: ArenaTable;
  readonly fingerprint: bigint;
}

/** A shard's tables, as frames name them. */
export class ServedTables {
  readonly #shard: Shard;
  readonly #byId = new Map<bigint, ServedTable>();

  constructor(shard: Shard) {
    this.#shard = shard;
  }

  /**
   * The table that a frame means.
   *
   * @throws TABLE_NOT_FOUND; TABLE_MISMATCH where whoever asks knows another table of that name
   */
  demand(id: bigint, fingerprint: bigint): ArenaTable {
    const found = this.#find(id);
    if (!found)
      throw new EmbershardError(
        "TABLE_NOT_FOUND",
        `no table has the id ${id}: it was dropped, or never made; open it`,
      );
    if (found.fingerprint !== fingerprint)
      throw new EmbershardError(
        "TABLE_MISMATCH",
        `table "${found.table.definition.name}" has the fingerprint ${found.fingerprint}, the request ${fingerprint}: it was made anew with other settings; open it again`,
      );
    return found.table;
  }

  /** Demands that a name does not have another table's id. @throws TABLE_COLLISION */
  demandFree(name: string): void {
    const found = this.#find(tableId(name));
    if (found && found.table.definition.name !== name)
      throw new EmbershardError(
        "TABLE_COLLISION",
        `table "${found.table.definition.name}" has the id that "${name}" would have: choose another name`,
      );
  }

  /** What is told of a table. */
  describe(name: string): TableReplyInput {
    const table = this.#shard.tables.get(name);
    if (!table) throw new EmbershardError("TABLE_NOT_FOUND", `table "${name}" has just been dropped`);
    const { definition, placement, dim, stateFloats } = table;
    return {
      kind: "TableReply",
      name,
      tensor: definition.tensor !== undefined,
      id: tableId(name),
      fingerprint: tableFingerprint(definition),
      placement,
      number: definition.number,
      dim,
      stateFloats,
      definition: JSON.stringify(definition),
    };
  }

  #find(id: bigint): ServedTable | undefined {
    const known = this.#byId.get(id);
    const { tables } = this.#shard;
    // Dropped, made anew or rolled back: what a name means may change at any time.
    if (known && tables.get(known.table.definition.name) === known.table) return known;
    this.#byId.clear();
    for (const [name, table] of tables)
      this.#byId.set(tableId(name), { table, fingerprint: tableFingerprint(table.definition) });
    return this.#byId.get(id);
  }
}
