// Recovery: manifest, pages, log, then the index from the keys in the rows. Whatever does not add up is reported.
import { EmbershardError } from "../base/errors.js";
import { KIND_ROWS } from "../kernel/layout.js";
import type { LogReading } from "../store/log-reader.js";
import type { LogRecord } from "../store/segment-scan.js";
import type { PageStore } from "../store/page-store.js";
import type { Arena } from "../table/arena.js";
import { ArenaTable } from "../table/arena-table.js";
import { parseDefinition } from "../table/table-definition.js";
import type { ArenaSet } from "./arena-set.js";
import { beginHandOver, type HandOverNote } from "./hand-over.js";
import { decodeManifest, type Manifest, manifestKey } from "./manifest.js";
import { decodePageHeader, decodePageKey, loadPage, type PageKey, pageKeys } from "./page-image.js";
import { PageLedger } from "./page-ledger.js";
import { type RetiredTable, retireTable } from "./shard-state.js";
import { decodeJson, decodeRows, RECORD, type RowsRecord, SECTION, type Section } from "./records.js";

/** What recovery has found, to go on with. */
export interface Recovered {
  readonly arenas: ArenaSet;
  readonly tables: Map<string, ArenaTable>;
  readonly manifest: Manifest | undefined;
  readonly ledger: PageLedger;
  readonly garbage: PageKey[];
  mark: Uint8Array | undefined;
  nextTable: number;
  /** Tables dropped in the log: their pages are not used again before the next checkpoint. */
  readonly retired: RetiredTable[];
  /** Descriptors given to tables so far, dropped ones included. */
  usedIndexes: number;
  records: number;
}

/** The manifest, or undefined in a store that never had a checkpoint. @throws CORRUPT, NEWER_FORMAT, IO */
export async function readManifest(pages: PageStore): Promise<Manifest | undefined> {
  const value = await pages.get(manifestKey);
  return value && decodeManifest(value);
}

/**
 * Brings pages into the arenas. Each value must be the page that its key says, and every page of the manifest must be
 * there.
 *
 * @throws CORRUPT naming the page.
 */
export async function loadPages(arenas: ArenaSet, pages: PageStore, manifest: Manifest | undefined): Promise<Recovered> {
  const recovered: Recovered = {
    arenas,
    tables: new Map(),
    manifest,
    ledger: new PageLedger(manifest?.pages),
    garbage: [],
    mark: manifest?.mark === undefined ? undefined : new Uint8Array(Buffer.from(manifest.mark, "base64")),
    nextTable: manifest?.nextTable ?? 1,
    retired: [],
    usedIndexes: 0,
    records: 0,
  };
  for (let i = 0; i < Math.max(1, manifest?.pages.length ?? 1); i++) arenas.add();
  if (manifest?.arenaOf) arenas.arenaOf.set(Buffer.from(manifest.arenaOf, "base64"));
  for (const definition of manifest?.tables ?? []) addTable(recovered, definition);
  // The index over the rows takes an eighth more where rows are small, less elsewhere.
  manifest?.pages.forEach(({ length }, number) => arenas.all[number].expectPages(Math.ceil(1.125 * length)));
  let loaded = 0;
  for await (const entries of pages.entries(pageKeys)) {
    for (const { key, value } of entries) loaded += takePage(recovered, key, value);
  }
  const expected = recovered.ledger.count();
  if (loaded !== expected) throw new EmbershardError("CORRUPT", `${expected - loaded} of ${expected} pages of checkpoint ${manifest?.generation} are missing: ${missing(recovered)}`);
  if (manifest?.handOver) beginHandOver(arenas, manifest.handOver);
  return recovered;
}

function addTable(recovered: Recovered, json: unknown): void {
  const definition = parseDefinition(json);
  const known = recovered.tables.get(definition.name);
  if (known && known.definition.number === definition.number) {
    known.definition = definition;
    return;
  }
  const table = new ArenaTable(recovered.usedIndexes++, definition);
  recovered.tables.set(definition.name, table);
  recovered.nextTable = Math.max(recovered.nextTable, definition.number + 1);
  for (const arena of recovered.arenas.all) table.describe(arena);
}

