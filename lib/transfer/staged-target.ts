import { randomBytes } from "node:crypto";
import { open, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { EmbershardError } from "../base/errors.js";
import { ARRAY_NAMES } from "./column-layout.js";
import { ioError } from "./local-file.js";
import { NPY_DESCRIPTION } from "./npy-writer.js";

/** What may stand in a directory that an export replaces. */
const OURS: readonly string[] = [...ARRAY_NAMES.map((name) => `${name}.npy`), NPY_DESCRIPTION];

/** A file or directory that is made under another name beside its own, and appears under its own when it is whole. */
export class StagedTarget {
  /** Where to make it; nothing is there yet. */
  readonly staging: string;
  readonly #path: string;

  /** @throws INVALID_ARGUMENT when `path` is a directory that holds other things than an export, or must not be one. */
  static async at(path: string, directory: boolean): Promise<StagedTarget> {
    const found = await stat(path).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === "ENOENT") return undefined;
      throw ioError(path, cause);
    });
    if (found && found.isDirectory() !== directory)
      throw new EmbershardError(
        "INVALID_ARGUMENT",
        `${path}: found a ${found.isDirectory() ? "directory" : "file"}, expected a ${directory ? "directory, or nothing, for .npy files" : "file, or nothing"}`,
      );
    if (found && directory) {
      const others = (await readdir(path)).filter((name) => !OURS.includes(name));
      if (others.length > 0)
        throw new EmbershardError(
          "INVALID_ARGUMENT",
          `${path}: found ${others[0]} in it, expected nothing that an export did not make: choose another directory`,
        );
    }
    return new StagedTarget(resolve(path));
  }

  private constructor(path: string) {
    this.#path = path;
    this.staging = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}.partial`);
  }

  /** Gives it its name; what had it before is gone then. A directory's place is empty for a moment. @throws IO */
  async commit(sync: boolean): Promise<void> {
    const path = this.#path;
    try {
      const old = (await stat(path).catch(() => undefined))?.isDirectory()
        ? `${this.staging}.old`
        : undefined;
      if (sync && (await stat(this.staging)).isDirectory()) await syncDirectory(this.staging);
      if (old) await rename(path, old);
      await rename(this.staging, path);
      if (sync) await syncDirectory(dirname(path));
      if (old) await rm(old, { recursive: true });
    } catch (cause) {
      throw ioError(path, cause);
    }
  }

  /** Removes what was made. */
  async abandon(): Promise<void> {
    await rm(this.staging, { recursive: true, force: true });
  }
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
