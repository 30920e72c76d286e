// Recovery of cold rows: how many there are is known from the manifest and the log; then each is read and checked.
import { EmbershardError } from "../base/errors.js";
import type { PageEntry, PageStore } from "../store/page-store.js";
import type { ArenaTable } from "../table/arena-table.js";
import { type ColdRows, coldRowsOf } from "./cold-rows.js";
import { checkColdValues, coldKeys, damaged, decodeColdKey } from "./cold-values.js";
import { containsRows } from "./reading.js";
import { SECTION, type Section } from "./records.js";
import type { Recovered } from "./recovered.js";
import type { ColdRemains } from "./shard-state.js";

/** Takes from the manifest what cold rows there were where replay begins. */
export function beginColdRows({ cold, tables, manifest }: Recovered): void {
  for (const note of manifest?.cold ?? []) {
    for (const table of tables.values())
      if (table.definition.number === note.table)
        coldRowsOf(cold, table)?.add(note.rows, BigInt(note.digest));
  }
}

/** Notes what a section of a record means for cold rows. */
export function replayCold(recovered: Recovered, section: Section, table: ArenaTable, lsn: number): void {
  const cold = coldRowsOf(recovered.cold, table);
  if (!cold) return;
  const { kind, n, values } = section;
  if (kind === SECTION.promote) cold.take(n, digestOf(recovered, cold, values, n));
  if (kind === SECTION.demote)
    cold.add(n, new DataView(values.buffer, values.byteOffset, 8).getBigUint64(0, true));
  // A row that a hand-over moves leaves one arena and arrives in another in one record.
  if (kind === SECTION.delete || kind === SECTION.evict)
    for (const key of keysOf(section)) cold.noteDeleted(key, lsn);
  if (kind === SECTION.evictCold) {
    const view = new DataView(values.buffer, values.byteOffset, values.length);
    cold.take((values.length - 8) / 8, view.getBigUint64(0, true));
    for (let at = 8; at < values.length; at += 8) cold.noteDeleted(view.getBigUint64(at, true), lsn);
  }
  if (kind === SECTION.demote || kind === SECTION.adopt)
    for (const key of keysOf(section)) cold.deleted.delete(key);
}

function* keysOf({ keys, n }: Section): Generator<bigint> {
  const view = new DataView(keys.buffer, keys.byteOffset, 8 * n);
  for (let i = 0; i < n; i++) yield view.getBigUint64(8 * i, true);
}

const pieceBytes = 4 << 20;

function digestOf({ arenas: { front } }: Recovered, cold: ColdRows, records: Uint8Array, n: number): bigint {
  const { recordBytes } = cold.table;
  const piece = Math.max(1, Math.floor(pieceBytes / recordBytes));
  let digest = 0n;
  for (let from = 0; from < n; from += piece) {
    const count = Math.min(piece, n - from);
    front.beginScratch(count * recordBytes);
    const at = front.takeScratch(count * recordBytes);
    front.bytes.set(records.subarray(from * recordBytes, (from + count) * recordBytes), at);
    digest += front.kernel.digestRecords(at, count, recordBytes, cold.seed);
  }
  return digest;
}

/** How many cold rows of a table there are, and their digest. */
export interface ColdCount {
  rows: number;
  digest: bigint;
}

/**
 * Reads every cold row. Those of keys that are resident, or were deleted, count for nothing; the others must be as many,
 * and the same, as manifest and log say. Returns what is left of dropped tables.
 *
 * @throws CORRUPT naming the table, IO
 */
export async function checkColdRows(
  recovered: Recovered,
  pages: PageStore,
  pause: () => Promise<void>,
): Promise<ColdRemains[]> {
  const { found, remains } = await countColdRows(recovered, pages, pause);
  for (const [number, cold] of recovered.cold) {
    if (!cold.written) cold.deleted.clear();
    const { rows, digest } = found.get(number) ?? { rows: 0, digest: 0n };
    if (rows === cold.rows && digest === cold.digest) continue;
    throw new EmbershardError(
      "CORRUPT",
      `the page store has ${rows} cold rows of table "${cold.table.definition.name}", the log says ${cold.rows}${rows === cold.rows ? " others" : ""}: restore the directory from a backup`,
    );
  }
  return [...remains].map((table) => ({ table, lsn: 0 }));
}

/** Reads every cold row that counts, and says of which tables that do not exist there are some. @throws CORRUPT, IO */
export async function countColdRows(
  recovered: Recovered,
  pages: PageStore,
  pause: () => Promise<void>,
): Promise<{ found: ReadonlyMap<number, ColdCount>; remains: ReadonlySet<number> }> {
  for (const table of recovered.tables.values()) coldRowsOf(recovered.cold, table);
  const found = new Map<number, ColdCount>();
  const remains = new Set<number>();
  for await (const entries of pages.entries(coldKeys)) {
    for (const [number, some] of byTable(entries)) {
      const cold = recovered.cold.get(number);
      if (!cold) {
        remains.add(number);
        continue;
      }
      cold.written = true;
      const sum = found.get(number) ?? { rows: 0, digest: 0n };
      found.set(number, sum);
      countCold(recovered, cold, some, sum);
    }
    await pause();
  }
  for (const sum of found.values()) sum.digest = BigInt.asUintN(64, sum.digest);
  return { found, remains };
}

interface StoredRow {
  readonly key: bigint;
  readonly value: Uint8Array;
}

function byTable(entries: readonly PageEntry[]): Map<number, StoredRow[]> {
  const tables = new Map<number, StoredRow[]>();
  for (const { key, value } of entries) {
    const decoded = decodeColdKey(key);
    if (!decoded)
      throw new EmbershardError(
        "CORRUPT",
        `the page store has a key of ${key.length} bytes among the cold rows that is none of ours`,
      );
    let rows = tables.get(decoded.table);
    if (!rows) {
      rows = [];
      tables.set(decoded.table, rows);
    }
    rows.push({ key: decoded.key, value });
  }
  return tables;
}

function countCold(
  { arenas }: Recovered,
  cold: ColdRows,
  rows: readonly StoredRow[],
  sum: { rows: number; digest: bigint },
): void {
  const keys = BigUint64Array.from(rows, ({ key }) => key);
  const resident = new Uint8Array(keys.length);
  containsRows(arenas, cold.table, keys, resident);
  const counting = rows.filter(({ key }, i) => resident[i] === 0 && !cold.deleted.has(key));
  const values = new Uint8Array(counting.length * cold.valueBytes);
  for (const [i, { key, value }] of counting.entries()) {
    if (value.length !== cold.valueBytes) throw damaged(cold, key);
    values.set(value, i * cold.valueBytes);
    sum.digest += new DataView(value.buffer, value.byteOffset, 16).getBigUint64(8, true);
  }
  checkColdValues(
    arenas.front,
    cold,
    BigUint64Array.from(counting, ({ key }) => key),
    values,
  );
  sum.rows += counting.length;
}
