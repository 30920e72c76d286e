// Reads a closed store as docs/formats says, with no code of the store: what it finds is what the documents promise.
// Of the optimizers it knows plain SGD, of the initializers constants: the others have golden traces of their own.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Level } from "level";
import xxhash from "xxhash-wasm";
import { type Admission, blocksOf, FoundSketch, raiseSketch, slotOf } from "./admission-reader.js";
import { ColdReader } from "./cold-reader.js";
import { Extras, type ExtrasDefinition, type FoundExtras } from "./extras-reader.js";
import { demand, type FoundRecord, readLogFiles, viewOf } from "./log-file-reader.js";
import {
  beginRow,
  partsOf,
  type RowDefinition,
  readState,
  readWeights,
  writeState,
  writeWeights,
} from "./row-reader.js";

const { h64Raw } = await xxhash();

const pageBytes = 131_072;

interface Definition extends RowDefinition, ExtrasDefinition {
  readonly name: string;
  readonly number: number;
  readonly logged: boolean;
  readonly admission?: Admission;
  readonly candidates?: number;
  readonly seed: string;
  readonly placement: string;
  /** Of candidates, which the documents describe as a table of dimension 0: blocks of a row of their sketch, if they are one. */
  readonly blocks?: number;
}

interface Page {
  readonly table: number;
  readonly rows: Uint8Array;
  readonly view: DataView;
  lsn: bigint;
}

export interface FoundRow extends FoundExtras {
  readonly weights: Float32Array;
  readonly state: Float32Array;
  readonly frequency: number;
  readonly lastStep: number;
}

export interface FoundWorker {
  readonly number: number;
  readonly session: bigint;
  clock: bigint | undefined;
  /** The sequence of each slot, of those that have had one. */
  readonly slots: Map<number, bigint>;
}

export interface FoundStore {
  /** Rows by the table's name, then by key. */
  readonly tables: Map<string, Map<bigint, FoundRow>>;
  readonly mark: Uint8Array | undefined;
  /** By name. */
  readonly workers: Map<string, FoundWorker>;
  /** Candidates by their table's name, then by key; sketches by their table's name. */
  readonly candidates: Map<string, Map<bigint, { occurrences: number; lastStep: number }>>;
  readonly sketches: Map<string, FoundSketch>;
  /** Records that were applied, and arenas that hold pages. */
  readonly replayed: number;
  readonly arenas: number;
}

/** Reads the store, or one of its versions. */
export async function readStore(directory: string, version?: string): Promise<FoundStore> {
  const identity = JSON.parse(readFileSync(join(directory, "store"), "utf8"));
  demand(identity.format === 1 && identity.slots === 16_384 && identity.shards === 1, "the identity");
  const shard = join(directory, "shards", "0000");
  const reader = new Reader();
  const pages = new Level<Uint8Array, Uint8Array>(join(shard, "pages"), {
    keyEncoding: "view",
    valueEncoding: "view",
  });
  const key = version === undefined ? Uint8Array.of(0) : Buffer.from(`\x02${version}`);
  await reader.readPages(pages, key);
  await pages.close();
  if (version !== undefined) {
    demand(reader.replayLsn === reader.lsn, "nothing in the log belongs to a version");
    demand(reader.versionName === version, "a version says its name");
    return reader.result(0);
  }
  await demandVersions(join(shard, "log", "VERSIONS"), identity.id, join(shard, "pages"));
  const records = readLogFiles(join(shard, "log"), identity.id, BigInt(reader.replayLsn) + 1n);
  for (const record of records) reader.apply(record);
  demand(
    reader.lsn === 0 || BigInt(reader.replayLsn + records.length) >= BigInt(reader.lsn),
    "the log ends within the checkpoint",
  );
  return reader.result(records.length);
}