/** Returns 1 when the value is a current page, 0 when nothing refers to it. */
function takePage(recovered: Recovered, keyBytes: Uint8Array, value: Uint8Array): number {
  const key = decodePageKey(keyBytes);
  if (!key) throw new EmbershardError("CORRUPT", `the page store has a key of ${keyBytes.length} bytes that is none of ours`);
  if (recovered.ledger.get(key.arena, key.page) !== key.generation) {
    recovered.garbage.push(key);
    return 0;
  }
  const where = `page ${key.page} of arena ${key.arena}, generation ${key.generation}`;
  const header = decodePageHeader(value);
  if (!header || header.arena !== key.arena || header.page !== key.page || header.generation !== key.generation) {
    throw new EmbershardError("CORRUPT", `${where} does not hold that page`);
  }
  const table = tableOf(recovered, header.table);
  if (!table || table.recordBytes !== header.recordBytes || header.places > table.rowsPerPage) {
    throw new EmbershardError("CORRUPT", `${where} is of table number ${header.table}, which does not exist like that`);
  }
  const arena = recovered.arenas.all[key.arena];
  if (!arena.kernel.claimPage(key.page, KIND_ROWS, table.index)) {
    throw outOfRoom(where);
  }
  arena.refresh();
  if (!loadPage(arena, header, value)) throw new EmbershardError("CORRUPT", `${where} does not match its checksum`);
  return 1;
}

function tableOf(recovered: Recovered, number: number): ArenaTable | undefined {
  for (const table of recovered.tables.values()) if (table.definition.number === number) return table;
  return undefined;
}

function missing(recovered: Recovered): string {
  const gone = [...recovered.ledger.entries()].filter(({ arena, page }) => recovered.arenas.all[arena].pageKind(page) !== KIND_ROWS);
  const named = gone.slice(0, 4).map(({ arena, page }) => `page ${page} of arena ${arena}`);
  return named.join(", ") + (gone.length > named.length ? ", ..." : "");
}

/** Applies the log. @throws CORRUPT naming file, offset and LSN. */
export async function replayLog(recovered: Recovered, reading: LogReading, pause: () => Promise<void>): Promise<void> {
  for await (const batch of reading.batches()) {
    for (const record of batch) replay(recovered, record);
    recovered.records += batch.length;
    await pause();
  }
}

function replay(recovered: Recovered, record: LogRecord): void {
  const { type, payload } = record;
  // Until its instant the manifest knows best what tables there are: one made in that time may be gone, its name another's.
  const known = record.lsn <= (recovered.manifest?.lsn ?? 0);
  switch (type) {
    case RECORD.rows: {
      const rows = decodeRows(payload);
      if (!rows) throw corrupt(record, "its lengths do not add up");
      return replayRows(recovered, record, rows);
    }
    case RECORD.define:
      if (known) return;
      return addTable(recovered, decodeJson(payload));
    case RECORD.drop:
      if (known) return;
      return dropTable(recovered, record.lsn, decodeJson(payload) as { number: number });
    case RECORD.handOver: {
      const note = decodeJson(payload) as HandOverNote;
      while (recovered.arenas.all.length <= note.to) {
        const arena = recovered.arenas.add();
        for (const table of recovered.tables.values()) table.describe(arena);
      }
      beginHandOver(recovered.arenas, note);
      return;
    }
    case RECORD.checkpoint:
      return;
    default:
      throw new EmbershardError("NEWER_FORMAT", `${where(record)} has type ${type}, which this version does not know: upgrade Embershard`);
  }
}

function dropTable(recovered: Recovered, lsn: number, { number }: { number: number }): void {
  const table = tableOf(recovered, number);
  if (!table) return;
  recovered.tables.delete(table.definition.name);
  recovered.retired.push(retireTable(recovered.arenas, table, lsn));
}

