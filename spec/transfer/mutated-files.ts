// Exports whose bytes were changed at random places are imported: each is refused with a code, and then nothing has changed,
// or it is a good file of other rows.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Prng } from "../../lib/base/prng.js";
import { EmbershardError, exportTable, importTable, type Store } from "../../lib/index.js";
import { MemoryDisk } from "../embedded/memory-store.js";
import { mutate } from "../fuzz/mutation.js";
import { scanAll } from "../laws/oracle-of.js";
import { fill, options } from "./fixture.js";

export type FileOutcome = "refused" | "imported";

const codes: readonly string[] = [
  "CORRUPT",
  "UNSUPPORTED",
  "TOO_LARGE",
  "NON_FINITE",
  "TABLE_MISMATCH",
  // A description that still is one, of a table that cannot be.
  "INVALID_OPTIONS",
  "NOT_LOGGED",
  "TABLE_NOT_FOUND",
];

/** Footers and headers are a small part of a file, and most of what can be wrong. */
const structures: Readonly<Record<string, (bytes: Uint8Array) => [number, number]>> = {
  safetensors: (bytes) => [0, Math.min(900, bytes.length)],
  parquet: (bytes) => [Math.floor(bytes.length * 0.6), bytes.length],
  npy: () => [0, 128],
};

export class MutatedFiles {
  readonly #directory = mkdtempSync(join(tmpdir(), "embershard-mutated-"));
  readonly #store: Store;
  #dropped = 0;
  readonly #files: { path: string; target: string; good: Uint8Array }[] = [];

  static async create(): Promise<MutatedFiles> {
    const files = new MutatedFiles(await new MemoryDisk(1).open());
    const table = await files.#store.table("t", options);
    await fill(table, new Prng(1), 30);
    for (const name of ["a.safetensors", "a.parquet", "a"]) {
      const target = join(files.#directory, name);
      await exportTable(files.#store, "t", target, { state: true, sync: false });
      const paths = name === "a" ? readdirSync(target).map((file) => join(target, file)) : [target];
      for (const path of paths) files.#files.push({ path, target, good: new Uint8Array(readFileSync(path)) });
    }
    return files;
  }

  private constructor(store: Store) {
    this.#store = store;
  }

  /** Damages one file, imports it, and mends it again. Throws an error that says what is wrong. */
  async one(random: Prng): Promise<FileOutcome> {
    const { path, target, good } = this.#files[random.below(this.#files.length)];
    let bytes: Uint8Array = mutate(good, random);
    const kind = path.split(".").at(-1)!;
    if (Object.hasOwn(structures, kind) && random.below(2) === 0) {
      const [from, to] = structures[kind](good);
      bytes = Buffer.concat([
        good.subarray(0, from),
        mutate(good.subarray(from, to), random),
        good.subarray(to),
      ]);
    }
    writeFileSync(path, bytes);
    try {
      return await this.#judge(path, target);
    } finally {
      writeFileSync(path, good);
    }
  }

  async #judge(path: string, target: string): Promise<FileOutcome> {
    const { lsn } = (await this.#store.stats()).log;
    try {
      const { rows } = await importTable(this.#store, "u", target);
      const found = (await scanAll(await this.#store.table("u"))).size;
      await this.#store.dropTable("u");
      await this.#tidy();
      if (found !== rows) throw new Error(`${path}: ${rows} rows were imported, and ${found} are there`);
      return "imported";
    } catch (error) {
      if (!(error instanceof EmbershardError) || !codes.includes(error.code))
        throw new Error(`${path}: ${(error as Error).stack}`);
      const { log, tables } = await this.#store.stats();
      // A table that was made before it was refused is dropped again: two records, and one between where rows had been taken.
      const records = log.lsn - lsn;
      if (tables.length !== 1 || records > 3 || (records === 3) !== /came before/.test(error.message))
        throw new Error(`${path}: ${error.message}, and the store has changed from LSN ${lsn} to ${log.lsn}`);
      if (records > 0) await this.#tidy();
      return "refused";
    }
  }

  /** Pages of dropped tables are not used again before: the arena would be full one day, and be handed over. */
  async #tidy(): Promise<void> {
    if (++this.#dropped % 20 === 0) await this.#store.checkpoint();
  }

  async end(): Promise<void> {
    await this.#store.close();
    rmSync(this.#directory, { recursive: true });
  }
}