/** Each version that the file names is there. */
async function demandVersions(file: string, store: string, pagesFolder: string): Promise<void> {
  if (!existsSync(file)) return;
  const bytes = readFileSync(file);
  demand(bytes.readBigUInt64LE(0) === h64Raw(bytes.subarray(8)), "the checksum of VERSIONS");
  const json = JSON.parse(bytes.subarray(8).toString());
  demand(json.store === store && json.shard === 0, "VERSIONS is the store's");
  const pages = new Level<Uint8Array, Uint8Array>(pagesFolder, {
    keyEncoding: "view",
    valueEncoding: "view",
  });
  for (const name of json.names)
    demand((await pages.get(Buffer.from(`\x02${name}`))) !== undefined, `version ${name} is there`);
  await pages.close();
}

class Reader {
  replayLsn = 0;
  lsn = 0;
  versionName: string | undefined;
  readonly #tables = new Map<number, Definition>();
  readonly #pages = new Map<string, Page>();
  /** Decays of tables' counters, by number. */
  readonly #epochs = new Map<number, number>();
  readonly #cold = new ColdReader();
  readonly #workers = new Map<string, FoundWorker>();
  #mark: Uint8Array | undefined;

  async readPages(pages: Level<Uint8Array, Uint8Array>, key: Uint8Array): Promise<void> {
    await this.#cold.read(pages);
    const manifest = await pages.get(key);
    if (manifest === undefined) return;
    const view = viewOf(manifest);
    demand(
      Buffer.from(manifest.subarray(0, 4)).toString() === "EMAN" && view.getUint32(4, true) === 1,
      "the manifest's magic and format",
    );
    demand(view.getBigUint64(8, true) === h64Raw(manifest.subarray(16)), "the manifest's checksum");
    const jsonBytes = view.getUint32(16, true);
    const json = JSON.parse(Buffer.from(manifest.subarray(32, 32 + jsonBytes)).toString());
    this.replayLsn = json.replayLsn;
    this.lsn = json.lsn;
    this.versionName = json.version?.name;
    for (const definition of json.tables) this.#define(definition);
    for (const { number, epoch } of json.progress ?? []) this.#epochs.set(number, epoch);
    this.#cold.begin(json.cold ?? []);
    if (json.mark !== undefined) this.#mark = Buffer.from(json.mark, "base64");
    for (const { number, name, session, clock, slots } of json.workers?.known ?? []) {
      const worker = this.#worker(number, name, session);
      if (clock !== undefined) worker.clock = BigInt(clock);
      for (const [first, last, sequence] of slots)
        for (let slot = first; slot <= last; slot++) worker.slots.set(slot, BigInt(sequence));
    }
    let at = 32 + Math.ceil(jsonBytes / 8) * 8;
    const arenas = view.getUint32(20, true);
    const imageBytes = new Map<string, number>();
    for (let arena = 0; arena < arenas; arena++) {
      const count = view.getUint32(at, true);
      for (let page = 0; page < count; page++) {
        const generation = view.getUint32(at + 8 + 4 * page, true);
        if (generation > 0)
          imageBytes.set(`${arena}/${page}`, await this.#readPage(pages, generation, arena, page));
      }
      at += 8 + Math.ceil((4 * count) / 8) * 8;
    }
    for (let arena = 0; view.getUint32(24, true) === 1 && arena < arenas; arena++) {
      const count = view.getUint32(at, true);
      for (let page = 0; page < count; page++)
        demand(
          view.getUint32(at + 8 + 4 * page, true) === (imageBytes.get(`${arena}/${page}`) ?? 0),
          "the bytes of a version's image",
        );
      at += 8 + Math.ceil((4 * count) / 8) * 8;
    }
    demand(at === manifest.length, "the manifest's length");
  }

  async #readPage(
    pages: Level<Uint8Array, Uint8Array>,
    generation: number,
    arena: number,
    page: number,
  ): Promise<number> {
    const key = new Uint8Array(11);
    const keyView = viewOf(key);
    key[0] = 1;
    keyView.setUint32(1, generation);
    keyView.setUint16(5, arena);
    keyView.setUint32(7, page);
    const image = await pages.get(key);
    demand(image !== undefined, `page ${page} of arena ${arena} is missing`);
    const view = viewOf(image);
    demand(
      Buffer.from(image.subarray(0, 4)).toString() === "EPG1" && view.getUint16(4, true) === 1,
      "a page's magic and version",
    );
    demand(
      view.getUint16(6, true) === arena &&
        view.getUint32(8, true) === page &&
        view.getUint32(12, true) === generation,
      "a page's key",
    );
    const stored = image.subarray(64);
    demand(
      view.getBigUint64(56, true) === h64Raw(stored, h64Raw(image.subarray(0, 56))),
      "a page's checksum",
    );
    const table = view.getUint32(16, true);
    demand(view.getUint32(20, true) === bytesOf(this.#tables.get(table)!), "a page's bytes of a row");
    demand(
      view.getUint32(28, true) === stored.length &&
        view.getUint32(24, true) * view.getUint32(20, true) === stored.length,
      "a page's length",
    );
    this.#page(arena, page, table).rows.set(stored);
    this.#page(arena, page, table).lsn = view.getBigUint64(32, true);
    return image.length;
  }

  #page(arena: number, page: number, table: number): Page {
    const name = `${arena}/${page}`;
    let found = this.#pages.get(name);
    if (found === undefined) {
      const rows = new Uint8Array(pageBytes);
      found = { table, rows, view: viewOf(rows), lsn: 0n };
      this.#pages.set(name, found);
    }
    demand(found.table === table, `page ${name} is of another table`);
    return found;
  }

  apply({ type, lsn, payload }: FoundRecord): void {
    if (type === 1) {
      this.#applyRows(lsn, payload);
      return;
    }
    // Until its instant the manifest knows best what tables there are.
    if ((type === 2 || type === 3 || type === 6 || type === 8) && lsn <= BigInt(this.lsn)) return;
    const json = JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString());
    if (type === 2) this.#define(json);
    else if (type === 3) {
      for (const number of [json.number, this.#tables.get(json.number)?.candidates]) {
        this.#tables.delete(number);
        for (const [name, page] of this.#pages) if (page.table === number) this.#pages.delete(name);
      }
    } else if (type === 6) {
      if (this.#tables.get(json.number)?.logged) this.#epochs.set(json.number, json.epoch);
    } else if (type === 8) {
      if (json.expired === undefined) this.#worker(json.number, json.name, json.session);
      for (const [name, { number }] of this.#workers)
        if (json.expired?.includes(number)) this.#workers.delete(name);
    } else demand(type === 4 || type === 5, `a record of type ${type}`);
  }

  #worker(number: number, name: string, session: string): FoundWorker {
    const worker = { number, session: BigInt(session), clock: undefined, slots: new Map() };
    this.#workers.set(name, worker);
    return worker;
  }

  #applyWorker(payload: DataView): void {
    const number = payload.getUint32(0, true);
    if (number === 0) return;
    const worker = [...this.#workers.values()].find((one) => one.number === number);
    demand(worker?.session === payload.getBigUint64(4, true), "a worker and its session");
    const sequence = payload.getBigUint64(16, true);
    const clock = payload.getBigUint64(24, true);
    if (worker!.clock === undefined || clock > worker!.clock) worker!.clock = clock;
    for (let slot = payload.getUint16(52, true); slot <= payload.getUint16(54, true); slot++)
      if ((worker!.slots.get(slot) ?? 0n) < sequence) worker!.slots.set(slot, sequence);
  }

  #define(definition: Definition): void {
    this.#tables.set(definition.number, definition);
    const { admission, candidates, optimizer, initializer } = definition;
    const { eviction: _eviction, counters: _counters, ...plain } = definition;
    if (admission === undefined) return;
    this.#tables.set(candidates!, {
      ...plain,
      number: candidates!,
      dim: 0,
      optimizer: { ...optimizer, kind: "sgd", momentum: 0 },
      initializer: { ...initializer, kind: "zeros" },
      blocks: blocksOf(admission),
    });
  }

