import { mkdir, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { EmbershardError } from "../base/errors.js";
import { isAlive } from "../base/processes.js";
import { ioError } from "./local-file.js";

/** The directory for what is on its way: the one given, or one of this user's own among the system's temporary files. */
export async function scratchDirectory(given: string | undefined): Promise<string> {
  const user = process.getuid?.();
  const path = given ?? join(tmpdir(), `embershard-transfer-${user ?? "user"}`);
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    if (given === undefined && user !== undefined) {
      const { uid, mode } = await stat(path);
      if (uid !== user || (mode & 0o022) !== 0)
        throw new EmbershardError(
          "IO",
          `${path} can be written by others: give another directory as scratch`,
        );
    }
  } catch (cause) {
    throw ioError(path, cause);
  }
  return path;
}

/** Lets `use` have a new directory in `scratch`, and removes it with what is in it; those that killed processes left, too. */
export async function withDirectory<T>(scratch: string, use: (path: string) => Promise<T>): Promise<T> {
  let path: string;
  try {
    await removeLeft(scratch);
    path = await mkdtemp(join(scratch, `transfer-${hostname()}-${process.pid}-`));
  } catch (cause) {
    throw ioError(scratch, cause);
  }
  try {
    return await use(path);
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

/** Removes directories of processes of this machine that are there no more. */
async function removeLeft(scratch: string): Promise<void> {
  for (const name of await readdir(scratch)) {
    const [, host, pid] = /^transfer-(.+)-(\d+)-\w{6}$/.exec(name) ?? [];
    if (host === hostname() && !isAlive(Number(pid)))
      await rm(join(scratch, name), { recursive: true, force: true });
  }
}
