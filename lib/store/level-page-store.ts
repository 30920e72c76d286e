import { access } from "node:fs/promises";
import { join } from "node:path";
import { Level } from "level";
import { EmbershardError } from "../base/errors.js";
import { openLevelFiles } from "./level-files.js";
import { findLevelPlaces, readPlace } from "./level-places.js";
import type {
  FoundValues,
  KeyRange,
  PageBatch,
  PageEntry,
  PageStore,
  PlacedValues,
  ValuePlace,
} from "./page-store.js";

// In Node, `level` is ClassicLevel; its types keep to what browsers have too.
type Database = Level<Uint8Array, Uint8Array> & {
  compactRange(start: Uint8Array, end: Uint8Array): Promise<void>;
};

type Operation = { type: "put"; key: Uint8Array; value: Uint8Array } | { type: "del"; key: Uint8Array };

/** Threads that read many values at once, and values that each gets at least. */
const readParts = 4;
const leastPart = 128;
const batchBytes = 4 * 2 ** 20;
const batchEntries = 4096;
// What a batch copies beyond this has memory of its own.
const stagingBytes = 4 * 2 ** 20 + 2 ** 16;

export interface PageStoreOptions {
  /** Make it where there is none; else that is `CORRUPT`. Default true. LevelDB would make one over what is left of one. */
  readonly create?: boolean;
}

/**
 * Opens the page store in `directory`, or makes it. One process at a time has it.
 * Errors: `LOCKED` when another process or store has it open, `CORRUPT`, `IO`.
 */
export async function openLevelPageStore(
  directory: string,
  options: PageStoreOptions = {},
): Promise<PageStore> {
  const store = new LevelPageStore(directory, options);
  await store.reopen();
  return store;
}

/** The engine itself. Made closed: `reopen` opens it. */
export class LevelPageStore implements PageStore {
  readonly #directory: string;
  #create: boolean;
  #database: Database | undefined;
  #failure: EmbershardError | undefined;
  // Memory for the next batch: new memory for each would cost more in page faults than the copy.
  #spareStaging: Uint8Array | undefined;
  #writing: Promise<void> | undefined;
  // Whether all there is lies in table files: LevelDB brings it there as it opens.
  #settled = false;

  constructor(directory: string, { create = true }: PageStoreOptions = {}) {
    this.#directory = directory;
    this.#create = create;
  }

  async *entries({ gte, lt }: KeyRange): AsyncGenerator<readonly PageEntry[]> {
    const iterator = this.#usable().iterator({ gte, lt, fillCache: false, highWaterMarkBytes: batchBytes });
    try {
      for (;;) {
        const entries = await this.#guard("read", iterator.nextv(batchEntries));
        if (entries.length === 0) return;
        yield entries.map(([key, value]) => ({ key, value }));
      }
    } finally {
      await iterator.close();
    }
  }

