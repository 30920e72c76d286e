// A LevelDB directory as its files have it, opened without LevelDB: opening one with LevelDB writes to it.
import fs from "node:fs";
import { type FileHandle, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { EmbershardError } from "../base/errors.js";
import { type LevelVersion, readLevelManifest } from "./level-version.js";

/** Something wrong with a file, where nothing can be said of single values. */
export interface LevelFileDefect {
  readonly file: string;
  readonly offset: number;
  readonly reason: string;
  /** It may be what a crash leaves: nothing that had been made durable is lost by it. */
  readonly crash: boolean;
}

/** A file that is held open: it can be read though LevelDB removes it. */
export interface LevelFile {
  readonly name: string;
  readonly number: number;
  readonly bytes: number;
  /** Whether LevelDB refers to it. Others are remains. */
  readonly current: boolean;
  /** Its number in this process while it is open. */
  readonly fd: number;
  /** Fills `into` from `position` on, the file's beginning unless given; resolves to the bytes read. */
  read(into: Uint8Array, position?: number): Promise<number>;
}

/** The files of one instant. */
export interface LevelFiles {
  /** Undefined where CURRENT or the MANIFEST cannot be read: then every file counts. */
  readonly version: LevelVersion | undefined;
  /** `*.ldb`: entries in the order of keys. */
  readonly tables: readonly LevelFile[];
  /** Write-ahead logs, oldest first. */
  readonly logs: readonly LevelFile[];
  readonly defects: readonly LevelFileDefect[];
  close(): Promise<void>;
}

/** LevelDB removes files while a directory in use is looked at: then it is looked at again. */
const mostAttempts = 20;

/** Opens all files of a LevelDB directory for reading, beside LevelDB or not. Errors: `IO`. */
export async function openLevelFiles(directory: string): Promise<LevelFiles> {
  for (let attempt = 1; ; attempt++) {
    const found = await tryOpen(directory, attempt === mostAttempts);
    if (found) return found;
  }
}

async function tryOpen(directory: string, final: boolean): Promise<LevelFiles | undefined> {
  const defects: LevelFileDefect[] = [];
  const version = await readVersion(directory, defects);
  const handles: FileHandle[] = [];
  const close = async () => {
    await Promise.all(handles.map((handle) => handle.close()));
  };
  try {
    const names = await listFiles(directory);
    const tables: LevelFile[] = [];
    const logs: LevelFile[] = [];
    const opened = await Promise.allSettled(
      names.map(async ({ name }) => {
        const handle = await openUnlessGone(join(directory, name));
        if (handle) handles.push(handle);
        return handle && { handle, bytes: (await handle.stat()).size };
      }),
    );
    for (const [i, { name, number, kind }] of names.entries()) {
      const table = version?.tables.get(number);
      const current =
        kind === "log"
          ? !version || number >= version.logNumber || number === version.prevLogNumber
          : !version || table !== undefined;
      const outcome = opened[i];
      if (outcome.status === "rejected") throw outcome.reason;
      if (!outcome.value) {
        if (current && !final) return await close().then(() => undefined);
        continue;
      }
      const { handle, bytes } = outcome.value;
      (kind === "log" ? logs : tables).push({
        name,
        number,
        bytes,
        current,
        fd: handle.fd,
        read: reader(handle, name, bytes),
      });
      if (table && table.bytes !== bytes)
        defects.push({
          file: name,
          offset: Math.min(bytes, table.bytes),
          reason: `it has ${bytes} bytes, the MANIFEST says ${table.bytes}`,
          crash: false,
        });
    }
    const there = new Set(tables.map(({ number }) => number));
    const missing = [...(version?.tables.keys() ?? [])].filter((number) => !there.has(number));
    if (missing.length > 0 && !final) return await close().then(() => undefined);
    for (const number of missing) {
      const file = `${String(number).padStart(6, "0")}.ldb`;
      defects.push({ file, offset: 0, reason: "the file is missing", crash: false });
    }
    return { version, tables, logs, defects, close };
  } catch (error) {
    await close();
    if (error instanceof EmbershardError) throw error;
    throw new EmbershardError("IO", `could not read ${directory}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function reader(handle: FileHandle, name: string, bytes: number): LevelFile["read"] {
  return async (into, position = 0) => {
    let done = 0;
    const wanted = Math.min(into.length, bytes - position);
    while (done < wanted) {
      const count = await readSome(handle, into, done, wanted - done, position + done, name);
      if (count === 0) break;
      done += count;
    }
    return done;
  };
}

/** By callback: half again as fast as by the handle's own promise, for 32 MiB from the page cache. */
function readSome(
  { fd }: FileHandle,
  into: Uint8Array,
  offset: number,
  length: number,
  position: number,
  name: string,
): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.read(fd, into, offset, length, position, (cause, count) => {
      if (cause) reject(new EmbershardError("IO", `could not read ${name}: ${cause.message}`, { cause }));
      else resolve(count);
    });
  });
}

interface ListedFile {
  readonly name: string;
  readonly number: number;
  readonly kind: "table" | "log";
}

async function listFiles(directory: string): Promise<ListedFile[]> {
  const found: ListedFile[] = [];
  for (const name of await listUnlessGone(directory)) {
    const match = /^(\d+)\.(ldb|sst|log)$/.exec(name);
    if (match) found.push({ name, number: Number(match[1]), kind: match[2] === "log" ? "log" : "table" });
  }
  return found.sort((a, b) => a.number - b.number);
}

async function listUnlessGone(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

async function readVersion(directory: string, defects: LevelFileDefect[]): Promise<LevelVersion | undefined> {
  const current = await readWhole(join(directory, "CURRENT"));
  const name =
    current === undefined
      ? undefined
      : /^(MANIFEST-\d+)\n$/.exec(Buffer.from(current).toString("latin1"))?.[1];
  if (name === undefined) {
    const reason = current === undefined ? "the file is missing" : "it does not name a MANIFEST";
    defects.push({ file: "CURRENT", offset: 0, reason, crash: false });
    return undefined;
  }
  const bytes = await readWhole(join(directory, name));
  if (bytes === undefined) {
    defects.push({ file: name, offset: 0, reason: "CURRENT names it, and it is missing", crash: false });
    return undefined;
  }
  const read = readLevelManifest(bytes);
  for (const { offset, reason, tail } of read.defects)
    defects.push({ file: name, offset, reason, crash: tail });
  return read.defects.some(({ tail }) => !tail) ? undefined : read.version;
}

async function openUnlessGone(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function readWhole(path: string): Promise<Uint8Array | undefined> {
  const handle = await openUnlessGone(path);
  if (!handle) return undefined;
  try {
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}
