// The records of a salvage: those that the store needs, without what cannot be applied to pages that are gone.

import { parseDefinition } from "../api/table-definition.js";
import { decodeJson, decodeRows, encodeJson, RECORD } from "../shard/records.js";
import type { LogRecord } from "../store/segment-scan.js";
import { makeTable, parts } from "../table/candidates.js";
import type { LogChain } from "./log-chain.js";
import type { PageHint } from "./page-hints.js";
import type { Loss } from "./report.js";
import { filterRows, type RowPlace, removingKinds } from "./row-filter.js";
import type { MendedPage, SalvagePlan } from "./salvage-plan.js";
import { tablesOf } from "./verification.js";

export interface SalvagedRecord {
  readonly lsn: number;
  readonly type: number;
  readonly flags: number;
  readonly payload: Uint8Array;
}

/** Bits of an address that lie within a page: an address is a byte's number / 8. */
const pageShift = 14;
/** Keys of a lost page that a report names: all that it can have. */
const mostKeys = 10_000;

interface LostPage {
  readonly page: MendedPage;
  /** Addresses of rows that the log made there. */
  readonly live: Set<number>;
  /** Rows that were written to later and cannot be had. */
  readonly keys: Set<bigint>;
  /** Rows that an image tells of, but for those that the log makes or takes away. */
  readonly told: Set<bigint>;
  readonly hint: PageHint | undefined;
  tables: Set<string>;
}

/** What is told of a lost page by what nothing proves. */
export interface ToldPage {
  readonly hint: PageHint;
  readonly keys: readonly bigint[];
}

/** One pass over the records of a plan. */
export class RecordSalvage {
  readonly #plan: SalvagePlan;
  readonly #lost = new Map<string, LostPage>();
  readonly #mended = new Map<string, MendedPage>();
  readonly #tables: ReturnType<typeof tablesOf>;

  /** `told` of lost pages, in their order, is for `losses`. */
  constructor(plan: SalvagePlan, told: readonly (ToldPage | undefined)[] = []) {
    this.#plan = plan;
    this.#tables = tablesOf(plan.manifest);
    for (const [i, page] of plan.lost.entries()) {
      const name = told[i]?.hint.table.definition.name;
      this.#lost.set(placeOf(page), {
        page,
        live: new Set(),
        keys: new Set(),
        told: new Set(told[i]?.keys),
        hint: told[i]?.hint,
        tables: new Set(name === undefined ? [] : [name]),
      });
    }
    for (const page of plan.mended) this.#mended.set(placeOf(page), page);
  }

  /** The records from the plan's first on, without a gap. */
  async *records(chain: LogChain): AsyncGenerator<SalvagedRecord> {
    const { manifest, from, goodLsn } = this.#plan;
    for await (const record of chain.records(from, goodLsn)) {
      const { lsn, type, flags } = record;
      // The manifest has it, but for rows of mended pages.
      const before = lsn <= (manifest?.replayLsn ?? 0);
      const payload = this.#salvage(record, before);
      yield payload ? { lsn, type, flags, payload } : filler(lsn);
    }
  }

  #salvage(record: LogRecord, before: boolean): Uint8Array | undefined {
    const { type, payload, lsn } = record;
    if (type === RECORD.define) this.#define(decodeJson(payload));
    if (type !== RECORD.rows) return before ? undefined : payload;
    if (!before && this.#lost.size === 0) return payload;
    const keeps = before
      ? (place: RowPlace) => this.#mends(place, lsn)
      : (place: RowPlace) => this.#keeps(place);
    if (this.#lost.size > 0) this.#noteTables(payload);
    return filterRows(payload, (number) => this.#tables.get(number), { keeps, pagesOnly: before });
  }

  #define(json: unknown): void {
    for (const table of parts(makeTable([0, 1], parseDefinition(json))))
      if (!this.#tables.has(table.definition.number)) this.#tables.set(table.definition.number, table);
  }

  #mends({ arena, address }: RowPlace, lsn: number): boolean {
    const page = this.#mended.get(`${arena}/${address >>> pageShift}`);
    return page !== undefined && lsn >= page.from;
  }

  /** A row of a lost page can be had again once the log makes it. */
  #keeps({ arena, address, key, kind, creates }: RowPlace): boolean {
    const lost = this.#lost.get(`${arena}/${address >>> pageShift}`);
    if (!lost) return true;
    if (creates) {
      lost.live.add(address);
      lost.keys.delete(key);
      lost.told.delete(key);
      return true;
    }
    const live = lost.live.has(address);
    if (removingKinds.has(kind)) {
      lost.live.delete(address);
      lost.keys.delete(key);
      lost.told.delete(key);
    } else if (!live) lost.keys.add(key);
    return live;
  }

  #noteTables(payload: Uint8Array): void {
    for (const { table, arena, positions, n } of decodeRows(payload)?.parts ?? []) {
      const name = this.#tables.get(table)?.definition.name;
      if (name === undefined) continue;
      const view = new DataView(positions.buffer, positions.byteOffset, positions.length);
      for (let i = 0; i < n; i++)
        this.#lost.get(`${arena}/${view.getUint32(4 * i, true) >>> pageShift}`)?.tables.add(name);
    }
  }

  /** Keys of rows that are gone with lost pages, as far as records name them. Demands that `records` was read to its end. */
  lostKeys(): Set<bigint> {
    return new Set([...this.#lost.values()].flatMap(({ keys }) => [...keys]));
  }

  /** The lost pages, with the keys of their rows as far as records and images name them. Demands that `records` was read to its end. */
  losses(): Loss[] {
    return [...this.#lost.values()].map(({ page, keys, told, hint, tables }): Loss => {
      const names = page.table ? [page.table.definition.name] : [...tables];
      const of = names.length > 0 ? ` of table ${names.map((name) => `"${name}"`).join(", ")}` : "";
      const rows = hint?.table.candidates === undefined && hint?.table.dim === 0 ? "candidates" : "rows";
      return {
        kind: "page",
        page: page.page,
        arena: page.arena,
        tables: names,
        ...(hint && { rows: Math.max(hint.rows, keys.size) }),
        keys: [...new Set([...told, ...keys])].slice(0, mostKeys).map(String),
        message: `the ${rows} of page ${page.page} of arena ${page.arena}${of} are gone, but for those that were made after checkpoint ${this.#plan.manifest?.generation} began`,
      };
    });
  }
}

function placeOf({ arena, page }: { arena: number; page: number }): string {
  return `${arena}/${page}`;
}

/** A record that readers skip, so that numbers go on. */
function filler(lsn: number): SalvagedRecord {
  return {
    lsn,
    type: RECORD.checkpoint,
    flags: 0,
    payload: encodeJson({ generation: 0, replayLsn: 0, lsn: 0 }),
  };
}
