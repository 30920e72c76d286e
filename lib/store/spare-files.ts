import { EmbershardError } from "../base/errors.js";
import type { Files, OpenFile } from "./files.js";

/** More are not kept. */
const mostSpares = 64;

/** Whether a file of this name is kept to be written over. */
export function isSpare(name: string): boolean {
  return /^spare-\d+$/.test(name);
}

/** A file whose header is durable. */
export interface PreparedFile {
  readonly name: string;
  readonly file: OpenFile;
  /** Whether bytes that mean nothing follow the header. */
  readonly longer: boolean;
}

/**
 * Files of log segments that no recovery needs any more, kept to be written over: that spares the system finding blocks
 * and memory for them anew, which costs several times the writing. What they hold never verifies: a record's checksum
 * is seeded by its segment's nonce.
 */
export class SpareFiles {
  readonly #files: Files;
  #names: string[] = [];
  // Those whose new name may not be durable yet: until it is, they must not be written over.
  #fresh: string[];
  #next = 0;

  private constructor(files: Files, names: string[]) {
    this.#files = files;
    this.#fresh = names;
    for (const name of names) this.#next = Math.max(this.#next, Number(name.slice(6)) + 1);
  }

  /** Finds the spares that an earlier life has left. */
  static async find(files: Files): Promise<SpareFiles> {
    return new SpareFiles(files, (await files.list()).filter(isSpare));
  }

  /** Makes a file a spare, or removes it when there are enough. Errors: `IO`. */
  async keep(name: string): Promise<void> {
    if (this.#names.length + this.#fresh.length >= mostSpares) return this.#files.remove(name);
    const spare = `spare-${this.#next++}`;
    await this.#files.rename(name, spare);
    this.#fresh.push(spare);
  }

  /** Makes the names of those that were kept by now durable, so that no new segment waits for it. Errors: `IO`. */
  async settle(): Promise<void> {
    const kept = this.#fresh.slice();
    if (kept.length === 0) return;
    await this.#files.syncDirectory();
    this.#names.push(...kept.filter((name) => this.#fresh.includes(name)));
    this.#fresh = this.#fresh.filter((name) => !kept.includes(name));
  }

  /** Removes all spares: the disk may be full. Returns whether that went well. */
  async clear(): Promise<boolean> {
    for (;;) {
      const name = this.#names[0] ?? this.#fresh[0];
      if (name === undefined) return true;
      try {
        await this.#files.remove(name);
      } catch (error) {
        if (error instanceof EmbershardError && error.code === "IO") return false;
        throw error;
      }
      this.#names = this.#names.filter((other) => other !== name);
      this.#fresh = this.#fresh.filter((other) => other !== name);
    }
  }

  /**
   * Makes a file that begins with `header`, durably, from a spare if there is one: then it is `longer` than that. It keeps
   * a spare's name until it is published. Errors: `IO`.
   */
  async prepare(header: Uint8Array): Promise<PreparedFile> {
    if (this.#names.length === 0) await this.settle();
    const spare = this.#names.pop();
    const name = spare ?? `spare-${this.#next++}`;
    const file = await this.#files.open(name, spare ? "write" : "create");
    try {
      await file.write(header, 0);
      await file.datasync();
      return { name, file, longer: spare !== undefined };
    } catch (error) {
      await this.giveBack({ name, file });
      throw error;
    }
  }

  /** Makes the names of all files durable. Errors: `IO`. */
  syncNames(): Promise<void> {
    return this.#files.syncDirectory();
  }

  /** Gives a prepared file its name, which `syncNames` makes durable. Errors: `IO` */
  publish({ name }: PreparedFile, as: string): Promise<void> {
    return this.#files.rename(name, as);
  }

  /** Closes a prepared file that nobody needs: it is a spare like others. Errors: `IO` */
  async giveBack({ name, file }: Pick<PreparedFile, "name" | "file">): Promise<void> {
    this.#fresh.push(name);
    await file.close();
  }
}
