import fs from "node:fs";
import { join } from "node:path";
import { EmbershardError } from "../base/errors.js";
import { systemCalls } from "../base/system-calls.js";
import type { Files, OpenFile, OpenMode } from "./files.js";

/** The files of the directory `directory`, which must exist. Work runs on libuv's threads; views are written without a copy. */
export function nodeFiles(directory: string): Files {
  return {
    list: () => system(`list ${directory}`, (done) => fs.readdir(directory, done)),
    async open(name, mode) {
      const path = join(directory, name);
      const fd = await system<number>(`open ${path}`, (done) => fs.open(path, flagsOf[mode], 0o600, done));
      return new NodeFile(path, fd);
    },
    remove: (name) =>
      system(`remove ${join(directory, name)}`, (done) => fs.unlink(join(directory, name), done)),
    rename: (from, to) =>
      system(`rename ${join(directory, from)}`, (done) =>
        fs.rename(join(directory, from), join(directory, to), done),
      ),
    syncDirectory: () => syncDirectory(directory),
  };
}

const flagsOf: Record<OpenMode, string> = { create: "w+", write: "r+", read: "r" };

/** POSIX_FADV_DONTNEED of Linux's posix_fadvise(2). */
const fadviseDontNeed = 4;

const zeroBytes = new Uint8Array(4096);

class NodeFile implements OpenFile {
  readonly #path: string;
  readonly #fd: number;

  constructor(path: string, fd: number) {
    this.#path = path;
    this.#fd = fd;
  }

  async write(bytes: Uint8Array, position: number, zeros = 0): Promise<void> {
    const all = bytes.length + zeros;
    for (let done = 0; done < all; ) {
      const rest = done === 0 ? bytes : bytes.subarray(done);
      const padding = zeroBytes.subarray(0, Math.min(zeros, all - done));
      done += await system<number>(`write ${this.#path}`, (reply) =>
        padding.length === 0
          ? fs.write(this.#fd, rest, 0, rest.length, position + done, reply)
          : fs.writev(this.#fd, [rest, padding], position + done, reply),
      );
    }
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    let done = 0;
    while (done < into.length) {
      const count = await system<number>(`read ${this.#path}`, (reply) =>
        fs.read(this.#fd, into, done, into.length - done, position + done, reply),
      );
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  datasync(): Promise<void> {
    return system(`sync ${this.#path}`, (done) => fs.fdatasync(this.#fd, done));
  }

  forget(from: number, to: number): void {
    // A hint: how it went does not matter.
    systemCalls()?.posixFadviseLater(this.#fd, from, to - from, fadviseDontNeed, () => {});
  }

  truncate(bytes: number): Promise<void> {
    return system(`truncate ${this.#path}`, (done) => fs.ftruncate(this.#fd, bytes, done));
  }

  async size(): Promise<number> {
    return (await system<fs.Stats>(`stat ${this.#path}`, (done) => fs.fstat(this.#fd, done))).size;
  }

  close(): Promise<void> {
    return system(`close ${this.#path}`, (done) => fs.close(this.#fd, done));
  }
}

async function syncDirectory(directory: string): Promise<void> {
  // Windows cannot open a directory; NTFS journals its entries by itself.
  if (process.platform === "win32") return;
  const fd = await system<number>(`open ${directory}`, (done) => fs.open(directory, "r", done));
  try {
    await system(`sync ${directory}`, (done) => fs.fsync(fd, done));
  } finally {
    await system(`close ${directory}`, (done) => fs.close(fd, done));
  }
}

type Reply<T> = (error: NodeJS.ErrnoException | null, value: T) => void;

/** Callbacks cost less than half of what `FileHandle` does per call. */
function system<T = void>(what: string, call: (reply: Reply<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, value) => {
      if (error) reject(new EmbershardError("IO", `could not ${what}: ${error.message}`, { cause: error }));
      else resolve(value);
    });
  });
}
