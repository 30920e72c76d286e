// Folding: the images of a checkpoint are of different moments, and what each lacks of the checkpoint's instant is in the
// log. A version must do without the log, so the pages that the log touches are brought to the instant and written anew.

import type { CheckpointOptions } from "../api/checkpoint-types.js";
import { EmbershardError } from "../base/errors.js";
import { FIRST_PAGE, KIND_ROWS, MAX_PAGES, PAGE_BYTES } from "../kernel/layout.js";
import type { Arena } from "../table/arena.js";
import { ArenaSet } from "./arena-set.js";
import { batchPages, demandWanted, nextGeneration, slicePages } from "./checkpoint.js";
import type { Instant } from "./instant.js";
import { replayRows } from "./log-replay.js";
import { claimAndLoad } from "./page-claiming.js";
import { encodePage, encodePageKey, type PageKey, pageHeaderBytes } from "./page-image.js";
import { PageLedger } from "./page-ledger.js";
import { decodeRows, RECORD, type Section } from "./records.js";
import { allTables, beginRecovered, type Recovered, tableOf } from "./recovered.js";
import type { ShardState } from "./shard-state.js";

/** Pages that are in memory at once: less than 256 MiB. */
export const usualFoldPages = 1800;
/** Bytes of records that are applied before others get a turn. */
const sliceBytes = 1 << 18;
/** Rows of pages that are not of this pass go to a page that has taken everything already, and so takes nothing. */
const sink = FIRST_PAGE;
const firstSlot = FIRST_PAGE + 1;

const aborted = "making the version was aborted: the checkpoint stands, the version does not";

/** An instant without a tail in the log, and the images that were written for it. */
export interface Folded {
  readonly instant: Instant;
  readonly written: readonly PageKey[];
}

/**
 * Brings the pages of a committed checkpoint to its instant. Demands that its tail is in the log. What it has written is
 * garbage when it throws.
 *
 * @throws ABORTED, CORRUPT, IO
 */
export async function foldTail(
  state: ShardState,
  instant: Instant,
  options: CheckpointOptions,
): Promise<Folded> {
  const { replayLsn, lsn } = instant.manifest;
  const written: PageKey[] = [];
  if (replayLsn === lsn) return { instant, written };
  try {
    const folding = new Folding(state, instant, options, written);
    await folding.run();
    demandWanted(options.signal, aborted);
    return { instant: folding.result(), written };
  } catch (error) {
    state.garbage.push(...written);
    throw error;
  }
}

class Folding {
  readonly #state: ShardState;
  readonly #instant: Instant;
  readonly #options: CheckpointOptions;
  readonly #written: PageKey[];
  readonly #generation: number;
  readonly #ledger: PageLedger;
  readonly #imageBytes: Uint32Array[];
  readonly #recovered: Recovered;
  readonly #image = new Uint8Array(pageHeaderBytes + PAGE_BYTES);
  #bytes = 0;

  constructor(state: ShardState, instant: Instant, options: CheckpointOptions, written: PageKey[]) {
    this.#state = state;
    this.#instant = instant;
    this.#options = options;
    this.#written = written;
    this.#generation = nextGeneration(state);
    this.#ledger = new PageLedger(instant.manifest.pages);
    this.#imageBytes = instant.imageBytes.map((one) => one.slice());
    this.#recovered = scratchOf(instant, state.foldPages);
  }

