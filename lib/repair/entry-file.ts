// The files of a backup: a header, then entries with keys, values and checksums. docs/formats/backup.md is the document.
import { type FileHandle, open } from "node:fs/promises";
import { EmbershardError } from "../base/errors.js";
import type { HashBlock } from "../base/hash-block.js";
import { createHashBlock } from "../kernel/hash-block.js";

/** What entries are. */
export const ENTRY = { page: 1, value: 2, pages: 3, record: 4, summary: 5 } as const;

const magic = 0x4c_46_42_45; // "EBFL"
const format = 1;
export const fileHeaderBytes = 40;
const entryHeaderBytes = 32;
const bufferBytes = 4 << 20;

/** Whose a file is. */
export interface FileOwner {
  /** 16 bytes. */
  readonly storeId: Uint8Array;
  readonly shard: number;
}

export interface Entry {
  readonly kind: number;
  /** For a record of the log its LSN, else 0. */
  readonly lsn: number;
  readonly key: Uint8Array;
  /** A view, valid until the next entry is read. */
  readonly value: Uint8Array;
  /** Where it begins in the file. */
  readonly offset: number;
}

function padded(bytes: number): number {
  return (bytes + 7) & ~7;
}

/** Writes entries to a new file, over one that may be there. Errors: `IO`. */
export class EntryWriter {
  readonly #path: string;
  readonly #file: FileHandle;
  #block: HashBlock = createHashBlock(bufferBytes);
  #used = 0;
  #written = 0;

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  static async create(path: string, { storeId, shard }: FileOwner): Promise<EntryWriter> {
    const writer = new EntryWriter(path, await guard(path, open(path, "w", 0o600)));
    const { bytes } = writer.#block;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    view.setUint32(0, magic, true);
    view.setUint32(4, format, true);
    bytes.set(storeId, 8);
    view.setUint32(24, shard, true);
    view.setUint32(28, 0, true);
    view.setBigUint64(32, writer.#block.checksum(0, 32, 0n), true);
    writer.#used = fileHeaderBytes;
    return writer;
  }

  /** Bytes so far. */
  get bytes(): number {
    return this.#written + this.#used;
  }

  /** Appends an entry; resolves to where it begins. Key and value are borrowed until then. */
  async add(kind: number, key: Uint8Array, value: Uint8Array, lsn = 0): Promise<number> {
    const length = entryHeaderBytes + padded(key.length) + padded(value.length);
    if (this.#used + length > this.#block.bytes.length) await this.#flush();
    if (length > this.#block.bytes.length) this.#block = createHashBlock(length);
    const at = this.#used;
    const { bytes } = this.#block;
    const view = new DataView(bytes.buffer, bytes.byteOffset + at, length);
    bytes.fill(0, at, at + entryHeaderBytes + padded(key.length));
    bytes.fill(0, at + length - 8, at + length);
    view.setUint32(8, kind, true);
    view.setUint32(12, key.length, true);
    view.setUint32(16, value.length, true);
    view.setUint32(24, lsn >>> 0, true);
    view.setUint32(28, Math.floor(lsn / 2 ** 32), true);
    bytes.set(key, at + entryHeaderBytes);
    bytes.set(value, at + entryHeaderBytes + padded(key.length));
    view.setBigUint64(0, this.#block.checksum(at + 8, length - 8, 0n), true);
    this.#used += length;
    return this.#written + at;
  }

  /** Makes everything durable and closes the file. */
  async finish(): Promise<void> {
    await this.#flush();
    await guard(this.#path, this.#file.sync());
    await this.close();
  }

  async close(): Promise<void> {
    await guard(this.#path, this.#file.close());
  }

  async #flush(): Promise<void> {
    for (let done = 0; done < this.#used; ) {
      const { bytesWritten } = await guard(
        this.#path,
        this.#file.write(this.#block.bytes, done, this.#used - done, this.#written + done),
      );
      done += bytesWritten;
    }
    this.#written += this.#used;
    this.#used = 0;
  }
}

/** Reads entries, in order or by offset. Errors: `IO`; `CORRUPT` naming file and offset; `NEWER_FORMAT`. */
export class EntryReader {
  readonly path: string;
  readonly bytes: number;
  readonly #file: FileHandle;
  #block: HashBlock = createHashBlock(bufferBytes);
  // What of the file lies in the block.
  #from = 0;
  #to = 0;

  private constructor(path: string, file: FileHandle, bytes: number) {
    this.path = path;
    this.#file = file;
    this.bytes = bytes;
  }

  /** Opens a file of a shard. */
  static async open(path: string, { storeId, shard }: FileOwner): Promise<EntryReader> {
    const file = await guard(path, open(path, "r"));
    try {
      const reader = new EntryReader(path, file, (await file.stat()).size);
      await reader.#load(0, fileHeaderBytes);
      const { bytes } = reader.#block;
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      if (
        view.getUint32(0, true) !== magic ||
        view.getBigUint64(32, true) !== reader.#block.checksum(0, 32, 0n)
      )
        throw reader.#corrupt(0, "its header does not match its checksum");
      const found = view.getUint32(4, true);
      if (found > format)
        throw new EmbershardError(
          "NEWER_FORMAT",
          `${path} has format ${found}, this version reads up to ${format}: upgrade Embershard`,
        );
      if (storeId.some((byte, i) => bytes[8 + i] !== byte))
        throw reader.#corrupt(0, "it is of another store");
      if (view.getUint32(24, true) !== shard)
        throw reader.#corrupt(0, `it is of shard ${view.getUint32(24, true)}`);
      return reader;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async *entries(): AsyncGenerator<Entry> {
    for (let at = fileHeaderBytes; at < this.bytes; ) {
      const entry = await this.entryAt(at);
      yield entry;
      at += entryHeaderBytes + padded(entry.key.length) + padded(entry.value.length);
    }
  }

  async entryAt(offset: number): Promise<Entry> {
    await this.#load(offset, entryHeaderBytes);
    const header = this.#view(offset);
    const [kind, keyBytes, valueBytes] = [8, 12, 16].map((at) => header.getUint32(at, true));
    const length = entryHeaderBytes + padded(keyBytes) + padded(valueBytes);
    if (offset + length > this.bytes) throw this.#corrupt(offset, "an entry runs over the end of the file");
    await this.#load(offset, length);
    const view = this.#view(offset);
    if (view.getBigUint64(0, true) !== this.#block.checksum(offset - this.#from + 8, length - 8, 0n))
      throw this.#corrupt(offset, "an entry does not match its checksum");
    const lsn = view.getUint32(28, true) * 2 ** 32 + view.getUint32(24, true);
    const at = offset - this.#from + entryHeaderBytes;
    const key = this.#block.bytes.slice(at, at + keyBytes);
    const value = this.#block.bytes.subarray(at + padded(keyBytes), at + padded(keyBytes) + valueBytes);
    return { kind, lsn, key, value, offset };
  }

  async close(): Promise<void> {
    await guard(this.path, this.#file.close());
  }

  /** Brings bytes `offset` to `offset + length` into the block, and what follows them. */
  async #load(offset: number, length: number): Promise<void> {
    if (offset >= this.#from && offset + length <= this.#to) return;
    if (offset + length > this.bytes) throw this.#corrupt(this.bytes, "it is cut short");
    if (length > this.#block.bytes.length) this.#block = createHashBlock(length);
    this.#from = offset;
    this.#to = offset;
    const end = Math.min(this.bytes, offset + this.#block.bytes.length);
    while (this.#to < end) {
      const into = this.#to - offset;
      const { bytesRead } = await guard(
        this.path,
        this.#file.read(this.#block.bytes, into, end - this.#to, this.#to),
      );
      if (bytesRead === 0) throw this.#corrupt(this.#to, "it became shorter while it was read");
      this.#to += bytesRead;
    }
  }

  #view(offset: number): DataView {
    const { bytes } = this.#block;
    return new DataView(bytes.buffer, bytes.byteOffset + offset - this.#from);
  }

  #corrupt(offset: number, reason: string): EmbershardError {
    return new EmbershardError("CORRUPT", `${this.path}, offset ${offset}: ${reason}`);
  }
}

async function guard<T>(path: string, operation: Promise<T>): Promise<T> {
  try {
    return await operation;
  } catch (cause) {
    throw new EmbershardError("IO", `${path}: ${(cause as Error).message}`, { cause });
  }
}