  #applyRows(lsn: bigint, payload: DataView): void {
    const step = payload.getUint32(12, true);
    const markBytes = payload.getUint32(32, true);
    const sections = payload.getUint32(40, true);
    let at = 64 + Math.ceil(markBytes / 8) * 8;
    let skipped = 0;
    const touched = new Set<Page>();
    for (let i = 0; i < sections; i++) {
      const table = this.#tables.get(payload.getUint32(at, true));
      if (table !== undefined && !table.logged && lsn > BigInt(this.lsn)) skipped++;
      else if (table !== undefined) this.#applySection(payload, at, table, lsn, step, touched);
      at += 48 + 16 * payload.getUint32(at + 8, true) + Math.ceil(payload.getUint32(at + 20, true) / 8) * 8;
    }
    demand(at === payload.byteLength, "a record's length");
    for (const page of touched) if (page.lsn < lsn) page.lsn = lsn;
    if (lsn > BigInt(this.lsn) && (skipped === 0 || skipped < sections)) this.#applyWorker(payload);
    if (payload.getUint32(36, true) === 1 && (skipped === 0 || skipped < sections)) {
      this.#mark = new Uint8Array(payload.buffer, payload.byteOffset + 64, markBytes).slice();
    }
  }

  #applySection(
    payload: DataView,
    at: number,
    table: Definition,
    lsn: bigint,
    step: number,
    touched: Set<Page>,
  ): void {
    const arena = payload.getUint16(at + 4, true);
    const kind = payload.getUint16(at + 6, true);
    const n = payload.getUint32(at + 8, true);
    const learningRate = payload.getFloat32(at + 16, true);
    const { stateFloats } = partsOf(table);
    const bytes = bytesOf(table);
    const values = at + 48 + 16 * n;
    const bytesFrom = (first: number, count: number) =>
      new Uint8Array(payload.buffer, payload.byteOffset + first, count);
    this.#cold.apply({
      table: table.number,
      kind,
      keys: Array.from({ length: n }, (_, i) => payload.getBigUint64(at + 48 + 8 * i, true)),
      values: bytesFrom(values, payload.getUint32(at + 20, true)),
    });
    const float = (i: number) => payload.getFloat32(values + 4 * i, true);
    const { dim } = table;
    const floatsFrom = (first: number, count: number) =>
      Float32Array.from({ length: count }, (_, j) => float(first + j));
    const epoch = payload.getUint32(at + 24, true);
    const time = payload.getUint32(44, true) + payload.getUint32(48, true) * 2 ** 32;
    const counters = table.counters?.names.length ?? 0;
    // The floats of a row before its counters, which come where there is more.
    const before = dim + (kind === 4 || kind === 14 ? stateFloats : 0) + (kind === 13 || kind === 14 ? 1 : 0);
    const counted = [1, 3, 4, 13, 14].includes(kind) && payload.getUint32(at + 20, true) > 4 * n * before;
    for (let i = 0; i < n; i++) {
      const key = payload.getBigUint64(at + 48 + 8 * i, true);
      const rowKey = kind === 9 ? slotOf(key, table) : key;
      const address = payload.getUint32(at + 48 + 8 * n + 4 * i, true) * 8;
      const count = payload.getUint32(at + 48 + 12 * n + 4 * i, true);
      const page = this.#page(arena, Math.floor(address / pageBytes), table.number);
      touched.add(page);
      if (page.lsn >= lsn) continue;
      const row = address % pageBytes;
      demand(row % bytes === 0 && row + bytes <= pageBytes, "an address");
      const { view } = page;
      const live = view.getUint32(row + 8, true) >>> 31 === 1;
      if (kind === 6 || kind === 10) {
        demand(!live, "a row arrives where one is");
        page.rows.set(bytesFrom(values + i * bytes, bytes), row);
        continue;
      }
      const extras = new Extras(view, row + partsOf(table).extras, table, epoch);
      if (kind !== 5 && kind !== 7 && kind !== 11 && count >>> 31 === 1) {
        demand(!live, "a row is created where one is");
        beginRow(view, row, table, rowKey);
        extras.begin();
      } else demand(live && view.getBigUint64(row, true) === rowKey, "a row that should be there");
      if (kind !== 5 && kind !== 7 && kind !== 11) extras.touch(time);
      if (kind === 5 || kind === 7 || kind === 11) view.setUint32(row + 8, 0, true);
      else if (kind === 9) raiseSketch(page.rows.subarray(row, row + bytes), key, table, count & 0x7fff_ffff);
      else if (kind === 1 || kind === 8) {
        demand(
          table.optimizer.kind === "sgd" && table.optimizer.momentum === 0 && table.rounding === undefined,
          "this reader knows plain SGD only, and no chance",
        );
        const frequency = (view.getUint32(row + 8, true) & 0x3fff_ffff) + (count & 0x3fff_ffff);
        view.setUint32(row + 8, (0x8000_0000 | Math.min(frequency, 0x3fff_ffff)) >>> 0, true);
        view.setUint32(row + 12, step, true);
        extras.count((c) =>
          counted ? float(n * dim + i * counters + c) : c === 0 ? count & 0x3fff_ffff : 0,
        );
        const change = (weight: number, j: number) => weight - Math.fround(learningRate * float(i * dim + j));
        writeWeights(view, row, table, readWeights(view, row, table).map(change));
      } else if (kind === 3 || kind === 4 || kind === 13 || kind === 14) {
        writeWeights(view, row, table, floatsFrom(i * dim, dim));
        if (kind === 4 || kind === 14)
          writeState(view, row, table, floatsFrom(n * dim + i * stateFloats, stateFloats));
        if (counted) extras.set((c) => float(n * before + i * counters + c));
        if (kind > 4) {
          const floats = kind === 14 ? dim + stateFloats : dim;
          view.setUint32(row + 8, (0x8000_0000 | count) >>> 0, true);
          view.setUint32(row + 12, payload.getUint32(values + 4 * (n * floats + i), true), true);
        }
      } else demand(kind === 2, `a section of kind ${kind}`);
    }
  }

  result(replayed: number): FoundStore {
    const tables = new Map([...this.#tables.values()].map(({ name }) => [name, new Map<bigint, FoundRow>()]));
    const candidates: FoundStore["candidates"] = new Map();
    const sketches: FoundStore["sketches"] = new Map();
    for (const page of this.#pages.values()) {
      const table = this.#tables.get(page.table)!;
      const rows = table.blocks === undefined ? tables.get(table.name)! : new Map<bigint, FoundRow>();
      const bytes = bytesOf(table);
      for (let row = 0; row + bytes <= pageBytes; row += bytes) {
        const frequency = page.view.getUint32(row + 8, true);
        if (frequency >>> 31 === 0) continue;
        const key = page.view.getBigUint64(row, true);
        demand(!rows.has(key), `key ${key} stands twice`);
        rows.set(key, this.#readRow(page.view, row, table));
        if (table.blocks) {
          const sketch = sketches.get(table.name) ?? new FoundSketch(table);
          sketches.set(table.name, sketch);
          sketch.rows.set(key, page.rows.slice(row, row + bytes));
        }
      }
      if (table.blocks === 0) {
        const found = candidates.get(table.name) ?? new Map();
        candidates.set(table.name, found);
        for (const [key, { frequency, lastStep }] of rows) {
          demand(!found.has(key), `candidate ${key} stands twice`);
          found.set(key, { occurrences: frequency, lastStep });
        }
      }
    }
    for (const table of this.#tables.values()) {
      if (table.blocks !== undefined) continue;
      const rows = tables.get(table.name)!;
      for (const [key, record] of this.#cold.rowsOf(table.number, bytesOf(table), (one) => rows.has(one))) {
        rows.set(key, this.#readRow(viewOf(record), 0, table));
      }
    }
    const arenas = new Set([...this.#pages.keys()].map((name) => name.split("/")[0])).size;
    return { tables, candidates, sketches, mark: this.#mark, workers: this.#workers, replayed, arenas };
  }

  #readRow(view: DataView, row: number, table: Definition): FoundRow {
    return {
      weights: readWeights(view, row, table),
      state: readState(view, row, table),
      frequency: view.getUint32(row + 8, true) & 0x3fff_ffff,
      lastStep: view.getUint32(row + 12, true),
      ...new Extras(view, row + partsOf(table).extras, table, this.#epochs.get(table.number) ?? 0).read(),
    };
  }
}

/** Bytes of a row; those of a sketch are a header and blocks. */
function bytesOf(table: Definition): number {
  return table.blocks ? 64 + 64 * table.blocks : partsOf(table).bytes;
}
