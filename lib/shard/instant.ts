// The instant of a checkpoint, to make a version of.
import { PAGE_BYTES } from "../kernel/layout.js";
import { type ColdNote, coldNotes } from "./cold-rows.js";
import { rowsOf } from "./eviction-rules.js";
import type { Manifest } from "./manifest.js";
import { pageHeaderBytes } from "./page-image.js";
import type { PageLedger } from "./page-ledger.js";
import type { ShardState } from "./shard-state.js";

/** What a checkpoint is, with what only memory knew at its instant. */
export interface Instant {
  readonly manifest: Manifest;
  /** Rows of each table, in the order of the manifest's tables. */
  readonly rows: readonly number[];
  /** Cold rows, of the tables that have any. */
  readonly cold: readonly ColdNote[];
  /** Bytes of each image that the manifest lists, in arrays like its own. */
  readonly imageBytes: readonly Uint32Array[];
}

/** Notes an instant, in the turn of the event loop that is it. */
export function noteInstant(state: ShardState, manifest: Manifest, ledger: PageLedger): Instant {
  const { arenas, tables } = state;
  const recordBytes = new Map([...arenas.tables].map((table) => [table.index, table.recordBytes]));
  const imageBytes = manifest.pages.map(({ length }) => new Uint32Array(length));
  for (const { arena: number, page } of ledger.entries()) {
    const arena = arenas.all[number];
    const bytes = recordBytes.get(arena.pageTable(page)) ?? PAGE_BYTES;
    imageBytes[number][page] = pageHeaderBytes + arena.pagePlaces(page) * bytes;
  }
  const rows = [...tables.values()].map((table) => rowsOf(state, table));
  return { manifest, rows, cold: coldNotes(state), imageBytes };
}
