import { EmbershardError } from "../base/errors.js";
import { LIMITS } from "../base/limits.js";
import { Arena, type ArenaOptions } from "../table/arena.js";
import type { ArenaTable } from "../table/arena-table.js";
import { parts } from "../table/candidates.js";
import type { HandOver } from "./hand-over.js";

/** Slots of the hash space: the unit of placement and of movement. */
export const slotCount = 16_384;

/**
 * The arenas of a shard. A slot lies in one of them; one arena is all there is until its 4 GiB are full. While half of a
 * full arena's slots are being handed to a new one (`moving`), the new one owns them and rows follow.
 */
export class ArenaSet {
  readonly all: Arena[] = [];
  /** The arena of each slot. */
  readonly arenaOf = new Uint8Array(slotCount);
  /** Every table, and the candidates of those that have some as tables of their own. */
  readonly tables = new Set<ArenaTable>();
  moving: HandOver | undefined;
  readonly #options: ArenaOptions;

  constructor(options: ArenaOptions) {
    this.#options = options;
  }

  /** An empty set with the same options. */
  sibling(): ArenaSet {
    return new ArenaSet(this.#options);
  }

  /** The first arena, in whose scratch requests are laid out. */
  get front(): Arena {
    return this.all[0];
  }

  get limitBytes(): number {
    return this.#options.limitBytes;
  }

  /** Adds an empty arena that knows every table. @throws OUT_OF_MEMORY */
  add(): Arena {
    if (this.all.length >= LIMITS.arenas) {
      throw new EmbershardError(
        "OUT_OF_MEMORY",
        `the shard has ${this.all.length} arenas, the most it can have: use more shards`,
      );
    }
    const arena = new Arena(this.all.length, this.#options);
    for (const table of this.tables) {
      demandRoom(arena, table);
      openIn(arena, table);
    }
    this.all.push(arena);
    return arena;
  }

  /** Makes a table, its candidates with it, known to every arena, or to none. @throws OUT_OF_MEMORY */
  addTable(table: ArenaTable): void {
    const made = parts(table);
    for (const arena of this.all) demandRoom(arena, table, made.length);
    for (const one of made) {
      this.tables.add(one);
      for (const arena of this.all) openIn(arena, one);
    }
  }

  rows(table: ArenaTable): number {
    return this.all.reduce((sum, arena) => sum + table.rows(arena), 0);
  }

  /** Of rows and index; those of its candidates are not counted. */
  bytes(table: ArenaTable): number {
    return this.all.reduce((sum, arena) => sum + table.bytes(arena), 0);
  }

  usedBytes(): number {
    return this.all.reduce((sum, arena) => sum + arena.usedBytes(), 0);
  }
}

function demandRoom(arena: Arena, { definition }: ArenaTable, tables = 1): void {
  if (!arena.kernel.commitPages(4 * tables)) {
    throw new EmbershardError(
      "OUT_OF_MEMORY",
      `no memory for table "${definition.name}": raise arenaBytes or the machine's memory`,
    );
  }
  arena.refresh();
}

function openIn(arena: Arena, table: ArenaTable): void {
  table.describe(arena);
  arena.kernel.openTable(table.index, 0);
  arena.refresh();
}