function replayRows(recovered: Recovered, record: LogRecord, rows: RowsRecord): void {
  const replayed: Section[] = [];
  let beyond = 0;
  for (const section of rows.parts) {
    const table = tableOf(recovered, section.table);
    // A table that is dropped later in the log, and that the checkpoint has forgotten.
    if (!table) continue;
    // An unlogged table is that of the checkpoint: what a later one had begun to log does not follow on it.
    if (!table.definition.logged && record.lsn > (recovered.manifest?.lsn ?? 0)) {
      beyond++;
      continue;
    }
    const arena = recovered.arenas.all[section.arena];
    if (!arena) throw corrupt(record, `it names arena ${section.arena}, which does not exist`);
    replaySection(recovered, record, section, table, rows.step);
    replayed.push(section);
  }
  // Only now: sections of one record meet in one page while rows are handed over, and a stamped page takes no more of it.
  for (const section of replayed) stampAll(recovered, record, section);
  // The mark is that of what was recovered: not of a push of which nothing was.
  if (rows.mark && (beyond === 0 || beyond < rows.parts.length)) recovered.mark = rows.mark;
}

/** Replays a section in pieces that fit the arena's scratch. Its pages are marked when all sections are. */
function replaySection(recovered: Recovered, record: LogRecord, section: Section, table: ArenaTable, step: number): void {
  const arena = recovered.arenas.all[section.arena];
  const { n, values, valueBytes } = section;
  const widths = columnWidths(section, table);
  if (widths.reduce((sum, width) => sum + width * n, 0) !== valueBytes) throw corrupt(record, "its columns do not have the table's width");
  const rowBytes = 16 + widths.reduce((sum, width) => sum + width, 0);
  const piece = Math.max(1, Math.floor((8 << 20) / rowBytes));
  for (let from = 0; from < n; from += piece) {
    const count = Math.min(piece, n - from);
    arena.beginScratch(count * rowBytes + 6 * 64);
    const put = (bytes: Uint8Array, offset: number, length: number) => {
      const at = arena.takeScratch(length);
      arena.bytes.set(bytes.subarray(offset, offset + length), at);
      return at;
    };
    const keys = put(section.keys, 8 * from, 8 * count);
    const positions = put(section.positions, 4 * from, 4 * count);
    const counts = put(section.counts, 4 * from, 4 * count);
    let column = 0;
    const columns = widths.map((width) => {
      const at = put(values, column + width * from, width * count);
      column += width * n;
      return at;
    });
    const { kernel } = arena;
    const lsn = BigInt(record.lsn);
    const applied = (() => {
      switch (section.kind) {
        case SECTION.push:
          return kernel.replayPush(table.index, positions, keys, counts, columns[0], count, section.learningRate, step, lsn);
        case SECTION.create:
          return kernel.replayAssign(table.index, positions, keys, counts, 0, 0, count, lsn);
        case SECTION.assign:
          return kernel.replayAssign(table.index, positions, keys, counts, columns[0], 0, count, lsn);
        case SECTION.assignState:
          return kernel.replayAssign(table.index, positions, keys, counts, columns[0], columns[1], count, lsn);
        case SECTION.delete:
          return kernel.replayDelete(table.index, positions, keys, count, lsn);
        default:
          return kernel.replayAdopt(table.index, positions, columns[0], count, lsn);
      }
    })();
    arena.refresh();
    if (applied < 0) {
      demandRoom(recovered, record, section);
      throw corrupt(record, `it does not fit the pages of table "${table.definition.name}"`);
    }
  }
}

/** @throws OUT_OF_MEMORY when a position lies beyond what arenas may hold. */
function demandRoom({ arenas }: Recovered, record: LogRecord, { positions, n }: Section): void {
  const view = new DataView(positions.buffer, positions.byteOffset, 4 * n);
  const end = arenas.limitBytes / 8;
  for (let i = 0; i < n; i++) {
    if (view.getUint32(4 * i, true) < end) continue;
    throw outOfRoom(where(record));
  }
}

function outOfRoom(what: string, cause?: unknown): EmbershardError {
  return new EmbershardError("OUT_OF_MEMORY", `${what} does not fit the arena: open the store with the arenaBytes it was made with, or more`, { cause });
}