  async run(): Promise<void> {
    const touched = await this.#touched();
    const total = touched.reduce((sum, { pages }) => sum + pages.length, 0);
    let done = 0;
    for (const { arena, pages } of touched) {
      for (let from = 0; from < pages.length; from += this.#state.foldPages) {
        const pass = pages.subarray(from, from + this.#state.foldPages);
        await this.#load(arena, pass);
        await this.#replay(arena, pass);
        await this.#write(arena, pass, done, total);
        done += pass.length;
      }
    }
  }

  result(): Instant {
    const { manifest, rows, cold } = this.#instant;
    return {
      manifest: {
        ...manifest,
        cold: cold.length > 0 ? cold : undefined,
        generation: this.#generation,
        replayLsn: manifest.lsn,
        pages: manifest.pages.map((one, arena) => one.map((_, page) => this.#ledger.get(arena, page))),
      },
      rows,
      cold,
      imageBytes: this.#imageBytes,
    };
  }

  /** The scratch arena that stands for whichever arena a pass is about. */
  get #arena(): Arena {
    return this.#recovered.arenas.all[0];
  }

  /** The pages of each arena that the tail touches, ascending. */
  async #touched(): Promise<{ arena: number; pages: Uint32Array }[]> {
    const flags: Uint8Array[] = [];
    await this.#eachRows((parts) => {
      for (const { arena, positions } of parts) {
        while (flags.length <= arena) flags.push(new Uint8Array(MAX_PAGES));
        for (const position of aligned(positions)) flags[arena][position >>> 14] = 1;
      }
    });
    return flags.map((one, arena) => ({
      arena,
      pages: Uint32Array.from([...one.keys()].filter((page) => one[page] === 1)),
    }));
  }

  /** Calls `use` with the sections of each record of the tail whose tables are there at the instant. */
  async #eachRows(use: (parts: Section[], record: Parameters<typeof replayRows>[1]) => void): Promise<void> {
    const { replayLsn, lsn } = this.#instant.manifest;
    let bytes = 0;
    for await (const batch of this.#state.records(replayLsn + 1, lsn)) {
      for (const record of batch) {
        bytes += record.payload.length;
        if (bytes >= sliceBytes) {
          await this.#state.pause();
          demandWanted(this.#options.signal, aborted);
          bytes = 0;
        }
        if (record.type !== RECORD.rows) continue;
        const rows = decodeRows(record.payload);
        if (!rows)
          throw new EmbershardError(
            "CORRUPT",
            `record ${record.lsn} of the log has lengths that do not add up`,
          );
        use(
          rows.parts.filter((section) => tableOf(this.#recovered, section.table) !== undefined),
          record,
        );
      }
    }
  }

  /** Brings the images of a pass to its slots; pages that are younger than the checkpoint's beginning have none. */
  async #load(arena: number, pass: Uint32Array): Promise<void> {
    const scratch = this.#arena;
    scratch.emptyPages(sink, firstSlot + pass.length);
    scratch.setPageLsn(sink, Number.MAX_SAFE_INTEGER);
    for (let from = 0; from < pass.length; from += batchPages) {
      await this.#state.pause();
      demandWanted(this.#options.signal, aborted);
      const some = [...pass.subarray(from, from + batchPages)].map((page, i) => ({
        key: { generation: this.#ledger.get(arena, page), arena, page },
        slot: firstSlot + from + i,
      }));
      const values = await Promise.all(
        some.map(({ key }) => (key.generation === 0 ? undefined : this.#state.pages.get(encodePageKey(key)))),
      );
      for (const [i, { key, slot }] of some.entries())
        if (key.generation !== 0) claimAndLoad(this.#recovered, scratch, key, values[i], slot);
    }
  }

  async #replay(arena: number, pass: Uint32Array): Promise<void> {
    const slots = new Uint32Array(MAX_PAGES).fill(sink);
    for (const [i, page] of pass.entries()) slots[page] = firstSlot + i;
    await this.#eachRows((parts, record) => {
      const here = parts.filter((section) => section.arena === arena);
      const moved = here.map((section) => ({ ...section, arena: 0, positions: move(section, slots) }));
      const rows = decodeRows(record.payload)!;
      if (moved.length > 0) replayRows(this.#recovered, record, { ...rows, parts: moved });
    });
  }

  /** Writes the pages that took something. */
  async #write(number: number, pass: Uint32Array, done: number, total: number): Promise<void> {
    const scratch = this.#arena;
    const tables = new Map(allTables(this.#recovered).map((table) => [table.index, table]));
    for (let from = 0; from < pass.length; from += batchPages) {
      const batch = this.#state.pages.batch();
      const end = Math.min(from + batchPages, pass.length);
      for (let i = from; i < end; i++) {
        if (i % slicePages === 0) await this.#state.pause();
        demandWanted(this.#options.signal, aborted);
        const slot = firstSlot + i;
        if (scratch.pageKind(slot) !== KIND_ROWS || !scratch.pageDirty(slot)) continue;
        const key = { generation: this.#generation, arena: number, page: pass[i] };
        const table = tables.get(scratch.pageTable(slot))!;
        const length = encodePage(scratch, table, key, this.#image, slot);
        batch.put(encodePageKey(key), this.#image.subarray(0, length));
        this.#written.push(key);
        this.#ledger.set(number, pass[i], this.#generation);
        this.#imageBytes[number][pass[i]] = length;
        this.#bytes += length;
      }
      await batch.write();
      this.#options.onProgress?.({ pages: done + end, total, bytes: this.#bytes, phase: "folding" });
    }
  }
}

/** An arena with room for a pass, and what replaying needs to know of the instant. */
function scratchOf({ manifest }: Instant, foldPages: number): Recovered {
  const arenas = new ArenaSet({ limitBytes: (firstSlot + foldPages) * PAGE_BYTES, hugePages: "off" });
  arenas.add();
  return beginRecovered(arenas, manifest);
}

function aligned(positions: Uint8Array): Uint32Array {
  return new Uint32Array(positions.slice().buffer);
}

/** Positions with their pages' numbers exchanged for those of slots. */
function move({ positions }: Section, slots: Uint32Array): Uint8Array {
  const moved = aligned(positions);
  for (let i = 0; i < moved.length; i++) moved[i] = (slots[moved[i] >>> 14] << 14) | (moved[i] & 0x3fff);
  return new Uint8Array(moved.buffer);
}
