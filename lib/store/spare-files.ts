import { EmbershardError } from "../base/errors.js";
import type { Files, OpenFile } from "./files.js";

const spareName = /^spare-\d+$/;
/** More are not kept. */
const mostSpares = 64;

/**
 * Files of log segments that no recovery needs any more, kept to be written over: that spares the system finding blocks
 * and memory for them anew, which costs several times the writing. What they hold never verifies: a record's checksum
 * is seeded by its segment's nonce.
 */
export class SpareFiles {
  readonly #files: Files;
  #names: string[];
  #next = 0;
  /** Whether a file's new name may not be durable yet: until it is, the file must not be written over. */
  #renamed = true;

  private constructor(files: Files, names: string[]) {
    this.#files = files;
    this.#names = names;
    for (const name of names) this.#next = Math.max(this.#next, Number(name.slice(6)) + 1);
  }

  /** Finds the spares that an earlier life has left. */
  static async find(files: Files): Promise<SpareFiles> {
    return new SpareFiles(
      files,
      (await files.list()).filter((name) => spareName.test(name)),
    );
  }

  /** Makes a file a spare, or removes it when there are enough. Errors: `IO`. */
  async keep(name: string): Promise<void> {
    if (this.#names.length >= mostSpares) return this.#files.remove(name);
    const spare = `spare-${this.#next++}`;
    this.#renamed = true;
    await this.#files.rename(name, spare);
    this.#names.push(spare);
  }

  /** Removes all spares: the disk may be full. Returns whether that went well. */
  async clear(): Promise<boolean> {
    while (this.#names.length > 0) {
      try {
        await this.#files.remove(this.#names[0]);
      } catch (error) {
        if (error instanceof EmbershardError && error.code === "IO") return false;
        throw error;
      }
      this.#names.shift();
    }
    return true;
  }

  /**
   * Makes a file that begins with `header`, durably, from a spare if there is one: then it is `longer` than that. It
   * gets its name only when the header is durable in it. Errors: `IO`.
   */
  async create(name: string, header: Uint8Array): Promise<{ file: OpenFile; longer: boolean }> {
    if (this.#renamed && this.#names.length > 0) {
      await this.#files.syncDirectory();
      this.#renamed = false;
    }
    const spare = this.#names.pop();
    const file = spare ? await this.#files.open(spare, "write") : await this.#files.open(name, "create");
    try {
      await file.write(header, 0);
      await file.datasync();
      if (spare) await this.#files.rename(spare, name);
      await this.#files.syncDirectory();
      return { file, longer: spare !== undefined };
    } catch (error) {
      await file.close();
      throw error;
    }
  }
}
