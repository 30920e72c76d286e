// Files of this machine: reads and writes of whole ranges, and errors that say which file.
import { read } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { EmbershardError } from "../base/errors.js";

/** What the system said about a path, as our error. */
export function ioError(path: string, cause: unknown): EmbershardError {
  if (cause instanceof EmbershardError) return cause;
  const { code, message = String(cause) } = (cause ?? {}) as NodeJS.ErrnoException;
  const what = code === "ENOENT" ? "there is no such file or directory" : message;
  return new EmbershardError("IO", `${path}: ${what}`, { cause });
}

/** What the system said about a path that was to be made. */
export function makingError(path: string, cause: unknown): EmbershardError {
  if ((cause as NodeJS.ErrnoException | undefined)?.code !== "ENOENT") return ioError(path, cause);
  return new EmbershardError("IO", `${dirname(path)}: there is no such directory: make it first`, { cause });
}

/** By a callback: a handle's own read makes several objects more. */
function readSome(fd: number, into: Uint8Array, offset: number): Promise<number> {
  return new Promise((resolve, reject) =>
    read(fd, into, 0, into.length, offset, (error, bytesRead) =>
      error ? reject(error) : resolve(bytesRead),
    ),
  );
}

/** A file that is read at any place. */
export class SourceFile {
  readonly path: string;
  readonly bytes: number;
  readonly #handle: FileHandle;
  readonly #changedMs: number;

  private constructor(path: string, handle: FileHandle, bytes: number, changedMs: number) {
    this.path = path;
    this.bytes = bytes;
    this.#handle = handle;
    this.#changedMs = changedMs;
  }

  /** @throws IO */
  static async open(path: string): Promise<SourceFile> {
    try {
      const handle = await open(path, "r");
      const { size, mtimeMs } = await handle.stat();
      return new SourceFile(path, handle, size, mtimeMs);
    } catch (cause) {
      throw ioError(path, cause);
    }
  }

  /** Fills `into` with the bytes from `offset` on, all of which must be there. @throws IO, CORRUPT */
  async read(into: Uint8Array, offset: number): Promise<Uint8Array> {
    try {
      for (let done = 0; done < into.length; ) {
        const bytesRead = await readSome(this.#handle.fd, into.subarray(done), offset + done);
        if (bytesRead === 0)
          throw new EmbershardError(
            "CORRUPT",
            `${this.path}: it ends at byte ${offset + done}, expected ${into.length - done} more`,
          );
        done += bytesRead;
      }
      return into;
    } catch (cause) {
      throw ioError(this.path, cause);
    }
  }

  /** Says no when the file is another than it was when it was opened: what was checked holds no more. @throws CORRUPT */
  async demandUnchanged(): Promise<void> {
    const { size, mtimeMs } = await this.#handle.stat();
    if (size !== this.bytes || mtimeMs !== this.#changedMs)
      throw new EmbershardError("CORRUPT", `${this.path}: it was changed while it was read: import it again`);
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

/** A new file that is written at any place. */
export class TargetFile {
  readonly path: string;
  readonly #handle: FileHandle;

  private constructor(path: string, handle: FileHandle) {
    this.path = path;
    this.#handle = handle;
  }

  /** Makes a file that is not there yet. @throws IO */
  static async create(path: string): Promise<TargetFile> {
    try {
      return new TargetFile(path, await open(path, "wx+"));
    } catch (cause) {
      throw makingError(path, cause);
    }
  }

  /** Writes all of some bytes. @throws IO */
  async write(view: ArrayBufferView, offset: number): Promise<void> {
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    try {
      for (let done = 0; done < bytes.byteLength; ) {
        const { bytesWritten } = await this.#handle.write(
          bytes,
          done,
          bytes.byteLength - done,
          offset + done,
        );
        done += bytesWritten;
      }
    } catch (cause) {
      throw ioError(this.path, cause);
    }
  }

  /** Moves bytes within the file; the places may overlap. @throws IO */
  async move(from: number, to: number, length: number): Promise<void> {
    if (from === to) return;
    const buffer = Buffer.allocUnsafe(Math.min(length, 4 << 20));
    try {
      for (let done = 0; done < length; ) {
        const piece = Math.min(buffer.length, length - done);
        const at = to < from ? done : length - done - piece;
        let got = 0;
        while (got < piece) {
          const { bytesRead } = await this.#handle.read(buffer, got, piece - got, from + at + got);
          // Never written: a hole beyond the end reads as zeros.
          if (bytesRead === 0) buffer.fill(0, got, piece);
          got = bytesRead === 0 ? piece : got + bytesRead;
        }
        await this.write(buffer.subarray(0, piece), to + at);
        done += piece;
      }
    } catch (cause) {
      throw ioError(this.path, cause);
    }
  }

  /** Cuts the file at `bytes`, makes it durable if asked to, and closes it. @throws IO */
  async finish(bytes: number, sync: boolean): Promise<void> {
    try {
      await this.#handle.truncate(bytes);
      if (sync) await this.#handle.sync();
      await this.#handle.close();
    } catch (cause) {
      throw ioError(this.path, cause);
    }
  }

  /** Closes it as it is. */
  async abandon(): Promise<void> {
    // Closed twice where finishing failed; who abandons it has a better error to report.
    await this.#handle.close().catch(() => {});
  }
}