function columnWidths(section: Section, table: ArenaTable): number[] {
  switch (section.kind) {
    case SECTION.push:
    case SECTION.assign:
      return [4 * table.dim];
    case SECTION.assignState:
      return [4 * table.dim, 4 * table.stateFloats];
    case SECTION.adopt:
      return [table.recordBytes];
    default:
      return [];
  }
}

function stampAll(recovered: Recovered, record: LogRecord, { arena: number, positions, n }: Section): void {
  const arena = recovered.arenas.all[number];
  // By the piece: scratch beyond the usual would take pages that records to come name as theirs.
  const piece = 1 << 20;
  for (let from = 0; from < n; from += piece) {
    const count = Math.min(piece, n - from);
    arena.beginScratch(4 * count);
    const at = arena.takeScratch(4 * count);
    arena.bytes.set(positions.subarray(4 * from, 4 * (from + count)), at);
    arena.kernel.stampRows(at, count, BigInt(record.lsn));
  }
}

/** Gives arenas their free pages and tables their index. @throws CORRUPT when a key stands twice, OUT_OF_MEMORY */
export async function buildIndexes(recovered: Recovered, pause: () => Promise<void>): Promise<void> {
  try {
    await indexTables(recovered, pause);
  } catch (cause) {
    // The kernel traps where the arena has no page left for the index.
    if (cause instanceof WebAssembly.RuntimeError) throw outOfRoom("the index of the rows", cause);
    throw cause;
  }
}

async function indexTables({ arenas, tables }: Recovered, pause: () => Promise<void>): Promise<void> {
  for (const table of tables.values()) arenas.tables.add(table);
  for (const arena of arenas.all) {
    const end = arena.pagesEnd;
    arena.kernel.sweepPages();
    const places = placesOf(arena);
    // An index made for its rows may be twice as large as one that grew: where that may not fit, it grows again.
    const most = [...tables.values()].reduce((sum, { index }) => sum + 4 + (places.get(index) ?? 0) / 5000, 0);
    const roomy = most < arena.kernel.pagesLeft();
    for (const table of tables.values()) {
      arena.kernel.openTable(table.index, roomy ? (places.get(table.index) ?? 0) : 0);
      arena.refresh();
      await indexTable(arena, table, end, pause);
    }
  }
}

/** Rows that are put into the index at once. */
const indexRows = 1 << 19;

async function indexTable(arena: Arena, table: ArenaTable, end: number, pause: () => Promise<void>): Promise<void> {
  const { kernel } = arena;
  arena.beginScratch(16 * indexRows + 2 * 64);
  const words = arena.takeScratch(8 * indexRows);
  const sorted = arena.takeScratch(8 * indexRows);
  let n = 0;
  let page = kernel.nextPageOf(table.index, arena.firstPage, end);
  while (page !== 0 || n > 0) {
    if (page !== 0 && n + table.rowsPerPage <= indexRows) {
      n += kernel.collectPage(page, words + 8 * n);
      page = kernel.nextPageOf(table.index, page + 1, end);
      continue;
    }
    const twice = kernel.indexWords(table.index, words, n, sorted);
    arena.refresh();
    if (twice >= 0) throw new EmbershardError("CORRUPT", `a key stands twice in table "${table.definition.name}", arena ${arena.number}`);
    n = 0;
    await pause();
  }
}

/** Places ever used by each table, by the number of its descriptor. */
function placesOf(arena: Arena): Map<number, number> {
  const places = new Map<number, number>();
  for (let page = arena.firstPage; page < arena.pagesEnd; page++) {
    if (arena.pageKind(page) !== KIND_ROWS) continue;
    const index = arena.pageTable(page);
    places.set(index, (places.get(index) ?? 0) + arena.pagePlaces(page));
  }
  return places;
}

function where({ file, offset, lsn }: LogRecord): string {
  return `log segment ${file}, offset ${offset}, LSN ${lsn}`;
}

function corrupt(record: LogRecord, why: string): EmbershardError {
  return new EmbershardError("CORRUPT", `${where(record)}: ${why}`);
}