  async place(ranges: readonly KeyRange[]): Promise<PlacedValues | undefined> {
    this.#usable();
    if (!this.#settled) return undefined;
    const files = await openLevelFiles(this.#directory);
    let places: readonly ValuePlace[] | undefined;
    try {
      places = await this.#guard("read", findLevelPlaces(files, ranges));
    } finally {
      if (!places) await files.close();
    }
    return places && { places, read: readPlace, close: files.close };
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#guard("read", this.#usable().get(key, { fillCache: false }));
  }

  async getMany(keys: Uint8Array, keyBytes: number): Promise<FoundValues> {
    const database = this.#usable();
    // Not slice(): that of a Buffer shares its memory.
    const own = new Uint8Array(keys);
    const all: Uint8Array[] = [];
    for (let at = 0; at < own.length; at += keyBytes) all.push(own.subarray(at, at + keyBytes));
    // Each part is read by a thread of its own.
    const part = Math.max(leastPart, Math.ceil(all.length / readParts));
    const reads: Promise<(Uint8Array | undefined)[]>[] = [];
    for (let from = 0; from < all.length; from += part)
      reads.push(database.getMany(all.slice(from, from + part), { fillCache: false }));
    return joinValues((await this.#guard("read", Promise.all(reads))).flat());
  }

  batch(): PageBatch {
    this.#usable();
    const staging = this.#spareStaging ?? new Uint8Array(stagingBytes);
    this.#spareStaging = undefined;
    return new LevelBatch(staging, async (changes) => {
      await this.write(changes);
      this.#spareStaging = staging;
    });
  }

  /** Writes a batch without copying it first: keys and values are borrowed until it resolves. */
  async write(changes: readonly PageChange[]): Promise<void> {
    const before = this.#writing;
    const mine = (async () => {
      await before?.catch(() => {});
      // What the engine takes after a write that failed it may lose: none begins before the one ahead has succeeded.
      const database = this.#usable();
      this.#settled = false;
      const operations = changes.map(
        ({ key, value }): Operation => (value ? { type: "put", key, value } : { type: "del", key }),
      );
      await this.#guard("write", database.batch(operations, { sync: true }));
    })();
    this.#writing = mine;
    try {
      await mine;
    } finally {
      if (this.#writing === mine) this.#writing = undefined;
    }
  }

  async compact({ gte, lt }: KeyRange): Promise<void> {
    await this.#guard("compact", this.#usable().compactRange(gte, lt));
  }

  async reopen(): Promise<void> {
    await this.#database?.close();
    this.#failure = undefined;
    if (!this.#create) await this.#demandThere();
    const settings = { ...options, createIfMissing: this.#create };
    this.#database = new Level<Uint8Array, Uint8Array>(this.#directory, settings) as Database;
    await this.#guard("open", this.#database.open());
    this.#settled = true;
    this.#create = false;
  }

  async close(): Promise<void> {
    await this.#database?.close();
    this.#database = undefined;
    this.#failure = undefined;
  }

  /** @throws CORRUPT where there is no database, or what is left of one without the file that it begins with */
  async #demandThere(): Promise<void> {
    try {
      await access(join(this.#directory, "CURRENT"));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "ENOENT")
        throw new EmbershardError("IO", `could not read ${this.#directory}: ${(cause as Error).message}`, {
          cause,
        });
      throw new EmbershardError(
        "CORRUPT",
        `the page store ${this.#directory} has lost its file CURRENT: \`embershard repair\` finds what is left of it`,
        { cause },
      );
    }
  }

  #usable(): Database {
    if (this.#failure) throw this.#failure;
    if (!this.#database) throw new EmbershardError("CLOSED", `the page store ${this.#directory} is closed`);
    return this.#database;
  }

  async #guard<T>(what: string, operation: Promise<T>): Promise<T> {
    try {
      return await operation;
    } catch (error) {
      this.#failure ??= translate(error, `could not ${what} the page store ${this.#directory}`);
      throw this.#failure;
    }
  }
}

function joinValues(values: readonly (Uint8Array | undefined)[]): FoundValues {
  const ends = new Uint32Array(values.length);
  let length = 0;
  for (const [i, value] of values.entries()) ends[i] = length += value?.length ?? 0;
  const bytes = new Uint8Array(length);
  for (const [i, value] of values.entries()) if (value) bytes.set(value, ends[i] - value.length);
  return { bytes, ends };
}

/** Without a value: a deletion. */
export interface PageChange {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

/** Collects changes. (The engine's own chained batch is freed only with the garbage: hundreds of MiB in a checkpoint.) */
class LevelBatch implements PageBatch {
  readonly #staging: Uint8Array;
  readonly #write: (changes: PageChange[]) => Promise<void>;
  readonly #changes: PageChange[] = [];
  #used = 0;

  constructor(staging: Uint8Array, write: (changes: PageChange[]) => Promise<void>) {
    this.#staging = staging;
    this.#write = write;
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#changes.push({ key: key.slice(), value: this.#keep(value) });
  }

  del(key: Uint8Array): void {
    this.#changes.push({ key: key.slice(), value: undefined });
  }

  write(): Promise<void> {
    return this.#write(this.#changes);
  }

  #keep(value: Uint8Array): Uint8Array {
    const end = this.#used + value.length;
    if (end > this.#staging.length) return value.slice();
    const kept = this.#staging.subarray(this.#used, end);
    kept.set(value);
    this.#used = end;
    return kept;
  }
}

// Measured with batches of 4 MiB of pages: a write buffer of 4 to 8 MiB stalls least (16 and 64 MiB: three times as
// long), since it becomes a table file in one go; pages are longer than a block, so that blocks are sized for cold
// rows; the cache would only hold what is read once.
const options = {
  keyEncoding: "view",
  valueEncoding: "view",
  compression: false,
  writeBufferSize: 8 * 2 ** 20,
  blockSize: 16 * 2 ** 10,
  maxFileSize: 32 * 2 ** 20,
  cacheSize: 2 ** 20,
} as const;

function translate(error: unknown, what: string): EmbershardError {
  const cause = deepest(error);
  const message = `${what}: ${cause instanceof Error ? cause.message : String(cause)}`;
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (code === "LEVEL_DATABASE_NOT_OPEN") return new EmbershardError("CLOSED", message, { cause: error });
  if (code === "LEVEL_LOCKED") return new EmbershardError("LOCKED", message, { cause: error });
  if (code === "LEVEL_CORRUPTION") return new EmbershardError("CORRUPT", message, { cause: error });
  return new EmbershardError("IO", message, { cause: error });
}

// Opening wraps what happened in an error that says only that the database is not open.
function deepest(error: unknown): unknown {
  let current = error;
  while (current instanceof Error && current.cause instanceof Error) current = current.cause;
  return current;
}
