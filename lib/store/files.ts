/**
 * What a log needs of one directory of files. The real one is `nodeFiles`; tests have one with a disk model that
 * crashes, fills up and fails. Errors are EmbershardErrors of code `IO` whose `cause` is the operating system's.
 */
export interface Files {
  /** The names in the directory, in no particular order. */
  list(): Promise<string[]>;
  /**
   * Opens one file. `create` makes it, or empties the one that is there; `write` demands that it exists and keeps its
   * bytes; `read` is for reading only. Only what `create` opened and `syncDirectory` followed survives power loss.
   */
  open(name: string, mode: OpenMode): Promise<OpenFile>;
  /** Removes a file. Durable after `syncDirectory`. */
  remove(name: string): Promise<void>;
  /** Renames over what is there, atomically. Durable after `syncDirectory`. */
  rename(from: string, to: string): Promise<void>;
  /** Makes creations, removals and renames durable. */
  syncDirectory(): Promise<void>;
}

export type OpenMode = "create" | "write" | "read";

/** One open file. Positions and sizes are in bytes. */
export interface OpenFile {
  /**
   * Writes all of `bytes`, which must not change until it resolves, and `zeros` (4096 at most) zero bytes behind them; on
   * an error any part may have been written.
   */
  write(bytes: Uint8Array, position: number, zeros?: number): Promise<void>;
  /** Fills `into`; resolves to the bytes read, fewer only at the end of the file. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Makes all that was written, and the size, durable. After an error nothing written since the last success can be trusted. */
  datasync(): Promise<void>;
  /** A hint: bytes [from, to), which are durable, will not be read soon and need not stay in the system's memory. */
  forget(from: number, to: number): void;
  truncate(bytes: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

/** Replaces the file `name` by `bytes` so that after a crash the old or the new content is there, whole and durable. */
export async function replaceFile(files: Files, name: string, bytes: Uint8Array): Promise<void> {
  const fresh = `${name}.new`;
  const file = await files.open(fresh, "create");
  try {
    await file.write(bytes, 0);
    await file.datasync();
  } finally {
    await file.close();
  }
  await files.rename(fresh, name);
  await files.syncDirectory();
}
